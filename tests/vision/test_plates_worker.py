"""A lane's camera: what its observer tells, what votes; and a real worker that reads a drawn car."""

from __future__ import annotations

import asyncio
import itertools
import sys
from collections.abc import AsyncIterator
from contextlib import suppress
from pathlib import Path

import numpy as np
import pytest

from gateway.clock import SystemClock
from gateway.config import schema
from gateway.demo import plate_picture
from gateway.lanes.plates import Candidate, Reading
from gateway.vision import protocol
from gateway.vision.client import VisionClient
from gateway.vision.engine import Frame
from gateway.vision.link import WAITING, Outbox
from gateway.vision.plates.part import PlateObserver, PlatePart
from gateway.vision.plates.reader import Seen
from gateway.vision.protocol import Gallery, Garbage, Message, PlateRead
from gateway.vision.settings import Settings
from tests.vision.running import Heard, put, until

ROAD: dict[str, schema.Camera] = {"road": schema.RtspCamera(url="rtsp://road")}
BOX = (100.0, 100.0, 200.0, 60.0)


def seen(plate: str, log_p: float = -0.1, left: float = 100.0) -> Seen:
    return Seen((left, *BOX[1:]), 0.9, Reading((Candidate(plate, log_p), Candidate("京X00000", log_p - 9))))


class Reads:
    """Reads what it is told to, and notes in which size it looked."""

    def __init__(self) -> None:
        self.models = {"plate-detector": "0" * 64}
        self.plates: list[Seen] = []
        self.sides: list[int] = []

    def look(self, frame: Frame, side: int) -> list[Seen]:
        self.sides.append(side)
        return self.plates


class Watched:
    """An observer that is shown frames ten times a second."""

    def __init__(self, *, live: bool = True, lanes: tuple[str, ...] = ("gate",)) -> None:
        self.reader, self.told, self.now = Reads(), list[PlateRead](), 100.0
        self.random = np.random.default_rng(1)
        self.observer = PlateObserver("road", lanes, self.reader, self._put, itertools.count(7), live=live)

    def _put(self, message: Message) -> None:
        assert isinstance(message, PlateRead)
        self.told.append(message)

    def show(self, *plates: Seen, frames: int = 1, still: bool = False, size: tuple[int, int] = (720, 1280)) -> None:
        self.reader.plates = list(plates)
        for _ in range(frames):
            frame = np.full((*size, 3), 90, np.uint8)
            if not still:  # something moves
                frame[: size[0] // 2] = self.random.integers(0, 255, (1, size[1], 3))
            self.observer.see(frame, self.now)
            self.now += 0.1


def test_a_plate_is_told_as_soon_as_two_looks_agree_then_each_second() -> None:
    watched = Watched()
    watched.show(seen("京A12345"))
    assert watched.told == []
    watched.show(seen("京A12345"))
    assert [(one.frames, one.votes, one.track) for one in watched.told] == [(2, 2, 7)]
    assert watched.told[0].readings[0].plate == "京A12345"
    assert watched.told[0].margin == pytest.approx(9)
    watched.show(seen("京A12345"), frames=24)
    assert len(watched.told) == 3
    assert watched.told[-1].frames == 3


def test_looks_that_differ_are_told_after_three_and_without_agreement() -> None:
    watched = Watched()
    for digit in "123":
        watched.show(seen(f"京A1234{digit}"))
    assert [(one.frames, one.votes) for one in watched.told] == [(3, 1)]


def test_one_wrong_look_of_three_is_outvoted() -> None:
    watched = Watched()
    for plate in ("京A12346", "京A12345", "京A12345"):
        watched.show(seen(plate))
    assert watched.told[-1].readings[0].plate == "京A12345"
    assert watched.told[-1].votes == 2


def test_what_cannot_be_read_is_never_told() -> None:
    watched = Watched()
    watched.show(seen("京A12345", -6.0), Seen(BOX, 0.9, Reading(())), frames=30)
    assert watched.told == []


def test_a_frozen_camera_does_not_vote_for_itself() -> None:
    watched = Watched()
    watched.show(seen("京A12345"), frames=100, still=True)
    assert watched.told == []
    assert len(watched.reader.sides) == 1


def test_a_folder_of_pictures_may_show_one_picture_again() -> None:
    watched = Watched(live=False)
    watched.show(seen("京A12345"), frames=8, still=True)
    assert watched.told[0].votes == 2


def test_two_cars_are_two_tracks_and_the_next_car_is_a_new_one() -> None:
    watched = Watched()
    watched.show(seen("京A12345"), seen("京B12345", left=700.0), frames=2)
    assert {one.track: one.readings[0].plate for one in watched.told} == {7: "京A12345", 8: "京B12345"}
    watched.show(frames=20)
    watched.show(seen("京C12345"), frames=2)
    assert (watched.told[-1].track, watched.told[-1].readings[0].plate) == (9, "京C12345")
    assert watched.told[-1].votes == 2


def test_a_track_that_changes_hands_does_not_mix_its_votes() -> None:
    """Bumper to bumper, in the same place: the vote follows the newest three."""
    watched = Watched()
    watched.show(seen("京A12345"), frames=5)
    watched.show(seen("京B12345"), frames=20)
    assert watched.told[-1].readings[0].plate == "京B12345"
    assert watched.told[-1].votes == 3


def test_closer_looks_come_frame_by_frame_while_nothing_is_believed() -> None:
    watched = Watched()
    watched.show(frames=4, size=(1080, 1920))
    assert watched.reader.sides == [640, 960, 640, 960]
    watched = Watched()
    watched.show(seen("京A12345"), frames=3)
    assert watched.reader.sides == [640, 640, 640]
    watched = Watched()
    watched.show(frames=3, size=(480, 640))
    assert watched.reader.sides == [640, 640, 640]


def test_each_lane_of_a_camera_is_told() -> None:
    watched = Watched(lanes=("in", "out"))
    watched.show(seen("京A12345"), frames=2)
    assert [one.lane for one in watched.told] == ["in", "out"]


def test_a_reading_with_one_candidate_has_no_margin() -> None:
    watched = Watched()
    watched.show(Seen(BOX, 0.9, Reading((Candidate("京A12345", -0.1),))), frames=2)
    assert watched.told[0].margin is None
    (again,) = protocol.Reader("worker").feed(protocol.encode(watched.told[0]))
    assert again == watched.told[0]


def test_old_plates_give_way_in_the_outbox() -> None:
    outbox = Outbox()
    watched = Watched()
    watched.show(seen("京A12345"), frames=2)
    for _ in range(WAITING + 3):
        outbox.put(watched.told[0])
    assert len(outbox) == WAITING


def test_a_worker_of_lanes_takes_no_gallery() -> None:
    part = PlatePart(Settings(group="lanes", cameras=ROAD, doors={}, vision=schema.Vision(), lanes={}), Reads())
    with pytest.raises(Garbage):
        part.hear(Gallery(door="front", generation=1, path="x", sha256="0"), lambda _camera, _seconds: _nothing())


async def _nothing() -> AsyncIterator[Frame]:
    return
    yield


# --- the real process


def client(tmp_path: Path, read: list[PlateRead], heard: Heard, lanes: dict[str, str]) -> VisionClient:
    (tmp_path / "road").mkdir(exist_ok=True)
    return VisionClient(
        schema.Vision(),
        {"road": schema.FolderCamera(path=str(tmp_path / "road"), fps=10)},
        {},
        tmp_path / "run",
        SystemClock(),
        on_candidates=heard.add(heard.candidates),
        on_presence=heard.add(heard.presence),
        note=heard.add(heard.events),
        lanes=lanes,
        on_plate=heard.add(read),
        group="lanes",
        worker=(sys.executable, "-m", "gateway.vision.worker"),
    )


def test_a_drawn_car_comes_through_the_real_process(tmp_path: Path) -> None:
    async def scenario() -> None:
        read, heard = list[PlateRead](), Heard()
        vision = client(tmp_path, read, heard, {"gate": "road"})
        task = asyncio.create_task(vision.run())
        try:
            await until(lambda: vision.status().state == "up", heard, within=60)
            put(tmp_path / "road", "a", plate_picture.draw("粤BD12345"))
            await until(lambda: bool(read), heard, within=60)
            status = vision.status()
            assert (status.engine, status.detector) == ("pp-ocrv4", "clp-det")
            assert set(status.models) == {"plate-detector", "plate-reader"}
            assert status.resident_kb < 250 * 1024
        finally:
            task.cancel()
            with suppress(asyncio.CancelledError):
                await task
        first = read[0]
        assert (first.camera, first.lane, first.readings[0].plate) == ("road", "gate", "粤BD12345")
        assert first.votes >= 2
        assert heard.kinds()[0] == "vision.started.v1"

    asyncio.run(scenario())
