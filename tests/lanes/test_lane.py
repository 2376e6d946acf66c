"""A lane over long random histories with faults: it never closes on anybody, never gets stuck, never forgets fire."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from datetime import UTC, datetime

import pytest

from gateway.clock import Now
from gateway.lanes import events
from gateway.lanes.rules import inputs as i
from gateway.lanes.rules.arm import Motion, Settings
from gateway.lanes.rules.inputs import (
    Drive,
    Effect,
    Given,
    Mode,
    Pulse,
)
from gateway.lanes.rules.lane import RETRY, Lane
from gateway.lanes.rules.start import Fitted, Sensed, restored
from gateway.machine import Answer, Expired, LineFault, Note, Tick, UnknownInput

WALL = datetime(2026, 11, 24, tzinfo=UTC)
LONG = bool(os.environ.get("LOUMEN_LONG"))
STEPS = 1_000_000 if LONG else 100_000
HISTORIES = 20


def at(seconds: float) -> Now:
    return Now(seconds, seconds, WALL)


def built(*, limits: bool = True, loop: bool = True, beam: bool = True) -> Fitted:
    return Fitted(Settings(travel=6, close_after=1, stay_open=15, limits=limits), 60.0, loop=loop, beam=beam)


def lane(fitted: Fitted | None = None, **sensed: bool | None) -> Lane:
    levels: dict[str, bool | None] = {"occupied": False, "clear": True, "up": False, "down": True, **sensed}
    return restored("gate", fitted or built(), Sensed(**levels), Mode.NORMAL, frozenset(), 0.0)  # type: ignore[arg-type]


class History:
    """Plays random inputs, faults and pauses, and checks every turn against what the wires really say."""

    def __init__(self, seed: int) -> None:
        self.random = random.Random(seed)
        self.fitted = built(
            limits=self.random.random() < 0.8, loop=self.random.random() < 0.8, beam=self.random.random() < 0.8
        )
        self.now = 0.0
        self.occupied: bool | None = self._level()
        self.clear: bool | None = self._level()
        self.fire = self.random.random() < 0.2
        sensed = Sensed(
            occupied=self.occupied if self.fitted.loop else None,
            clear=self.clear if self.fitted.beam else None,
            up=self._level() if self.fitted.arm.limits else None,
            down=self._level() if self.fitted.arm.limits else None,
            fire=self.fire,
        )
        self.lane = restored("gate", self.fitted, sensed, self._mode(), frozenset(), 0.0)
        self.closings = self.reversals = 0

    def _level(self) -> bool | None:
        return self.random.choice((True, False, False, True, None))

    def _mode(self) -> Mode:
        return self.random.choice((Mode.NORMAL, Mode.NORMAL, Mode.NORMAL, Mode.HELD))

    def step(self) -> None:
        if self.random.random() < 0.02 and self.fitted.beam:  # a loose wire
            for _ in range(self.random.randrange(24)):
                self.clear = not self.clear
                self.give(i.Beam(self.clear))
                self.wait(0.05)
        if self.random.random() < 0.01:
            self.restart()
        self.give(self._next())
        self.wait(self.random.choice((0.0, 0.0, 0.001, 0.1, 0.5, 1.0, 4.0, 20.0, 100.0)))

    def restart(self) -> None:
        """The daemon is killed and starts again: as sensed, under the stored order, and nothing moves by that alone."""
        sensed = Sensed(
            occupied=self.occupied if self.fitted.loop else None,
            clear=self.clear if self.fitted.beam else None,
            up=self.lane.up,
            down=self.lane.down,
            fire=self.fire,
        )
        mode, closing = self.lane.mode, self.lane.arm.motion is Motion.LOWERING
        self.lane = restored("gate", self.fitted, sensed, mode, self.lane.faults, self.now)
        assert self.lane.arm.motion not in {Motion.RISING, Motion.LOWERING}, "a pulse that nobody gave"
        pulses = {effect.pulse for effect in self.give(Tick()) if isinstance(effect, Drive)}
        assert Pulse.CLOSE not in pulses
        if self.fire or mode is Mode.HELD:
            assert self.lane.mode is mode
            assert self.lane.arm.motion in {Motion.RISING, Motion.UP}, f"forgotten by a restart (closing: {closing})"

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        turns = 0
        while (due := self.lane.deadline) is not None and due <= until:
            self.now = max(self.now, due)
            self.give(Expired())
            turns += 1
            assert turns < 100, f"it does not come to rest: {self.lane}"
        self.now = until

    def _next(self) -> Given:
        kind = self.random.randrange(13)
        if kind <= 2 and self.fitted.loop:
            self.occupied = self._level()
            return i.Loop(self.occupied)
        if kind <= 4 and self.fitted.beam:
            self.clear = self._level()
            return i.Beam(self.clear)
        if kind <= 6 and self.fitted.arm.limits:
            return self.random.choice((i.LimitUp, i.LimitDown))(self._level())
        if kind == 7:
            self.fire = self.random.random() < 0.3
            return i.Fire(self.fire)
        if kind == 8:
            return i.Order(self._mode(), token=1)
        if kind == 9:
            return i.Button(self._level())
        if kind == 10:
            return self.random.choice((i.NotClosed(), Tick(), i.Refusal("plate", "unknown")))
        if kind == 11:
            return LineFault(self.random.choice(("loop", "open")), gone=self.random.random() < 0.5)
        return i.Grant("plate", vehicle="v1", token=2)

    def give(self, given: Given) -> tuple[Effect, ...]:
        before = self.lane
        self.lane, effects = before.advance(given, at(self.now))
        pulses = [effect.pulse for effect in effects if isinstance(effect, Drive)]
        safe = (
            (self.fitted.loop or self.fitted.beam)
            and (not self.fitted.loop or self.occupied is False)
            and (not self.fitted.beam or self.clear is True)
        )
        if Pulse.CLOSE in pulses:
            self.closings += 1
            assert isinstance(given, Expired), "nothing but the deadline closes"
            assert safe, f"closed while loop says {self.occupied} and photocell {self.clear}"
            assert not self.fire, "closed during a fire"
            assert self.lane.mode is Mode.NORMAL, "closed against an order"
            assert before.doubt_at is None, "closed while its limits contradict each other"
            assert not self.lane.loop.restless
            assert not self.lane.beam.restless
            assert not self.lane.beam.blind
            assert Pulse.OPEN not in pulses
        if before.arm.motion is Motion.LOWERING and not safe and not isinstance(given, i.NotClosed):
            assert self.lane.arm.motion is not Motion.LOWERING, "it goes on falling"
            if isinstance(given, i.Loop | i.Beam):
                self.reversals += 1
                assert pulses[:2] == [Pulse.STOP, Pulse.OPEN]
        under = (self.fitted.loop and self.lane.loop.believed is False) or (
            self.fitted.beam and self.lane.beam.believed is False
        )
        assert not (under and self.lane.arm.motion is Motion.ADRIFT), "it may be falling on somebody"
        if self.fire or self.lane.mode is Mode.HELD:
            on_its_way = self.lane.arm.motion in (Motion.RISING, Motion.UP)
            assert on_its_way or (self.lane.retry_at or 0) > self.now, f"it must be up: {self.lane.arm}"
        if self.lane.deadline is not None and isinstance(given, Expired):
            assert self.lane.deadline > self.now
        return effects


@pytest.mark.timeout(1200 if LONG else 300)
def test_random_histories_with_faults() -> None:
    """100,000 steps; a million with LOUMEN_LONG=1, as the nightly form has it."""
    played(STEPS)


@pytest.mark.nightly
@pytest.mark.timeout(1200)
def test_a_million_steps() -> None:
    played(1_000_000)


def played(steps: int) -> None:
    closings = reversals = 0
    for seed in range(HISTORIES):
        history = History(seed)
        for _ in range(steps // HISTORIES):
            history.step()
        closings += history.closings
        reversals += history.reversals
    assert closings > steps // 1000, f"a lane that never closes proves nothing: {closings}"
    assert reversals > 10, f"nobody stepped under it: {reversals}"


def test_what_is_no_input_is_said() -> None:
    with pytest.raises(UnknownInput):
        lane().advance("noise", at(0))  # type: ignore[arg-type]


def notes(effects: tuple[Effect, ...]) -> list[str]:
    return [effect.event.type_name() for effect in effects if isinstance(effect, Note)]


def test_a_button_pressed_again_at_once_is_one_press() -> None:
    one, effects = lane().advance(i.Button(pressed=True), at(1))
    assert notes(effects) == ["lane.raised.v1"]
    one, _ = one.advance(i.Button(pressed=False), at(1.1))
    one, effects = one.advance(i.Button(pressed=True), at(1.2))
    assert notes(effects) == []
    one, _ = one.advance(i.Button(pressed=False), at(3))
    _, effects = one.advance(i.Button(pressed=True), at(3.1))
    assert notes(effects) == ["lane.raised.v1"]


def test_fire_beats_a_falling_arm_and_is_tried_again_after_a_fault() -> None:
    falling = lane(up=True, down=False)
    falling, effects = falling.advance(Expired(), at(15))
    assert [effect.pulse for effect in effects if isinstance(effect, Drive)] == [Pulse.CLOSE]
    falling, _ = falling.advance(i.LimitUp(reached=False), at(16))
    rising, effects = falling.advance(i.Fire(active=True), at(17))
    assert [effect.pulse for effect in effects if isinstance(effect, Drive)] == [Pulse.STOP, Pulse.OPEN]
    assert notes(effects) == ["lane.fire.v1"]
    late, effects = rising.advance(Expired(), at(23))
    assert notes(effects) == ["lane.late.v1"]
    assert late.deadline == 23 + RETRY
    _, effects = late.advance(Expired(), at(23 + RETRY))
    assert [effect.pulse for effect in effects if isinstance(effect, Drive)] == [Pulse.OPEN]


def test_a_closing_that_was_withheld_is_no_closing() -> None:
    falling, _ = lane(up=True, down=False).advance(Expired(), at(15))
    up, effects = falling.advance(i.NotClosed(), at(15))
    assert up.arm.motion is Motion.UP
    assert effects == (i.Lamp(on=True),)
    up, _ = up.advance(Tick(), at(16))
    assert up.deadline == 17, "free again: after the pause for a vehicle that has left"


def test_the_answer_names_who_asked() -> None:
    _, effects = lane().advance(i.Grant("command", actor="uid:1", token=7), at(1))
    assert Answer(7) in effects
    _, effects = lane().advance(i.Order(Mode.HELD, token=8), at(1))
    assert Answer(8) in effects


@pytest.mark.parametrize(
    ("up", "down", "motion", "deadline"),
    [
        (None, True, Motion.FAULT, None),
        (True, True, Motion.FAULT, None),
        (False, False, Motion.ADRIFT, 6.0),
        (True, False, Motion.UP, 15.0),
        (False, True, Motion.DOWN, None),
    ],
)
def test_what_a_start_finds(up: bool | None, down: bool | None, motion: Motion, deadline: float | None) -> None:
    found = lane(up=up, down=down)
    assert found.arm.motion is motion
    assert found.deadline == deadline


def pulses(effects: tuple[Effect, ...]) -> list[Pulse]:
    return [effect.pulse for effect in effects if isinstance(effect, Drive)]


def test_an_arm_that_may_fall_by_itself_is_raised_over_whoever_is_under_it() -> None:
    """The daemon was killed while the arm fell; or the guard's remote control closes it."""
    started, effects = lane(up=False, down=False, occupied=True).advance(Tick(), at(0.1))
    assert (pulses(effects), notes(effects)) == ([Pulse.STOP, Pulse.OPEN], ["lane.reversed.v1"])
    assert started.arm.motion is Motion.RISING
    clear, effects = lane(up=False, down=False).advance(Tick(), at(0.1))
    assert pulses(effects) == [], "nothing moves by a start alone"
    _, effects = clear.advance(i.Beam(clear=False), at(2))
    assert pulses(effects) == [Pulse.STOP, Pulse.OPEN]
    _, effects = lane(up=False, down=False, clear=None).advance(Tick(), at(0.1))
    assert pulses(effects) == [], "a wire that says nothing is no reason to move an arm at a start"
    lost, effects = clear.advance(Expired(), at(6))
    assert (lost.arm.motion, effects) == (Motion.LOST, ())
    _, effects = lost.advance(i.Loop(occupied=True), at(7))
    assert pulses(effects) == [], "a stranger's car does not raise an arm that only stands there"

    blind = lane(built(limits=False), up=None, down=None, occupied=True)
    assert blind.arm.motion is Motion.LOST
    _, effects = blind.advance(Tick(), at(0.1))
    assert pulses(effects) == [], "without limit switches a car that waits at a start raises nothing"

    up = lane(up=True, down=False, occupied=True)
    _, effects = up.advance(i.LimitUp(reached=False), at(5))
    assert (pulses(effects), notes(effects)) == ([Pulse.STOP, Pulse.OPEN], ["lane.moved.v1", "lane.reversed.v1"])
    free, effects = lane(up=True, down=False).advance(i.LimitUp(reached=False), at(5))
    assert pulses(effects) == []
    _, effects = free.advance(i.Loop(occupied=True), at(6))
    assert pulses(effects) == [Pulse.STOP, Pulse.OPEN]
    lifted, effects = lane().advance(i.LimitDown(reached=False), at(5))
    assert lifted.arm.motion is Motion.LOST, "lifted by hand from below: it does not fall, and helps nobody in"


def test_edges_of_the_limits_that_overtake_each_other_are_no_contradiction() -> None:
    rising, _ = lane().advance(i.Grant("button"), at(0))
    rising, effects = rising.advance(i.LimitUp(reached=True), at(3))
    assert notes(effects) == []
    up, effects = rising.advance(i.LimitDown(reached=False), at(3.01))
    assert (up.arm.motion, notes(effects)) == (Motion.UP, [])
    assert up.deadline == pytest.approx(3.01 + 15)
    doubtful, _ = rising.advance(Tick(), at(3.1))
    fault, effects = doubtful.advance(Expired(), at(3.3))
    assert (fault.arm.motion, notes(effects)) == (Motion.FAULT, ["lane.contradiction.v1"])


def test_nothing_is_closed_while_the_limits_are_in_doubt() -> None:
    doubtful, _ = lane(up=True, down=False).advance(i.LimitDown(reached=True), at(14.9))
    waits, effects = doubtful.advance(Expired(), at(15))
    assert effects == ()
    fault, effects = waits.advance(Expired(), at(15.3))
    assert (fault.arm.motion, notes(effects)) == (Motion.FAULT, ["lane.contradiction.v1"])


def test_several_cars_through_one_opening() -> None:
    one = lane(up=True, down=False)
    for begin in (1.0, 4.0):
        one, _ = one.advance(i.Beam(clear=False), at(begin))
        one, _ = one.advance(i.Loop(occupied=True), at(begin))
        one, _ = one.advance(i.Beam(clear=True), at(begin + 1))
        one, effects = one.advance(i.Loop(occupied=False), at(begin + 1))
        assert "lane.passed.v1" in notes(effects)
    one = replace(one, arm=replace(one.arm, motion=Motion.LOWERING))
    one, effects = one.advance(i.LimitUp(reached=False), at(9))
    _, effects = one.advance(i.LimitDown(reached=True), at(10))
    lowered = next(effect.event for effect in effects if isinstance(effect, Note))
    assert lowered == events.LaneLowered(lane="gate", passed=2, sensed=True)
