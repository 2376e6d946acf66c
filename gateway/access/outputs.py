"""From effects to wires: the lock, what the person at the door sees and hears, notes and answers.

`perform` never waits and never raises: a line that is gone comes back as a LineFault.
"""

from __future__ import annotations

from collections.abc import Callable

from drivers.interfaces import OutputLine
from gateway.access.rules.door import (
    Effect,
    HoldReleased,
    RestLock,
    Show,
    Unlock,
)
from gateway.asked import Asked
from gateway.config import schema
from gateway.errors import DriverError
from gateway.journal.event import Event
from gateway.lines import Lines
from gateway.machine import Answer, LineFault, Note

INDICATORS = ("granted", "denied", "wait", "fault", "buzzer")
LAMP_MAX_ON = 3600.0  # seconds; an indicator forgotten for an hour goes out by itself
#: What is shown: indicator -> seconds (None: until told otherwise; 0: off).
SHOWN: dict[str, dict[str, float | None]] = {
    "granted": {"denied": 0, "wait": 0, "granted": 3.0, "buzzer": 0.15},
    "denied": {"wait": 0, "denied": 2.0, "buzzer": 0.6},
    "wait": {"wait": 2.5},  # a refusal comes up to 1.5 s after the last look (faces.PATIENCE)
    "warn": {"buzzer": None},
    "hush": {"buzzer": 0},
    "fault": {"fault": None},
    "well": {"fault": 0},
}


class DoorOutputs:
    """The outputs of one door. `report` gives the machine a LineFault."""

    def __init__(
        self,
        door: str,
        config: schema.Door,
        lines: Lines,
        note: Callable[[Event], None],
        report: Callable[[LineFault], None],
    ) -> None:
        self._door, self._config, self._lines = door, config, lines
        self._note, self._report = note, report
        self.lock: OutputLine | None = None
        self._lamps: dict[str, OutputLine] = {}
        self.light: OutputLine | None = None
        self.asked = Asked[Answer]()

    def claim(self) -> None:
        """Claim every output at rest; what cannot be had is reported, not raised."""
        self.claim_lock()
        self.claim_lamps()

    def claim_lock(self) -> bool:
        """Claim the lock's output; False when it cannot be had."""
        lock = self._config.lock
        self.lock = self._claimed("lock", lock.output, "lock", lock.max_on)
        return self.lock is not None

    def claim_lamps(self) -> tuple[str, ...]:
        """Claim what is missing of indicators and light; which lines are there now that were not."""
        found: list[str] = []
        for name in INDICATORS:
            conf = getattr(self._config.indicators, name)
            if conf is not None and name not in self._lamps:
                lamp = self._claimed(f"indicators.{name}", conf, "indicator", LAMP_MAX_ON)
                if lamp is not None:
                    self._lamps[name] = lamp
                    found.append(f"indicators.{name}")
        if self._config.light is not None and self.light is None:
            self.light = self._claimed("light", self._config.light.output, "light", LAMP_MAX_ON)
            found += ["light"] if self.light is not None else []
        return tuple(found)

    def perform(self, effect: Effect) -> None:
        """Do what an effect says."""
        match effect:
            case Unlock(seconds):
                self._on_lock(lambda line: line.pulse(seconds))
            case HoldReleased():
                self._on_lock(lambda line: line.hold())
            case RestLock():
                self._on_lock(lambda line: line.rest())
            case Show(what):
                self.show(what)
            case Note(event):
                self._note(event)
            case Answer(token):
                self.asked.answer(token, effect)

    def show(self, what: str) -> None:
        """Tell the person at the door."""
        for name, seconds in SHOWN[what].items():
            lamp = self._lamps.get(name)
            if lamp is not None:
                self._light_up(name, lamp, seconds)

    def lamp(self, *, on: bool) -> None:
        """The light at the door."""
        if self.light is not None and not self._drive("light", self.light, None if on else 0):
            self.light = None

    def rest(self) -> None:
        """Everything to rest, the lock first."""
        self._on_lock(lambda line: line.rest())
        for name, lamp in tuple(self._lamps.items()):
            self._light_up(name, lamp, 0)
        self.lamp(on=False)

    def _on_lock(self, act: Callable[[OutputLine], None]) -> None:
        if self.lock is None:
            return  # reported when it was lost; claimed again by the service
        try:
            act(self.lock)
        except DriverError as error:
            self.lock = None
            self._lost("lock", error)

    def _light_up(self, name: str, lamp: OutputLine, seconds: float | None) -> None:
        if not self._drive(f"indicators.{name}", lamp, seconds):
            self._lamps.pop(name, None)

    def _drive(self, name: str, line: OutputLine, seconds: float | None) -> bool:
        try:
            if seconds is None:
                line.hold()
            elif seconds == 0:
                line.rest()
            else:
                line.pulse(seconds)
        except DriverError as error:
            self._lost(name, error)
            return False
        return True

    def _lost(self, name: str, error: DriverError) -> None:
        self._lines.lost(f"{self._door}.{name}", error)
        self._report(LineFault(name, error.code))

    def _claimed(self, name: str, conf: schema.Output, use: str, max_on: float) -> OutputLine | None:
        try:
            return self._lines.output(f"{self._door}.{name}", conf, use, max_on)
        except DriverError as error:
            self._report(LineFault(name, error.code))
            return None
