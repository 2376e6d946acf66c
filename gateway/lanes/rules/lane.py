"""A lane: its arm, its sensors, its orders and its fire input under one roof. Pure: no I/O, no clock.

Theory of operation
    Every input changes what is known (a sensor, a limit, an order); then the arm is told what that means:
    free or occupied, where it is, whether it must stay up. `arm` alone decides about pulses.

    An arm that may be falling by itself (ADRIFT) while a sensor says 'occupied' is raised at once, however it came
    to be so: at a start, or when it left its upper limit over a car.

    `keep_up` is fire or an order to hold. While it stands, an arm that is not on its way up and not there
    is raised, and again each RETRY seconds: after a fault, after somebody moved it, after a line came back.

    A vehicle is counted by the loop, or by the photocell where no loop is fitted: it was there while the
    arm was up, and left.

    Limit switches that contradict each other are believed to do so after DOUBT seconds: edges of two wires may
    overtake each other. Nothing is closed meanwhile.

    Effects say what to do, in order: pulses first, notes afterwards.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.clock import Now
from gateway.journal.event import Event
from gateway.lanes import events
from gateway.lanes.rules import inputs as i
from gateway.lanes.rules import sense
from gateway.lanes.rules.arm import Act, Arm, Motion, Turn
from gateway.lanes.rules.inputs import (
    Drive,
    Effect,
    Given,
    Lamp,
    Mode,
    Pulse,
)
from gateway.lanes.rules.sense import Position
from gateway.lanes.rules.sensor import Sensor
from gateway.machine import Answer, Expired, LineFault, Note, Tick, UnknownInput

RETRY = 10.0  # seconds between attempts to raise an arm that must be up
DOUBT = 0.3  # seconds until limits that contradict each other are believed to do so
PRESS_AGAIN = 1.0  # seconds within which a button pressed again is the same press
VEHICLE = 0.3  # seconds on the loop below which it was no vehicle

PLACES = {
    Position.TOP: Turn.AT_TOP,
    Position.BOTTOM: Turn.AT_BOTTOM,
    Position.BETWEEN: Turn.BETWEEN,
    Position.CONTRADICTION: Turn.CONTRADICTION,
}
PULSES = {Act.OPEN: Pulse.OPEN, Act.CLOSE: Pulse.CLOSE, Act.STOP: Pulse.STOP}
ON_ITS_WAY = frozenset({Motion.RISING, Motion.UP})


@dataclass(frozen=True, slots=True)
class Lane:
    """One lane. `advance` is total over every `Given`."""

    id: str
    arm: Arm
    loop: Sensor
    beam: Sensor
    button: Sensor
    mode: Mode = Mode.NORMAL
    fire: bool = False
    up: bool | None = None
    down: bool | None = None
    place: Position = Position.UNFITTED  # what the arm was told
    doubt_at: float | None = None  # when a contradiction of the limits will be believed
    there_since: float | None = None  # a vehicle is under the raised arm
    broken_since: bool = False  # the beam was broken since the vehicle came
    passed: int = 0  # vehicles since the arm went up
    pressed_at: float = float("-inf")
    retry_at: float | None = None
    faults: frozenset[str] = frozenset()

    @property
    def deadline(self) -> float | None:
        """The nearest deadline, monotonic seconds."""
        sensors = (self.loop.deadline, self.beam.deadline, self.button.deadline)
        due = (self.arm.deadline, self.retry_at, self.doubt_at, *sensors)
        return min((at for at in due if at is not None), default=None)

    @property
    def position(self) -> Position:
        return sense.position(up=self.up, down=self.down, fitted=self.arm.settings.limits)

    @property
    def free(self) -> bool:
        """Every fitted sensor is believed, and says that nothing is there; without any, never."""
        clear = self.loop.believed
        return sense.free(
            loop=None if clear is None else not clear,
            beam=self.beam.believed,
            loop_fitted=self.loop.fitted,
            beam_fitted=self.beam.fitted,
        )

    @property
    def keep_up(self) -> bool:
        return self.fire or self.mode is Mode.HELD

    def advance(self, given: Given, now: Now) -> tuple[Lane, tuple[Effect, ...]]:
        """The lane after `given` at `now`, and what to do. Raises UnknownInput, and nothing else."""
        try:
            after, effects = self._advance(given, now)
            for follows in (Lane._guarded, Lane._kept_up):
                after, more = follows(after, now.mono)
                effects += more
        except KeyError as unlisted:
            raise UnknownInput((self.arm.motion,), given) from unlisted
        lamp = (Lamp(up),) if (up := after.arm.motion is Motion.UP) is not (self.arm.motion is Motion.UP) else ()
        moves = tuple(effect for effect in effects if isinstance(effect, Drive))
        rest = tuple(effect for effect in effects if not isinstance(effect, Drive))
        return after, (*moves, *lamp, *rest)

    def _advance(self, given: Given, now: Now) -> tuple[Lane, tuple[Effect, ...]]:  # noqa: C901  (one row an input)
        match given:
            case i.NotClosed():
                return self._turn(Turn.WITHHELD, now.mono)
            case i.Fire():
                return self._fire(given, now.mono)
            case i.Loop() | i.Beam():
                return self._sensor(given, now.mono)
            case i.LimitUp(reached):
                return replace(self, up=reached)._moved(now.mono)
            case i.LimitDown(reached):
                return replace(self, down=reached)._moved(now.mono)
            case i.Grant():
                return self._grant(given, now)
            case i.Button():
                return self._button(given, now)
            case i.Order():
                return self._order(given, now.mono)
            case i.Refusal():
                return self, (Note(self._refused(given)),)
            case LineFault():
                return self._line_fault(given)
            case Expired():
                return self._expired(now.mono)
            case Tick():
                return self._felt(now.mono, "")
            case _:
                raise KeyError(given)

    # --- one method an input

    def _grant(self, given: i.Grant, now: Now) -> tuple[Lane, tuple[Effect, ...]]:
        prolonged = self.arm.motion in ON_ITS_WAY
        lane, effects = self._turn(Turn.RAISE, now.mono)
        raised = events.LaneRaised(
            lane=self.id,
            by=given.by,
            prolonged=prolonged,
            vehicle=given.vehicle,
            person=given.person,
            actor=given.actor,
            command_id=given.command_id,
            reason=given.reason,
            how=given.how,
            log_p=given.log_p,
            votes=given.votes,
            frames=given.frames,
            track=given.track,
            clock_trusted=now.trusted,
        )
        answer = (Answer(given.token),) if given.token else ()
        return lane, (*effects, Note(raised), *answer)

    def _button(self, given: i.Button, now: Now) -> tuple[Lane, tuple[Effect, ...]]:
        was = self.button.clear
        clear = None if given.pressed is None else not given.pressed
        lane = replace(self, button=self.button.says(now.mono, clear=clear))
        told = lane._sensor_news(self, now.mono)
        if not given.pressed or was is False or now.mono - self.pressed_at < PRESS_AGAIN:
            return lane, told
        lane, effects = replace(lane, pressed_at=now.mono)._grant(i.Grant("button"), now)
        return lane, (*effects, *told)

    def _order(self, given: i.Order, now: float) -> tuple[Lane, tuple[Effect, ...]]:
        lane, effects = replace(self, mode=given.mode)._kept(now)
        changed = events.LaneModeChanged(
            lane=self.id,
            mode=given.mode.value,
            before=self.mode.value,
            actor=given.actor,
            command_id=given.command_id,
            reason=given.reason,
        )
        answer = (Answer(given.token),) if given.token else ()
        return lane, (*effects, Note(changed), *answer)

    def _fire(self, given: i.Fire, now: float) -> tuple[Lane, tuple[Effect, ...]]:
        if given.active is self.fire:
            return self, ()  # sensed again after a start, or a lost edge: nothing new
        lane, effects = replace(self, fire=given.active)._kept(now)
        return lane, (*effects, Note(events.LaneFire(lane=self.id, active=given.active)))

    def _sensor(self, given: i.Loop | i.Beam, now: float) -> tuple[Lane, tuple[Effect, ...]]:
        if isinstance(given, i.Loop):
            clear = None if given.occupied is None else not given.occupied
            lane = replace(self, loop=self.loop.says(now, clear=clear))
            because = lane.loop.name
        else:
            lane = replace(self, beam=self.beam.says(now, clear=given.clear))
            because = lane.beam.name
            if given.clear is False:
                lane = replace(lane, broken_since=True)
        lane, counted = lane._counted(now)
        lane, effects = lane._felt(now, because)
        return lane, (*effects, *counted, *lane._sensor_news(self, now))

    def _expired(self, now: float) -> tuple[Lane, tuple[Effect, ...]]:
        lane = replace(self, loop=self.loop.expired(now), beam=self.beam.expired(now), button=self.button.expired(now))
        told = lane._sensor_news(self, now)
        effects: tuple[Effect, ...] = ()
        if lane.doubt_at is not None and lane.doubt_at <= now:
            lane, effects = replace(lane, doubt_at=None)._placed(Position.CONTRADICTION, now)
        if lane.arm.deadline is not None and lane.arm.deadline <= now:
            if lane.doubt_at is not None and lane.arm.motion is Motion.UP:
                lane = replace(lane, arm=replace(lane.arm, deadline=lane.doubt_at))
            else:
                lane, expired = lane._turn(Turn.EXPIRED, now)
                effects += expired
        if lane.retry_at is not None and lane.retry_at <= now:
            lane = replace(lane, retry_at=None)  # `_kept_up` raises it, if it is still not there
        lane, felt = lane._felt(now, "")
        return lane, (*effects, *felt, *told)

    def _line_fault(self, given: LineFault) -> tuple[Lane, tuple[Effect, ...]]:
        faults = self.faults | {given.line} if given.gone else self.faults - {given.line}
        if faults == self.faults:
            return self, ()
        event = events.LaneLineFault(lane=self.id, line=given.line, gone=given.gone, problem=given.problem)
        return replace(self, faults=faults), (Note(event),)

    # --- what the arm is told

    def _felt(self, now: float, because: str) -> tuple[Lane, tuple[Effect, ...]]:
        """Tell the arm whether it is free, where that is news."""
        if self.free is self.arm.free:
            return self, ()
        return self._turn(Turn.FREED if self.free else Turn.OCCUPIED, now, because)

    def _moved(self, now: float) -> tuple[Lane, tuple[Effect, ...]]:
        """Tell the arm where it is, where that is news."""
        position = self.position
        if position is Position.CONTRADICTION and self.place is not position:
            return replace(self, doubt_at=now + DOUBT if self.doubt_at is None else self.doubt_at), ()
        lane = replace(self, doubt_at=None)
        if position in (self.place, Position.UNFITTED):
            return lane, ()
        return lane._placed(position, now)

    def _placed(self, position: Position, now: float) -> tuple[Lane, tuple[Effect, ...]]:
        lane, effects = replace(self, place=position)._turn(PLACES[position], now)
        if Position.CONTRADICTION in (position, self.place):
            over = position is not Position.CONTRADICTION
            effects += (Note(events.LaneContradiction(lane=self.id, what="limits", over=over)),)
        return lane, effects

    def _kept(self, now: float) -> tuple[Lane, tuple[Effect, ...]]:
        """After fire or an order changed."""
        lane = replace(self, arm=replace(self.arm, keep_up=self.keep_up), retry_at=None)
        if lane.keep_up:
            return lane, ()  # `_kept_up` raises it
        return lane._turn(Turn.LET_DOWN, now) if self.arm.keep_up else (lane, ())

    def _guarded(self, now: float) -> tuple[Lane, tuple[Effect, ...]]:
        """An arm that may be falling by itself is raised while something is under it."""
        under = next((s for s in (self.loop, self.beam) if s.fitted and s.believed is False), None)
        if self.arm.motion is not Motion.ADRIFT or under is None:
            return self, ()
        return self._turn(Turn.OCCUPIED, now, under.name)

    def _kept_up(self, now: float) -> tuple[Lane, tuple[Effect, ...]]:
        """An arm that must be up and is not on its way is raised, at most once in RETRY seconds."""
        if not self.keep_up or self.arm.motion in ON_ITS_WAY:
            return (self, ()) if self.retry_at is None else (replace(self, retry_at=None), ())
        if self.retry_at is not None and self.arm.motion is not Motion.LOWERING:
            return self, ()
        lane, effects = self._turn(Turn.RAISE, now)
        return lane, effects

    def _turn(self, turn: Turn, now: float, because: str = "") -> tuple[Lane, tuple[Effect, ...]]:
        arm, acts = self.arm.advance(turn, now)
        lane = replace(self, arm=arm)
        if arm.motion is Motion.FAULT and self.keep_up:
            lane = replace(lane, retry_at=now + RETRY)
        effects: list[Effect] = []
        for act in acts:
            if act in PULSES:
                effects.append(Drive(PULSES[act]))
            elif act is not Act.TELL_RAISED:
                effects.append(Note(self._told(act, arm, because)))
        if arm.motion is Motion.DOWN and self.arm.motion is not Motion.DOWN:
            lane = replace(lane, passed=0, there_since=None)
        if arm.motion is Motion.RISING and self.arm.motion is not Motion.RISING and self.position is Position.TOP:
            lane, _ = lane._turn(Turn.AT_TOP, now)  # it is there already: no edge will say so
        return lane, tuple(effects)

    def _told(self, act: Act, after: Arm, because: str) -> Event:
        before = self.arm.motion
        match act:
            case Act.TELL_LOWERED:
                return events.LaneLowered(lane=self.id, passed=self.passed, sensed=self.arm.settings.limits)
            case Act.TELL_REVERSED:
                return events.LaneReversed(lane=self.id, because=because or self._suspect())
            case Act.TELL_LATE:
                within = self.arm.settings.travel
                return events.LaneLate(lane=self.id, going="up" if before is Motion.RISING else "down", within=within)
            case Act.TELL_MOVED:
                return events.LaneMoved(lane=self.id, before=before.name.lower(), after=after.motion.name.lower())
            case _:
                raise KeyError(act)

    def _suspect(self) -> str:
        doubted = [s.name for s in (self.loop, self.beam) if s.fitted and not s.believed]
        return doubted[0] if doubted else ""

    # --- vehicles and sensors

    def _counted(self, now: float) -> tuple[Lane, tuple[Effect, ...]]:
        """Whether a vehicle came, or has left."""
        sensor = self.loop if self.loop.fitted else self.beam
        up = self.arm.motion in ON_ITS_WAY
        if sensor.clear is False and self.there_since is None and up:
            return replace(self, there_since=now, broken_since=self.beam.clear is False), ()
        if sensor.clear is not True or self.there_since is None:
            return self, ()
        lasted, lane = now - self.there_since, replace(self, there_since=None)
        if lasted < VEHICLE or not up:
            return lane, ()
        if self.loop.fitted and self.beam.fitted:
            missed = 0 if self.broken_since else self.beam.missed + 1
            lane = replace(lane, beam=replace(self.beam, missed=missed))
        passed = Note(events.LanePassed(lane=self.id, seconds=round(lasted, 1)))
        return replace(lane, passed=self.passed + 1), (passed,)

    def _sensor_news(self, before: Lane, now: float) -> tuple[Effect, ...]:
        """What changed in how sensors behave."""
        told: list[Effect] = []
        for was, sensor in ((before.loop, self.loop), (before.beam, self.beam), (before.button, self.button)):
            if sensor.stuck is not was.stuck:
                seconds = round(now - (sensor.since or was.since or now), 1)
                stuck = events.LaneSensorStuck(lane=self.id, sensor=sensor.name, seconds=seconds, over=not sensor.stuck)
                told.append(Note(stuck))
            if sensor.restless is not was.restless:
                told.append(Note(events.LaneContradiction(lane=self.id, what=sensor.name, over=not sensor.restless)))
        if self.beam.blind is not before.beam.blind:
            blind = events.LaneContradiction(lane=self.id, what="photocell_blind", over=not self.beam.blind)
            told.append(Note(blind))
        return tuple(told)

    def _refused(self, given: i.Refusal) -> events.LaneRefused:
        return events.LaneRefused(
            lane=self.id,
            by=given.by,
            code=given.code,
            vehicle=given.vehicle,
            person=given.person,
            log_p=given.log_p,
            votes=given.votes,
            frames=given.frames,
            track=given.track,
        )
