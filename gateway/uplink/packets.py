"""MQTT as bytes: the client's half of 3.1.1 and 5, as far as Loumen needs it. Pure: no socket here.

A codec of our own, in the manner of h11, because the daemon must not wait and must not grow: paho
2.2 makes its TLS handshake in the caller's thread, and collects a packet of whatever length the other
side announces (up to 256 MB, a daemon's ceiling is 70). Here the length is judged before a byte of the
body is kept, a PUBACK's reason is part of it in both versions, and bytes that are no MQTT raise Garbage and
nothing else. QoS 0 and 1 only. tests/real holds it against mosquitto, amqtt and paho.

Names and numbers are those of the two standards (OASIS MQTT 3.1.1 and 5.0).
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field
from enum import IntEnum
from typing import Literal

Version = Literal[4, 5]  # the protocol level on the wire: 4 is 3.1.1

FAILURE = 0x80  # reason codes from here on are failures
UNSUPPORTED_VERSION = {4: 0x01, 5: 0x84}

REASONS = {
    0x01: "unsupported protocol version",
    0x02: "client identifier refused",
    0x03: "server unavailable",
    0x04: "bad user name or password",
    0x05: "not authorized",
    0x10: "no matching subscribers",
    0x80: "unspecified error",
    0x81: "malformed packet",
    0x82: "protocol error",
    0x83: "implementation specific error",
    0x84: "unsupported protocol version",
    0x85: "client identifier refused",
    0x86: "bad user name or password",
    0x87: "not authorized",
    0x88: "server unavailable",
    0x89: "server busy",
    0x8A: "banned",
    0x8B: "server shutting down",
    0x8D: "keep alive timeout",
    0x8E: "session taken over",
    0x8F: "topic filter invalid",
    0x90: "topic name invalid",
    0x93: "receive maximum exceeded",
    0x95: "packet too large",
    0x97: "quota exceeded",
    0x98: "administrative action",
    0x99: "payload format invalid",
    0x9C: "use another server",
    0x9D: "server moved",
    0x9F: "connection rate exceeded",
}


class Kind(IntEnum):
    """The packet types, as in the first byte's upper half."""

    CONNECT = 1
    CONNACK = 2
    PUBLISH = 3
    PUBACK = 4
    SUBSCRIBE = 8
    SUBACK = 9
    PINGREQ = 12
    PINGRESP = 13
    DISCONNECT = 14


class Garbage(Exception):  # noqa: N818  (named for what it says)
    """Bytes that are no MQTT, or more of them than allowed; the connection is closed."""


@dataclass(frozen=True, slots=True)
class Will:
    topic: str
    payload: bytes


@dataclass(frozen=True, slots=True)
class Connect:
    client_id: str
    keepalive: int
    clean: bool = True
    will: Will | None = None
    session_expiry: int = 0  # seconds the broker keeps the session; 5 only (3.1.1: for ever unless clean)
    receive_maximum: int = 64
    maximum_packet: int = 256 * 1024


@dataclass(frozen=True, slots=True)
class Connack:
    session_present: bool
    code: int
    receive_maximum: int = 65535
    maximum_packet: int = 0  # 0: not limited
    keepalive: int | None = None  # what the broker wants instead


@dataclass(frozen=True, slots=True)
class Publish:
    topic: str
    payload: bytes
    qos: int = 1
    packet_id: int = 0
    retain: bool = False
    duplicate: bool = False


@dataclass(frozen=True, slots=True)
class Puback:
    packet_id: int
    code: int = 0


@dataclass(frozen=True, slots=True)
class Subscribe:
    packet_id: int
    topics: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Suback:
    packet_id: int
    codes: tuple[int, ...]


@dataclass(frozen=True, slots=True)
class Pingreq:
    pass


@dataclass(frozen=True, slots=True)
class Pingresp:
    pass


@dataclass(frozen=True, slots=True)
class Disconnect:
    code: int = 0


Sent = Connect | Publish | Puback | Subscribe | Pingreq | Disconnect
Received = Connack | Publish | Puback | Suback | Pingresp | Disconnect


# --- out


def _text(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">H", len(data)) + data


def _length(length: int) -> bytes:
    out = bytearray()
    while True:
        length, low = divmod(length, 128)
        out.append(low | (0x80 if length else 0))
        if not length:
            return bytes(out)


def _packet(kind: Kind, flags: int, body: bytes) -> bytes:
    return bytes([kind << 4 | flags]) + _length(len(body)) + body


def _properties(version: Version, properties: bytes = b"") -> bytes:
    return _length(len(properties)) + properties if version == 5 else b""


def encode(packet: Sent, version: Version) -> bytes:
    """The bytes of one packet."""
    match packet:
        case Connect():
            return _encode_connect(packet, version)
        case Publish():
            flags = packet.duplicate << 3 | packet.qos << 1 | packet.retain
            identifier = struct.pack(">H", packet.packet_id) if packet.qos else b""
            return _packet(
                Kind.PUBLISH, flags, _text(packet.topic) + identifier + _properties(version) + packet.payload
            )
        case Puback():
            code = bytes([packet.code]) if version == 5 and packet.code else b""
            return _packet(Kind.PUBACK, 0, struct.pack(">H", packet.packet_id) + code)
        case Subscribe():
            # 5: 'retain handling' 2, no retained messages; 3.1.1 sends them, and the receiver refuses them
            options = b"\x21" if version == 5 else b"\x01"
            topics = b"".join(_text(topic) + options for topic in packet.topics)
            return _packet(Kind.SUBSCRIBE, 2, struct.pack(">H", packet.packet_id) + _properties(version) + topics)
        case Pingreq():
            return _packet(Kind.PINGREQ, 0, b"")
        case Disconnect():
            return _packet(Kind.DISCONNECT, 0, bytes([packet.code]) if version == 5 and packet.code else b"")


def _encode_connect(packet: Connect, version: Version) -> bytes:
    flags = packet.clean << 1
    properties = b""
    if version == 5:
        properties = b"\x11" + struct.pack(">I", packet.session_expiry)
        properties += b"\x21" + struct.pack(">H", packet.receive_maximum)
        properties += b"\x27" + struct.pack(">I", packet.maximum_packet)
    tail = _text(packet.client_id)
    if packet.will is not None:
        flags |= 0b01100  # QoS 1, not retained
        payload = packet.will.payload
        tail += _properties(version) + _text(packet.will.topic) + struct.pack(">H", len(payload)) + payload
    head = _text("MQTT") + bytes([version, flags]) + struct.pack(">H", packet.keepalive)
    return _packet(Kind.CONNECT, 0, head + _properties(version, properties) + tail)


# --- in


@dataclass(slots=True)
class _Body:
    """The rest of one packet; reading past its end raises Garbage."""

    data: bytes
    at: int = 0

    def take(self, count: int) -> bytes:
        end = self.at + count
        if end > len(self.data):
            raise Garbage("a packet ends too early")
        part, self.at = self.data[self.at : end], end
        return part

    def number(self, count: int) -> int:
        return int.from_bytes(self.take(count), "big")

    def variable(self) -> int:
        value = 0
        for shift in (0, 7, 14, 21):
            byte = self.number(1)
            value |= (byte & 0x7F) << shift
            if byte < 0x80:
                return value
        raise Garbage("a length of more than four bytes")

    def text(self) -> str:
        try:
            return self.take(self.number(2)).decode()
        except UnicodeDecodeError as error:
            raise Garbage("a text that is not UTF-8") from error

    def rest(self) -> bytes:
        return self.take(len(self.data) - self.at)

    @property
    def left(self) -> int:
        return len(self.data) - self.at


_SIZES = {0x01: 1, 0x02: 4, 0x11: 4, 0x13: 2, 0x17: 1, 0x18: 4, 0x19: 1, 0x21: 2, 0x22: 2, 0x23: 2, 0x24: 1}
_SIZES |= {0x25: 1, 0x27: 4, 0x28: 1, 0x29: 1, 0x2A: 1}
_TEXTS = {0x03, 0x08, 0x12, 0x15, 0x1A, 0x1C, 0x1F, 0x09, 0x16}  # texts and binary data: two bytes of length


def _read_properties(body: _Body) -> dict[int, int]:
    """The properties that are numbers, by identifier; the others are skipped."""
    inner = _Body(body.take(body.variable()))
    numbers: dict[int, int] = {}
    while inner.left:
        identifier = inner.variable()
        if identifier in _SIZES:
            numbers[identifier] = inner.number(_SIZES[identifier])
        elif identifier in _TEXTS:
            inner.take(inner.number(2))
        elif identifier == 0x0B:
            inner.variable()
        elif identifier == 0x26:  # user property: two texts
            inner.take(inner.number(2))
            inner.take(inner.number(2))
        else:
            raise Garbage(f"an unknown property 0x{identifier:02x}")
    return numbers


_FROM_A_BROKER = {Kind.CONNACK, Kind.PUBLISH, Kind.PUBACK, Kind.SUBACK, Kind.PINGRESP, Kind.DISCONNECT}


@dataclass
class Reader:
    """Collects what a broker sends, gives whole packets. Raises Garbage, and nothing else."""

    version: Version
    maximum: int = 256 * 1024
    _waiting: bytearray = field(default_factory=bytearray)

    def feed(self, data: bytes) -> list[Received]:
        self._waiting += data
        packets: list[Received] = []
        while (ready := self._whole()) is not None:
            packets.append(_decode(*ready, self.version))
        return packets

    def _whole(self) -> tuple[int, bytes] | None:
        """The first byte and the body of the next packet, when all of it is there."""
        if self._waiting and self._waiting[0] >> 4 not in _FROM_A_BROKER:
            raise Garbage(f"a packet of type {self._waiting[0] >> 4}, which no broker sends to this client")
        length = 0
        for index, shift in enumerate((0, 7, 14, 21), start=1):
            if len(self._waiting) <= index:
                return None
            byte = self._waiting[index]
            length |= (byte & 0x7F) << shift
            if byte < 0x80:
                break
        else:
            raise Garbage("a length of more than four bytes")
        if length > self.maximum:
            raise Garbage(f"a packet of {length} bytes; at most {self.maximum} are allowed")
        start = index + 1
        if len(self._waiting) < start + length:
            return None
        first, body = self._waiting[0], bytes(self._waiting[start : start + length])
        del self._waiting[: start + length]
        return first, body


def _decode(first: int, data: bytes, version: Version) -> Received:
    body = _Body(data)
    match first >> 4:
        case Kind.CONNACK:
            return _decode_connack(body, version)
        case Kind.PUBLISH:
            return _decode_publish(first, body, version)
        case Kind.PUBACK:
            packet_id = body.number(2)
            return Puback(packet_id, body.number(1) if version == 5 and body.left else 0)
        case Kind.SUBACK:
            packet_id = body.number(2)
            if version == 5:
                _read_properties(body)
            return Suback(packet_id, tuple(body.rest()))
        case Kind.PINGRESP:
            return Pingresp()
        case Kind.DISCONNECT if version == 5:
            return Disconnect(body.number(1) if body.left else 0)
        case _:
            raise Garbage("a good-bye, which 3.1.1 does not know")


def _decode_connack(body: _Body, version: Version) -> Connack:
    flags, code = body.number(1), body.number(1)
    # A broker that speaks only 3.1.1 answers a CONNECT of 5 in its own words, without properties.
    numbers = _read_properties(body) if version == 5 and body.left else {}
    return Connack(
        session_present=bool(flags & 1),
        code=code,
        receive_maximum=numbers.get(0x21, 65535) or 65535,
        maximum_packet=numbers.get(0x27, 0),
        keepalive=numbers.get(0x13),
    )


def _decode_publish(first: int, body: _Body, version: Version) -> Publish:
    qos = first >> 1 & 3
    if qos > 1:
        raise Garbage("a message with QoS 2 or 3, which was not asked for")
    topic = body.text()
    packet_id = body.number(2) if qos else 0
    if qos and not packet_id:
        raise Garbage("a message without packet identifier")
    if version == 5:
        _read_properties(body)
    return Publish(topic, body.rest(), qos, packet_id, retain=bool(first & 1), duplicate=bool(first & 8))


def reason(code: int) -> str:
    """The standard's words for a reason code."""
    return REASONS.get(code, f"reason 0x{code:02x}")
