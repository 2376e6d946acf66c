"""The worker's side of the socket: connect, say Hello, send what waits, hear what the daemon says.

At most WAITING messages wait for the daemon to read. When one more comes, the oldest candidates or plates give
way (a face of seconds ago opens nothing), then the oldest sign of presence or heartbeat; an enrolment's
answer never does. What waits when the connection ends is thrown away: the next daemon knows nothing
of it.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import assert_never

from gateway.vision import protocol
from gateway.vision.protocol import (
    Candidates,
    Enrolled,
    Exit,
    Garbage,
    Heartbeat,
    Hello,
    Message,
    PlateRead,
    Presence,
    Welcome,
)

WAITING = 4
PATIENCE = 5.0  # seconds for the daemon's Welcome
log = logging.getLogger("loumen.vision")


class Finished(Exception):  # noqa: N818  (named for what it says)
    """The worker should end, with this exit code."""

    def __init__(self, code: Exit, why: str) -> None:
        super().__init__(why)
        self.code = code


class Outbox:
    """The messages that wait, at most WAITING."""

    def __init__(self) -> None:
        self._waiting: deque[Message] = deque()
        self._filled = asyncio.Event()
        self.dropped = 0

    def put(self, message: Message) -> None:
        if isinstance(message, Heartbeat):
            self._forget(Heartbeat)  # an old one says nothing that the new one does not
        for kind in (Candidates, PlateRead, Presence, Heartbeat):
            if len(self._waiting) < WAITING:
                break
            self.dropped += self._forget(kind)
        self._waiting.append(message)
        self._filled.set()

    def _forget(self, kind: type[Message]) -> bool:
        for message in self._waiting:
            if isinstance(message, kind):
                self._waiting.remove(message)
                return True
        return False

    def clear(self) -> None:
        self._waiting.clear()

    def __len__(self) -> int:
        return len(self._waiting)

    async def take(self) -> Message:
        """The next message, the oldest first; an enrolment's answer is never behind a flood of others."""
        while not self._waiting:
            self._filled.clear()
            await self._filled.wait()
        return self._waiting.popleft()


class Link:
    """Keeps one connection to the daemon. `heard` is given Gallery, Enrol; `lost` is told of each end."""

    def __init__(
        self,
        path: Path,
        hello: Hello,
        settings_digest: str,
        heard: Callable[[protocol.Gallery | protocol.Enrol], None],
        lost: Callable[[], None],
    ) -> None:
        self._path, self._hello, self._settings, self._heard, self._lost = path, hello, settings_digest, heard, lost
        self.outbox = Outbox()
        self.connected = False

    async def run(self, *, soonest: float = 0.2, latest: float = 2.0) -> None:
        """Connect, and again with growing pauses, until cancelled. Raises Finished."""
        pause = soonest
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(self._path)
            except OSError:
                await asyncio.sleep(pause)
                pause = min(pause * 2, latest)
                continue
            try:
                if await self._session(reader, writer):
                    pause = soonest
            except Garbage as garbage:
                raise Finished(Exit.GARBAGE, f"the daemon sent garbage: {garbage}") from garbage
            except (OSError, asyncio.IncompleteReadError) as error:
                log.info("the connection to the daemon ended: %s", error)
            finally:
                self.connected = False
                self.outbox.clear()
                self._lost()
                writer.close()
                with contextlib.suppress(OSError):
                    await writer.wait_closed()
            await asyncio.sleep(pause)
            pause = min(pause * 2, latest)

    async def _session(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """One connection, until it ends; True if the daemon had made us welcome."""
        writer.transport.set_write_buffer_limits(high=0)  # drain returns when the kernel has taken all
        incoming = protocol.Reader("daemon")
        writer.write(protocol.encode(self._hello))
        await writer.drain()
        sender: asyncio.Task[None] | None = None
        try:
            async with asyncio.timeout(PATIENCE):
                begun = await self._next(reader, incoming)
            if begun is None:
                return False
            self._check(begun[0])
            self.outbox.clear()
            self.connected = True
            sender = asyncio.create_task(self._send(writer))
            messages: list[protocol.FromWorker | protocol.FromDaemon] | None = begun[1:]
            while messages is not None:
                for message in messages:
                    self._hear(message)
                messages = await self._next(reader, incoming)
            return True
        except TimeoutError:
            log.warning("the daemon accepted the connection and said nothing for %g s", PATIENCE)
            return False
        finally:
            if sender is not None:
                sender.cancel()
                with contextlib.suppress(asyncio.CancelledError, OSError):
                    await sender

    @staticmethod
    async def _next(
        reader: asyncio.StreamReader, incoming: protocol.Reader
    ) -> list[protocol.FromWorker | protocol.FromDaemon] | None:
        """The next messages, at least one; None at the connection's end. Raises Garbage."""
        while data := await reader.read(65536):
            if messages := incoming.feed(data):
                return messages
        return None

    def _check(self, first: protocol.FromWorker | protocol.FromDaemon) -> None:
        if not isinstance(first, Welcome):
            raise Garbage("the daemon's first word was not Welcome")
        if first.protocol != protocol.PROTOCOL:
            raise Finished(Exit.SETTINGS, f"the daemon speaks protocol {first.protocol}, this is {protocol.PROTOCOL}")
        if first.settings and first.settings != self._settings:
            raise Finished(Exit.SETTINGS, "the daemon has other settings now")

    def _hear(self, message: protocol.FromWorker | protocol.FromDaemon) -> None:
        match message:
            case protocol.Gallery() | protocol.Enrol():
                self._heard(message)
            case protocol.Stop():
                raise Finished(Exit.DONE, "the daemon said stop")
            case protocol.Welcome():
                raise Garbage("a second Welcome")
            case Hello() | Heartbeat() | Candidates() | PlateRead() | Presence() | Enrolled():
                raise Garbage("the daemon spoke as a worker")
            case _:
                assert_never(message)

    async def _send(self, writer: asyncio.StreamWriter) -> None:
        with contextlib.suppress(OSError):  # the reading side sees the end as well
            while True:
                writer.write(protocol.encode(await self.outbox.take()))
                await writer.drain()
