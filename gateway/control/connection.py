"""One client's connection: HTTP/1.1 by h11, everything bounded.

Heads are at most 16 kB, bodies as large as the role may send and as memory is left for all of them
together; a head, a body and each write have their time. A client that is slow, silent or speaks
garbage loses its connection, and nobody else notices.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Awaitable, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Final, TypeVar
from urllib.parse import parse_qsl, unquote, urlsplit

import h11

from gateway.command import Role
from gateway.control.answers import JSON, TooLarge, error_body, status_of
from gateway.control.peer import Peer
from gateway.errors import BadRequest, LoumenError, N_

_Result = TypeVar("_Result")

HEAD_BYTES: Final = 16 * 1024
HEAD_SECONDS: Final = 10.0
BODY_SECONDS: Final = 60.0
WRITE_SECONDS: Final = 10.0
CHUNK: Final = 64 * 1024


@dataclass(frozen=True, slots=True)
class Limits:
    """How long a client may take. Tests make them short."""

    head: float = HEAD_SECONDS
    body: float = BODY_SECONDS
    write: float = WRITE_SECONDS


@dataclass(frozen=True, slots=True)
class Request:
    """What a client asks."""

    method: str
    path: str
    query: dict[str, str]
    headers: dict[str, str]
    body: bytearray
    peer: Peer
    role: Role
    left: Callable[[], Awaitable[None]]  # returns when the client has gone


@dataclass(frozen=True, slots=True)
class Answer:
    """What it gets: a whole body, or pieces as they come."""

    status: int
    body: bytes | AsyncGenerator[bytes, None]
    content_type: str = JSON


class Budget:
    """The memory that all waiting bodies together may take."""

    def __init__(self, total: int) -> None:
        self._left = total

    def take(self, size: int) -> None:
        """Raises TooLarge where nothing is left."""
        if size > self._left:
            raise TooLarge(N_("the daemon keeps no request that large now"), mend=N_("send less at once, or try again"))
        self._left -= size

    def give(self, size: int) -> None:
        self._left += size


class _Gone(Exception):  # noqa: N818  (named for what it says)
    """The client has gone or took too long."""


Respond = Callable[[Request], Awaitable[Answer]]


class Connection:
    """Answers one client's requests until it goes."""

    def __init__(
        self,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
        peer: Peer,
        role: Role,
        *,
        budget: Budget,
        body_limit: int,
        limits: Limits,
    ) -> None:
        self._reader, self._writer, self._peer, self._role = reader, writer, peer, role
        self._budget, self._body_limit, self._limits = budget, body_limit, limits
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_BYTES)
        self._taken = 0

    async def serve(self, respond: Respond) -> None:
        """Never raises for what a client does."""
        try:
            while await self._turn(respond):
                self._http.start_next_cycle()
        except (_Gone, OSError, h11.LocalProtocolError):
            return
        finally:
            self._budget.give(self._taken)

    async def refuse(self, error: LoumenError) -> None:
        """Answer the first request with `error`, unread."""
        try:
            await self._send(Answer(status_of(error), error_body(error)))
        except (_Gone, OSError, h11.LocalProtocolError):
            return

    async def _turn(self, respond: Respond) -> bool:
        """One request and its answer; whether another may follow."""
        try:
            request = await self._request()
            if request is None:
                return False
            answer = await respond(request)
            request.body.clear()
        except h11.RemoteProtocolError as error:
            told = BadRequest(N_("this is no HTTP request of ours: {problem}"), problem=str(error)[:200])
            answer = Answer(error.error_status_hint, error_body(told))
        except LoumenError as error:
            answer = Answer(status_of(error), error_body(error))
        self._budget.give(self._taken)
        self._taken = 0
        await self._send(answer)
        return self._http.our_state is h11.DONE and self._http.their_state is h11.DONE

    async def _request(self) -> Request | None:
        head = await self._within(self._limits.head, self._event())
        if not isinstance(head, h11.Request):
            return None
        body = await self._within(self._limits.body, self._body(head))
        try:
            target = urlsplit(head.target.decode("ascii", "replace"))
            query = dict(parse_qsl(target.query, keep_blank_values=True, max_num_fields=20))
        except ValueError as error:
            raise BadRequest(N_("the path cannot be read, or has too many fields")) from error
        return Request(
            method=head.method.decode("ascii", "replace"),
            path=unquote(target.path),
            query=query,
            headers={name.decode("latin-1").lower(): value.decode("latin-1") for name, value in head.headers},
            body=body,
            peer=self._peer,
            role=self._role,
            left=self._left,
        )

    async def _body(self, head: h11.Request) -> bytearray:
        told = next((value for name, value in head.headers if name == b"content-length"), b"0")
        self._check_size(int(told))
        body = bytearray()
        while isinstance(event := await self._event(), h11.Data):
            self._check_size(len(body) + len(event.data))
            self._budget.take(len(event.data))
            self._taken += len(event.data)
            body += event.data
        return body

    def _check_size(self, size: int) -> None:
        if size > self._body_limit:
            raise TooLarge(
                N_("the request has {size} bytes; at most {limit} are taken"), size=size, limit=self._body_limit
            )

    async def _event(self) -> h11.Event | type[h11.PAUSED]:
        while True:
            event = self._http.next_event()
            if event is h11.PAUSED or not isinstance(event, type):
                return event
            if self._http.they_are_waiting_for_100_continue:
                await self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))
            data = await self._reader.read(CHUNK)
            if not data and self._http.their_state is h11.IDLE and not self._http.trailing_data[0]:
                raise _Gone
            self._http.receive_data(data)

    async def _within(self, seconds: float, work: Awaitable[_Result]) -> _Result:
        try:
            async with asyncio.timeout(seconds):
                return await work
        except TimeoutError as error:
            raise _Gone from error

    async def _left(self) -> None:
        while await self._reader.read(CHUNK):
            pass  # what a client says while it listens is nothing to us

    async def _send(self, answer: Answer) -> None:
        head = [("Content-Type", answer.content_type), ("Cache-Control", "no-store")]
        if self._http.their_state is not h11.DONE:
            head.append(("Connection", "close"))  # the rest of its request is not read
        if isinstance(answer.body, bytes):
            head.append(("Content-Length", str(len(answer.body))))
            await self._write(
                self._http.send(h11.Response(status_code=answer.status, headers=head)),
                self._http.send(h11.Data(data=answer.body)),
                self._http.send(h11.EndOfMessage()),
            )
            return
        head += [("Transfer-Encoding", "chunked"), ("Connection", "close")]
        await self._write(self._http.send(h11.Response(status_code=answer.status, headers=head)))
        async with aclosing(answer.body) as pieces:  # who leaves in the middle leaves no stream, and no rows, behind
            async for piece in pieces:
                await self._write(self._http.send(h11.Data(data=piece)))
        await self._write(self._http.send(h11.EndOfMessage()))

    async def _write(self, *pieces: bytes | None) -> None:
        for piece in pieces:
            for at in range(0, len(piece or b""), CHUNK):
                self._writer.write((piece or b"")[at : at + CHUNK])
                await self._within(self._limits.write, self._writer.drain())
