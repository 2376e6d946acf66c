"""Finding the answer in what comes over a wire; TCP against a server that lies. RTU with libmodbus: tests/real."""

from __future__ import annotations

import asyncio
import json
import os
import pty
import tty
from collections.abc import Awaitable, Callable
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pymodbus.framer import FramerRTU

from drivers import registry
from drivers.errors import BadAnswer, BusGone, NoAnswer, UnitRefused
from drivers.interfaces import Function, Span
from drivers.modbus import RtuAnswer, SerialBus, TcpBus
from drivers.serial_port import Adapter, Settings, find
from drivers.simulated.meters import SimulatedBus

SPAN = Span(Function.HOLDING, 8, 2)
REQUEST = bytes.fromhex("010300080002") + FramerRTU.compute_CRC(bytes.fromhex("010300080002")).to_bytes(2, "big")


def frame(text: str) -> bytes:
    data = bytes.fromhex(text)
    return data + FramerRTU.compute_CRC(data).to_bytes(2, "big")


def answer() -> RtuAnswer:
    return RtuAnswer(1, SPAN, REQUEST)


GOOD = frame("0103041234abcd")


@settings(max_examples=200, deadline=None)
@given(st.binary(max_size=20), st.binary(max_size=20))
def test_an_answer_is_found_among_noise_and_echo(before: bytes, after: bytes) -> None:
    for received in (before + GOOD + after, REQUEST + before + GOOD):
        assert answer().find(received) == (0x1234, 0xABCD)


@settings(max_examples=300, deadline=None)
@given(st.binary(max_size=80))
def test_noise_is_no_answer(received: bytes) -> None:
    if b"\x01\x03\x04" not in received and b"\x01\x83" not in received:
        assert answer().find(received) is None
    assert answer().problem(received).code in {"meter.silent", "meter.bad_answer"}


def test_all_that_units_owe_after_they_were_given_up_blames_nobody_else() -> None:
    """A scan asks one unit for several profiles: each of its late answers may fall into somebody else's time."""
    late, later, damaged = frame("06030400010002"), frame("05030400010002"), GOOD[:-1]
    assert answer().problem(late + later + late + damaged, {6: 2, 5: 1}).code == "meter.bad_answer"
    assert answer().problem(late + later + late, {6: 2, 5: 1}).code == "meter.silent"
    assert answer().problem(late + late + damaged, {6: 1}).code == "meter.other"
    assert answer().problem(late, {5: 9}).code == "meter.other"


def test_an_answer_is_waited_for_until_it_is_whole() -> None:
    for size in range(len(GOOD)):
        assert answer().find(GOOD[:size]) is None


@pytest.mark.parametrize(
    "received",
    [
        frame("0203041234abcd"),  # another unit
        frame("0104041234abcd"),  # another function
        frame("01030212 34".replace(" ", "")),  # fewer registers
        frame("0103061234abcd0000"),  # more
        GOOD[:-1] + b"\x00",  # another checksum
    ],
)
def test_what_is_no_answer_to_this_request(received: bytes) -> None:
    assert answer().find(received) is None
    assert isinstance(answer().problem(received), BadAnswer)


def test_a_refusal_says_why() -> None:
    with pytest.raises(UnitRefused, match=r"it has no such register \(exception 2\)"):
        answer().find(frame("018302"))


def test_silence_and_an_echo_alone_are_told_apart() -> None:
    assert "hears itself only" not in str(answer().problem(b""))
    assert "hears itself only" in str(answer().problem(REQUEST))
    assert isinstance(answer().problem(REQUEST), NoAnswer)


def test_the_silence_between_frames() -> None:
    assert Settings(9600).silence == pytest.approx(0.00401, abs=1e-5)
    assert Settings(115_200).silence == 0.00175
    assert Settings(9600, "even").seconds(1) == pytest.approx(11 / 9600)


def test_an_adapter_is_known_by_its_number() -> None:
    present = [Adapter("/dev/ttyUSB0", "A", "x"), Adapter("/dev/ttyUSB3", "B", "y")]
    assert find("B", present) == "/dev/ttyUSB3"
    with pytest.raises(BusGone, match="this machine has: /dev/ttyUSB0 A"):
        find("C", present[:1])


def test_a_port_that_is_not_there_says_so() -> None:
    with pytest.raises(BusGone, match="there is no port /dev/nowhere"):
        asyncio.run(SerialBus(port="/dev/nowhere").open())


def test_a_line_that_is_never_silent_is_no_bus() -> None:
    """Another master chatters: the request waits its time and then says what is the matter."""
    near, far = pty.openpty()
    tty.setraw(far)

    async def scenario() -> None:
        bus = SerialBus(port=os.ttyname(far), baud=300)
        await bus.open()

        async def chatter() -> None:
            while True:
                os.write(near, b"\x55")
                await asyncio.sleep(0.02)

        noise = asyncio.create_task(chatter())
        await asyncio.sleep(0.05)  # the first bytes are there
        with pytest.raises(BadAnswer, match="never silent"):
            await bus.ask(1, SPAN, 0.1)
        noise.cancel()
        bus.close()

    asyncio.run(scenario())
    os.close(near)
    os.close(far)


# --- TCP


def with_server(
    reply: Callable[[bytes, asyncio.StreamWriter], Awaitable[None]], ask: Callable[[TcpBus], Awaitable[None]]
) -> None:
    async def scenario() -> None:
        ended = asyncio.Event()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            while data := await reader.read(256):
                await reply(data, writer)
            writer.close()
            await writer.wait_closed()
            ended.set()

        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        bus = TcpBus("127.0.0.1", server.sockets[0].getsockname()[1])
        await bus.open()
        await ask(bus)
        bus.close()
        await ended.wait()
        server.close()
        await server.wait_closed()

    asyncio.run(scenario())


def tcp(request: bytes, body: str, unit: int | None = None) -> bytes:
    data = bytes([request[6] if unit is None else unit]) + bytes.fromhex(body)
    return request[:4] + len(data).to_bytes(2, "big") + data


def test_tcp_answers_are_told_apart_by_their_number() -> None:
    late: list[bytes] = []

    async def reply(request: bytes, writer: asyncio.StreamWriter) -> None:
        if not late:
            late.append(tcp(request, "030400010001"))
            return
        writer.write(late[0] + tcp(request, "03041234abcd"))

    async def ask(bus: TcpBus) -> None:
        with pytest.raises(NoAnswer):
            await bus.ask(1, SPAN, 0.1)
        assert await bus.ask(1, SPAN, 2.0) == (0x1234, 0xABCD)

    with_server(reply, ask)


@pytest.mark.parametrize(
    ("body", "unit", "error"),
    [("8302", None, UnitRefused), ("03041234abcd", 9, BadAnswer), ("03021234", None, BadAnswer)],
)
def test_tcp_answers_that_are_none(body: str, unit: int | None, error: type[Exception]) -> None:
    async def reply(request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(tcp(request, body, unit))

    async def ask(bus: TcpBus) -> None:
        with pytest.raises(error):
            await bus.ask(1, SPAN, 2.0)

    with_server(reply, ask)


@settings(max_examples=40, deadline=None)
@given(st.binary(min_size=1, max_size=64))
def test_tcp_garbage_ends_the_connection_or_the_request(garbage: bytes) -> None:
    async def reply(_request: bytes, writer: asyncio.StreamWriter) -> None:
        writer.write(garbage)

    async def ask(bus: TcpBus) -> None:
        with pytest.raises((BusGone, BadAnswer, NoAnswer, UnitRefused)):
            await bus.ask(1, SPAN, 0.02)

    with_server(reply, ask)


def test_nobody_at_the_address() -> None:
    with pytest.raises(BusGone, match=r"the connection to 127\.0\.0\.1:1 is gone"):
        asyncio.run(TcpBus("127.0.0.1", 1).open())


# --- simulated


def test_a_simulated_bus(tmp_path: Path) -> None:
    path = tmp_path / "meters.json"
    path.write_text(json.dumps({"1": {"3": {"8": 1, "9": 2}}, "2": {"refuses": 4}, "3": {"slow": 1.0}}))
    bus = SimulatedBus(str(path))

    async def scenario() -> None:
        await bus.open()
        assert await bus.ask(1, SPAN, 0.1) == (1, 2)
        for unit, error in ((1, UnitRefused), (2, UnitRefused)):
            with pytest.raises(error):
                await bus.ask(unit, Span(Function.INPUT, 0, 1), 0.1)
        for unit in (3, 4):
            with pytest.raises(NoAnswer):
                await bus.ask(unit, SPAN, 0.01)
        path.unlink()
        with pytest.raises(BusGone):
            await bus.ask(1, SPAN, 0.1)

    asyncio.run(scenario())


def test_every_bus_has_its_class() -> None:
    assert {registry.bus(name).__name__ for name in registry.BUSES} == {"SerialBus", "TcpBus", "SimulatedBus"}
