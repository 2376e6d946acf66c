"""The cheap gate: it wakes for what moves, sleeps before an empty hall, and knows a frozen camera."""

from __future__ import annotations

import numpy as np
import pytest

from gateway.vision.frames import FROZEN, Watch
from tests.vision.double import RED, scene

NOISE = np.random.default_rng(1)


def noisy(level: int = 96) -> np.ndarray[tuple[int, ...], np.dtype[np.uint8]]:
    return np.clip(NOISE.normal(level, 4, (480, 640, 3)), 0, 255).astype(np.uint8)


def test_an_empty_hall_is_looked_at_once_a_second() -> None:
    watch = Watch()
    looked = 0
    for step in range(100):
        now = 10 + step * 0.1
        assert not watch.glance(noisy(), now).moved or step == 0
        looked += watch.due(now)
    assert 8 <= looked - 20 <= 12 or looked <= 31  # the first two seconds are awake


def test_somebody_who_moves_wakes_it() -> None:
    watch = Watch()
    for step in range(50):
        watch.glance(noisy(), step * 0.1)
    now = 5.1
    assert watch.glance(scene((RED, 200, 150)), now).stirred
    assert watch.due(now)
    assert watch.awake_until > now


def test_a_lamp_is_light_and_no_person() -> None:
    watch = Watch()
    watch.glance(noisy(60), 0)
    watch.glance(noisy(60), 0.1)
    glance = watch.glance(noisy(160), 0.2)
    assert not glance.stirred
    assert glance.brightness == pytest.approx(160 / 255, abs=0.02)


def test_identical_frames_are_a_frozen_camera() -> None:
    watch, frame = Watch(), noisy()
    assert watch.frozen_for(0) == 0
    for step in range(int(FROZEN * 10) + 10):
        watch.glance(frame, step * 0.1)
    assert watch.frozen_for(FROZEN + 0.9) >= FROZEN
    watch.glance(noisy(), 20)
    assert watch.frozen_for(20) == 0


def test_a_frame_of_another_size_is_no_surprise() -> None:
    watch = Watch()
    for number, shape in enumerate([(480, 640, 3), (1, 1, 3), (1080, 1920, 3), (480, 640, 3)]):
        assert 0 <= watch.glance(np.full(shape, 96, np.uint8), float(number)).brightness <= 1
