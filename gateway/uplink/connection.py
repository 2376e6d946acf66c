"""One connection to an MQTT broker on the event loop: dial, read, write, ping, close.

No thread and no waiting call: asyncio makes the TLS handshake piece by piece, every step has a time
limit, and what the broker sends is bounded (see packets.py). A connection is used once.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import deque
from collections.abc import AsyncIterator, Sequence
from dataclasses import dataclass

from gateway.errors import N_
from gateway.uplink import packets
from gateway.uplink.errors import ConnectionLost
from gateway.uplink.packets import Connack, Connect, Garbage, Puback, Publish, Version
from gateway.uplink.resolve import Resolver

DIAL_WITHIN = 15.0
ANSWER_WITHIN = 5.0  # to the first packet
CLOSE_WITHIN = 1.0
WRITE_WITHIN = 30.0


@dataclass(frozen=True, slots=True)
class Target:
    """Where to dial."""

    host: str
    port: int
    tls: ssl.SSLContext | None


Arrived = Publish | Puback


class Connection:
    """An accepted connection."""

    def __init__(
        self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter, version: Version, options: Connect
    ) -> None:
        self._reader, self._writer = reader, writer
        self._codec = packets.Reader(version, options.maximum_packet)
        self._loop = asyncio.get_running_loop()
        self._heard = self._said = self._loop.time()
        self._keepalive = float(options.keepalive)
        self._next_id = 0
        self._in_use: set[int] = set()
        self._waiting: deque[packets.Received] = deque()
        self.version = version
        self.accepted = Connack(session_present=False, code=0)

    @classmethod
    async def open(
        cls, target: Target, options: Connect, version: Version, resolver: Resolver, within: float = DIAL_WITHIN
    ) -> Connection:
        """Dial and wait for the broker's yes. Raises ConnectionLost (or UplinkError from the resolver)."""
        try:
            async with asyncio.timeout(within):
                reader, writer = await cls._dial(target, resolver, within / 3)
        except TimeoutError as error:
            raise ConnectionLost(
                N_("The broker {host}:{port} does not answer"),
                mend=N_("check that the broker runs and that no firewall is between"),
                host=target.host,
                port=target.port,
            ) from error
        self = cls(reader, writer, version, options)
        try:
            await self._introduce(options, min(ANSWER_WITHIN, within))
        except BaseException:
            writer.transport.abort()
            raise
        return self

    @staticmethod
    async def _dial(
        target: Target, resolver: Resolver, within: float
    ) -> tuple[asyncio.StreamReader, asyncio.StreamWriter]:
        problem: OSError | None = None
        for address in await resolver.addresses(target.host, within):
            name = target.host if target.tls else None
            try:
                return await asyncio.open_connection(address, target.port, ssl=target.tls, server_hostname=name)
            except ssl.SSLError as error:
                raise _tls_problem(target, error) from error
            except OSError as error:
                problem = error
        raise ConnectionLost(
            N_("The broker {host}:{port} cannot be reached: {problem}"),
            mend=N_("check the network and that the broker runs"),
            host=target.host,
            port=target.port,
            problem=(problem.strerror or type(problem).__name__) if problem else "",
        ) from problem

    async def _introduce(self, options: Connect, within: float) -> None:
        try:
            async with asyncio.timeout(within):
                await self._write(packets.encode(options, self.version))
                while not self._waiting:
                    self._waiting.extend(await self._read())
        except TimeoutError as error:
            raise _silent(ConnectionLost(N_("The broker accepts the connection and says nothing"))) from error
        except ConnectionLost as lost:
            raise _silent(lost)  # noqa: B904  (the same error)
        first = self._waiting.popleft()
        if not isinstance(first, Connack):
            raise ConnectionLost(N_("The broker does not speak MQTT"))
        if first.code:
            refused = ConnectionLost(
                N_("The broker refuses the connection: {reason}"),
                mend=N_("check the broker's list of boxes and this box's certificate"),
                reason=packets.reason(first.code),
            )
            refused.unsupported = first.code in packets.UNSUPPORTED_VERSION.values()
            raise refused
        self.accepted = first
        if first.keepalive is not None:
            self._keepalive = float(first.keepalive)

    async def subscribe(self, topics: Sequence[str]) -> None:
        """Ask for `topics` with QoS 1 and wait for the yes. Raises ConnectionLost."""
        packet_id = self.claim_id()
        try:
            async with asyncio.timeout(DIAL_WITHIN):
                await self._write(packets.encode(packets.Subscribe(packet_id, tuple(topics)), self.version))
                answer: packets.Suback | None = None
                while answer is None:
                    for packet in await self._read():
                        if isinstance(packet, packets.Suback):
                            answer = packet
                        else:
                            self._waiting.append(packet)
        except TimeoutError as error:
            raise ConnectionLost(N_("The broker does not answer")) from error
        self._in_use.discard(packet_id)
        for code in answer.codes:
            if code >= packets.FAILURE:
                raise ConnectionLost(
                    N_("The broker refuses the subscription: {reason}"),
                    mend=N_("check the broker's access list"),
                    reason=packets.reason(code),
                )

    async def publish(self, packet_id: int, topic: str, payload: bytes) -> None:
        """Hand a QoS 1 message to the broker; the PUBACK with `packet_id` comes among `arrivals`."""
        await self._write(packets.encode(Publish(topic, payload, 1, packet_id), self.version))

    async def acknowledge(self, message: Publish) -> None:
        """Tell the broker that `message` is ours now."""
        if message.qos:
            await self._write(packets.encode(Puback(message.packet_id), self.version))

    async def arrivals(self) -> AsyncIterator[Arrived]:
        """Messages and PUBACKs as they come, for ever. Raises ConnectionLost."""
        while True:
            while self._waiting:
                packet = self._waiting.popleft()
                match packet:
                    case Puback():
                        self._in_use.discard(packet.packet_id)
                        yield packet
                    case Publish():
                        yield packet
                    case packets.Disconnect():
                        raise ConnectionLost(
                            N_("The broker ends the connection: {reason}"), reason=packets.reason(packet.code)
                        )
            self._waiting.extend(await self._read())

    async def keep_alive(self) -> None:
        """Ping when silent, for ever; raises ConnectionLost when the broker has been silent too long."""
        while True:
            if not self._keepalive:  # the broker asks for none
                await asyncio.Event().wait()
            now = self._loop.time()
            if now - self._heard > self._keepalive * 1.5:
                raise ConnectionLost(N_("The broker has fallen silent"))
            if now - min(self._said, self._heard) >= self._keepalive / 2:
                await self._write(packets.encode(packets.Pingreq(), self.version))
            await asyncio.sleep(self._keepalive / 4)

    async def close(self) -> None:
        """Say good-bye (the broker then sends no will) and end; at most a second."""
        try:
            async with asyncio.timeout(CLOSE_WITHIN):
                self._writer.write(packets.encode(packets.Disconnect(), self.version))
                await self._writer.drain()
                self._writer.close()
                await self._writer.wait_closed()
        except (OSError, TimeoutError):
            self.abort()

    def abort(self) -> None:
        """End without a word: the broker sends the will."""
        self._writer.transport.abort()

    def claim_id(self) -> int:
        """A packet identifier for `publish`, in use until its PUBACK."""
        if len(self._in_use) >= 65535:
            raise ConnectionLost(N_("The broker acknowledges nothing"))
        while True:
            self._next_id = self._next_id % 65535 + 1
            if self._next_id not in self._in_use:
                self._in_use.add(self._next_id)
                return self._next_id

    async def _write(self, data: bytes) -> None:
        try:
            async with asyncio.timeout(WRITE_WITHIN):
                self._writer.write(data)
                await self._writer.drain()
        except TimeoutError as error:
            raise ConnectionLost(N_("The broker has stopped reading")) from error
        except OSError as error:
            raise ConnectionLost(N_("The connection to the broker is broken")) from error
        self._said = self._loop.time()

    async def _read(self) -> list[packets.Received]:
        try:
            data = await self._reader.read(65536)
        except ssl.SSLError as error:
            raise _tls_problem(None, error) from error
        except OSError as error:
            raise ConnectionLost(N_("The connection to the broker is broken")) from error
        if not data:
            raise ConnectionLost(N_("The broker has closed the connection"))
        self._heard = self._loop.time()
        try:
            return self._codec.feed(data)
        except Garbage as error:
            raise ConnectionLost(N_("The broker does not speak MQTT")) from error


def _silent(lost: ConnectionLost) -> ConnectionLost:
    lost.silent = not lost.tls
    return lost


def _tls_problem(target: Target | None, error: ssl.SSLError) -> ConnectionLost:
    lost = ConnectionLost(
        N_("No trusted connection to the broker: {problem}"),
        where=f"{target.host}:{target.port}" if target else "",
        mend=N_("check the certificates of box and broker: loumen sync status"),
        problem=getattr(error, "verify_message", "") or error.reason or "TLS",
    )
    lost.tls = True
    return lost
