"""The gate: every measure has its refusal, enrolment asks more than recognition, blur of any direction is seen."""

from __future__ import annotations

from dataclasses import astuple, replace

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.vision import quality
from gateway.vision.quality import ENROLMENT, RECOGNITION, Grey, Quality, measure, pose

GOOD = Quality(size=120, sharpness=2.0, yaw=0.0, pitch=0.0, exposure=0.5, contrast=0.15)
LEVEL = np.array([100 + 40j, 80 + 40j, 20 + 40j, 40 + 40j, 60 + (40 + 60 * 0.74) * 1j])


def textured() -> Grey:
    random = np.random.default_rng(2)
    coarse = cv2.resize(random.normal(0, 40, (20, 20)).astype(np.float32), (150, 150), interpolation=cv2.INTER_CUBIC)
    fine = random.normal(0, 12, (150, 150)).astype(np.float32)
    return np.asarray(np.clip(128 + coarse + fine, 0, 255), np.float32)


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"size": 20}, quality.TOO_SMALL),
        ({"sharpness": 0.1}, quality.BLURRED),
        ({"yaw": 0.9}, quality.TURNED),
        ({"yaw": -0.9}, quality.TURNED),
        ({"pitch": -0.9}, quality.TILTED),
        ({"pitch": 0.9}, quality.TILTED),
        ({"exposure": 0.01}, quality.TOO_DARK),
        ({"exposure": 0.99}, quality.TOO_BRIGHT),
        ({"contrast": 0.01}, quality.FLAT),
        ({"inside": 0.5}, quality.CUT_OFF),
    ],
)
def test_each_measure_is_refused_by_its_own_name(change: dict[str, float], reason: str) -> None:
    bad = replace(GOOD, **change)
    assert bad.refusal == bad.refused_by(ENROLMENT) == reason
    assert bad.score == 0.0
    assert GOOD.refusal == GOOD.refused_by(ENROLMENT) == ""
    assert GOOD.score == 1.0


MEASURES = st.builds(
    Quality,
    st.floats(1, 400),
    st.floats(0, 5),
    st.floats(-2, 2),
    st.floats(-2, 2),
    st.floats(0, 1),
    st.floats(0, 0.5),
    st.floats(0, 1),
)


@given(MEASURES)
def test_enrolment_never_takes_what_recognition_refuses(given_quality: Quality) -> None:
    assert 0 <= given_quality.score <= 1
    if given_quality.refusal:
        assert given_quality.refused_by(ENROLMENT)
        assert given_quality.score == 0
    if not given_quality.refused_by(ENROLMENT):
        assert given_quality.score == 1


def test_the_strict_gate_is_stricter_in_everything() -> None:
    assert ENROLMENT.size > RECOGNITION.size
    assert ENROLMENT.sharpness > RECOGNITION.sharpness
    assert ENROLMENT.yaw < RECOGNITION.yaw
    assert ENROLMENT.pitch < RECOGNITION.pitch
    assert ENROLMENT.darkest > RECOGNITION.darkest
    assert ENROLMENT.brightest < RECOGNITION.brightest
    assert ENROLMENT.contrast > RECOGNITION.contrast
    assert ENROLMENT.inside > RECOGNITION.inside


@pytest.mark.parametrize("direction", ["both", "across", "down", "diagonal", "other diagonal"])
def test_blur_in_any_direction_is_seen(direction: str) -> None:
    sharp = textured()
    kernel = {
        "across": np.eye(1, 15).T @ np.ones((1, 15)),
        "down": np.ones((15, 1)) @ np.eye(1, 15),
        "diagonal": np.eye(15),
        "other diagonal": np.eye(15)[::-1],
        "both": np.ones((15, 15)),
    }[direction]
    kernel = kernel / kernel.sum()
    blurred = np.asarray(cv2.filter2D(sharp, -1, kernel, borderType=cv2.BORDER_REFLECT), np.float32)
    before, after = measure(sharp, LEVEL, 100), measure(blurred, LEVEL, 100)
    assert before.refused_by(ENROLMENT) == ""
    assert after.sharpness < before.sharpness / 1.5


def test_exposure_is_seen() -> None:
    assert measure(textured() * np.float32(0.08), LEVEL, 100).refusal == quality.TOO_DARK
    assert measure(np.full((150, 150), 255, np.float32), LEVEL, 100).refusal == quality.TOO_BRIGHT
    assert measure(np.full((150, 150), 120, np.float32), LEVEL, 100).refusal == quality.FLAT


@given(st.floats(-3.1, 3.1), st.floats(0.2, 5), st.complex_numbers(max_magnitude=500))
def test_pose_does_not_depend_on_place_size_or_tilt_of_the_head(angle: float, scale: float, shift: complex) -> None:
    moved = LEVEL * scale * np.exp(1j * angle) + shift
    assert pose(moved) == pytest.approx((0, 0), abs=1e-6)


def test_pose_tells_sides() -> None:
    aside = LEVEL + np.array([0, 0, 0, 0, 20])
    down = LEVEL + np.array([0, 0, 0, 0, 20j])
    assert pose(aside)[0] == pytest.approx(1 / 3, abs=0.01)
    assert pose(down)[1] == pytest.approx(1 / 3, abs=0.01)
    assert measure(textured(), np.zeros(5, complex), 100).refusal == quality.TURNED


def test_measures_are_numbers() -> None:
    assert all(isinstance(value, float) for value in astuple(measure(textured(), LEVEL, 100.0)))
