"""The running desk's own door: a unix socket for its user alone, one JSON document a line each way.

    {"ask": "status"}                                       -> {"ok": true, "answer": {...}}
    {"ask": "command", "box": ..., "name": ..., "fields": {...}, "kid": ..., "within": 10}
    {"ask": "changed", "within": 1}                         -> answers when something was stored, or then

What can be read from the store is read there (reading.py), also while no desk runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from pathlib import Path
from typing import Any

import msgspec

from gateway.desk.authority import DESK_KEY
from gateway.desk.errors import Told
from gateway.desk.service import DeskService
from gateway.errors import BadRequest, DaemonUnreachable, LoumenError, N_
from gateway.uplink.incoming import failure
from gateway.uplink.messages import ReplyError, encode

MAX_LINE = 1024 * 1024


class Ask(msgspec.Struct, kw_only=True):
    """One question."""

    ask: str
    box: str = ""
    name: str = ""
    fields: msgspec.Raw = msgspec.Raw(b"{}")
    kid: str = DESK_KEY
    within: float = 10.0


class Answer(msgspec.Struct, kw_only=True):
    ok: bool
    answer: msgspec.Raw = msgspec.Raw(b"null")
    error: ReplyError | None = None


async def serve(service: DeskService, path: Path) -> None:
    """Answer until cancelled."""
    clients = set[asyncio.Task[None]]()

    async def client(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        clients.add(task)
        try:
            while line := await reader.readline():
                writer.write(encode(await _answer(service, line)) + b"\n")
                await writer.drain()
        except (OSError, ValueError):
            pass  # a client that goes, or a line that is too long
        except asyncio.CancelledError:
            pass  # the desk ends: asyncio's streams of Python 3.11 log a cancelled client as an error
        finally:
            clients.discard(task)
            writer.close()

    before = os.umask(0o177)
    try:
        path.unlink(missing_ok=True)  # noqa: ASYNC240  (a socket file, once)
        server = await asyncio.start_unix_server(client, path, limit=MAX_LINE)
    finally:
        os.umask(before)
    try:
        await asyncio.Event().wait()
    finally:  # not `serve_forever`: Python 3.13 would wait in it for clients that are ended here
        server.close()
        for task in clients:
            task.cancel()
        await asyncio.gather(*clients, return_exceptions=True)


async def _answer(service: DeskService, line: bytes) -> Answer:
    try:
        asked = msgspec.json.decode(line, type=Ask)
        match asked.ask:
            case "status":
                return Answer(ok=True, answer=msgspec.Raw(encode(service.status())))
            case "changed":
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(asked.within), service.changed:
                        await service.changed.wait()
                return Answer(ok=True)
            case "command":
                fields = bytes(asked.fields)
                reply = await service.command(asked.box, asked.name, fields, kid=asked.kid, within=asked.within)
                return Answer(ok=reply.ok, answer=reply.result, error=reply.error)
            case _:
                raise BadRequest(N_("The desk does not know this question"))
    except msgspec.MsgspecError:
        error = failure("", BadRequest(N_("The question cannot be read")))
    except LoumenError as problem:
        error = failure("", problem)
    return Answer(ok=False, error=error.error)


class Client:
    """The desk's command line asks a running desk. Blocking, with a time limit."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def ask(self, time_out: float = 10.0, /, **question: Any) -> Any:
        """The answer, decoded. Raises DaemonUnreachable, or Told what the desk or the box said."""
        try:
            with socket.socket(socket.AF_UNIX) as connection:
                connection.settimeout(time_out)
                connection.connect(str(self._path))
                connection.sendall(encode(question) + b"\n")
                line = connection.makefile("rb").readline(MAX_LINE)
        except OSError as error:
            raise self._unreachable() from error
        if not line:
            raise self._unreachable()
        answer = msgspec.json.decode(line, type=Answer)
        if answer.error is not None:
            raise Told(answer.error)
        return msgspec.json.decode(answer.answer)

    def _unreachable(self) -> DaemonUnreachable:
        return DaemonUnreachable(
            N_("No desk answers on this socket"), where=str(self._path), mend=N_("start it: loumen desk run")
        )
