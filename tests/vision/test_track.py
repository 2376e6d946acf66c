"""Short tracks: one face in one track, and a pool of one person only."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.vision.track import JUMP, STALE, Box, Tracker, association
from tests.vision.double import BLUE, RED, vector_of

BOX = st.tuples(st.floats(0, 500), st.floats(0, 400), st.floats(10, 200), st.floats(10, 200))


def tracker(pool: int = 3) -> Tracker:
    return Tracker(itertools.count(1), pool=pool)


def test_a_face_that_moves_stays_one_track() -> None:
    watching = tracker()
    numbers = [watching.see([(100.0 + 15 * step, 100.0, 80.0, 80.0)], step * 0.1)[0].number for step in range(20)]
    assert set(numbers) == {1}


def test_two_people_side_by_side_are_two_tracks() -> None:
    watching = tracker()
    left, right = (100.0, 100.0, 80.0, 80.0), (300.0, 100.0, 80.0, 80.0)
    first = [track.number for track in watching.see([left, right], 0)]
    second = [track.number for track in watching.see([right, left], 0.1)]
    assert first == [1, 2]
    assert second == [2, 1]


def test_who_was_away_for_long_is_a_new_track() -> None:
    watching = tracker()
    box = (100.0, 100.0, 80.0, 80.0)
    assert watching.see([box], 0)[0].number == 1
    assert watching.see([], 0.5) == []
    assert watching.see([box], 0.9)[0].number == 1
    assert watching.see([], 1.95) == []
    assert watching.see([box], 2.0)[0].number == 2


@pytest.mark.parametrize("pace", [0.1, 0.9, 1.5, 3.0])
def test_a_slow_look_begins_no_new_track_and_fills_a_pool(pace: float) -> None:
    """HOG on a Pi takes more than a second a frame: with fixed times no pool was ever full, and no door opened."""
    watching, red = tracker(), vector_of(RED)
    told = []
    for step in range(7):
        now = 100 + step * pace
        track = watching.see([(100.0, 100.0, 80.0, 80.0)], now)[0]
        assert track.number == 1
        if watching.wants(track, now):
            track = watching.add(track, red, 0.9, now)
            if watching.ready(track, now):
                told.append(step)
    assert told[0] == 2


def test_who_left_is_forgotten_however_slow_the_looks_were() -> None:
    watching = tracker()
    box = (100.0, 100.0, 80.0, 80.0)
    for now in (0, 1.5, 3.0):
        watching.see([box], now)
    for now in (3.1, 3.2, 4.2):
        watching.see([], now)
    assert watching.see([box], 4.3)[0].number == 2


def test_a_full_pool_is_told_once_and_again_later() -> None:
    watching, red = tracker(), vector_of(RED)
    told = []
    for step in range(30):
        now = step * 0.1
        track = watching.see([(100.0, 100.0, 80.0, 80.0)], now)[0]
        if watching.wants(track, now):
            track = watching.add(track, red, 0.9, now)
            if watching.ready(track, now):
                told.append(round(now, 1))
    assert told == [0.2, 1.2, 2.2]


def test_another_person_in_the_same_place_begins_a_new_track() -> None:
    watching = tracker()
    box: Box = (100.0, 100.0, 80.0, 80.0)
    track = watching.see([box], 0)[0]
    for step in range(3):
        track = watching.add(track, vector_of(RED), 0.9, step * 0.1)
    assert watching.ready(track, 0.2)
    first = watching.add(watching.see([box], 1.3)[0], vector_of(BLUE), 0.9, 1.3)
    assert not watching.ready(first, 1.3)  # the one before is not told while another face is there
    second = watching.add(watching.see([box], 1.4)[0], vector_of(BLUE), 0.9, 1.4)
    assert second.number != track.number
    assert [float(vector[0]) for vector, _, _ in second.pool] == [float(vector_of(BLUE)[0])] * 2
    assert watching.see([box], 1.5)[0].number == second.number


def test_a_hand_before_the_face_is_forgotten() -> None:
    watching = tracker()
    box: Box = (100.0, 100.0, 80.0, 80.0)
    track = watching.see([box], 0)[0]
    for step, colour in enumerate((RED, RED, BLUE, RED)):
        track = watching.add(watching.see([box], step * 0.1)[0], vector_of(colour), 0.9, step * 0.1)
    assert track.number == 1
    assert len(track.pool) == 3
    assert watching.ready(track, 0.3)


def test_what_is_stale_is_not_pooled() -> None:
    watching = tracker()
    box = (100.0, 100.0, 80.0, 80.0)
    track = watching.see([box], 0)[0]
    watching.add(track, vector_of(RED), 0.9, 0)
    watching.add(track, vector_of(RED), 0.9, STALE + 0.1)
    assert len(track.pool) == 1


def test_the_mean_and_the_lowest_quality_are_the_pools() -> None:
    watching = tracker()
    track = watching.see([(0.0, 0.0, 80.0, 80.0)], 0)[0]
    for step, quality in enumerate((0.9, 0.4, 0.7, 0.8)):
        watching.add(track, np.full(128, step / 100, np.float32), quality, step * 0.1)
    assert track.mean() == pytest.approx(np.full(128, 0.02), abs=1e-6)
    assert track.lowest_quality() == 0.4


@given(st.lists(st.lists(BOX, max_size=5), max_size=12))
def test_never_two_faces_in_one_track_nor_one_face_in_two(history: list[list[Box]]) -> None:
    watching, ever = tracker(), set()
    for step, boxes in enumerate(history):
        numbers = [track.number for track in watching.see(boxes, step * 0.3)]
        assert len(set(numbers)) == len(boxes)
        ever.update(numbers)
    assert ever == set(range(1, len(ever) + 1))
    assert len(watching.tracks) <= sum(map(len, history))


@given(st.lists(st.sampled_from([RED, BLUE]), min_size=1, max_size=20))
def test_a_pool_never_holds_two_people(seen: list[tuple[int, int, int]]) -> None:
    watching = tracker()
    for step, colour in enumerate(seen):
        track = watching.see([(100.0, 100.0, 80.0, 80.0)], step * 0.1)[0]
        pooled = watching.add(track, vector_of(colour), 1.0, step * 0.1)
        vectors = [vector for vector, _, _ in pooled.pool]
        assert all(float(np.linalg.norm(a - b)) <= 2 * JUMP / 2 for a in vectors for b in vectors)


@given(BOX, BOX)
def test_association_is_symmetric(a: Box, b: Box) -> None:
    assert association(a, b) == pytest.approx(association(b, a))
    assert association(a, a) > 1
