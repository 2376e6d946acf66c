"""Modbus RTU and TCP, reading only. Frames, checksums and messages are pymodbus's; ports, time and trust are ours.

Why not pymodbus's own client: it keeps no t3.5 silence, it tells a wrong checksum, a wrong unit and
silence apart in its log only, and what a late meter sends after its time-out is handed to the next
request. So here
    each request begins on a wire that was silent for 3.5 characters, with everything older thrown away;
    an answer is believed only with its unit, function, length and checksum; noise before it is skipped,
    an adapter's echo of the request as well;
    the late answer of a unit that was given up is known as such, and blames nobody else;
    nothing is ever asked twice: when and whether to ask again is the caller's business (metering/bus.py).
pymodbus changes its interface in minor releases: it is pinned, and met only in this file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Mapping
from types import MappingProxyType
from typing import TYPE_CHECKING

from pymodbus.framer import FramerRTU, FramerSocket
from pymodbus.pdu import DecodePDU, ModbusPDU
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest, ReadInputRegistersRequest

from drivers.errors import (
    AnswersLate,
    BadAnswer,
    BusGone,
    DriverError,
    N_,
    NoAnswer,
    OtherAnswered,
    UnitRefused,
)
from drivers.interfaces import Function, Span

if TYPE_CHECKING:
    from drivers.serial_port import Adapter, SerialPort

REQUEST = 8  # characters of a request
OVERHEAD = 5  # of an answer: unit, function, length, checksum
ADAPTER = 0.03  # seconds a USB adapter may keep bytes to itself, both ways together
CONNECT = 3.0  # seconds for a TCP connection
OWED = 5.0  # seconds after which a unit that was given up is not waited for any more
NOTHING: Mapping[int, int] = MappingProxyType({})
_REQUESTS = {Function.HOLDING: ReadHoldingRegistersRequest, Function.INPUT: ReadInputRegistersRequest}
_REASONS = {
    1: N_("it does not know the function"),
    2: N_("it has no such register"),
    3: N_("it does not give so many registers at once"),
    4: N_("it failed"),
    6: N_("it is busy"),
    10: N_("the gateway has no way to it"),
    11: N_("it does not answer the gateway"),
}


def _request(unit: int, span: Span) -> ModbusPDU:
    return _REQUESTS[span.function](dev_id=unit, address=span.address, count=span.count)


def _refused(unit: int, code: int) -> UnitRefused:
    return UnitRefused(
        N_("unit {unit} refuses to answer: {reason} (exception {code})"),
        mend=N_("is it the meter of this profile?"),
        unit=unit,
        reason=_REASONS.get(code, N_("it does not say why")),
        code=code,
    )


def _late(unit: int) -> AnswersLate:
    return AnswersLate(
        N_("unit {unit} answers too late"),
        mend=N_(
            "'loumen meter read' says after how many seconds; a profile of your own may allow that: answers_within"
        ),
        unit=unit,
    )


class RtuAnswer:
    """Finds the answer to one request in what comes over the wire."""

    def __init__(self, unit: int, span: Span, request: bytes) -> None:
        self._unit, self._span, self._request = unit, span, request
        self._decoder = DecodePDU(is_server=False)
        self._head = bytes((unit, span.function, 2 * span.count))
        self._size = OVERHEAD + 2 * span.count
        self._refusal = bytes((unit, span.function | 0x80))

    def find(self, received: bytes) -> tuple[int, ...] | None:
        """The registers, or None while they are not there. Raises UnitRefused."""
        for at in range(len(received)):
            frame = received[at : at + self._size]
            if frame.startswith(self._head) and _sound(frame, self._size):
                return self._registers(frame)
            frame = received[at : at + OVERHEAD]
            if frame.startswith(self._refusal) and _sound(frame, OVERHEAD):
                raise _refused(self._unit, frame[2])
        return None

    def _registers(self, frame: bytes) -> tuple[int, ...] | None:
        message = self._decoder.decode(frame[1:-2])
        if message is None or len(message.registers) != self._span.count:
            return None
        return tuple(message.registers)

    def problem(self, received: bytes, owed: Mapping[int, int] = NOTHING) -> DriverError:
        """What was heard instead of the answer, when the time is over. `owed`: units -> late answers they may send."""
        rest, _late = _without(received.removeprefix(self._request), owed)
        if not rest:
            echo = bool(received)
            return NoAnswer(
                N_("unit {unit} does not answer; the adapter hears itself only")
                if echo
                else N_("unit {unit} does not answer"),
                mend=N_("check its supply, the wires A and B, its unit number and the baud rate"),
                unit=self._unit,
            )
        other = _other_unit(rest)
        if other is not None and other != self._unit:
            return OtherAnswered(
                N_("unit {other} answered instead of unit {unit}"),
                mend=N_("two meters may have one number, or one answers late: read them one at a time"),
                unit=self._unit,
                other=other,
            )
        return BadAnswer(
            N_("the answer of unit {unit} is damaged: {heard}"),
            mend=N_("check the wires, the terminating resistors, the baud rate and the parity"),
            unit=self._unit,
            heard=rest[:24].hex(" "),
        )


def _sound(frame: bytes, size: int) -> bool:
    return len(frame) == size and FramerRTU.check_CRC(frame[:-2], int.from_bytes(frame[-2:], "big"))


def _frames(received: bytes) -> Iterator[tuple[int, int]]:
    """Where sound answers lie in what was heard: first byte, and the one behind the last."""
    at = 0
    while at + OVERHEAD <= len(received):
        size = OVERHEAD if received[at + 1] & 0x80 else OVERHEAD + received[at + 2]
        if _sound(received[at : at + size], size):
            yield at, at + size
            at += size
        else:
            at += 1


def _other_unit(received: bytes) -> int | None:
    """Whose sound frame this is, if it is one."""
    return next((received[at] for at, _end in _frames(received)), None)


def _without(received: bytes, owed: Mapping[int, int]) -> tuple[bytes, list[int]]:
    """What was heard but for the late answers that are owed, and whose those were."""
    left, theirs = dict(owed), list[tuple[int, int]]()
    for at, end in _frames(received):
        if left.get(received[at], 0) > 0:
            left[received[at]] -= 1
            theirs.append((at, end))
    units = [received[at] for at, _end in theirs]
    for at, end in reversed(theirs):
        received = received[:at] + received[end:]
    return received, units


class SerialBus:
    """RTU over a serial port. `adapter` is a serial number; without it `port` is a path."""

    def __init__(
        self,
        adapter: str = "",
        port: str = "",
        baud: int = 9600,
        parity: str = "none",
        stop_bits: int = 1,
        present: Callable[[], Iterable[Adapter]] | None = None,
    ) -> None:
        from drivers import serial_port

        self._port_room = serial_port
        self._adapter, self._path = adapter, port
        self._settings = serial_port.Settings(baud, parity, stop_bits)
        self._present = present or serial_port.adapters
        self._framer = FramerRTU(DecodePDU(is_server=False))
        self._port: SerialPort | None = None
        self._owed: dict[int, tuple[int, float]] = {}  # units that were given up: answers that may come, until when
        self._late: set[int] = set()  # units that were heard after they had been given up

    @property
    def device(self) -> str:
        """Where it is open; empty while it is not."""
        return "" if self._port is None else self._port.device

    async def open(self) -> None:
        self.close()
        device = self._path
        if self._adapter:
            present = await asyncio.to_thread(lambda: list(self._present()))
            device = self._port_room.find(self._adapter, present)
        self._port = self._port_room.SerialPort(device, self._settings)

    async def ask(self, unit: int, span: Span, within: float) -> tuple[int, ...]:
        port = self._port
        if port is None:
            raise BusGone(N_("the bus is not open"))
        await self._quiet(port, max(within, 0.2))
        request = self._framer.buildFrame(_request(unit, span))
        answer = RtuAnswer(unit, span, request)
        self._hear(bytes(port.received))
        port.received.clear()
        port.write(request)
        on_wire = self._settings.seconds(REQUEST + OVERHEAD + 2 * span.count) + self._settings.silence
        until = asyncio.get_running_loop().time() + on_wire + ADAPTER + within
        while await port.more(until):
            registers = answer.find(bytes(port.received))
            if registers is not None:
                self._late.discard(unit)
                return registers
        raise self._problem(unit, answer, bytes(port.received))

    def _hear(self, received: bytes) -> None:
        """Somebody who was given up may have answered meanwhile."""
        for unit in _without(received, self._owing())[1]:
            count, until = self._owed[unit]
            self._owed[unit] = count - 1, until
            self._late.add(unit)

    def _owing(self) -> dict[int, int]:
        """Who may still send how many answers to requests that were given up."""
        now = asyncio.get_running_loop().time()
        self._owed = {unit: owed for unit, owed in self._owed.items() if owed[0] > 0 and owed[1] > now}
        return {unit: count for unit, (count, _until) in self._owed.items()}

    def _problem(self, unit: int, answer: RtuAnswer, received: bytes) -> DriverError:
        problem = answer.problem(received, self._owing())
        self._hear(received)
        if not isinstance(problem, NoAnswer):
            return problem
        count, _until = self._owed.get(unit, (0, 0.0))
        self._owed[unit] = count + 1, asyncio.get_running_loop().time() + OWED
        return _late(unit) if unit in self._late else problem

    def close(self) -> None:
        if self._port is not None:
            self._port.close()
            self._port = None

    async def _quiet(self, port: SerialPort, within: float) -> None:
        """Wait until nothing has come for 3.5 characters; a line that never falls silent is no bus."""
        clock = asyncio.get_running_loop().time
        patience = clock() + within
        while (silent_from := port.last_byte + self._settings.silence) > clock():
            if clock() > patience:
                raise BadAnswer(
                    N_("the line is never silent"),
                    mend=N_("another master, or noise: check the wires A and B and the resistors"),
                )
            await asyncio.sleep(silent_from - clock())


class TcpBus:
    """Modbus TCP. Each request has a number of its own, so what comes late is known and dropped."""

    def __init__(self, host: str, port: int = 502) -> None:
        self._host, self._number = host, port
        self._framer = FramerSocket(DecodePDU(is_server=False))
        self._streams: tuple[asyncio.StreamReader, asyncio.StreamWriter] | None = None
        self._transaction = 0
        self._received = b""
        self._late: set[int] = set()  # units whose answers came after they had been given up

    @property
    def device(self) -> str:
        return "" if self._streams is None else f"{self._host}:{self._number}"

    async def open(self) -> None:
        self.close()
        try:
            async with asyncio.timeout(CONNECT):
                self._streams = await asyncio.open_connection(self._host, self._number)
        except (OSError, TimeoutError) as error:
            raise self._gone(str(error) or N_("no answer in time")) from error
        self._received = b""

    async def ask(self, unit: int, span: Span, within: float) -> tuple[int, ...]:
        if self._streams is None:
            raise BusGone(N_("the bus is not open"))
        reader, writer = self._streams
        self._transaction = self._transaction % 65_000 + 1
        request = _request(unit, span)
        request.transaction_id = self._transaction
        try:
            async with asyncio.timeout(within + ADAPTER):
                writer.write(self._framer.buildFrame(request))
                await writer.drain()
                while True:
                    registers = self._find(unit, span)
                    if registers is not None:
                        self._late.discard(unit)
                        return registers
                    data = await reader.read(4096)
                    if not data:
                        raise self._gone(N_("it was hung up"))
                    self._received += data
        except TimeoutError:
            if unit in self._late:
                raise _late(unit) from None
            raise NoAnswer(
                N_("unit {unit} does not answer"),
                mend=N_("check its supply, its unit number and the gateway's settings"),
                unit=unit,
            ) from None
        except OSError as error:
            raise self._gone(error.strerror or str(error)) from error

    def close(self) -> None:
        if self._streams is not None:
            self._streams[1].close()
            self._streams = None

    def _find(self, unit: int, span: Span) -> tuple[int, ...] | None:
        """The answer to the newest request in what has come. Raises UnitRefused, BadAnswer, BusGone."""
        while len(self._received) >= FramerSocket.MIN_SIZE:
            if self._received[2:4] != b"\0\0" or not 3 <= int.from_bytes(self._received[4:6], "big") <= 260:
                raise self._gone(N_("it does not speak Modbus"))
            used, who, transaction, frame = self._framer.decode(self._received)
            if not used:
                return None
            self._received = self._received[used:]
            if transaction != self._transaction:
                self._late.add(who)  # the answer to a request that was given up
                continue
            if who != unit:
                raise OtherAnswered(N_("unit {other} answered instead of unit {unit}"), unit=unit, other=who)
            if frame[0] == span.function | 0x80 and len(frame) > 1:
                raise _refused(unit, frame[1])
            message = self._framer.decoder.decode(frame)
            if message is None or frame[0] != span.function or len(message.registers) != span.count:
                raise BadAnswer(
                    N_("the answer of unit {unit} is damaged: {heard}"), unit=unit, heard=frame[:24].hex(" ")
                )
            return tuple(message.registers)
        return None

    def _gone(self, problem: str) -> BusGone:
        self.close()
        return BusGone(
            N_("the connection to {host}:{port} is gone: {problem}"),
            mend=N_("check the network and the gateway; it is opened again by itself"),
            host=self._host,
            port=self._number,
            problem=problem,
        )
