"""The codec: what it writes it could read, and no bytes make it raise anything but Garbage or grow beyond its bound."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.uplink.packets import (
    Connack,
    Connect,
    Disconnect,
    Garbage,
    Pingreq,
    Pingresp,
    Puback,
    Publish,
    Reader,
    Suback,
    Subscribe,
    Version,
    Will,
    encode,
    reason,
)

VERSIONS: tuple[Version, ...] = (4, 5)
BYTES_FROM_A_BROKER = st.lists(
    st.one_of(
        st.binary(max_size=40),
        st.tuples(st.sampled_from([0x20, 0x30, 0x32, 0x40, 0x90, 0xD0, 0xE0]), st.binary(max_size=30)).map(
            lambda packet: bytes([packet[0], len(packet[1])]) + packet[1]
        ),
    ),
    max_size=6,
).map(b"".join)


@pytest.mark.parametrize("version", VERSIONS)
def test_a_message_comes_back_as_it_went_whatever_the_pieces(version: Version) -> None:
    messages = [Publish(f"a/{n}", b"x" * n, qos=n % 2, packet_id=n if n % 2 else 0) for n in range(1, 300, 7)]
    wire = b"".join(encode(message, version) for message in messages)
    reader, found = Reader(version), []
    for at in range(0, len(wire), 13):
        found += reader.feed(wire[at : at + 13])
    assert found == messages


@given(BYTES_FROM_A_BROKER, st.sampled_from(VERSIONS), st.integers(1, 9))
def test_no_bytes_raise_anything_but_garbage(data: bytes, version: Version, piece: int) -> None:
    reader = Reader(version, maximum=1000)
    try:
        for at in range(0, len(data), piece):
            reader.feed(data[at : at + piece])
    except Garbage:
        pass


@pytest.mark.parametrize("length", [b"\xff\xff\xff\x7f", b"\x81\x08"])
def test_a_packet_that_is_too_long_is_refused_before_its_body_is_kept(length: bytes) -> None:
    with pytest.raises(Garbage):
        Reader(5, maximum=1024).feed(b"\x30" + length)


@pytest.mark.parametrize(
    ("version", "wire", "packet"),
    [
        (4, "20020101", Connack(session_present=True, code=1)),
        (5, "20020001", Connack(session_present=False, code=1)),  # a broker of 3.1.1 answers a 5 in its own words
        (5, "2003000000", Connack(session_present=False, code=0)),
        (5, "200b00000821001413000a2701", None),  # a property that ends too early
        (5, "200900000621001413000a", Connack(session_present=False, code=0, receive_maximum=20, keepalive=10)),
        (4, "40020007", Puback(7)),
        (5, "4003000797", Puback(7, 0x97)),
        (5, "400400078700", Puback(7, 0x87)),
        (4, "9003000101", Suback(1, (1,))),
        (5, "900400010087", Suback(1, (0x87,))),
        (4, "d000", Pingresp()),
        (5, "e0018b", Disconnect(0x8B)),
        (4, "e000", None),  # no broker of 3.1.1 says good-bye
        (4, "3003000261", None),
        (4, "3400", None),  # QoS 2
        (4, "32050001610000", None),  # QoS 1 without an identifier
        (4, "30030001ff", None),  # a topic that is no UTF-8
        (5, "30060001610205ff", None),  # an unknown property
        (4, "1000", None),
    ],
)
def test_what_a_broker_says(version: Version, wire: str, packet: object) -> None:
    if packet is None:
        with pytest.raises(Garbage):
            Reader(version).feed(bytes.fromhex(wire))
    else:
        assert Reader(version).feed(bytes.fromhex(wire)) == [packet]


def test_connect_names_the_will_and_in_5_what_may_come() -> None:
    connect = Connect("box", 30, will=Will("w", b"gone"))
    wire = encode(connect, 4)
    assert wire[:2] == b"\x10\x18"
    assert wire[2:12] == b"\x00\x04MQTT\x04\x0e\x00\x1e"
    assert wire.endswith(b"\x00\x03box\x00\x01w\x00\x04gone")
    assert encode(connect, 5)[8:12] == b"\x05\x0e\x00\x1e"
    assert struct.pack(">I", connect.maximum_packet) in encode(connect, 5)


def test_the_small_packets() -> None:
    assert encode(Pingreq(), 5) == b"\xc0\x00"
    assert encode(Disconnect(), 5) == b"\xe0\x00"
    assert encode(Puback(1), 5) == b"\x40\x02\x00\x01"
    assert encode(Subscribe(1, ("a/b",)), 4) == b"\x82\x08\x00\x01\x00\x03a/b\x01"
    assert encode(Publish("t", b"p", 1, 3), 5) == b"\x32\x07\x00\x01t\x00\x03\x00p"


def test_reasons_have_words() -> None:
    assert reason(0x97) == "quota exceeded"
    assert reason(0xEE) == "reason 0xee"
