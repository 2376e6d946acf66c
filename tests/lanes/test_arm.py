"""What the arm does for people who drive through, and what it never does, over any history."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.lanes.rules import arm as rules
from gateway.lanes.rules.arm import Act, Arm, Motion, Settings, Turn
from gateway.lanes.rules.sense import Position, free, position


@dataclass
class Bench:
    """Plays a history and remembers what the drive was told."""

    arm: Arm
    now: float = 0.0
    acts: list[Act] = field(default_factory=list)

    def give(self, *turns: Turn) -> tuple[Act, ...]:
        acts: tuple[Act, ...] = ()
        for turn in turns:
            self.arm, acts = self.arm.advance(turn, self.now)
            self.acts += acts
        return acts

    def wait(self, seconds: float) -> None:
        until = self.now + seconds
        while self.arm.deadline is not None and self.arm.deadline <= until:
            self.now = max(self.now, self.arm.deadline)
            self.give(Turn.EXPIRED)
        self.now = until


def bench(motion: Motion = Motion.DOWN, *, free_now: bool = True, limits: bool = True) -> Bench:
    return Bench(Arm(Settings(limits=limits), motion, free=free_now))


def test_a_car_comes_home() -> None:
    b = bench()
    assert b.give(Turn.RAISE) == (Act.OPEN,)
    b.wait(2)
    b.give(Turn.BETWEEN, Turn.AT_TOP)
    b.wait(3)
    b.give(Turn.OCCUPIED)
    b.wait(60)
    assert Act.CLOSE not in b.acts, "as long as the car stands there"
    b.give(Turn.FREED)
    b.wait(0.9)
    assert Act.CLOSE not in b.acts
    b.wait(0.2)
    assert b.acts[-1] is Act.CLOSE
    b.give(Turn.BETWEEN)
    b.give(Turn.AT_BOTTOM)
    assert b.arm.motion is Motion.DOWN
    assert b.acts == [Act.OPEN, Act.TELL_RAISED, Act.CLOSE, Act.TELL_LOWERED]


def test_whoever_steps_under_a_falling_arm_stops_and_raises_it_at_once() -> None:
    b = bench(Motion.UP)
    b.arm = replace(b.arm, deadline=0.0)
    b.wait(0)
    assert b.acts == [Act.CLOSE]
    assert b.give(Turn.OCCUPIED) == (Act.STOP, Act.OPEN, Act.TELL_REVERSED)
    assert b.arm.motion is Motion.RISING


def test_nobody_came_so_it_closes_after_a_while() -> None:
    b = bench()
    b.give(Turn.RAISE, Turn.AT_TOP)
    b.wait(14.9)
    assert Act.CLOSE not in b.acts
    b.wait(0.2)
    assert b.acts[-1] is Act.CLOSE


def test_who_has_left_before_it_is_quite_up_has_passed_all_the_same() -> None:
    b = bench()
    b.give(Turn.RAISE, Turn.OCCUPIED, Turn.FREED)
    b.wait(3)
    b.give(Turn.AT_TOP)
    b.wait(0.9)
    assert Act.CLOSE not in b.acts
    b.wait(0.2)
    assert b.acts[-1] is Act.CLOSE
    b = bench()
    b.give(Turn.RAISE, Turn.OCCUPIED, Turn.FREED, Turn.RAISE, Turn.AT_TOP)
    b.wait(14)
    assert Act.CLOSE not in b.acts, "the second grant is for the next one"


def test_fire_raises_it_and_keeps_it_up() -> None:
    b = bench()
    b.arm = replace(b.arm, keep_up=True)
    b.give(Turn.RAISE, Turn.AT_TOP)
    b.wait(3600)
    assert Act.CLOSE not in b.acts
    b.arm = replace(b.arm, keep_up=False)
    b.give(Turn.LET_DOWN)
    b.wait(16)
    assert b.acts[-1] is Act.CLOSE


def test_an_arm_that_does_not_arrive_is_told_and_not_closed() -> None:
    b = bench()
    b.give(Turn.RAISE, Turn.BETWEEN)
    b.wait(7)
    assert b.arm.motion is Motion.FAULT
    assert b.acts[-2:] == [Act.STOP, Act.TELL_LATE]
    b.wait(3600)
    assert Act.CLOSE not in b.acts
    assert b.give(Turn.RAISE) == (Act.OPEN,), "a grant and fire still try"


def test_both_limits_at_once_stop_a_falling_arm() -> None:
    b = bench(Motion.LOWERING)
    assert b.give(Turn.CONTRADICTION) == (Act.STOP,)
    assert b.arm.motion is Motion.FAULT


def test_without_limit_switches_time_tells() -> None:
    b = bench(limits=False)
    b.give(Turn.RAISE)
    b.wait(6.1)
    assert b.acts[-1] is Act.TELL_RAISED
    b.give(Turn.OCCUPIED, Turn.FREED)
    b.wait(1.1)
    b.wait(6.1)
    assert b.arm.motion is Motion.DOWN


@pytest.mark.parametrize(
    ("up", "down", "fitted", "means"),
    [
        (True, False, True, Position.TOP),
        (False, True, True, Position.BOTTOM),
        (False, False, True, Position.BETWEEN),
        (True, True, True, Position.CONTRADICTION),
        (None, True, True, Position.CONTRADICTION),
        (None, None, False, Position.UNFITTED),
    ],
)
def test_limits(up: bool | None, down: bool | None, fitted: bool, means: Position) -> None:
    assert position(up=up, down=down, fitted=fitted) is means


def test_only_sensors_that_say_so_make_it_free() -> None:
    both = {"loop_fitted": True, "beam_fitted": True}
    assert free(loop=False, beam=True, **both)
    for loop, beam in [(True, True), (False, False), (None, True), (False, None), (None, None)]:
        assert not free(loop=loop, beam=beam, **both)
    assert not free(loop=None, beam=None, loop_fitted=False, beam_fitted=False), (
        "a barrier without sensors is never closed by us"
    )


def test_a_pulse_that_was_withheld_leaves_it_up_until_it_is_free() -> None:
    b = bench(Motion.UP)
    b.arm = replace(b.arm, deadline=0.0)
    b.wait(0)
    assert b.give(Turn.WITHHELD) == ()
    assert b.arm.motion is Motion.UP
    b.wait(3600)
    assert b.acts == [Act.CLOSE], "and not again"
    b.give(Turn.FREED)
    b.wait(1.1)
    assert b.acts == [Act.CLOSE, Act.CLOSE]


def test_what_failed_is_not_closed_by_the_clock() -> None:
    b = bench(Motion.FAULT)
    b.give(Turn.AT_TOP)
    b.wait(3600)
    assert b.acts == []
    b.give(Turn.OCCUPIED, Turn.FREED)
    b.wait(1.1)
    assert b.acts == [Act.CLOSE]


def test_a_grant_while_somebody_is_under_it_waits_for_the_next_one() -> None:
    b = bench(Motion.UP)
    b.give(Turn.OCCUPIED, Turn.RAISE, Turn.FREED)
    b.wait(14)
    assert b.acts == []


TURNS = st.sampled_from([turn for turn in Turn if turn is not Turn.EXPIRED])


def test_the_table_is_total() -> None:
    for motion in Motion:
        wanted = set(Turn) - (set() if motion in rules.TIMED else {Turn.EXPIRED})
        assert set(rules.TABLE[motion]) == wanted, motion
    closing = [(motion, turn) for motion, row in rules.TABLE.items() for turn, s in row.items() if Act.CLOSE in s.acts]
    assert closing == [(Motion.UP, Turn.EXPIRED)], "one row can hurt somebody"


@settings(max_examples=800, deadline=None)
@given(
    st.lists(st.tuples(TURNS, st.sampled_from([0.0, 0.3, 1.0, 5.0, 20.0]), st.booleans()), max_size=60),
    st.sampled_from([Motion.ADRIFT, Motion.LOST, Motion.DOWN, Motion.UP, Motion.FAULT]),  # what a start can sense
    st.booleans(),
)
def test_it_never_comes_down_on_anybody(history: list[tuple[Turn, float, bool]], start: Motion, limits: bool) -> None:
    b = Bench(Arm(Settings(limits=limits), start))
    occupied = True  # until a sensor says otherwise
    for turn, pause, kept in history:
        b.arm = replace(b.arm, keep_up=kept)
        moving_down = b.arm.motion is Motion.LOWERING
        acts = b.give(turn)
        if turn is Turn.OCCUPIED:
            occupied = True
        elif turn is Turn.FREED:
            occupied = False
        elif turn is Turn.WITHHELD:
            occupied = True
        assert Act.CLOSE not in acts, "nothing but the deadline closes"
        if occupied:
            assert b.arm.motion is not Motion.LOWERING or not moving_down
        if moving_down and turn is Turn.OCCUPIED:
            assert acts[:2] == (Act.STOP, Act.OPEN)
        before = len(b.acts)
        b.wait(pause)
        if Act.CLOSE in b.acts[before:]:
            assert not occupied, "somebody may be under the arm"
            assert not kept, "fire or an order keeps it up"
        if b.arm.deadline is not None:
            assert b.arm.deadline > b.now
            assert b.arm.motion in rules.TIMED
