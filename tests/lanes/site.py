"""A lane on simulated lines in virtual time: its drive moves an arm, its limits follow, cars come and go."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime

from drivers.registry import Drivers
from drivers.simulated.building import Building
from drivers.simulated.driver import SimulatedGpio
from gateway.clock import LoopClock
from gateway.config import schema
from gateway.journal.event import Event
from gateway.lanes.register import Register, Vehicle
from gateway.lanes.rules.inputs import Mode
from gateway.lanes.service import LaneService
from gateway.lines import Lines
from gateway.vision.protocol import PlateCandidate, PlateRead

OPEN, CLOSE, STOP, UP, DOWN, LOOP, BEAM, BUTTON, FIRE, LIGHT = range(1, 11)
TRAVEL = 2.0  # seconds that the simulated arm takes
OURS, EXPIRED = "粤B12345", "粤B54321"


def config(**changes: object) -> schema.Lane:
    parts: dict[str, object] = {
        "name": "Gate",
        "arm": arm(),
        "loop": schema.SimulatedInput(line=LOOP),
        "photocell": schema.SimulatedInput(line=BEAM),
        "button": schema.SimulatedInput(line=BUTTON),
        "fire": schema.SimulatedInput(line=FIRE),
        "light": schema.SimulatedOutput(line=LIGHT),
        "camera": "drive",
        "close_after": 2.0,
        "stay_open": 10.0,
        "stuck_after": 300.0,
    }
    return schema.Lane(**{**parts, **changes})  # type: ignore[arg-type]


def arm(**changes: object) -> schema.Arm:
    parts: dict[str, object] = {
        "open": schema.SimulatedOutput(line=OPEN),
        "close": schema.SimulatedOutput(line=CLOSE),
        "stop": schema.SimulatedOutput(line=STOP),
        "limit_up": schema.SimulatedInput(line=UP),
        "limit_down": schema.SimulatedInput(line=DOWN),
        "travel": 5.0,
    }
    return schema.Arm(**{**parts, **changes})  # type: ignore[arg-type]


@dataclass
class Site:
    """A lane, its building, the arm that the drive moves, and what was noted."""

    lane: LaneService
    building: Building
    notes: list[Event]
    place: float = 0.0  # of the arm: 0 down, 1 up
    going: int = 0
    jammed: bool = False
    together: bool = False  # open and close were energised at the same time

    def put_by_hand(self, place: float) -> None:
        self.place, self.going = place, 0

    def types(self) -> list[str]:
        return [event.type_name() for event in self.notes]

    def last(self, kind: type[Event]) -> Event:
        return [event for event in self.notes if isinstance(event, kind)][-1]

    def level(self, line: int) -> bool:
        return self.building.line(line).level

    def set(self, line: int, level: bool) -> None:
        self.building.line(line).set(level)

    def pulses(self, line: int) -> int:
        return sum(level for _, level in self.building.line(line).changes)

    def closed_on(self) -> list[float]:
        """The closing pulses in whose instant a wire said that somebody is there."""
        begun = [at for at, level in self.building.line(CLOSE).changes if level]
        return [at for at in begun if self._was(LOOP, at, first=False) or not self._was(BEAM, at, first=True)]

    def _was(self, line: int, at: float, *, first: bool) -> bool:
        levels = [level for when, level in self.building.line(line).changes if when < at]
        return levels[-1] if levels else first

    def read(self, plate: str, *, track: int = 1, votes: int = 2, log_p: float = -0.05) -> None:
        now = asyncio.get_running_loop().time()
        self.lane.plate(
            PlateRead(
                camera="drive",
                lane="gate",
                track=track,
                readings=(PlateCandidate(plate=plate, log_p=log_p),),
                margin=None,
                frames=max(votes, 2),
                votes=votes,
                at=now,
            )
        )

    async def drive_through(self) -> None:
        """A car: first the loop, then the beam."""
        self.set(LOOP, True)
        await asyncio.sleep(0.5)
        self.set(BEAM, False)
        await asyncio.sleep(1.5)
        self.set(LOOP, False)
        await asyncio.sleep(0.5)
        self.set(BEAM, True)

    async def move(self) -> None:
        """The drive: what its three inputs say moves the arm; the limits follow it."""
        step, before = 0.02, {OPEN: False, CLOSE: False, STOP: False}
        while True:
            now = {line: self.level(line) for line in before}
            self.together |= now[OPEN] and now[CLOSE]
            if now[STOP]:
                self.going = 0
            elif now[OPEN] and not before[OPEN]:
                self.going = 1
            elif now[CLOSE] and not before[CLOSE]:
                self.going = -1
            before = now
            if not self.jammed:
                self.place = min(1.0, max(0.0, self.place + self.going * step / TRAVEL))
            for line, level in ((UP, self.place >= 1), (DOWN, self.place <= 0)):
                if self.level(line) is not level and not self.building.line(line).gone:
                    self.set(line, level)
            await asyncio.sleep(step)


VEHICLES = (
    Vehicle(id="v1", plate=OURS),
    Vehicle(id="v2", plate=EXPIRED, valid_until=datetime(2026, 1, 1, tzinfo=UTC)),
)


@asynccontextmanager
async def site(mode: Mode = Mode.NORMAL, *, place: float = 0.0, **changes: object) -> AsyncIterator[Site]:
    building = Building()
    building.line(BEAM).set(True)
    building.line(DOWN).set(place <= 0)
    building.line(UP).set(place >= 1)
    notes: list[Event] = []
    register = Register(VEHICLES)
    clock = LoopClock(datetime(2026, 11, 24, tzinfo=UTC))
    lines = Lines(Drivers({"simulated": SimulatedGpio(building)}))
    lane = LaneService("gate", config(**changes), lines, notes.append, clock, lambda: register, mode)
    lane.start()
    stage = Site(lane, building, notes, place)
    tasks = [asyncio.create_task(lane.run()), asyncio.create_task(stage.move())]
    await asyncio.sleep(0.05)
    try:
        yield stage
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
