"""What a lane would do: its rules, played over a story, with a drive that moves an arm. Pure: no line, no clock.

Theory of operation
    The rules are the daemon's own, built from the lane's own configuration. What is played is the rest: a drive
    that obeys its pulses as most do (the last one counts, a stop ends both), an arm that takes `takes` seconds from
    one end to the other, limit switches that follow it, and cars, people and faults as the story tells them. What a
    real lane adds is left out: debounce, the length of pulses, the last look at the wires before a closing pulse.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import islice

from gateway.clock import Now
from gateway.journal.event import Event
from gateway.lanes.rules import inputs as i
from gateway.lanes.rules.arm import Motion
from gateway.lanes.rules.inputs import (
    Drive,
    Effect,
    Given,
    Mode,
    Pulse,
)
from gateway.lanes.rules.lane import Lane
from gateway.lanes.rules.start import Fitted, Sensed, restored
from gateway.lanes.why import Why, why
from gateway.machine import Expired, LineFault, Note, Tick

SOMEBODY = "-"  # who gives an order in a story
WALL = datetime(2026, 1, 1, tzinfo=UTC)
LEAVES = 0.2  # seconds until a moving arm has left its limit switch
BEYOND, MOST = 900.0, 40  # seconds and rows that are played after a story's last step, while there is something to do
RATTLE, APART = 20, 0.05  # changes of a loose wire, and seconds between them


@dataclass(frozen=True, slots=True)
class Step:
    """One thing that happens. `what` and `how` are words of `story.WORDS`."""

    at: float
    what: str
    how: str = ""


@dataclass(frozen=True, slots=True)
class Row:
    """One turn of the lane: what happened (empty: time passed), what it did, and why it is as it is."""

    at: float
    what: str
    how: str
    motion: str
    under: str
    pulses: tuple[str, ...]
    events: tuple[Event, ...]
    why: Why


@dataclass
class Simulation:
    """One lane at its start: arm down, nobody near."""

    id: str
    fitted: Fitted
    takes: float
    now: float = 0.0
    occupied: bool | None = False
    clear: bool | None = True
    fire: bool = False
    mode: Mode = Mode.NORMAL
    place: float = 0.0  # of the arm: 0 down, 1 up
    jammed: bool = False
    stuck: dict[str, bool | None] = field(default_factory=dict)  # limit switches that say this, whatever the arm does
    _going: int = 0
    _since: float = 0.0
    lane: Lane = field(init=False)

    def __post_init__(self) -> None:
        self.lane = self._restored()

    def play(self, steps: Iterable[Step]) -> Iterator[Row]:
        """The rows of a story, then of what follows from it."""
        for step in steps:
            yield from self.step(step)
        yield from islice(self.wait(self.now + BEYOND), MOST)

    def step(self, step: Step) -> Iterator[Row]:
        """What happens until a step, and the step."""
        yield from self.wait(step.at)
        if not self._hears(step.what):
            yield self._turn([Tick()], step.what, step.how)
            return
        if given := self._given(step):
            yield self._turn(given, step.what, step.how)
        if step.how == "rattle":
            for turn in range(RATTLE):
                yield from self.wait(self.now + APART)
                yield self._turn([self._sensor(step.what, occupied=turn % 2 == 0)], step.what, step.how)

    def wait(self, until: float) -> Iterator[Row]:
        """What happens by itself until then."""
        while (due := self._due()) <= until:
            self.now = max(self.now, due)
            if (moves := self._moves_at()) is not None and moves <= self.now:
                for limit in self._limits():
                    at_end = "top" if self.place >= 1 else "bottom" if self.place <= 0 else "leaves"
                    yield self._turn([limit], "arm", at_end)
            else:
                yield self._turn([Expired()], "", "")
        self.now = max(self.now, until)

    def _due(self) -> float:
        return min((at for at in (self.lane.deadline, self._moves_at()) if at is not None), default=math.inf)

    # --- what happens

    def _given(self, step: Step) -> list[Given]:
        words: dict[str, Callable[[str], list[Given]]] = {
            "plate": lambda _how: [i.Grant("plate")],
            "stranger": lambda _how: [i.Refusal("plate", "unknown")],
            "button": lambda _how: [i.Button(pressed=True), i.Button(pressed=False)],
            "raise": lambda _how: [i.Grant("command", actor=SOMEBODY)],
            "hold": lambda _how: [i.Order(Mode.HELD, actor=SOMEBODY)],
            "release": lambda _how: [i.Order(Mode.NORMAL, actor=SOMEBODY)],
            "fire": self._fire,
            "loop": lambda how: self._guard("loop", how),
            "photocell": lambda how: self._guard("photocell", how),
            "limit_up": lambda how: self._limit("up", how),
            "limit_down": lambda how: self._limit("down", how),
            "arm": self._arm,
            "restart": lambda _how: self._restart(),
            "": lambda _how: [],  # time passes
        }
        return words[step.what](step.how)

    def _hears(self, what: str) -> bool:
        """Whether the lane has the part to which this happens."""
        limits = self.fitted.arm.limits
        parts = {"loop": self.fitted.loop, "photocell": self.fitted.beam, "limit_up": limits, "limit_down": limits}
        return parts.get(what, True)

    def _fire(self, how: str) -> list[Given]:
        self.fire = how == "on"
        return [i.Fire(active=self.fire)]

    def _guard(self, name: str, how: str) -> list[Given]:
        if how == "rattle":
            return []
        occupied = {"occupied": True, "free": False, "cut": None}[how]
        was, cut = (self.occupied if name == "loop" else self.clear) is None, occupied is None
        line = [LineFault(name, gone=cut)] if was is not cut else []
        return [self._sensor(name, occupied=occupied), *line]

    def _sensor(self, name: str, *, occupied: bool | None) -> Given:
        if name == "loop":
            self.occupied = occupied
            return i.Loop(occupied)
        self.clear = None if occupied is None else not occupied
        return i.Beam(self.clear)

    def _limit(self, name: str, how: str) -> list[Given]:
        self.stuck.pop(name, None)
        if how != "well":
            self.stuck[name] = {"on": True, "off": False, "cut": None}[how]
        return self._limits(name)

    def _arm(self, how: str) -> list[Given]:
        self._move()
        match how:
            case "jams":
                self.jammed = True
            case "freed":
                self.jammed = False
            case _:  # by hand
                self.place, self._going = {"up": 1.0, "down": 0.0, "halfway": 0.5}[how], 0
        self._since = self.now
        return self._limits() if how in {"up", "down", "halfway"} else []

    def _restart(self) -> list[Given]:
        """The daemon died and starts again: outputs rest, and the lane is as sensed, under its stored order."""
        self.lane = self._restored()
        return [Tick()]

    # --- the arm

    def _move(self) -> None:
        if self._going and not self.jammed:
            self.place = min(1.0, max(0.0, self.place + self._going * (self.now - self._since) / self.takes))
        self._since = self.now

    def _moves_at(self) -> float | None:
        """When a limit switch changes next, if nothing happens meanwhile."""
        if not self._going or self.jammed or not self.fitted.arm.limits:
            return None
        end, left = (1.0, "down") if self._going > 0 else (0.0, "up")
        if self.place == 1.0 - end and self._level(left):
            return self._since + min(LEAVES, self.takes / 2)
        ahead = abs(end - self.place) * self.takes
        return self._since + ahead if ahead > 0 else None

    def _level(self, limit: str) -> bool | None:
        if limit in self.stuck:
            return self.stuck[limit]
        return self.lane.up if limit == "up" else self.lane.down

    def _limits(self, *names: str) -> list[Given]:
        """What the limit switches say now, where that is news (or is asked for by name)."""
        self._move()
        near = 1e-6
        says: dict[str, bool | None] = {"up": self.place >= 1 - near, "down": self.place <= near}
        if says["up"] or says["down"]:
            self.place = 1.0 if says["up"] else 0.0
        says |= self.stuck
        news: list[Given] = []
        if says["up"] is not self.lane.up or "up" in names:
            news.append(i.LimitUp(says["up"]))
        if says["down"] is not self.lane.down or "down" in names:
            news.append(i.LimitDown(says["down"]))
        return news

    def _drive(self, pulse: Pulse) -> None:
        self._move()
        self._going = {Pulse.OPEN: 1, Pulse.CLOSE: -1, Pulse.STOP: 0}[pulse]

    # --- the lane

    def _turn(self, inputs: Iterable[Given], what: str, how: str) -> Row:
        told: list[Effect] = []
        for given in inputs:
            self.lane, effects = self.lane.advance(given, Now(self.now, self.now, WALL))
            told += effects
            for effect in effects:
                if isinstance(effect, Drive):
                    self._drive(effect.pulse)
        self.mode = self.lane.mode
        return self._row(what, how, told)

    def _row(self, what: str, how: str, effects: Sequence[Effect]) -> Row:
        sensors = [sensor for sensor in (self.lane.loop, self.lane.beam) if sensor.fitted]
        under = "occupied" if any(sensor.believed is False for sensor in sensors) else "unknown"
        return Row(
            at=round(self.now, 2),
            what=what,
            how=how,
            motion=self.lane.arm.motion.name.lower(),
            under="free" if self.lane.free else under,
            pulses=tuple(effect.pulse.value for effect in effects if isinstance(effect, Drive)),
            events=tuple(effect.event for effect in effects if isinstance(effect, Note)),
            why=why(self.lane, self.now),
        )

    def _restored(self) -> Lane:
        says: dict[str, bool | None] = {"up": self.place >= 1, "down": self.place <= 0, **self.stuck}
        limits = self.fitted.arm.limits
        sensed = Sensed(
            occupied=self.occupied if self.fitted.loop else None,
            clear=self.clear if self.fitted.beam else None,
            up=says["up"] if limits else None,
            down=says["down"] if limits else None,
            fire=self.fire,
            pressed=False,
        )
        lane = restored(self.id, self.fitted, sensed, self.mode, frozenset(), self.now)
        if not limits and self.now == 0.0:  # nobody can know where it is; a story begins with an arm that is down
            lane = replace(lane, arm=replace(lane.arm, motion=Motion.DOWN, deadline=None))
        return lane
