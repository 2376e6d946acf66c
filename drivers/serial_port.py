"""A serial port as bytes on the event loop: found by its adapter's serial number, opened by pyserial.

An adapter that is unplugged and comes back has another name (/dev/ttyUSB1 instead of 0) and the same
serial number, so it is looked for anew at every opening.
"""

from __future__ import annotations

import asyncio
import errno
import os
import termios
from collections.abc import Iterable
from dataclasses import dataclass

import serial
from serial.tools import list_ports

from drivers.errors import BusGone, N_

PARITIES = {"none": serial.PARITY_NONE, "even": serial.PARITY_EVEN, "odd": serial.PARITY_ODD}
READ_AT_ONCE = 4096


@dataclass(frozen=True, slots=True)
class Adapter:
    """One serial port of this machine."""

    device: str
    number: str  # the adapter's serial number; empty where it has none
    name: str


@dataclass(frozen=True, slots=True)
class Settings:
    """How the wire speaks."""

    baud: int = 9600
    parity: str = "none"
    stop_bits: int = 1

    def seconds(self, characters: float) -> float:
        """How long so many characters are on the wire."""
        return characters * (9 + (self.parity != "none") + self.stop_bits) / self.baud

    @property
    def silence(self) -> float:
        """The 3.5 characters of 11 bits between two frames; above 19200 baud a fixed 1.75 ms."""
        return 3.5 * 11 / self.baud if self.baud <= 19200 else 0.00175


def adapters() -> list[Adapter]:
    """The serial ports that this machine has."""
    return [
        Adapter(port.device, port.serial_number or "", port.description or port.name or "")
        for port in list_ports.comports()
    ]


def find(number: str, present: Iterable[Adapter]) -> str:
    """The device of the adapter with this serial number. Raises BusGone."""
    present = list(present)
    for adapter in present:
        if adapter.number == number:
            return adapter.device
    raise BusGone(
        N_("no adapter with the serial number {number} is plugged in"),
        mend=N_("plug it in; this machine has: {present}"),
        number=number,
        present=", ".join(f"{one.device} {one.number}".strip() for one in present) or "-",
    )


class SerialPort:
    """An open port. `received` is what has come and nobody took yet."""

    def __init__(self, device: str, settings: Settings) -> None:
        self.device = device
        self.received = bytearray()
        self.last_byte = asyncio.get_running_loop().time()
        self._came = asyncio.Event()
        self._gone: BusGone | None = None
        self._serial = _open(device, settings)
        self._descriptor: int = self._serial.fileno()
        asyncio.get_running_loop().add_reader(self._descriptor, self._read)

    def write(self, frame: bytes) -> None:
        """Send a frame. Raises BusGone."""
        self._check()
        try:
            sent = os.write(self._descriptor, frame)
        except OSError as error:
            raise self._lost(error.strerror or str(error)) from error
        if sent < len(frame):
            raise self._lost(N_("it takes no more bytes"))

    async def more(self, until: float) -> bool:
        """Wait for bytes until the loop's time `until`; False when none came. Raises BusGone."""
        self._check()
        self._came.clear()
        try:
            async with asyncio.timeout_at(until):
                await self._came.wait()
        except TimeoutError:
            return False
        self._check()
        return True

    def close(self) -> None:
        """Again is harmless."""
        if self._descriptor >= 0:
            asyncio.get_running_loop().remove_reader(self._descriptor)
            self._descriptor = -1
            try:
                self._serial.close()
            except OSError:
                return  # an unplugged adapter may not even close

    def _read(self) -> None:
        try:
            data = os.read(self._descriptor, READ_AT_ONCE)
        except BlockingIOError:
            return
        except OSError as error:
            self._hung_up(error.strerror or str(error))
            return
        if not data:
            self._hung_up(N_("it was hung up"))
            return
        self.received += data
        del self.received[:-READ_AT_ONCE]
        self.last_byte = asyncio.get_running_loop().time()
        self._came.set()

    def _hung_up(self, problem: str) -> None:
        self._gone = self._lost(problem)
        asyncio.get_running_loop().remove_reader(self._descriptor)
        self._came.set()

    def _lost(self, problem: str) -> BusGone:
        return BusGone(
            N_("the port {device} is gone: {problem}"),
            mend=N_("check the adapter and its plug; it is opened again by itself"),
            device=self.device,
            problem=problem,
        )

    def _check(self) -> None:
        if self._gone is not None:
            raise self._gone
        if self._descriptor < 0:
            raise self._lost(N_("it is closed"))


def _open(device: str, settings: Settings) -> serial.Serial:
    try:
        opened = serial.Serial(
            device,
            settings.baud,
            parity=PARITIES[settings.parity],
            stopbits=settings.stop_bits,
            timeout=0,
            write_timeout=0,
            exclusive=True,
        )
    except (serial.SerialException, termios.error, OSError) as error:
        raise _refusal(device, settings, error) from error
    if settings.parity != "none" and not termios.tcgetattr(opened.fileno())[2] & termios.PARENB:
        opened.close()
        raise _no_parity(device, settings)
    return opened


def _refusal(device: str, settings: Settings, error: Exception) -> BusGone:
    """Why a port cannot be opened, in words. pyserial wraps some errors and lets others through."""
    number = error.args[0] if error.args and isinstance(error.args[0], int) else getattr(error, "errno", None)
    if number == errno.EINVAL and settings.parity != "none":
        return _no_parity(device, settings)
    what, mend = {
        errno.ENOENT: (N_("there is no port {device}"), N_("plug the adapter in; 'loumen meter scan' lists the ports")),
        errno.EACCES: (N_("no permission for the port {device}"), N_("put the user into the group dialout")),
        errno.EBUSY: (N_("the port {device} is in use by somebody else"), N_("end the other program")),
        errno.EAGAIN: (N_("the port {device} is in use by somebody else"), N_("end the other program")),
    }.get(number or 0, (N_("the port {device} cannot be opened: {problem}"), ""))
    return BusGone(what, mend=mend, device=device, problem=str(error))


def _no_parity(device: str, settings: Settings) -> BusGone:
    """A pseudo-terminal knows none: glibc says EINVAL when it is asked the first time, and nothing afterwards."""
    return BusGone(
        N_("the port {device} knows no parity {parity}: it is a pseudo-terminal"),
        mend=N_('parity = "none" for a pseudo-terminal; a real adapter takes it'),
        device=device,
        parity=settings.parity,
    )
