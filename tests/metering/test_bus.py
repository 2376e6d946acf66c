"""Whom to ask next: nobody is forgotten, the dead take little."""

from __future__ import annotations

from collections import Counter
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.metering.bus import FIRST_PAUSE, Schedule, spread


def run(schedule: Schedule, dead: set[str], answer: float, time_out: float, until: float) -> list[tuple[float, str]]:
    """Polls with their times; an answer and a time-out cost wire time."""
    now, polls = 0.0, []
    while now < until:
        meter = schedule.next(now)
        if meter is None:
            due = schedule.deadline
            assert due is not None
            assert due > now
            now = due
            continue
        polls.append((now, meter))
        now += time_out if meter in dead else answer
        schedule = schedule.failed(meter, now) if meter in dead else schedule.answered(meter, now)
    return polls


def test_everybody_once_an_interval_and_in_phase() -> None:
    polls = run(spread({"a": 60.0, "b": 60.0}, 0.0, 600.0), set(), 0.03, 1.0, 600.0)
    assert Counter(name for _, name in polls) == {"a": 10, "b": 10}
    times = [at for at, name in polls if name == "a"]
    assert all(abs(at - 60 * n) < 0.1 for n, at in enumerate(times))


def test_a_dead_meter_is_asked_ever_more_rarely_and_answers_end_that() -> None:
    schedule = spread({"a": 1.0}, 0.0, 60.0)
    pauses, now = [], 0.0
    for _ in range(8):
        schedule = schedule.failed("a", now)
        pauses.append(schedule.slots["a"].due - now)
        now = schedule.slots["a"].due
    assert pauses == [5, 10, 20, 40, 60, 60, 60, 60]
    schedule = schedule.answered("a", now)
    assert schedule.slots["a"].due == now + 1.0
    assert schedule.failed("a", now + 1).slots["a"].due == now + 1 + FIRST_PAUSE


def test_a_bus_that_was_away_blames_nobody() -> None:
    schedule = spread({"a": 60.0, "b": 60.0}, 0.0, 600.0)
    for _ in range(5):
        schedule = schedule.failed("a", 0.0)
    schedule = schedule.reset(10.0)
    assert schedule.slots["a"].due <= 10.0


@settings(max_examples=60, deadline=None)
@given(
    st.lists(st.sampled_from([0.5, 2.0, 10.0]), min_size=1, max_size=12),
    st.integers(0, 3),
    st.floats(0.02, 0.1),
)
def test_the_living_are_asked_evenly_whoever_is_dead(intervals: list[float], dead: int, answer: float) -> None:
    meters = {f"m{n}": interval for n, interval in enumerate(intervals)}
    gone = {f"m{n}" for n in range(min(dead, len(meters) - 1))}
    polls = run(spread(meters, 0.0, 60.0), gone, answer, 0.3, 120.0)
    waits = 0.3 * len(gone) + answer * len(meters)  # a round in which everybody comes at once
    for name, interval in meters.items():
        times = [at for at, asked in polls if asked == name]
        pauses = [after - before for before, after in pairwise(times)]
        if name in gone:
            assert len(times) <= 8, "120 s with doubling pauses from 5 s on"
        else:
            assert times
            assert max(pauses, default=0.0) <= interval + waits + 1e-6
            # a phase that was missed may be caught up, but never by more than the wait
            assert min(pauses, default=interval) >= interval - waits - answer - 1e-6
