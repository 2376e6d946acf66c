"""From effects to wires: the drive of the arm, the light, notes and answers.

Order at the drive
    One pulse at a time: a pulse first rests the other two lines, so that open and close are never energised
    together. A stop ends before an opening begins (most drives obey nothing while their stop is held), so an
    opening that follows a stop waits PAUSE seconds beyond it; a drive without a stop is reversed by the opening
    itself. An opening also waits for a closing line that cannot be rested, until that pulse is over: its
    driver ends it.

`perform` never waits and never raises: a line that is gone comes back as a LineFault.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from drivers.interfaces import OutputLine
from gateway.asked import Asked
from gateway.config import schema
from gateway.errors import DriverError
from gateway.journal.event import Event
from gateway.lanes.rules.inputs import (
    Drive,
    Effect,
    Lamp,
    Pulse,
)
from gateway.lines import Lines
from gateway.machine import Answer, LineFault, Note

STOP_FOR = 0.25  # seconds at most of a stop that an opening follows
PAUSE = 0.05  # seconds between a stop and the opening after it; relays fall in 10 ms
LIGHT, LIGHT_MAX_ON = "light", 3600.0


class LaneOutputs:
    """The outputs of one lane. `report` gives the machine a LineFault; `clear` is the last look before closing."""

    def __init__(
        self,
        lane: str,
        config: schema.Lane,
        lines: Lines,
        note: Callable[[Event], None],
        report: Callable[[LineFault], None],
        clear: Callable[[], bool],
    ) -> None:
        self._lane, self._config, self._lines = lane, config, lines
        self._note, self._report, self._clear = note, report, clear
        self._drive: dict[Pulse, OutputLine] = {}
        self._light: OutputLine | None = None
        self._ends: dict[Pulse, float] = {}  # when the pulse under way on a line is over, by the loop's clock
        self._later: asyncio.TimerHandle | None = None  # an opening that waits
        self.asked = Asked[Answer]()
        self.stopping = False  # set while the daemon stops: what the machine says moves nothing any more

    @property
    def missing(self) -> tuple[str, ...]:
        """The lines that are configured and not there."""
        light = (LIGHT,) if self._config.light is not None and self._light is None else ()
        return (*(pulse.value for pulse in self._wanted() if pulse not in self._drive), *light)

    def claim(self) -> None:
        """Claim every output at rest; what cannot be had is reported, not raised."""
        for pulse in self._wanted():
            self._claim(pulse)
        self._claim_light()

    def claim_missing(self) -> tuple[str, ...]:
        """Try again for what is missing; which lines are back."""
        return tuple(
            name for name in self.missing if (self._claim_light() if name == LIGHT else self._claim(Pulse(name)))
        )

    def perform(self, effect: Effect) -> None:
        """Do what an effect says."""
        match effect:
            case Drive() if self.stopping:
                pass
            case Drive(Pulse.OPEN):
                self.open()
            case Drive(Pulse.CLOSE):
                self._close()
            case Drive(Pulse.STOP):
                self._stop()
            case Lamp(on):
                self._lamp(on=on)
            case Note(event):
                self._note(event)
            case Answer(token):
                self.asked.answer(token, effect)

    # --- the drive

    def open(self) -> None:
        """Give the opening pulse as soon as the two other lines are at rest."""
        self._forget_later()
        now = asyncio.get_running_loop().time()
        self._rest(Pulse.CLOSE)
        wait = self._over(Pulse.CLOSE, now)
        if self._under_way(Pulse.STOP, now):
            wait = max(wait, self._over(Pulse.STOP, now) + PAUSE)
        if wait > 0:
            self._later = asyncio.get_running_loop().call_later(wait, self._open_now)
        else:
            self._open_now()

    def rest(self) -> None:
        """The drive's lines to rest, now."""
        self._forget_later()
        for pulse in (Pulse.CLOSE, Pulse.STOP, Pulse.OPEN):
            self._rest(pulse)

    def rest_all(self) -> None:
        """Everything to rest."""
        self.rest()
        self._lamp(on=False)

    def busy(self) -> float:
        """Seconds until no pulse is under way and none waits."""
        now = asyncio.get_running_loop().time()
        waiting = 0.0 if self._later is None else max(0.0, self._later.when() - now) + self._config.arm.pulse
        return max(waiting, self._over(Pulse.OPEN, now))

    def _open_now(self) -> None:
        self._later = None
        self._rest(Pulse.CLOSE)
        self._rest(Pulse.STOP)
        self._pulse(Pulse.OPEN, self._config.arm.pulse)

    def _close(self) -> None:
        """The one place where a closing pulse is given: after a last look at the wires."""
        self._forget_later()
        if not self._clear():
            return
        self._rest(Pulse.OPEN)
        self._rest(Pulse.STOP)
        now = asyncio.get_running_loop().time()
        if self._under_way(Pulse.OPEN, now):
            return  # its line cannot be rested: that it did not close is told when it does not arrive
        self._pulse(Pulse.CLOSE, self._config.arm.pulse)

    def _stop(self) -> None:
        self._forget_later()
        self._rest(Pulse.CLOSE)
        self._rest(Pulse.OPEN)
        self._pulse(Pulse.STOP, min(self._config.arm.pulse, STOP_FOR))

    def _pulse(self, pulse: Pulse, seconds: float) -> None:
        line = self._drive.get(pulse)
        if line is None:
            return  # reported when it was lost; claimed again by the service
        try:
            line.pulse(seconds)
        except DriverError as error:
            self._lose(pulse, error)
        else:
            self._ends[pulse] = asyncio.get_running_loop().time() + seconds

    def _rest(self, pulse: Pulse) -> None:
        line = self._drive.get(pulse)
        if line is None:
            return
        try:
            line.rest()
        except DriverError as error:
            self._lose(pulse, error)
        else:
            self._ends.pop(pulse, None)

    def _lose(self, pulse: Pulse, error: DriverError) -> None:
        self._drive.pop(pulse, None)
        self._lost(pulse.value, error)

    def _lost(self, name: str, error: DriverError) -> None:
        self._lines.lost(f"{self._lane}.{name}", error)
        self._report(LineFault(name, error.code))

    def _under_way(self, pulse: Pulse, now: float) -> bool:
        return self._over(pulse, now) > 0

    def _over(self, pulse: Pulse, now: float) -> float:
        """Seconds until the pulse on this line is over."""
        return max(0.0, self._ends.get(pulse, now) - now)

    def _forget_later(self) -> None:
        if self._later is not None:
            self._later.cancel()
            self._later = None

    # --- lines

    def _wanted(self) -> tuple[Pulse, ...]:
        return (Pulse.OPEN, Pulse.CLOSE, *((Pulse.STOP,) if self._config.arm.stop is not None else ()))

    def _claim(self, pulse: Pulse) -> bool:
        conf = getattr(self._config.arm, pulse.value)
        try:
            self._drive[pulse] = self._lines.output(f"{self._lane}.{pulse.value}", conf, "arm", self._config.arm.pulse)
        except DriverError as error:
            self._report(LineFault(pulse.value, error.code))
            return False
        return True

    def _claim_light(self) -> bool:
        if self._config.light is None:
            return False
        try:
            self._light = self._lines.output(f"{self._lane}.{LIGHT}", self._config.light, LIGHT, LIGHT_MAX_ON)
        except DriverError as error:
            self._report(LineFault(LIGHT, error.code))
            return False
        return True

    def _lamp(self, *, on: bool) -> None:
        if self._light is None:
            return
        try:
            if on:
                self._light.hold()
            else:
                self._light.rest()
        except DriverError as error:
            self._light = None
            self._lost(LIGHT, error)
