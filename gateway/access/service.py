"""One door, wired: its inputs, its machine, its outputs, its light.

`start` is synchronous and touches nothing but lines: a door is ready before the journal is open.
`run` is supervised; started again after a fault it goes on from what is sensed (fire first) and from
the stored mode, never from a default.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from gateway.access import events
from gateway.access.commands import DoorView
from gateway.access.decision import Snapshot
from gateway.access.faces import FaceDesk
from gateway.access.inputs import SOURCES, wire_of
from gateway.access.outputs import DoorOutputs
from gateway.access.rules import lock as lock_rules
from gateway.access.rules import passage as passage_rules
from gateway.access.rules.door import (
    Contact,
    Door,
    Effect,
    Given,
    HoldReleased,
    RestLock,
    Unlock,
)
from gateway.access.rules.light import Effect as LightEffect
from gateway.access.rules.light import Input as LightInput
from gateway.access.rules.light import Light
from gateway.access.rules.lock import FIRES, Mode, Phase
from gateway.access.rules.passage import Leaf
from gateway.clock import Clock, Now
from gateway.config import schema
from gateway.errors import DriverError
from gateway.journal.event import Event
from gateway.lines import Lines
from gateway.machine import Expired, Inbox, LineFault, Machine, Tick, UnknownInput, drive
from gateway.vision.protocol import Candidates, Presence
from gateway.wire import RETRY

TICK = 1.0  # seconds between proofs of life, and between looks at levels whose edges may be lost
LIGHT_SOURCES = {"presence": 4, "passage": 2}


class DoorService:
    """One door. Everything but `run` is called from the loop and returns at once."""

    def __init__(
        self,
        door: str,
        config: schema.Door,
        lines: Lines,
        note: Callable[[Event], None],
        clock: Clock,
        snapshot: Callable[[], Snapshot],
        mode: Mode,
        needed_frames: int,
    ) -> None:
        self.id, self.config = door, config
        self._note, self._clock, self.snapshot, self._mode = note, clock, snapshot, mode
        self._lines = lines
        self._inbox = Inbox[Given](SOURCES)
        self._light_inbox = Inbox[LightInput](LIGHT_SOURCES)
        self.outputs = DoorOutputs(door, config, lines, note, self._line_fault)
        fitted = {"fire": config.fire, "exit_button": config.exit_button, "contact": config.contact}
        self._wires = {
            name: wire_of(door, name, conf, lines, self._inbox.put) for name, conf in fitted.items() if conf is not None
        }
        self._faces = FaceDesk(door, needed_frames)
        self.door = self._restored(clock.now(), frozenset())
        self.last_turn = clock.now().mono
        self._retry = 0.0
        self.refusing = False  # set while the daemon stops

    def start(self) -> None:
        """Claim every line, outputs at rest; what cannot be had is told as a fault, not raised."""
        self.outputs.claim()
        for wire in self._wires.values():
            wire.claim()
        self.door = self._restored(self._clock.now(), self.door.faults)

    async def run(self) -> None:
        """Turn until cancelled."""
        self._inbox.forget("fire", "exit", "contact", "command", "vision")
        self.door = self._restored(self._clock.now(), self.door.faults)
        self._apply_lock()
        for name in ("fire", "contact"):
            if name in self._wires:
                given = self._wires[name].now()
                if given is not None:
                    self.put("fire" if name == "fire" else "contact", given)
        async with asyncio.TaskGroup() as group:
            for wire in self._wires.values():
                group.create_task(wire.listen(), name=f"{self.id}.{wire.name}")
            group.create_task(self._ticks(), name=f"{self.id}.ticks")
            if self.config.light is not None:
                group.create_task(self._lights(self.config.light.linger), name=f"{self.id}.light")
            group.create_task(
                drive(self.door, self._inbox, Expired(), self._clock, self._perform, self._fault, self._turned),
                name=f"{self.id}.door",
            )

    def put(self, source: str, given: Given) -> bool:
        """Give the machine an input."""
        return self._inbox.put(source, given)

    def make_safe(self) -> None:
        """After a fault of the machine, until it runs again: at rest, except while fire is sensed."""
        fire = self._wires.get("fire")
        if fire is not None and fire.level:
            self.outputs.perform(HoldReleased())
        else:
            self.outputs.rest()

    def stop(self) -> None:
        """Refuse grants, rest every output; while fire is sensed the copper contact keeps the door open."""
        self.refusing = True
        self.outputs.rest()

    def candidates(self, seen: Candidates) -> None:
        """What the vision process says of a face before this door's camera."""
        if self.refusing or self.config.face == "off":
            return
        given = self._faces.judge(seen, self.snapshot(), self._clock.now())
        if given is not None:
            self.put("vision", given)

    def presence(self, seen: Presence) -> None:
        """Somebody is, or is no longer, before this door's camera."""
        if seen.looking and not self.refusing and self.config.face != "off":
            self.outputs.show("wait")
        if self.config.light is None:
            return
        dark = seen.brightness < self.config.light.below_brightness or self.config.light.below_brightness >= 1
        if not seen.present:
            self._light_inbox.put("presence", LightInput.ABSENT)
        else:
            self._light_inbox.put("presence", LightInput.PRESENT_DARK if dark else LightInput.PRESENT_BRIGHT)

    def blind(self) -> None:
        """The vision process is gone: nobody is seen any more."""
        self._light_inbox.put("presence", LightInput.ABSENT)

    def released(self) -> bool:
        """Whether the lock is released now, by whatever."""
        return self.door.lock.released

    def lock_trouble(self) -> DriverError | None:
        """Why the lock's line cannot be used; None where it can."""
        return self._lines.trouble(f"{self.id}.lock")

    def view(self, people: int) -> DoorView:
        """The door for `status`."""
        sensed = {True: "open", False: "closed", None: "unknown"}[self.door.open]
        alarms = {Leaf.FORCED: "forced", Leaf.HELD_OPEN: "held_open", Leaf.WARNING: "warning"}
        return DoorView(
            id=self.id,
            name=self.config.name,
            commanded=COMMANDED[self.door.lock.phase],
            sensed=sensed,
            alarm=alarms.get(self.door.passage.leaf, ""),
            mode=self.door.lock.mode.value,
            faults=tuple(sorted(self.door.faults)),
            whys=self._lines.whys(self.id, self.door.faults),
            lock=self.config.lock.kind,
            face=self.config.face,
            camera=self.config.camera or "",
            people=people,
            last_turn_age=round(self._clock.now().mono - self.last_turn, 3),
        )

    # --- the machine's hands

    def _perform(self, effect: Effect) -> None:
        self.outputs.perform(effect)
        if isinstance(effect, Unlock):
            self._light_inbox.put("passage", LightInput.PASSAGE)

    def _turned(self, machine: Machine[Given, Effect]) -> None:
        assert isinstance(machine, Door)
        self.door, self._mode, self.last_turn = machine, machine.lock.mode, self._clock.now().mono

    def _fault(self, given: Given, unknown: UnknownInput, now: Now) -> Door:
        self._note(events.DoorMachineFault(door=self.id, given=type(given).__name__, state=str(unknown.args[0])))
        self.door = self._restored(now, self.door.faults)
        self._apply_lock()
        return self.door

    def _line_fault(self, fault: LineFault) -> None:
        self.put("line", fault)

    def _restored(self, now: Now, faults: frozenset[str]) -> Door:
        """The door as sensed now, under its stored mode."""
        lock = self.config.lock
        settings = lock_rules.Settings(lock.open_for, lock.max_on, lock.mode == "maintained", lock.relock_on_open)
        times = passage_rules.Settings(self.config.held_open_after, self.config.pre_alarm)
        fire = "fire" in self._wires and self._wires["fire"].level is True
        door = Door(
            self.id,
            lock_rules.restored(settings, self._mode, fire=fire),
            passage_rules.Passage(times),
            faults=faults,
        )
        contact = self._wires.get("contact")
        if contact is not None and contact.level is not None:
            door, _ = door.advance(Contact(not contact.level), now)
        return door

    def _apply_lock(self) -> None:
        """Bring the lock's output to what the machine says: after a start, a fault, a line that came back."""
        phase = self.door.lock.phase
        if phase in FIRES or phase is Phase.HELD:
            self.outputs.perform(HoldReleased())
        elif self.door.lock.deadline is None:
            self.outputs.perform(RestLock())
        else:
            self.outputs.perform(Unlock(max(0.0, self.door.lock.deadline - self._clock.now().mono)))

    async def _ticks(self) -> None:
        while True:
            self.put("tick", Tick())
            for wire in self._wires.values():
                wire.sense_again()
            for refusal in () if self.refusing else self._faces.overdue(self._clock.now()):
                self.put("vision", refusal)
            now = self._clock.now().mono
            if now >= self._retry:
                self._retry = now + RETRY
                self._claim_again()
            await asyncio.sleep(TICK)

    def _claim_again(self) -> None:
        if self.outputs.lock is None and self.outputs.claim_lock():
            self.put("line", LineFault("lock", gone=False))
            self._apply_lock()
        for name in self.outputs.claim_lamps():
            self.put("line", LineFault(name, gone=False))

    async def _lights(self, linger: float) -> None:
        def perform(effect: LightEffect) -> None:
            self.outputs.lamp(on=effect is LightEffect.LAMP_ON)

        def fault(given: LightInput, unknown: UnknownInput, _now: Now) -> Light:
            self._note(events.DoorMachineFault(door=self.id, given=given.name, state=str(unknown.args[0])))
            self.outputs.lamp(on=False)
            return Light(linger)

        await drive(Light(linger), self._light_inbox, LightInput.EXPIRED, self._clock, perform, fault)


COMMANDED = {
    Phase.RESTING: "locked",
    Phase.OPENING: "open",
    Phase.HELD: "held",
    Phase.BLOCKED: "blocked",
    Phase.BLOCKED_OPENING: "open",
    Phase.FIRE: "fire",
    Phase.FIRE_HELD: "fire",
    Phase.FIRE_BLOCKED: "fire",
}
