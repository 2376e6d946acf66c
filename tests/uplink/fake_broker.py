"""A small broker of our own that can be told to fail. Not the codec under test: it parses by itself."""

from __future__ import annotations

import asyncio
import contextlib
import struct
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field


@dataclass(eq=False)
class Client:
    writer: asyncio.StreamWriter
    version: int = 4
    name: str = ""
    filters: list[str] = field(default_factory=list)
    next_id: int = 0


@dataclass
class FakeBroker:
    """Faults are plain attributes; change them while it runs."""

    version: int = 5  # the highest it speaks
    connack: int = 0
    silent: bool = False  # accepts TCP and says nothing
    deaf: bool = False  # accepts MQTT and acknowledges nothing
    greeting: bytes = b""  # garbage instead of a CONNACK
    noise: bytes = b""  # garbage after the first message
    puback: Callable[[str, int], int] = lambda _topic, _count: 0
    keep: Callable[[str, int], bool] = lambda _topic, _count: True  # False: acknowledged and forgotten
    port: int = 0
    connects: int = 0
    published: int = 0
    clients: list[Client] = field(default_factory=list)

    @contextlib.asynccontextmanager
    async def open(self) -> AsyncIterator[FakeBroker]:
        server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)
        self.port = server.sockets[0].getsockname()[1]
        try:
            yield self
        finally:
            server.close()
            self.cut()

    def cut(self) -> None:
        """Every connection breaks, without a word."""
        for client in list(self.clients):
            client.writer.transport.abort()

    def send(self, topic: str, payload: bytes, *, retain: bool = False, to: str = "") -> None:
        """To everybody who asked for `topic`."""
        for client in list(self.clients):
            if any(_matches(wanted, topic) for wanted in client.filters) and to in client.name:
                client.next_id = client.next_id % 65535 + 1
                name = topic.encode()
                body = struct.pack(">H", len(name)) + name + struct.pack(">H", client.next_id)
                body += (b"\x00" if client.version == 5 else b"") + payload
                client.writer.write(bytes([0x32 | retain]) + _length(len(body)) + body)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.connects += 1
        client = Client(writer)
        self.clients.append(client)
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            while True:
                first, body = await _packet(reader)
                if not self.silent:
                    self._answer(client, first, body)
        self.clients.remove(client)
        writer.close()

    def _answer(self, client: Client, first: int, body: bytes) -> None:
        match first >> 4:
            case 1:
                client.version = body[6]
                client.name = body.decode(errors="replace")
                client.writer.write(self.greeting or self._connack(client.version))
            case 3:
                self._publish(client, body)
            case 8:
                self._subscribe(client, body)
            case 12:
                client.writer.write(b"\xd0\x00")

    def _connack(self, version: int) -> bytes:
        if version > self.version:
            return b"\x20\x02\x00\x01"
        if self.connack or version == 4:
            return bytes([0x20, 2, 0, self.connack])
        return b"\x20\x03\x00\x00\x00"

    def _publish(self, client: Client, body: bytes) -> None:
        if self.noise:
            client.writer.write(self.noise)
            return
        (size,) = struct.unpack_from(">H", body)
        topic = body[2 : 2 + size].decode()
        packet_id = body[2 + size : 4 + size]
        payload = body[4 + size + (client.version == 5) :]
        self.published += 1
        code = self.puback(topic, self.published)
        if not self.deaf:
            client.writer.write(
                b"\x40\x03" + packet_id + bytes([code]) if client.version == 5 else b"\x40\x02" + packet_id
            )
        if code < 0x80 and self.keep(topic, self.published):
            self.send(topic, payload)

    def _subscribe(self, client: Client, body: bytes) -> None:
        at, codes = 2 + (client.version == 5), b""
        while at < len(body):
            (size,) = struct.unpack_from(">H", body, at)
            client.filters.append(body[at + 2 : at + 2 + size].decode())
            at, codes = at + 3 + size, codes + b"\x01"
        answer = body[:2] + (b"\x00" if client.version == 5 else b"") + codes
        client.writer.write(b"\x90" + _length(len(answer)) + answer)


def _matches(wanted: str, topic: str) -> bool:
    ours, theirs = wanted.split("/"), topic.split("/")
    return len(ours) == len(theirs) and all(a in {"+", b} for a, b in zip(ours, theirs, strict=True))


def _length(length: int) -> bytes:
    out = bytearray()
    while True:
        length, low = divmod(length, 128)
        out.append(low | (0x80 if length else 0))
        if not length:
            return bytes(out)


async def _packet(reader: asyncio.StreamReader) -> tuple[int, bytes]:
    first = (await reader.readexactly(1))[0]
    length, shift = 0, 0
    while True:
        byte = (await reader.readexactly(1))[0]
        length |= (byte & 0x7F) << shift
        shift += 7
        if byte < 0x80:
            return first, await reader.readexactly(length)
