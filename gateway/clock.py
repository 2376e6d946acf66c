"""What time it is, and how far that can be believed.

Durations come from `mono` (it stops in suspend) or `boot` (it does not), schedules from `wall` in
`zone`, and `trusted` says whether `wall` may be believed: a Pi 4 has no clock chip, a Pi 5's may lack
its battery. Rules are given a `Now`; they never ask for one.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Protocol
from zoneinfo import ZoneInfo

SHANGHAI = ZoneInfo("Asia/Shanghai")


@dataclass(frozen=True, slots=True)
class Now:
    """One instant on every clock a rule may need."""

    mono: float
    boot: float
    wall: datetime  # aware, UTC
    trusted: bool = True
    zone: ZoneInfo = SHANGHAI

    @property
    def local(self) -> datetime:
        """The wall time in the site's zone."""
        return self.wall.astimezone(self.zone)


class Clock(Protocol):
    """Where `Now` comes from."""

    def now(self) -> Now: ...


class SystemClock:
    """The machine's clocks. `trusted` is set by the trust watcher (`gateway.trust`)."""

    def __init__(self, zone: ZoneInfo = SHANGHAI) -> None:
        self._zone = zone
        self.trusted = False

    def now(self) -> Now:
        return Now(
            mono=time.monotonic(),
            boot=time.clock_gettime(time.CLOCK_BOOTTIME),
            wall=datetime.now(UTC),
            trusted=self.trusted,
            zone=self._zone,
        )


class LoopClock:
    """Every clock follows the event loop's: with a virtual-time loop, a month runs in seconds."""

    def __init__(self, start: datetime, zone: ZoneInfo = SHANGHAI, *, trusted: bool = True) -> None:
        self._start, self._zone, self.trusted = start, zone, trusted

    def now(self) -> Now:
        elapsed = asyncio.get_running_loop().time()
        wall = datetime.fromtimestamp(self._start.timestamp() + elapsed, UTC)
        return Now(elapsed, elapsed, wall, self.trusted, self._zone)
