"""The daemon's socket for vision workers: who may come in, what is believed, when it is enough.

A worker is a suspect: it parses what comes from the street. So only its own user may connect
(SO_PEERCRED), its words are bounded (length, number a second, first word), a silent one counts as hung,
a slow reader is closed before what waits for it fills memory. Whatever it does, the daemon goes on.
"""

from __future__ import annotations

import asyncio
import contextlib
import grp
import logging
import os
import pwd
import socket
import struct
from collections.abc import Awaitable, Callable, Iterable
from pathlib import Path

from gateway.vision import protocol
from gateway.vision.protocol import FromWorker, Garbage, Heartbeat, Hello, Message, Welcome

VISION_USER = "loumen-vision"
UNREAD = 1024 * 1024  # bytes that may wait for a slow worker
FLOOD = 200  # messages in one second
STRANGERS = 8  # connections that have not said Hello
PATIENCE = 5.0  # seconds for the Hello
log = logging.getLogger("loumen.vision")


def allowed_uids(own: int, users: Iterable[str] = (VISION_USER,)) -> frozenset[int]:
    """Who may connect: this very user, root, and the vision process's own."""
    found = {own, 0}
    for user in users:
        with contextlib.suppress(KeyError):
            found.add(pwd.getpwnam(user).pw_uid)
    return frozenset(found)


def peer(writer: asyncio.StreamWriter) -> tuple[int, int]:
    """Process and user at the other end, as the kernel says."""
    connection = writer.get_extra_info("socket")
    pid, uid, _gid = struct.unpack("3i", connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, 12))
    return int(pid), int(uid)


class Session:
    """One worker that said Hello. Ends with a reason: 'closed', 'hung', 'garbage: ...', 'slow', 'replaced'."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, hello: Hello) -> None:
        self._reader, self._writer, self.hello = reader, writer, hello
        self.ended = ""

    def send(self, message: Message) -> None:
        """Hand a message over; never waits. A worker that does not read is closed."""
        if self._writer.is_closing():
            return
        self._writer.write(protocol.encode(message))
        if self._writer.transport.get_write_buffer_size() > UNREAD:
            self.end("slow: it does not read what it is sent")

    def end(self, why: str) -> None:
        """Close at once; what was not sent is dropped."""
        self.ended = self.ended or why
        self._writer.transport.abort()

    async def listen(
        self, incoming: protocol.Reader, first: list[FromWorker], hear: Callable[[FromWorker], None], silent: float
    ) -> None:
        """Hear everything until the end. `hear` may raise Garbage."""
        clock = asyncio.get_running_loop().time
        deadline, second, heard = clock() + silent, clock(), 0
        messages = first
        try:
            while True:
                for message in messages:
                    if isinstance(message, Hello):
                        raise Garbage("a second hello")
                    if isinstance(message, Heartbeat):
                        deadline = clock() + silent
                    hear(message)
                heard += len(messages)
                if heard > FLOOD:
                    raise Garbage(f"{heard} messages in a second")
                async with asyncio.timeout_at(deadline):
                    data = await self._reader.read(65536)
                if not data:
                    self.end("closed")
                    return
                if clock() - second >= 1:
                    second, heard = clock(), 0
                messages = incoming.feed(data)  # type: ignore[assignment]  # side "worker"
        except TimeoutError:
            self.end("hung")
        except Garbage as garbage:
            self.end(f"garbage: {garbage}")
        except OSError as error:
            self.end(f"closed: {error.strerror or error}")


class Reception:
    """The listening socket. `came` decides on a Hello, `gone` is told of a session's end.

    `unfit` is told of a process that connected and said no Hello that could be read.
    """

    def __init__(
        self,
        path: Path,
        uids: frozenset[int],
        *,
        welcome: Welcome,
        came: Callable[[Session], bool],
        hear: Callable[[Session, FromWorker], None],
        gone: Callable[[Session], None],
        unfit: Callable[[int, str], None],
        silent: float = protocol.SILENT,
    ) -> None:
        self._path, self._uids, self._welcome, self._silent = path, uids, welcome, silent
        self._came, self._hear, self._gone, self._unfit = came, hear, gone, unfit
        self._guests: set[asyncio.Task[None]] = set()
        self._strangers = 0
        self.refused = 0  # connections that never became a session

    async def run(self, within: Callable[[], Awaitable[None]]) -> None:
        """Listen while `within()` runs."""
        self._path.unlink(missing_ok=True)
        server = await asyncio.start_unix_server(self._accept, self._path)
        try:
            self._path.chmod(0o660)
            share(self._path)
            await within()
        finally:
            server.close()
            self._path.unlink(missing_ok=True)
            for guest in self._guests:
                guest.cancel()
            await asyncio.gather(*self._guests, return_exceptions=True)

    def _accept(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        pid, uid = peer(writer)
        if uid not in self._uids or self._strangers >= STRANGERS:
            self.refused += 1
            log.warning("a connection of user %d was refused", uid)
            writer.transport.abort()
            return
        task = asyncio.get_running_loop().create_task(self._receive(reader, writer, pid))
        self._guests.add(task)
        task.add_done_callback(self._guests.discard)

    async def _receive(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, pid: int) -> None:
        incoming = protocol.Reader("worker")
        try:
            hello, rest, why = await self._hello(reader, incoming)
            if hello is None:
                self.refused += 1
                log.warning("a connection ended before its hello: %s", why)
                self._unfit(pid, why)
                return
            session = Session(reader, writer, hello)
            if not self._came(session):
                self.refused += 1
                session.send(self._welcome)  # it says which release is here: the worker ends, and begins anew with it
                return
            session.send(self._welcome)
            try:
                await session.listen(incoming, rest, lambda message: self._hear(session, message), self._silent)
            finally:
                session.end("closed")
                self._gone(session)
        finally:
            writer.transport.abort()

    async def _hello(
        self, reader: asyncio.StreamReader, incoming: protocol.Reader
    ) -> tuple[Hello | None, list[FromWorker], str]:
        self._strangers += 1
        try:
            async with asyncio.timeout(PATIENCE):
                while data := await reader.read(65536):
                    if messages := incoming.feed(data):
                        hello, *rest = messages
                        if isinstance(hello, Hello):
                            return hello, rest, ""  # type: ignore[return-value]  # side "worker"
                        raise Garbage("the first word was not hello")
            return None, [], "closed"
        except TimeoutError:
            return None, [], "hung"
        except Garbage as garbage:
            return None, [], f"garbage: {garbage}"
        except OSError as error:
            return None, [], f"closed: {error.strerror or error}"
        finally:
            self._strangers -= 1


def share(path: Path, group: str = VISION_USER) -> None:
    """Give a file or folder to the vision process's group, where that exists and we may."""
    with contextlib.suppress(KeyError, OSError):
        os.chown(path, -1, grp.getgrnam(group).gr_gid)
