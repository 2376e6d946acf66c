"""The daemon's control socket. Anybody may connect; the kernel says who it is, the configuration what she may.

    curl --unix-socket /run/loumen/loumen.sock http://box/v1/status

A stale socket of a dead daemon is replaced; one that answers belongs to another daemon, and this one
does not take it. The socket appears at its path complete, with its mode, in one step.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
from collections import Counter
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from gateway.command import Role
from gateway.config.schema import Control
from gateway.control.answers import Busy, Internal, error_body
from gateway.control.connection import Answer, Budget, Connection, Limits, Request
from gateway.control.peer import Peer, Roles, peer_of
from gateway.control.routes import Ask, Commands, JournalReader, Routes, refused_user
from gateway.errors import LoumenError, N_

CLERK_BODY: Final = 64 * 1024
MAX_CONNECTIONS: Final = 64
MAX_PER_USER: Final = 24
LONGEST_PATH: Final = 100  # of a unix socket's 107 bytes; the rest is for the name it is made under
WRITE_BUFFER: Final = 256 * 1024


class SocketError(LoumenError):
    """The control socket cannot be made."""

    code = "control"


class ControlServer:
    """Listens until cancelled."""

    def __init__(
        self,
        path: Path,
        commands: Commands,
        config: Control,
        status: Ask,
        *,
        io: Ask | None = None,
        journal: JournalReader | None = None,
        limits: Limits | None = None,
        log: Callable[[str], None] = lambda _line: None,
    ) -> None:
        self._path, self._log = path, log
        self._routes = Routes(commands, status, io, journal)
        self._roles = Roles(config)
        self._largest = config.max_body_mb * 1024 * 1024
        self._budget = Budget(self._largest)
        self._limits = limits or Limits()
        self._by_user: Counter[int] = Counter()
        self._tasks: set[asyncio.Task[None]] = set()
        self.listening = asyncio.Event()

    async def run(self) -> None:
        """Serve until cancelled. Raises SocketError where the socket cannot be made."""
        with _bound(self._path) as listener:
            server = await asyncio.start_unix_server(self._accept, sock=listener, limit=64 * 1024)
            self.listening.set()
            try:
                await asyncio.Event().wait()
            finally:  # not `async with server`: Python 3.13 would wait there for clients that are ended below
                self.listening.clear()
                server.close()
                for task in self._tasks:
                    task.cancel()
                await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        uid: int | None = None
        try:
            peer = peer_of(writer.get_extra_info("socket"))
            uid = peer.uid
            self._by_user[uid] += 1
            writer.transport.set_write_buffer_limits(high=WRITE_BUFFER)
            await self._serve(reader, writer, peer)
        except OSError:
            pass  # it went while we asked who it was
        except asyncio.CancelledError:
            pass  # the server ends: asyncio's streams of Python 3.11 log a cancelled client as an error
        finally:
            if uid is not None:
                self._by_user[uid] -= 1
            self._tasks.discard(task)
            writer.transport.abort() if writer.transport.get_write_buffer_size() > 0 else writer.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, peer: Peer) -> None:
        role = self._roles.of(peer.uid)
        connection = Connection(
            reader,
            writer,
            peer,
            role or Role.RESIDENT,
            budget=self._budget,
            body_limit=self._largest if role is not None and role >= Role.TECHNICIAN else CLERK_BODY,
            limits=self._limits,
        )
        if role is None:
            await connection.refuse(refused_user(peer.uid))
        elif len(self._tasks) > MAX_CONNECTIONS or self._by_user[peer.uid] > MAX_PER_USER:
            await connection.refuse(Busy(N_("too many clients at once"), mend=N_("end one of them, or try again")))
        else:
            await connection.serve(self._respond)

    async def _respond(self, request: Request) -> Answer:
        try:
            return await self._routes.respond(request)
        except LoumenError:
            raise
        except Exception as error:  # noqa: BLE001  (the named supervisor of what clients ask)
            self._log(f"{request.method} {request.path[:200]}: {type(error).__name__}: {error}")
            told = Internal(
                N_("the daemon met an error of its own: {kind}"),
                mend=N_("see its log: journalctl -u loumen"),
                kind=type(error).__name__,
            )
            return Answer(500, error_body(told))


@contextlib.contextmanager
def _bound(path: Path) -> Iterator[socket.socket]:
    """A listening socket at `path`; removed again at the end, if it is still ours."""
    if len(os.fsencode(path)) > LONGEST_PATH:
        raise SocketError(
            N_("the path of the control socket is longer than {longest} bytes"),
            where=str(path),
            mend=N_("set a shorter `control.socket` or `box.run`"),
            longest=LONGEST_PATH,
        )
    _refuse_living(path)
    ours = 0
    fresh = path.with_name(path.name + ".new")
    listener = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            fresh.unlink(missing_ok=True)
            listener.bind(str(fresh))
            fresh.chmod(0o666)  # who connects is asked of the kernel, not of the file's mode
            listener.listen(MAX_CONNECTIONS)
            ours = fresh.stat().st_ino
            fresh.replace(path)
        except OSError as error:
            raise SocketError(
                N_("the control socket cannot be made: {problem}"),
                where=str(path),
                mend=N_("the daemon's user must be able to write the folder"),
                problem=error.strerror or str(error),
            ) from error
        listener.setblocking(False)
        try:
            yield listener
        finally:
            with contextlib.suppress(OSError):
                if path.stat().st_ino == ours:
                    path.unlink()
    finally:
        listener.close()


def _refuse_living(path: Path) -> None:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        probe.settimeout(1.0)
        try:
            probe.connect(str(path))
        except OSError:
            return
    raise SocketError(
        N_("another daemon answers on the control socket"),
        where=str(path),
        mend=N_("stop it first, or give this one another `box.run` and `box.state`"),
    )
