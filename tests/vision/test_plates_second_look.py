"""A second look: cut out wider, two rows, and of several cars the nearest."""

from __future__ import annotations

import itertools

import cv2
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.demo import plate_picture, plate_sign
from gateway.lanes.plates import Candidate, Reading
from gateway.vision.engine import Frame
from gateway.vision.plates import load, upright
from gateway.vision.plates.agreement import FLOOR, SURER, confirmed
from gateway.vision.plates.part import PlateObserver
from gateway.vision.plates.reader import PlateReader
from gateway.vision.protocol import Message, PlateRead


@pytest.fixture(scope="module")
def reader() -> PlateReader:
    return load()


def reading(**likely: float) -> Reading:
    ordered = sorted(likely.items(), key=lambda one: -one[1])
    return Reading(tuple(Candidate(plate, log_p) for plate, log_p in ordered))


READINGS = st.dictionaries(st.sampled_from(["甲", "乙", "丙"]), st.floats(FLOOR, 0), min_size=1).map(
    lambda likely: reading(**likely)
)

# --- what two looks say


def test_a_second_look_that_agrees_or_says_nothing_changes_nothing() -> None:
    first = reading(京A12345=-0.1, 津A12345=-3.0)
    assert confirmed(first, reading(京A12345=-2.0)) is first
    assert confirmed(first, Reading(())) is first
    assert confirmed(first, reading(津A12345=-0.5, 京A12345=-0.5 - SURER)) is first


def test_a_second_look_that_is_surer_of_another_brings_doubt() -> None:
    first = reading(京A12345=-0.1, 津A12345=-3.0)
    told = confirmed(first, reading(津A12345=-0.1, 京A12345=-4.0))
    assert not told.confident
    assert {one.plate for one in told.candidates} == {"京A12345", "津A12345"}
    assert not confirmed(first, reading(冀A12345=-0.1)).confident


@given(READINGS, READINGS)
def test_doubt_never_makes_a_reading_surer(first: Reading, second: Reading) -> None:
    told = confirmed(first, second)
    assert told is first or (first.confident and not told.confident)
    assert told is first or list(told.candidates) == sorted(told.candidates, key=lambda one: (-one.log_p, one.plate))


# --- two rows


@pytest.mark.parametrize("plate", ["粤BA5921", "浙T7U99B", "京WS858V", "苏E1234挂"])
def test_a_lorrys_plate_is_read_whatever_the_detector_cuts(reader: PlateReader, plate: str) -> None:
    frame = plate_picture.car(plate_sign.sign_of_two_rows(plate))
    assert plate in [one.reading.best for one in reader.read(frame)]


@pytest.mark.parametrize("cut", [0.0, 0.08, 0.16])
def test_the_upper_row_is_found_above_corners_that_cut_it(reader: PlateReader, cut: float) -> None:
    plate = cv2.copyMakeBorder(plate_sign.sign_of_two_rows("粤BA5921"), 60, 60, 60, 60, cv2.BORDER_CONSTANT)
    corners = np.array([(60, 60 + 220 * cut), (500, 60 + 220 * cut), (500, 280), (60, 280)], np.float32)
    assert upright.two_rows(corners)
    made = upright.in_one_row(np.asarray(plate, np.uint8), corners)
    assert {one.shape for one in made} == {(upright.HEIGHT, upright.WIDTH, 3)}
    assert "粤BA5921" in [one.best for one in reader._recogniser.read(made)]


def test_corners_that_grow_keep_their_centre_line() -> None:
    corners = np.array([(10, 10), (110, 20), (110, 50), (10, 40)], np.float32)
    assert upright.grown(corners, 0, 0, 0, 0).tolist() == corners.tolist()
    wide = upright.grown(corners, 0.1, 0, 0.1, 0)
    assert wide.mean(axis=0) == pytest.approx(corners.mean(axis=0))
    assert upright.extent(wide)[0] == pytest.approx(1.2 * upright.extent(corners)[0], rel=1e-3)


# --- kinds of plates, and boards that are none


@pytest.mark.parametrize("plate", ["京X1234应急", "WJ京12345", "使123456", "京A1234警", "粤Z1234港", "沪A0023领"])
def test_rarer_kinds_are_never_believed_to_be_another(reader: PlateReader, plate: str) -> None:
    seen = reader.read(plate_picture.car(plate_sign.sign(plate)))
    assert {one.reading.best for one in seen if one.believed} <= {plate}


@pytest.mark.parametrize("plate", ["VA12345", "KD00127", "BD12345"])
def test_an_armys_plate_is_not_read_as_a_civil_one(reader: PlateReader, plate: str) -> None:
    assert not any(one.believed for one in reader.read(plate_picture.car(plate_sign.sign(plate, "white"))))


@pytest.mark.parametrize(
    "text", ["停车场入口", "京东快递", "川味小馆", "13812345678", "010-87654321", "TOYOTA", "GL8 2.0T"]
)
@pytest.mark.parametrize("kind", ["blue", "yellow", "white"])
def test_a_sign_is_no_plate(reader: PlateReader, text: str, kind: str) -> None:
    board = np.full((140, 440, 3), plate_sign.KINDS[kind][0], np.uint8)
    plate_sign.write(board, text, (220, 70), 84, plate_sign.KINDS[kind][1], 700)
    assert not any(one.believed for one in reader.read(plate_picture.car(board)))


# --- of several cars, the nearest


def queue(near: str, far: str, number: int = 0) -> Frame:
    """A car before the arm, and beside it the plate of one that is further away."""
    frame = plate_picture.draw(near, number)
    x, y, wide, high = 1000.0, 380.0, 145.0, 46.0
    corners = np.array([(x, y), (x + wide, y), (x + wide, y + high), (x, y + high)], np.float32)
    plate_picture.paste(frame, plate_sign.sign(far), corners)
    return frame


def test_the_car_behind_is_seen_but_opens_nothing(reader: PlateReader) -> None:
    seen = {one.reading.best: one for one in reader.read(queue("京A12345", "粤B67890"))}
    assert set(seen) == {"京A12345", "粤B67890"}
    assert seen["京A12345"].believed
    assert seen["粤B67890"].reading.confident
    assert not seen["粤B67890"].believed


def test_frames_of_a_moving_car_vote_and_the_car_behind_is_not_told(reader: PlateReader) -> None:
    told: list[PlateRead] = []

    def put(message: Message) -> None:
        assert isinstance(message, PlateRead)
        told.append(message)

    observer = PlateObserver("road", ["gate"], reader, put, itertools.count(1))
    for number in range(4):
        frame = queue("京A12345", "粤B67890", number)
        if number == 1:  # something passes between
            frame[520:630, 600:700] = 40
        observer.see(frame, 100.0 + number * 0.1)
    assert {one.readings[0].plate for one in told} == {"京A12345"}
    assert told[-1].votes >= 2
