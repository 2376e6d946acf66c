"""A threshold is stricter for more people and for a smaller rate, and never beyond what was measured safe."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.vision import threshold
from gateway.vision.threshold import Setting, Tail, Threshold

RATES = st.floats(1e-5, 0.05)
PEOPLE = st.integers(1, 10_000)


def at(fpir: float = 0.001, persons: int = 200, pooled: int = 3, detector: str = "yunet", **more: object) -> Threshold:
    return threshold.for_gallery(fpir, persons, pooled, "onnx", detector, **more)  # type: ignore[arg-type]


@given(RATES, PEOPLE, PEOPLE)
def test_more_people_are_never_easier(fpir: float, few: int, many: int) -> None:
    few, many = sorted((few, many))
    assert at(fpir, many).value <= at(fpir, few).value


@given(RATES, RATES, PEOPLE)
def test_a_smaller_rate_is_never_easier(low: float, high: float, persons: int) -> None:
    low, high = sorted((low, high))
    assert at(low, persons).value <= at(high, persons).value


@given(RATES, PEOPLE)
def test_nothing_is_above_the_ceiling_and_the_default_of_the_rival_never_comes(fpir: float, persons: int) -> None:
    found = at(fpir, persons)
    assert 0 < found.value <= threshold.CEILING < 0.6
    assert found.low <= found.high
    assert found.rates[0] <= fpir * 1.01
    assert found.rates[1] <= found.rates[2]


@given(st.floats(0.4, 0.8), st.floats(0.01, 0.08), st.floats(-0.25, 0), st.floats(1e-9, 0.0999))
def test_rate_and_distance_are_each_others_inverse(edge: float, scale: float, shape: float, rate: float) -> None:
    tail = Tail(edge, scale, shape)
    assert tail.rate(tail.distance(rate)) == pytest.approx(rate, rel=1e-6)


@given(RATES, PEOPLE)
def test_one_comparison_and_a_whole_gallery_are_each_others_inverse(fpir: float, persons: int) -> None:
    assert threshold.identification_rate(threshold.single_rate(fpir, persons), persons) == pytest.approx(fpir)


def test_a_simulated_population_gets_the_rate_it_asked_for() -> None:
    random = np.random.default_rng(4)
    scores = random.normal(0.70, 0.08, (80, 80))
    limit = threshold.fit(scores).tail.distance(1e-4)
    fresh = random.normal(0.70, 0.08, 2_000_000)
    assert 0.3e-4 < (fresh < limit).mean() < 3e-4


def test_a_door_whose_people_look_more_alike_is_stricter_and_says_why() -> None:
    alike = np.random.default_rng(1).normal(0.60, 0.08, (40, 40))
    found = at(own=alike)
    assert found.value < at().value
    assert found.basis == threshold.BASIS_OWN
    assert found.facts["people"] == 40


def test_a_door_whose_people_look_less_alike_is_not_laxer() -> None:
    apart = np.random.default_rng(1).normal(0.95, 0.05, (40, 40))
    assert at(own=apart) == at()


def test_few_people_of_its_own_are_not_believed() -> None:
    assert at(own=np.full((5, 5), 0.35)) == at()


def test_one_person_with_two_ids_does_not_lock_everybody_out() -> None:
    scores = np.random.default_rng(1).normal(0.72, 0.08, (40, 40))
    clean = at(own=scores).value
    scores[3, 7] = scores[7, 3] = 0.05
    assert at(own=scores).value == pytest.approx(clean, abs=0.02)


def test_everything_tabulated_has_what_the_worker_may_ask() -> None:
    content = threshold.table()
    assert "ATT" in content.origin
    for detector in ("yunet", "blazeface", "hog"):
        for pooled in range(1, 11):
            for templates in (1, 2, 3, 4, 5, 8, 50):
                entry = threshold.entry_for(Setting(detector, pooled, templates))
                assert entry.detector == detector
                assert entry.pooled >= min(pooled, 5)
                assert entry.templates >= min(templates, 8)
                assert len(entry.fitted.resampled) == threshold.RESAMPLED


def test_an_unknown_detector_gets_the_strictest() -> None:
    known = [at(detector=name).value for name in ("yunet", "blazeface")]
    assert at(detector="somebody's own").value <= min(known) + 1e-9


def test_the_naive_engine_has_its_own_row() -> None:
    assert threshold.for_gallery(0.001, 10, 3, "face-recognition", "hog").facts["detector"] == "hog"


def test_a_damaged_table_is_told(tmp_path: object, monkeypatch: pytest.MonkeyPatch) -> None:
    from pathlib import Path

    from gateway.errors import ModelError

    broken = Path(str(tmp_path)) / "impostors.json"
    broken.write_text("{", "utf-8")
    monkeypatch.setattr(threshold, "TABLE", broken)
    threshold.table.cache_clear()
    try:
        with pytest.raises(ModelError, match="impostor distances"):
            threshold.table()
    finally:
        threshold.table.cache_clear()
