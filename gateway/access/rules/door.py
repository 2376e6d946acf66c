"""A door: its lock and its leaf under one roof. Pure: no I/O, no clock.

Theory of operation
    An input meets the leaf before the lock when it comes from the leaf, because whether an
    opening had a reason is a question about the lock as it was; it meets the lock first when it
    comes from anywhere else, because a grant explains a leaf that moves a moment later or moved
    a moment before. Fire is an input like any other, only earlier in the queue.

    Effects say what to do, in order: outputs first, notes afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from gateway.access import events
from gateway.access.events import By
from gateway.access.rules.lock import EXIT_REST, FIRES, Act, Lock, Mode, Phase, Turn
from gateway.access.rules.passage import GRACE, OPEN, Passage, Sign, Tell
from gateway.clock import Now
from gateway.machine import Answer, Expired, LineFault, Note, Tick, UnknownInput

# --- inputs


@dataclass(frozen=True, slots=True)
class Grant:
    """Somebody may pass. `token` names who waits for the answer; 0 = nobody."""

    by: By
    person: str = ""
    actor: str = ""
    command_id: str = ""
    reason: str = ""
    distance: float | None = None
    threshold: float | None = None
    second: str = ""
    second_distance: float | None = None
    generation: int | None = None
    track: int | None = None
    token: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """Somebody asked and may not pass: decided elsewhere, shown and recorded here."""

    by: By
    code: str
    person: str = ""
    distance: float | None = None
    threshold: float | None = None
    track: int | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """A standing order."""

    mode: Mode
    actor: str = ""
    command_id: str = ""
    reason: str = ""
    token: int = 0


@dataclass(frozen=True, slots=True)
class ExitButton:
    pressed: bool


@dataclass(frozen=True, slots=True)
class Contact:
    """The leaf as sensed; None when the wire is gone."""

    opened: bool | None


@dataclass(frozen=True, slots=True)
class Fire:
    active: bool


Given = Grant | Refusal | Order | ExitButton | Contact | Fire | LineFault | Tick | Expired

# --- effects


@dataclass(frozen=True, slots=True)
class Unlock:
    """Energise the lock's output for so many seconds."""

    seconds: float


@dataclass(frozen=True, slots=True)
class HoldReleased:
    """Energise the lock's output until told otherwise."""


@dataclass(frozen=True, slots=True)
class RestLock:
    """De-energise the lock's output."""


@dataclass(frozen=True, slots=True)
class Show:
    """Tell the person at the door: 'granted', 'denied', 'warn' (buzzer on), 'hush' (buzzer off), 'fault', 'well'."""

    what: str


Effect = Unlock | HoldReleased | RestLock | Show | Note | Answer

ORDERS = {Mode.NORMAL: Turn.NORMAL, Mode.HELD: Turn.HOLD, Mode.BLOCKED: Turn.BLOCK}


@dataclass(frozen=True, slots=True)
class Door:
    """One door. `advance` is total over every `Given`."""

    id: str
    lock: Lock
    passage: Passage
    rested_at: float = float("-inf")  # when the lock last fell back
    exit_down: bool = False  # the exit button is held, as far as was told
    exit_due: float | None = None  # a press that came too soon after a movement counts then, if it is still held
    faults: frozenset[str] = field(default=frozenset())

    @property
    def deadline(self) -> float | None:
        """The nearest of the deadlines, monotonic seconds."""
        due = [at for at in (self.lock.deadline, self.passage.deadline, self.exit_due) if at is not None]
        return min(due, default=None)

    def advance(self, given: Given, now: Now) -> tuple[Door, tuple[Effect, ...]]:
        """The door after `given` at `now`, and what to do. Raises UnknownInput, and nothing else."""
        try:
            return self._advance(given, now)
        except KeyError as unlisted:
            raise UnknownInput((self.lock.phase, self.passage.leaf), given) from unlisted

    def _advance(self, given: Given, now: Now) -> tuple[Door, tuple[Effect, ...]]:
        match given:
            case Grant():
                return self._grant(given, now)
            case ExitButton(pressed):
                return self._exit_button(now, pressed=pressed)
            case Contact():
                return self._contact(given, now)
            case Fire():
                return self._fire(given, now)
            case Order():
                return self._order(given, now)
            case Expired():
                return self._expired(now)
            case Refusal():
                shown = () if self.lock.released else (Show("denied"),)  # a resident's guest is let be
                return self, (*shown, Note(self._refused(given)))
            case LineFault():
                return self._line_fault(given)
            case Tick():
                return self, ()
            case _:
                raise KeyError(given)

    # --- one method an input

    def _grant(self, given: Grant, now: Now) -> tuple[Door, tuple[Effect, ...]]:
        turn = Turn.EXIT if given.by == "exit" else Turn.GRANT
        door, effects, acts = self._lock(turn, now)
        if Act.REFUSE in acts:
            refused = Refusal(given.by, "blocked", given.person, given.distance, given.threshold, given.track)
            event = self._refused(refused, given.actor, given.command_id)
            answer = (Answer(given.token, done=False, code="blocked"),) if given.token else ()
            return door, (*effects, Show("denied"), Note(event), *answer)
        door, told = door._leaf(Sign.REASON, now)
        seconds = (door.lock.deadline or now.mono) - now.mono
        opened = events.DoorOpened(
            door=self.id,
            by=given.by,
            seconds=round(seconds, 3),
            prolonged=Act.PROLONG in acts,
            person=given.person,
            actor=given.actor,
            command_id=given.command_id,
            reason=given.reason,
            distance=given.distance,
            threshold=given.threshold,
            second=given.second,
            second_distance=given.second_distance,
            generation=given.generation,
            track=given.track,
            clock_trusted=now.trusted,
        )
        answer = (Answer(given.token),) if given.token else ()
        return door, (*effects, Show("granted"), Note(opened), *told, *answer)

    def _exit_button(self, now: Now, *, pressed: bool) -> tuple[Door, tuple[Effect, ...]]:
        """A press counts once: at once when the button had rested, else when it has been held for EXIT_REST."""
        if not pressed:
            return replace(self, lock=self.lock.exit_moved(now.mono), exit_down=False, exit_due=None), ()
        if self.exit_down:
            return self, ()
        held = replace(self, exit_down=True)
        if self.lock.exit_rested(now.mono):
            return held._grant(Grant(by="exit"), now)
        return replace(held, lock=self.lock.exit_moved(now.mono), exit_due=now.mono + EXIT_REST), ()

    def _contact(self, given: Contact, now: Now) -> tuple[Door, tuple[Effect, ...]]:
        if given.opened is None:
            return self._leaf(Sign.LOST, now)
        if not given.opened:
            door, told = self._leaf(Sign.CLOSED, now)
            door, moved, _ = door._lock(Turn.LEAF_CLOSED, now)
            return door, (*moved, *told)
        if self._open_by_order():
            sign = Sign.OPENED_IN_HOLD
        elif self.lock.released or now.mono - self.rested_at <= GRACE:
            sign = Sign.OPENED_WITH_REASON
        else:
            sign = Sign.OPENED_WITHOUT
        door, told = self._leaf(sign, now)
        door, moved, _ = door._lock(Turn.LEAF_OPENED, now)
        return door, (*moved, *told)

    def _fire(self, given: Fire, now: Now) -> tuple[Door, tuple[Effect, ...]]:
        was = self.lock.phase in FIRES
        door, effects, _ = self._lock(Turn.FIRE if given.active else Turn.FIRE_CLEAR, now)
        if given.active == was:
            return door, effects  # sensed again after a start, or a lost edge: nothing new to tell
        door, told = door._holding(now)
        return door, (*effects, *told, Note(events.DoorFire(door=self.id, active=given.active)))

    def _order(self, given: Order, now: Now) -> tuple[Door, tuple[Effect, ...]]:
        before = self.lock.mode
        door, effects, _ = self._lock(ORDERS[given.mode], now)
        door, told = door._holding(now)
        answer = (Answer(given.token),) if given.token else ()
        changed = events.DoorModeChanged(
            door=self.id,
            mode=given.mode.value,
            before=before.value,
            actor=given.actor,
            command_id=given.command_id,
            reason=given.reason,
        )
        return door, (*effects, *told, Note(changed), *answer)

    def _expired(self, now: Now) -> tuple[Door, tuple[Effect, ...]]:
        door, effects = self, tuple[Effect, ...]()
        if door.lock.deadline is not None and door.lock.deadline <= now.mono:
            door, effects, _ = door._lock(Turn.EXPIRED, now)
        if door.exit_due is not None and door.exit_due <= now.mono:
            door, opened = replace(door, exit_due=None)._grant(Grant(by="exit"), now)
            effects = (*effects, *opened)
        if door.passage.deadline is not None and door.passage.deadline <= now.mono:
            door, told = door._leaf(Sign.EXPIRED, now)
            effects = (*effects, *told)
        return door, effects

    def _line_fault(self, given: LineFault) -> tuple[Door, tuple[Effect, ...]]:
        faults = self.faults | {given.line} if given.gone else self.faults - {given.line}
        if faults == self.faults:
            return self, ()
        event = events.DoorLineFault(door=self.id, line=given.line, gone=given.gone, problem=given.problem)
        return replace(self, faults=faults), (Show("fault" if faults else "well"), Note(event))

    # --- the two tables, and what they mean here

    def _lock(self, turn: Turn, now: Now) -> tuple[Door, tuple[Effect, ...], tuple[Act, ...]]:
        lock, acts = self.lock.advance(turn, now.mono)
        door = replace(self, lock=lock, rested_at=now.mono if Act.REST in acts else self.rested_at)
        effects: list[Effect] = []
        for act in acts:
            if act in (Act.OPEN, Act.PROLONG):
                effects.append(Unlock((lock.deadline or now.mono) - now.mono))
            elif act is Act.HOLD:
                effects.append(HoldReleased())
            elif act is Act.REST:
                effects.append(RestLock())
        return door, tuple(effects), acts

    def _leaf(self, sign: Sign, now: Now) -> tuple[Door, tuple[Effect, ...]]:
        passage, tells = self.passage.advance(sign, now.mono)
        lasted = round(now.mono - passage.since, 3)
        effects = tuple(effect for tell in tells for effect in self._told(tell, lasted))
        return replace(self, passage=passage), effects

    def _told(self, tell: Tell, lasted: float) -> tuple[Effect, ...]:
        match tell:
            case Tell.PASSED:
                return (Note(events.DoorPassed(door=self.id, open_seconds=lasted)),)
            case Tell.FORCED:
                return Show("warn"), Note(events.DoorForced(door=self.id))
            case Tell.FORCED_ENDED:
                return Show("hush"), Note(events.DoorForcedEnded(door=self.id, open_seconds=lasted))
            case Tell.HELD_OPEN:
                return (Note(events.DoorHeldOpen(door=self.id, open_seconds=lasted)),)
            case Tell.HELD_OPEN_ENDED:
                return (Note(events.DoorHeldOpenEnded(door=self.id, open_seconds=lasted)),)
            case Tell.WARN:
                return (Show("warn"),)
            case Tell.HUSH:
                return (Show("hush"),)

    def _open_by_order(self) -> bool:
        return self.lock.phase in FIRES or self.lock.phase is Phase.HELD

    def _holding(self, now: Now) -> tuple[Door, tuple[Effect, ...]]:
        """Tell the leaf whether the door is held after a change of order or of fire."""
        return self._leaf(Sign.HOLD if self._open_by_order() else Sign.HOLD_ENDED, now)

    def _refused(self, given: Refusal, actor: str = "", command_id: str = "") -> events.DoorRefused:
        return events.DoorRefused(
            door=self.id,
            by=given.by,
            code=given.code,
            person=given.person,
            actor=actor,
            command_id=command_id,
            distance=given.distance,
            threshold=given.threshold,
            track=given.track,
        )

    @property
    def open(self) -> bool | None:
        """The leaf as sensed: True open, False closed, None unknown."""
        return None if self.passage.sensed is None else self.passage.leaf in OPEN
