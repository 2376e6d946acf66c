"""The rates, against a plain count."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.evaluate.metrics import Pairs, Weighted, equal_error, interval, operating, wilson

DISTANCES = st.lists(st.floats(0, 2, width=32), min_size=1, max_size=60)


@settings(max_examples=200)
@given(DISTANCES, DISTANCES, st.sampled_from([0.0, 0.001, 0.01, 0.1, 0.5]))
def test_an_operating_point_keeps_its_rate(same: list[float], different: list[float], far: float) -> None:
    point = operating(Weighted.of(np.array(same)), Weighted.of(np.array(different)), far)
    assert sum(each < point.threshold for each in different) <= far * len(different) + 1e-6
    assert point.tar == pytest.approx(sum(each < point.threshold for each in same) / len(same))
    higher = [each for each in different if each > point.threshold]
    if higher:
        assert sum(each < min(higher) for each in different) > far * len(different)


@settings(max_examples=200)
@given(DISTANCES, DISTANCES)
def test_equal_error_lies_between_the_two_rates(same: list[float], different: list[float]) -> None:
    error = equal_error(Weighted.of(np.array(same)), Weighted.of(np.array(different)))
    assert 0 <= error <= 1
    rates = [
        (sum(d <= t for d in different) / len(different), sum(s > t for s in same) / len(same))
        for t in {*same, *different}
    ]
    least = min(abs(accepted - refused) for accepted, refused in rates)
    crossings = [sum(both) / 2 for both in rates if abs(both[0] - both[1]) <= least + 1e-9]
    assert min(abs(error - crossing) for crossing in crossings) < 1e-9


def test_a_known_case() -> None:
    same, different = Weighted.of(np.array([0.1, 0.2, 0.3, 0.6])), Weighted.of(np.array([0.5, 0.7, 0.8, 0.9]))
    assert equal_error(same, different) == pytest.approx(0.25)
    assert operating(same, different, 0.001).tar == 0.75
    assert operating(same, different, 0.25).tar == 1.0


def test_of_nothing_there_is_no_rate() -> None:
    nothing = Weighted.of(np.array([]))
    assert math.isnan(equal_error(nothing, nothing))
    assert math.isnan(operating(nothing, Weighted.of(np.array([1.0])), 0.1).tar)
    assert wilson(0, 0) is None
    assert interval([], math.nan, 0) is None


@given(st.integers(0, 50), st.integers(1, 50))
def test_wilson_holds_the_share_and_zero_of_few_bounds_little(count: int, total: int) -> None:
    count = min(count, total)
    low, high = wilson(count, total) or (1.0, 0.0)
    assert 0 <= low <= count / total + 1e-12
    assert count / total - 1e-12 <= high <= 1
    nothing = wilson(0, total)
    assert nothing is not None
    assert nothing[1] > 0.7 / total


def test_intervals_are_over_people_where_people_are_known() -> None:
    random = np.random.default_rng(0)
    people = np.repeat(np.arange(10), 5)
    first, second = np.triu_indices(50, 1)
    same = people[first] == people[second]
    twins = (people[first] < 2) & (people[second] < 2) & ~same  # two people who look alike
    distances = np.where(same, 0.2, 0.8) + random.normal(0, 0.02, len(same))
    distances[twins] = 0.2
    known = Pairs(distances, same, people[first], people[second])
    unknown = Pairs(distances, same)
    rate = [1 - operating(*each, 0.01).tar for each in known.resampled()]
    plain = [1 - operating(*each, 0.01).tar for each in unknown.resampled()]
    assert np.std(rate) > 2 * np.std(plain)
