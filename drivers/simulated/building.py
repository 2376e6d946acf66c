"""The wires of a simulated building by number, who has claimed them, and what becomes of an owner's wires.

`owner_death` is what a wire does when its owner lets go of it or dies, which is the kernel's choice:
    "freed"    mainline: the line becomes an input and falls to its pull
    "driven"   Raspberry Pi kernels: the line stays driven as it was
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Mapping
from typing import Literal

from drivers import refusals
from drivers.interfaces import Bias, Level
from drivers.simulated.wire import Claim, Wire

CHIP = "simulated"
LINES = 1024

OwnerDeath = Literal["freed", "driven"]


def loop_time() -> float:
    """The running loop's time, be it virtual; without a loop the monotonic clock."""
    try:
        return asyncio.get_running_loop().time()
    except RuntimeError:
        return time.monotonic()


class Building:
    """All wires. Those that `pulls` does not name are pulled low, as most of a Raspberry Pi's are."""

    def __init__(
        self,
        *,
        owner_death: OwnerDeath = "freed",
        pulls: Mapping[int, bool | None] | None = None,
        lines: int = LINES,
        clock: Callable[[], float] = loop_time,
    ) -> None:
        self.owner_death = owner_death
        self.lines = lines
        self._pulls = dict(pulls or {})
        self._clock = clock
        self._wires: dict[int, Wire] = {}

    def line(self, number: int) -> Wire:
        """The wire. Raises LineMissing."""
        if number not in self._wires:
            if not 0 <= number < self.lines:
                raise refusals.line_missing(CHIP, number, self.lines)
            self._wires[number] = Wire(number, self._pulls.get(number, False), self._clock)
        return self._wires[number]

    def wires(self) -> list[Wire]:
        """Every wire that anybody has looked at, by number."""
        return [self._wires[number] for number in sorted(self._wires)]

    # --- what a driver may do (connection.py says the same over a socket)

    def claim(self, number: int, claim: Claim, bias: Bias, level: Level | None) -> bool:
        """Claim the wire; an output is driven to `level` in the same moment. Raises LineMissing, LineBusy."""
        wire = self.line(number)
        if wire.gone:
            raise refusals.line_missing(CHIP, number, self.lines)
        if holder := self.holder(number):
            raise refusals.line_busy(CHIP, number, holder)
        wire.claim, wire.active_low = claim, claim.active_low
        if level is not None:
            wire.drive(level)  # first driven, then pulled: the pull of a driven wire is not seen
            wire.pull(bias)
        else:
            wire.drive(None)
            wire.pull(bias)
        return wire.level

    def drive(self, number: int, level: Level) -> None:
        """Drive a claimed output."""
        self.line(number).drive(level)

    def level(self, number: int) -> bool:
        """The level of a claimed wire."""
        return self.line(number).level

    def release(self, number: int) -> None:
        """The owner lets go of the wire, or died."""
        wire = self.line(number)
        wire.claim = None
        if self.owner_death == "freed":
            wire.drive(None)

    def holder(self, number: int) -> str:
        """Who has the wire; empty when it is free. Raises LineMissing."""
        wire = self.line(number)
        return wire.busy or (wire.claim.consumer if wire.claim else "")

    def fetch(self) -> None:
        """Nothing waits between a driver and a building in the same process."""

    def close(self) -> None:
        """A building stands when its driver goes."""
