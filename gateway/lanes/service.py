"""One lane, wired: its inputs, its machine, its outputs.

`start` is synchronous and touches nothing but lines: a lane is ready before the journal is open. `run` is
supervised; started again after a fault it goes on from what is sensed (fire first) and from the stored
order, never from a default.

The machine's deadline comes before what waits in its queues, so a closing pulse may be decided while the edge of
somebody's foot is still waiting. `_clear` therefore looks at the wires themselves in the instant of the pulse.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterator

from gateway.clock import Clock, Now
from gateway.config import schema
from gateway.errors import LoumenError
from gateway.journal.event import Event
from gateway.lanes import events
from gateway.lanes.commands import LaneView
from gateway.lanes.decision import Owners, unowned
from gateway.lanes.inputs import GUARDS, SOURCES, built, fitted, wire_of
from gateway.lanes.looks import Looks
from gateway.lanes.outputs import LaneOutputs
from gateway.lanes.plates import Candidate, Reading
from gateway.lanes.register import Register
from gateway.lanes.rules.arm import Motion
from gateway.lanes.rules.inputs import (
    Effect,
    Given,
    Lamp,
    Mode,
    NotClosed,
)
from gateway.lanes.rules.lane import Lane
from gateway.lanes.rules.sense import Position
from gateway.lanes.rules.start import Sensed, restored
from gateway.lanes.why import why
from gateway.lanes.words import problems
from gateway.lines import Lines
from gateway.machine import Expired, Inbox, LineFault, Machine, Note, Tick, UnknownInput, drive
from gateway.vision.protocol import PlateRead
from gateway.wire import RETRY

TICK = 1.0  # seconds between proofs of life, and between looks at levels whose edges may be lost


class LaneService:
    """One lane. Everything but `run` and `quiet` is called from the loop and returns at once."""

    def __init__(
        self,
        lane: str,
        config: schema.Lane,
        lines: Lines,
        note: Callable[[Event], None],
        clock: Clock,
        register: Callable[[], Register],
        mode: Mode,
        owners: Owners = unowned,
    ) -> None:
        self.id, self.config = lane, config
        self._note, self._clock, self.register, self._mode = note, clock, register, mode
        self._lines = lines
        self.owners = owners
        self._inbox = Inbox[Given](SOURCES)
        self.outputs = LaneOutputs(lane, config, lines, note, self._line_fault, self._clear)
        self._wires = {name: wire_of(lane, name, conf, lines, self.put) for name, conf in fitted(config).items()}
        self._looks = Looks(lane, owners)
        self._fitted = built(config)
        self.lane = self._restored(clock.now(), frozenset())
        self.last_turn = clock.now().mono
        self.last_read: tuple[float, Reading] | None = None
        self._retry = 0.0
        self.refusing = False  # set while the daemon stops

    def start(self) -> None:
        """Claim every line, outputs at rest; what cannot be had is told as a fault, not raised."""
        self.outputs.claim()
        for wire in self._wires.values():
            wire.claim()
        self.lane = self._restored(self._clock.now(), self.lane.faults)

    async def run(self) -> None:
        """Turn until cancelled."""
        self._inbox.forget("guard", "command", "vision", "button")  # a late grant opens nothing
        self.lane = self._restored(self._clock.now(), self.lane.faults)
        if self.lane.position is Position.CONTRADICTION:
            self._note(events.LaneContradiction(lane=self.id, what="limits"))
        if self.lane.fire:
            self._note(events.LaneFire(lane=self.id, active=True))
        self._shine()
        async with asyncio.TaskGroup() as group:
            for wire in self._wires.values():
                group.create_task(wire.listen(), name=f"{self.id}.{wire.name}")
            group.create_task(self._ticks(), name=f"{self.id}.ticks")
            group.create_task(
                drive(self.lane, self._inbox, Expired(), self._clock, self._perform, self._fault, self._turned),
                name=f"{self.id}.lane",
            )

    def put(self, source: str, given: Given) -> bool:
        """Give the machine an input."""
        return self._inbox.put(source, given)

    def make_safe(self) -> None:
        """After a fault of the machine, until it runs again: a falling arm is raised, and during a fire any."""
        fire = self._wires.get("fire")
        self._leave(rise=self.lane.arm.motion is Motion.LOWERING or (fire is not None and fire.level is True))

    def stop(self) -> None:
        """Refuse grants; a falling arm is raised, since nobody will watch it; everything else to rest. Again: no more.

        While fire is sensed the copper contact keeps the arm up.
        """
        if self.refusing:
            return
        self.refusing = self.outputs.stopping = True
        self._leave(rise=self.lane.arm.motion is Motion.LOWERING)

    def _leave(self, *, rise: bool) -> None:
        """Nobody watches the arm from now on. An opening that has begun, or waits for its stop to end, goes to its end:
        the drive may not have seen it yet, and it may be what turns a falling arm round over somebody.
        """
        if rise:
            self.outputs.open()
        elif not self.outputs.busy():
            self.outputs.rest_all()

    async def quiet(self) -> None:
        """Return when no pulse is under way: before the drivers are closed."""
        if (seconds := self.outputs.busy()) > 0:
            await asyncio.sleep(seconds)
        self.outputs.rest_all()

    def plate(self, seen: PlateRead) -> None:
        """What the vision process has read before this lane's camera."""
        reading = Reading(
            tuple(Candidate(one.plate, one.log_p) for one in seen.readings), frames=seen.frames, votes=seen.votes
        )
        self.last_read = (seen.at, reading)
        if self.refusing or self.config.plate == "off":
            return
        given = self._looks.judge(reading, seen.track, seen.at, self.register(), self._clock.now())
        if given is not None:
            self.put("vision", given)

    def view(self) -> LaneView:
        """The lane for `status`."""
        lane = self.lane
        if lane.fire:
            commanded = "fire"
        elif lane.mode is Mode.HELD:
            commanded = "held"
        else:
            commanded = COMMANDED[lane.arm.motion]
        reason = why(lane, self._clock.now().mono)
        return LaneView(
            id=self.id,
            name=self.config.name,
            commanded=commanded,
            sensed=SENSED[lane.position],
            motion=lane.arm.motion.name.lower(),
            under=self._under(),
            mode=lane.mode.value,
            why=reason.text,
            why_facts=reason.facts,
            faults=tuple(sorted(lane.faults)),
            whys=self._lines.whys(self.id, lane.faults),
            troubles=self._troubles(),
            plate=self.config.plate,
            camera=self.config.camera or "",
            plates=len(self.register()),
            last_turn_age=round(self._clock.now().mono - self.last_turn, 3),
        )

    def problems(self) -> Iterator[LoumenError]:
        """What a person should do something about."""
        return problems(self.view())

    def _under(self) -> str:
        if self.lane.free:
            return "free"
        sensors = [sensor for sensor in (self.lane.loop, self.lane.beam) if sensor.fitted]
        return "occupied" if any(sensor.believed is False for sensor in sensors) else "unknown"

    def _troubles(self) -> tuple[str, ...]:
        lane = self.lane
        found = [f"{one.name}_stuck" for one in (lane.loop, lane.beam, lane.button) if one.stuck]
        found += [f"{one.name}_restless" for one in (lane.loop, lane.beam, lane.button) if one.restless]
        if lane.beam.blind:
            found.append("photocell_blind")
        if lane.position is Position.CONTRADICTION:
            found.append("limits")
        elif lane.arm.motion is Motion.FAULT:
            found.append("late")
        return tuple(found)

    # --- the machine's hands

    def _perform(self, effect: Effect) -> None:
        self.outputs.perform(effect)
        if isinstance(effect, Note) and isinstance(effect.event, events.LanePassed):
            self._looks.passed()

    def _clear(self) -> bool:
        """The last look before a closing pulse: at the wires, not at what they said before."""
        for name in GUARDS:
            if name in self._wires:
                self._wires[name].sense_again()
        level = {name: self._wires[name].level for name in GUARDS if name in self._wires}
        safe = (
            ("loop" not in level or level["loop"] is False)
            and ("photocell" not in level or level["photocell"] is True)
            and not level.get("fire")
            and not self.refusing
        )
        if not safe:
            self.put("guard", NotClosed())
        return safe

    def _turned(self, machine: Machine[Given, Effect]) -> None:
        assert isinstance(machine, Lane)
        self.lane, self._mode, self.last_turn = machine, machine.mode, self._clock.now().mono

    def _fault(self, given: Given, unknown: UnknownInput, now: Now) -> Lane:
        self._note(events.LaneMachineFault(lane=self.id, given=type(given).__name__, state=str(unknown.args[0])))
        self.make_safe()
        self.lane = self._restored(now, self.lane.faults)
        self._shine()
        return self.lane

    def _shine(self) -> None:
        """Light the light of an arm that is up: the rules tell only when that changes."""
        if self.lane.arm.motion is Motion.UP and not self.refusing:
            self.outputs.perform(Lamp(on=True))

    def _line_fault(self, fault: LineFault) -> None:
        self.put("line", fault)

    def _restored(self, now: Now, faults: frozenset[str]) -> Lane:
        """The lane as sensed now, under its stored order."""
        level = {name: wire.level for name, wire in self._wires.items()}
        sensed = Sensed(
            occupied=level.get("loop"),
            clear=level.get("photocell"),
            up=level.get("limit_up"),
            down=level.get("limit_down"),
            fire=level.get("fire") is True,
            pressed=level.get("button"),
        )
        return restored(self.id, self._fitted, sensed, self._mode, faults, now.mono)

    async def _ticks(self) -> None:
        while True:
            self.put("tick", Tick())
            for wire in self._wires.values():
                wire.sense_again()
            for refusal in () if self.refusing else self._looks.overdue(self._clock.now()):
                self.put("vision", refusal)
            now = self._clock.now().mono
            if self.outputs.missing and now >= self._retry:
                self._retry = now + RETRY
                for name in self.outputs.claim_missing():
                    self.put("line", LineFault(name, gone=False))
                self._shine()
            await asyncio.sleep(TICK)


COMMANDED = {
    Motion.DOWN: "down",
    Motion.RISING: "up",
    Motion.UP: "up",
    Motion.LOWERING: "down",
    Motion.ADRIFT: "unknown",
    Motion.LOST: "unknown",
    Motion.FAULT: "fault",
}
SENSED = {
    Position.TOP: "up",
    Position.BOTTOM: "down",
    Position.BETWEEN: "between",
    Position.CONTRADICTION: "contradiction",
    Position.UNFITTED: "unknown",
}
