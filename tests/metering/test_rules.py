"""Examples a person would tell; then what may never happen, over any history."""

from __future__ import annotations

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.metering.rules import Cleared, Finding, Reading, Suspected
from gateway.metering.rules import burst as burst_rules
from gateway.metering.rules import continuous as continuous_rules
from gateway.metering.rules.burst import Burst
from gateway.metering.rules.continuous import Continuous

HOUR, DAY = 3600.0, 86400.0


def watch(readings: list[Reading]) -> list[tuple[float, Finding]]:
    """Both detectors over a history."""
    continuous, burst = Continuous(), Burst(step=1000)
    found: list[tuple[float, Finding]] = []
    for reading in readings:
        continuous, one = continuous.advance(reading)
        burst, two = burst.advance(reading)
        found += [(reading.at, finding) for finding in (*one, *two)]
    return found


def steady(litres_per_hour: float, hours: float, start: float = 0.0, register: int = 0) -> list[Reading]:
    """Polls once a minute of a register in whole litres."""
    return [
        Reading(start + minute * 60, register + int(litres_per_hour * minute / 60) * 1000)
        for minute in range(int(hours * 60) + 1)
    ]


def test_a_running_toilet_is_found_after_a_day_and_cleared_after_a_still_hour() -> None:
    night = steady(25, 26)
    after = steady(0, 2, start=night[-1].at + 60, register=night[-1].register)
    found = watch(night + after)
    assert [type(finding) for _, finding in found] == [Suspected, Cleared]
    at, first = found[0]
    assert at == DAY
    assert isinstance(first, Suspected)
    assert (first.rule, first.since, first.millilitres) == ("no_still_hour", 0.0, 600_000)
    assert found[1][0] - night[-1].at <= HOUR + 120


def test_a_household_that_sleeps_is_no_leak() -> None:
    readings: list[Reading] = []
    for day in range(7):
        start = day * DAY
        register = readings[-1].register if readings else 0
        readings += steady(20, 16, start, register)
        readings += steady(0, 7.9, start + 16 * HOUR + 60, readings[-1].register)
    assert watch(readings) == []


def test_a_burst_is_found_after_half_an_hour() -> None:
    calm = steady(0, 2)
    burst = steady(600, 1, start=calm[-1].at + 60)
    found = watch(calm + burst)
    assert [type(finding) for _, finding in found] == [Suspected]
    assert 1800 <= found[0][0] - burst[0].at <= 1800 + 300
    assert isinstance(found[0][1], Suspected)
    assert found[0][1].rule == "burst"


def test_a_bath_is_no_burst() -> None:
    calm = steady(0, 1)
    bath = steady(800, 0.4, start=calm[-1].at + 60)
    after = steady(0, 1, start=bath[-1].at + 60, register=bath[-1].register)
    assert watch(calm + bath + after) == []


def test_a_gap_is_neither_use_nor_stillness() -> None:
    before = steady(25, 20)
    gap = 3 * HOUR
    after = steady(25, 20, start=before[-1].at + gap, register=before[-1].register + 75_000)
    assert watch(before + after) == [], "a still hour could hide in the gap"
    short = steady(25, 20, start=before[-1].at + 0.5 * HOUR, register=before[-1].register + 12_000)
    assert len(watch(before + short)) == 1, "no still hour fits into half an hour"


def test_a_gap_over_which_the_register_stood_was_still() -> None:
    leak = steady(25, 25)
    later = Reading(leak[-1].at + 2 * HOUR, leak[-1].register)
    assert [type(finding) for _, finding in watch([*leak, later])] == [Suspected, Cleared]


def test_a_gap_ends_no_suspicion_and_begins_none() -> None:
    burst = steady(900, 1)
    leaking = steady(25, 26)
    for before, rule, pause in ((burst, "burst", 0.3), (burst, "burst", 3), (leaking, "no_still_hour", 3)):
        flow = 900 if rule == "burst" else 25
        water = int(flow * pause) * 1000
        after = steady(flow, 2, before[-1].at + pause * HOUR, before[-1].register + water)
        assert [type(finding) for _, finding in watch(before + after)] == [Suspected], "one leak, told once"
        still = steady(0, 2, after[-1].at + 60, after[-1].register)
        (_, raised), (_, cleared) = watch(before + after + still)
        assert isinstance(cleared, Cleared)
        assert isinstance(raised, Suspected)
        assert cleared.since == raised.since
    short = steady(900, 0.3)
    after = steady(900, 0.3, short[-1].at + 0.3 * HOUR, short[-1].register + 270_000)
    assert watch(short + after) == [], "nobody saw it flow for half an hour"


def test_a_still_hour_may_hide_half_seen_half_in_a_gap() -> None:
    night = steady(25, 20)
    seen = steady(0, 0.75, night[-1].at + 60, night[-1].register)
    gap = 0.5 * HOUR
    later = steady(25, 20, seen[-1].at + gap, seen[-1].register + 3000)
    assert watch(night + seen + later) == []


def _counted(litres_per_hour: float, phase: float, hours: float) -> list[Reading]:
    """A day of stillness, then a steady flow whose litres fall at any place between the polls."""
    calm = [Reading(minute * 60.0, 0) for minute in range(60)]
    flow = [
        Reading(3600.0 + minute * 60, int(phase + litres_per_hour * minute / 60) * 1000)
        for minute in range(int(hours * 60))
    ]
    return calm + flow


@settings(max_examples=150, deadline=None)
@given(st.floats(500, 3000), st.floats(0, 0.999))
def test_a_flow_at_the_limit_is_found_wherever_the_counts_fall(litres_per_hour: float, phase: float) -> None:
    found = [finding for _, finding in watch(_counted(litres_per_hour, phase, 1)) if isinstance(finding, Suspected)]
    assert [finding.rule for finding in found] == ["burst"]


@settings(max_examples=150, deadline=None)
@given(st.floats(0, 495.9), st.floats(0, 0.999))
def test_a_flow_below_the_limit_is_no_burst(litres_per_hour: float, phase: float) -> None:
    assert [finding for _, finding in watch(_counted(litres_per_hour, phase, 3)) if finding.rule == "burst"] == []


@settings(max_examples=100, deadline=None)
@given(st.sampled_from([1, 1000, 1954, 10_000, 100_000, 1_000_000]), st.integers(0, 2), st.integers(1, 300))
def test_a_register_that_hardly_moves_is_no_burst_however_coarse_it_counts(step: int, moves: int, every: int) -> None:
    burst, found = Burst(step=step), list[Finding]()
    for minute in range(0, 600, 1):
        burst, one = burst.advance(Reading(minute * 60.0, step * min(moves, minute // every)))
        found += one
    least = 500_000 * 0.5 - step  # millilitres that half an hour at the limit brings, one step less
    assert not found or moves * step >= least


def test_a_coarse_register_finds_a_burst_too() -> None:
    burst, found = Burst(step=100_000), list[Finding]()
    for minute in range(180):
        burst, one = burst.advance(Reading(minute * 60.0, int(900 * minute / 60 / 100) * 100_000))
        found += one
    assert [type(one) for one in found] == [Suspected]


def test_the_tables_are_total() -> None:
    for state in continuous_rules.State:
        assert set(continuous_rules.TABLE[state]) == set(continuous_rules.Sign)
    for flow_state in burst_rules.State:
        assert set(burst_rules.TABLE[flow_state]) == set(burst_rules.Sign)


STEPS = st.lists(
    st.tuples(st.sampled_from([60, 60, 60, 300, 1800, 7200, 90_000]), st.integers(0, 30_000)), max_size=400
)


@settings(max_examples=200, deadline=None)
@given(STEPS)
def test_whatever_is_read(steps: list[tuple[int, int]]) -> None:
    at, register, readings = 0.0, 0, [Reading(0.0, 0)]
    for seconds, millilitres in steps:
        at, register = at + seconds, register + millilitres
        readings.append(Reading(at, register))
    open_since: dict[str, float] = {}
    for when, finding in watch(readings):
        if isinstance(finding, Suspected):
            assert finding.rule not in open_since, "a leak is raised once until it is cleared"
            assert finding.millilitres > 0, "where no water ran there is no leak"
            assert finding.since < when
            open_since[finding.rule] = finding.since
        else:
            assert open_since.pop(finding.rule) == finding.since, "what is cleared was raised"
    assert all(isinstance(since, float) for since in open_since.values())


@settings(max_examples=100, deadline=None)
@given(st.lists(st.tuples(st.integers(61, 3599), st.booleans()), min_size=30, max_size=200))
def test_an_hour_seen_still_is_never_in_a_leak(steps: list[tuple[int, bool]]) -> None:
    """Polls that see a still hour each day: whatever runs in between, no day was without one."""
    at, register, readings = 0.0, 0, [Reading(0.0, 0)]
    next_still = 0.0
    for seconds, runs in steps:
        if at >= next_still:
            readings.append(Reading(at + HOUR, register))
            at, next_still = at + HOUR, at + 0.9 * DAY
        at, register = at + seconds, register + (1000 if runs else 0)
        readings.append(Reading(at, register))
    found = [finding for _, finding in watch(readings) if finding.rule == "no_still_hour"]
    assert found == []
