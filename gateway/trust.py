"""When the wall clock may be believed: after NTP, or by a clock chip that is plausible.

A Pi 4 has no clock chip; a Pi 5 has one that may lack its battery, and some systems restore the time of
the last shutdown instead. So a chip counts only where the configuration declares one, by its own reading:
it must agree with the wall clock, and be later than the newest believable time in the journal and than
this release. NTP is what the kernel says (`adjtimex`), or systemd-timesyncd's mark for this boot.

Trust, once given, stays until the daemon ends: a crystal is good for months of card expiries. Becoming
trusted is told once, with how far the wall clock was moved since the start.
"""

from __future__ import annotations

import asyncio
import ctypes
from collections.abc import Callable
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Literal

from gateway.clock import Now, SystemClock
from gateway.journal.event import Event
from gateway.journal.events import ClockSynchronised

INTERVAL = 5.0  # seconds between looks while the clock is not trusted
RELEASED = datetime(2026, 11, 1, tzinfo=UTC)  # no box runs this release before
AGREE = timedelta(seconds=5)

Source = Literal["ntp", "clock_chip"]

_TIME_ERROR = 5
_UNSYNCHRONISED = 0x40


class _Timex(ctypes.Structure):
    """The beginning of `struct timex` (linux/timex.h); the kernel fills the rest too."""

    _fields_ = (
        ("modes", ctypes.c_uint),
        ("offset", ctypes.c_long),
        ("freq", ctypes.c_long),
        ("maxerror", ctypes.c_long),
        ("esterror", ctypes.c_long),
        ("status", ctypes.c_int),
        ("rest", ctypes.c_char * 256),
    )


def kernel_synchronised() -> bool:
    """Whether the kernel says that its clock follows another one."""
    state = _Timex()
    code = ctypes.CDLL(None, use_errno=True).adjtimex(ctypes.byref(state))
    return code not in {-1, _TIME_ERROR} and not state.status & _UNSYNCHRONISED


@dataclass(frozen=True, slots=True)
class Machine:
    """Where this machine says how its clock is."""

    kernel: Callable[[], bool] = kernel_synchronised
    timesyncd: Path = field(default=Path("/run/systemd/timesync/synchronized"))
    chip: Path = field(default=Path("/sys/class/rtc/rtc0/since_epoch"))

    def ntp(self) -> bool:
        return self.timesyncd.exists() or self.kernel()

    def chip_time(self) -> datetime | None:
        """The chip's own reading; None without a chip."""
        try:
            return datetime.fromtimestamp(int(self.chip.read_text()), UTC)
        except (OSError, ValueError, OverflowError):
            return None


def judge(wall: datetime, last: datetime | None, *, ntp: bool, chip: datetime | None) -> Source | None:
    """Why the wall clock may be believed; None when it may not. `last` is the newest believable past."""
    if wall < RELEASED:
        return None
    if ntp:
        return "ntp"
    plausible = chip is not None and abs(wall - chip) < AGREE and chip > max(last or RELEASED, RELEASED)
    return "clock_chip" if plausible else None


class TrustWatcher:
    """Sets `clock.trusted`. `last` is `Journal.last_trusted`, `chip_declared` the board's promise of a chip."""

    def __init__(
        self,
        clock: SystemClock,
        note: Callable[[Event], None],
        last: Callable[[], datetime | None],
        *,
        chip_declared: bool = False,
        machine: Machine | None = None,
    ) -> None:
        self._clock, self._note, self._last = clock, note, last
        self._chip_declared, self._machine = chip_declared, machine or Machine()
        self._started = _skew(clock.now())
        self.source: Source | None = None

    def check(self) -> bool:
        """Look once; True when the clock is trusted."""
        if self.source is None:
            now = self._clock.now()
            chip = self._machine.chip_time() if self._chip_declared else None
            self.source = judge(now.wall, self._last(), ntp=self._machine.ntp(), chip=chip)
            if self.source is not None:
                self._clock.trusted = True
                self._note(ClockSynchronised(offset=round(_skew(now) - self._started, 3), source=self.source))
        return self.source is not None

    async def run(self) -> None:
        """Look every few seconds until the clock is trusted, then rest until cancelled."""
        never = asyncio.Event()
        while not self.check():
            with suppress(TimeoutError):
                async with asyncio.timeout(INTERVAL):
                    await never.wait()
        await never.wait()


def _skew(now: Now) -> float:
    """Wall clock minus the clock that nobody sets; only its changes mean something."""
    return now.wall.timestamp() - now.boot
