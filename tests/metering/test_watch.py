"""One meter watched: what is kept suffices, what is told is told once, and a restart forgets nothing."""

from __future__ import annotations

import msgspec
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.journal.event import Event
from gateway.metering import events
from gateway.metering.profile import Decoded
from gateway.metering.reading import Belief
from gateway.metering.rules import Finding, Reading
from gateway.metering.rules.burst import Burst
from gateway.metering.rules.continuous import Continuous
from gateway.metering.watch import Effect, Keep, Refusal, Watch, Who

START = 1_790_000_000.0 - 1_790_000_000.0 % 3600
MINUTE, HOUR = 60.0, 3600.0


def fresh() -> Watch:
    return Watch(Who("flat", "riser", 7), Belief(50_000_000), Continuous(), Burst())


def run(watch: Watch, looks: list[tuple[float, int | None]]) -> tuple[Watch, list[Effect]]:
    """Looks at times; None is no answer."""
    found: list[Effect] = []
    for at, register in looks:
        if register is None:
            watch, effects = watch.unseen("meter.silent", at)
        else:
            watch, effects = watch.seen(Decoded(register, 1000), at)
        found += effects
    return watch, found


def told(effects: list[Effect]) -> list[Event]:
    return [effect for effect in effects if isinstance(effect, Event)]


def minutes(registers: list[int | None], start: float = START) -> list[tuple[float, int | None]]:
    return [(start + MINUTE * n, register) for n, register in enumerate(registers)]


def test_a_leak_is_told_with_since_when_and_how_much() -> None:
    dripping = [5_000_000 + 1000 * (n // 10) for n in range(26 * 60)]
    watch, effects = run(fresh(), minutes([*dripping]))
    (leak,) = told(effects)
    assert isinstance(leak, events.LeakSuspected)
    assert (leak.meter, leak.rule, leak.since[:4]) == ("flat", "no_still_hour", "2026")
    assert 140 <= leak.litres <= 145
    assert leak.litres_per_hour == 6.0
    assert [standing.rule for standing in watch.leaks] == ["no_still_hour"]
    still = [dripping[-1]] * 70
    watch, effects = run(watch, minutes([*still], START + 26 * HOUR))
    (cleared,) = told(effects)
    assert isinstance(cleared, events.LeakCleared)
    assert cleared.litres is not None
    assert cleared.litres > leak.litres
    assert watch.leaks == ()


def test_silence_is_told_once_and_the_gaps_water_is_counted() -> None:
    watch, _ = run(fresh(), minutes([1000] * 4))
    watch, effects = run(watch, [(START + 200 + n, None) for n in range(10)])
    (silent,) = told(effects)
    assert isinstance(silent, events.MeterSilent)
    assert (silent.problem, silent.unit) == ("meter.silent", 7)
    watch, effects = run(watch, [(START + 7200, 41_000)])
    back = told(effects)[0]
    assert isinstance(back, events.MeterBack)
    assert (back.litres, back.silent_seconds) == (40.0, 7020.0)
    kept = [effect.reading for effect in effects if isinstance(effect, Keep)]
    assert kept == [Reading(START + 180, 1000), Reading(START + 7200, 41_000)], "the gap stays visible"


def test_refusals_are_kept_all_and_told_once_an_hour() -> None:
    watch, _ = run(fresh(), minutes([10**9, 10**9]))
    looks: list[tuple[float, int | None]] = [(START + 120 + MINUTE * n, (n % 2) * 10**12) for n in range(130)]
    watch, effects = run(watch, looks)
    kept = [effect for effect in effects if isinstance(effect, Refusal)]
    refused = [effect for effect in effects if isinstance(effect, events.MeterReadingRefused)]
    assert len(kept) == 130
    assert len(refused) == 2 * 3
    assert {event.reason for event in refused} == {"backwards", "impossible"}
    assert sum(event.times for event in refused) <= 130
    assert [event for event in effects if isinstance(event, events.MeterSilent)], "such a meter tells nothing"


def test_a_clock_that_is_set_moves_everything_with_it() -> None:
    looks = minutes([5_000_000 + 1000 * (n // 10) for n in range(20 * 60)])
    watch, _ = run(fresh(), [*looks])
    shift = 86_400.0 * 365
    moved = watch.shifted(shift)
    more = minutes([5_000_000 + 1000 * (n // 10) for n in range(20 * 60, 26 * 60)], START + 20 * HOUR)
    _, plain = run(watch, [*more])
    _, shifted = run(moved, [(at + shift, register) for at, register in more])
    assert len(told(plain)) == len(told(shifted)) == 1
    first, second = told(plain)[0], told(shifted)[0]
    assert isinstance(first, events.LeakSuspected)
    assert isinstance(second, events.LeakSuspected)
    assert (first.litres, first.since[4:]) == (second.litres, second.since[4:])


def test_a_clock_that_went_back_over_a_restart_counts_as_no_time() -> None:
    watch, _ = run(fresh(), minutes([1000, 1000, 2000]))
    restored = fresh().restored(watch, START - 86_400)
    assert restored.last == Reading(START - 86_400, 2000)
    assert restored.belief.at == START - 86_400


def test_settings_come_from_the_file_and_history_from_the_memory() -> None:
    watch, _ = run(fresh(), minutes([1000, 1000, 2000]))
    changed = Watch(Who("flat", "other", 9), Belief(1), Continuous(still=60), Burst(flow=5))
    restored = changed.restored(msgspec.json.decode(msgspec.json.encode(watch), type=Watch), START + 300)
    assert (restored.who.bus, restored.belief.most, restored.continuous.still, restored.burst.flow) == (
        "other",
        1,
        60,
        5,
    )
    assert (restored.belief.register, restored.last) == (2000, watch.last)


STEPS = st.lists(
    st.tuples(st.sampled_from([1, 1, 1, 1, 2, 5, 40, 70, 300]), st.sampled_from([0, 0, 0, 1, 9, 60])), max_size=300
)


def history(steps: list[tuple[int, int]]) -> list[tuple[float, int]]:
    """Polls once a minute; a step is so many polls of one value, then so many litres."""
    minute, register, polls = 0, 1_000_000, []
    for standing, litres in steps:
        for _ in range(standing):
            polls.append((START + MINUTE * minute, register))
            minute += 1
        register += 1000 * litres
    return polls


@settings(max_examples=100, deadline=None)
@given(STEPS)
def test_what_is_kept_tells_the_detectors_the_same(steps: list[tuple[int, int]]) -> None:
    """Replayed from measurements.db after a restart, they stand as if they had seen every poll."""
    polls = history(steps)
    watch, effects = run(fresh(), [*polls])
    again = fresh()
    for effect in effects:
        if isinstance(effect, Keep):
            again, _ = again.replayed(effect.reading)
    if watch.last is not None and watch.last != again.last:
        again, _ = again.replayed(watch.last)  # the newest poll: the register stands
    assert {leak.rule for leak in again.leaks} == {leak.rule for leak in watch.leaks}
    assert again.continuous.state == watch.continuous.state
    assert (again.last and again.last.register) == (watch.last and watch.last.register)


@settings(max_examples=150, deadline=None)
@given(STEPS)
def test_a_detectors_deadline_misses_nothing(steps: list[tuple[int, int]]) -> None:
    """Fed only at changes, just before them and from its deadline on, a detector finds the same at the same minute."""
    polls = history(steps)
    for detector in (Continuous(), Burst()):
        assert _fed(detector, polls, sparing=True) == _fed(detector, polls, sparing=False)


def _fed(detector: Continuous | Burst, polls: list[tuple[float, int]], *, sparing: bool) -> list[Finding]:
    found: list[Finding] = []
    for place, (at, register) in enumerate(polls):
        changes = place == 0 or place + 1 == len(polls) or register != polls[place - 1][1]
        before = place + 1 < len(polls) and polls[place + 1][1] != register
        due = detector.deadline is not None and at >= detector.deadline
        if sparing and not (changes or before or due):
            continue
        detector, findings = detector.advance(Reading(at, register))
        found += findings
    return found
