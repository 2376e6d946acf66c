"""The simulated GPIO driver: the same promises as on copper, kept against a simulated building.

The building is in this process, or, where LOUMEN_SIMULATED names a unix socket, a process of its own
that outlives the daemon and can be watched and steered from outside (see remote.py).
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator, Callable
from typing import Protocol

from drivers import refusals
from drivers.edges import EdgeQueue, hand_over
from drivers.errors import LineGone
from drivers.interfaces import Bias, Edge, InputSpec, Level, LineInfo, OutputSpec
from drivers.momentary import Momentary
from drivers.simulated.building import CHIP, Building
from drivers.simulated.wire import Claim

SOCKET = "LOUMEN_SIMULATED"


class Wiring(Protocol):
    """What a driver may do to a building, here or over a socket. Levels are electrical."""

    def claim(self, number: int, claim: Claim, bias: Bias, level: Level | None) -> bool: ...

    def drive(self, number: int, level: Level) -> None: ...

    def level(self, number: int) -> bool: ...

    def release(self, number: int) -> None: ...

    def holder(self, number: int) -> str: ...

    def fetch(self) -> None: ...

    def close(self) -> None: ...


class SimulatedOutput(Momentary):
    """A claimed output of the building."""

    def __init__(self, spec: OutputSpec, wiring: Wiring) -> None:
        super().__init__(spec, self._drive)
        self._wiring = wiring

    def _check(self) -> None:
        self._wiring.fetch()
        super()._check()

    def _drive(self, energised: Level) -> None:
        self._wiring.drive(self.spec.line, energised != self.spec.active_low)


class SimulatedInput:
    """A claimed input of the building."""

    def __init__(self, spec: InputSpec, wiring: Wiring) -> None:
        self.spec = spec
        self._wiring = wiring
        self._gone: LineGone | None = None
        self._queue: EdgeQueue | None = None

    @property
    def lost(self) -> int:
        return self._queue.lost if self._queue else 0

    def read(self) -> bool:
        self._wiring.fetch()
        if self._gone is not None:
            raise self._gone
        return self._wiring.level(self.spec.line) != self.spec.active_low

    def edges(self) -> AsyncIterator[Edge]:
        assert self._queue is not None  # made with the claim
        return self._queue

    async def hand_over(self, hear: Callable[[Edge], None]) -> None:
        await hand_over(self.edges(), hear)

    def begin(self, level: Level) -> None:
        """The claim succeeded at this electrical level: edges count from here."""
        self._queue = EdgeQueue(self.spec.debounce, level != self.spec.active_low, fetch=self._wiring.fetch)

    def changed(self, at: float, level: Level) -> None:
        """The wire changed."""
        if self._queue is not None:
            self._queue.change(at, level != self.spec.active_low)

    def end(self, error: LineGone) -> None:
        """The line is gone for good."""
        self._gone = error
        if self._queue is not None:
            self._queue.end(error)


class SimulatedGpio:
    """Claims the lines of one building; without one given, LOUMEN_SIMULATED's or a new one of its own."""

    supports_inputs = True

    def __init__(self, building: Building | None = None, *, socket: str = "") -> None:
        self._building = building
        self._socket = "" if building else socket or os.environ.get(SOCKET, "")
        self._wiring: Wiring | None = building
        self._outputs: dict[int, SimulatedOutput] = {}
        self._inputs: dict[int, SimulatedInput] = {}

    @property
    def building(self) -> Building:
        """The building in this process."""
        if self._socket:
            raise RuntimeError(f"the building is another process: use Remote({self._socket!r})")
        if self._building is None:
            self._building = self._wiring = Building()
        return self._building

    def claim_output(self, spec: OutputSpec) -> SimulatedOutput:
        """Claim `spec`, resting. Raises LineMissing, LineBusy."""
        wiring = self._into(spec.chip)
        output = SimulatedOutput(spec, wiring)
        claim = Claim(
            f"loumen:{spec.name}", spec.active_low, True, lambda _at, _level: None, lambda: self._lost(spec.line)
        )
        wiring.claim(spec.line, claim, spec.bias, spec.active_low)
        self._outputs[spec.line] = output
        return output

    def claim_input(self, spec: InputSpec) -> SimulatedInput:
        """Claim `spec`. Raises LineMissing, LineBusy."""
        wiring = self._into(spec.chip)
        line = SimulatedInput(spec, wiring)
        claim = Claim(f"loumen:{spec.name}", spec.active_low, False, line.changed, lambda: self._lost(spec.line))
        line.begin(wiring.claim(spec.line, claim, spec.bias, None))
        self._inputs[spec.line] = line
        return line

    def inspect(self, chip: str, line: int) -> LineInfo:
        """Who has the line. Raises LineMissing."""
        return LineInfo(CHIP, line, f"SIM{line}", self._into(chip).holder(line))

    def close(self) -> None:
        """Rest every output, release every line; again is harmless."""
        for output in self._outputs.values():
            try:
                output.rest()
            except LineGone:
                continue
        self._let_go()

    def perish(self) -> None:
        """As SIGKILL would have it: nothing is written, the timers are gone, the owner is dead."""
        self._let_go()

    def _lost(self, number: int) -> None:
        error = refusals.line_gone(CHIP, number, "gone")
        for held in (self._outputs.pop(number, None), self._inputs.pop(number, None)):
            if held is not None:
                held.end(error)

    def _let_go(self) -> None:
        for output in self._outputs.values():
            output.abandon()
        if self._wiring is not None:
            for line in (*self._outputs, *self._inputs):
                self._wiring.release(line)
            self._wiring.close()
        self._outputs.clear()
        self._inputs.clear()
        if self._socket:
            self._wiring = None

    def _into(self, chip: str) -> Wiring:
        if chip not in ("", CHIP):
            raise refusals.chip_missing(chip, CHIP)
        if self._wiring is None:
            if self._socket:
                from drivers.simulated.connection import Connection

                self._wiring = Connection(self._socket)
            else:
                self._wiring = self.building
        return self._wiring
