"""What breaks at a barrier, on a real daemon: told in both languages, nothing closes, and the door never notices."""

from __future__ import annotations

import itertools
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import cv2
import pytest

from gateway.demo import plate_picture
from gateway.demo.gate import BEAM, BOTTOM, CLOSE, HOME, LOOP, OPEN
from gateway.demo.house import EXIT, LOCK, House
from gateway.demo.stage import Stage
from gateway.lanes.plates import normal
from gateway.vision import protocol
from gateway.vision.frames import FROZEN
from gateway.vision.observe import Health
from gateway.vision.protocol import CameraHealth, Heartbeat, Hello, Message, PlateCandidate, PlateRead

WITHIN = 20.0
TRACKS = itertools.count(1)


@pytest.fixture
def house() -> Iterator[House]:
    """A door and a barrier; the lanes' vision process is played by the test."""
    with Stage.raised() as stage:
        house = House.build(stage)
        text = house.config.read_text().replace('run = "child"', 'run = "service"')
        house.config.write_text(text.replace("stay_open = 8.0", "stay_open = 8.0\nstuck_after = 1.0"))
        yield house


class Eye:
    """The lanes' vision process, as the daemon hears it; it beats once a second until it is closed."""

    def __init__(self, path: Path) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self._socket.connect(str(path))
        self.health = CameraHealth(camera="drive", frame_age=0.1, frames=1)
        self._closed = threading.Event()
        self._tell(
            Hello(
                protocol=protocol.PROTOCOL,
                group="lanes",
                version="1",
                engine="onnx",
                detector="test",
                models={},
                pid=1,
            )
        )
        self._beating = threading.Thread(target=self._beat)
        self._beating.start()

    def reads(self, plate: str) -> None:
        """A plate, with certainty."""
        self._tell(
            PlateRead(
                camera="drive",
                lane="gate",
                track=next(TRACKS),
                readings=(PlateCandidate(plate=normal(plate), log_p=-0.02),),
                margin=None,
                frames=3,
                votes=3,
                at=time.monotonic(),
            )
        )

    def close(self) -> None:
        self._closed.set()
        self._beating.join()
        self._socket.close()

    def _beat(self) -> None:
        while True:
            self._tell(Heartbeat(cameras=(self.health,), resident_kb=1, generations={}))
            if self._closed.wait(0.5):
                return

    def _tell(self, message: Message) -> None:
        self._socket.sendall(protocol.encode(message))


def opens(house: House) -> None:
    """The door, by its button."""
    pressed = time.monotonic()
    house.building.press(EXIT)
    house.opened(pressed, 5)
    house.building.let_go(EXIT)
    house.building.reaches(LOCK, False, since=time.monotonic(), within=10)


def tells(house: House, english: str, chinese: str) -> None:
    """`status` says it in both languages."""
    deadline, said = time.monotonic() + WITHIN, ""
    while english not in said:
        assert time.monotonic() < deadline, said
        said = house.stage.loumen("status", "--all", "--lang", "en", ok=False).out
    assert chinese in house.stage.loumen("status", "--all", "--lang", "zh", ok=False).out


def raised_by_hand(house: House) -> float:
    at = time.monotonic()
    house.stage.loumen("lane", "raise", "gate")
    house.gate.rises(at)
    return at


def closings(house: House, since: float) -> list[float]:
    return [at for at, level in house.building.changes(CLOSE) if level and at >= since]


def test_what_breaks_at_a_barrier(house: House) -> None:
    building = house.building
    house.start_box()
    house.stage.loumen("plate", "add", HOME)
    eye = Eye(house.stage.folder / "run" / "vision-lanes.sock")
    try:
        at = time.monotonic()
        eye.reads(HOME)
        house.gate.rises(at)

        building.vanish(BEAM)
        tells(house, "photocell", "红外对射")
        assert "stays up: the photocell's line says nothing" in house.stage.loumen("lane", "show", "gate").out
        assert "红外对射的线没有信号" in house.stage.loumen("lane", "show", "gate", "--lang", "zh").out
        opens(house)
        assert closings(house, at) == []
        building.return_(BEAM)
        building.set(BEAM, True)
        house.gate.falls(time.monotonic())

        at = raised_by_hand(house)
        building.set(LOOP, True)
        tells(house, "the loop of lane gate has been occupied for long", "地感")
        opens(house)
        assert closings(house, at) == []
        building.set(LOOP, False)
        house.gate.falls(at)

        at = raised_by_hand(house)
        building.set(BOTTOM, True)
        tells(house, "the limit switches of lane gate contradict each other", "限位")
        opens(house)
        assert closings(house, at) == []
        building.set(BOTTOM, False)

        health = Health("drive", live=True)
        health.saw(time.monotonic(), FROZEN + 1)
        eye.health = health.tell(time.monotonic())
        tells(house, "the picture is frozen", "不再变化")
        opens(house)
        assert house.stage.loumen("lane", "raise", "gate").code == 0, "the button and the desk raise it all the same"
    finally:
        eye.close()


def test_a_badge_and_an_empty_street_raise_nothing(house: House) -> None:
    """Real pictures through the real chain: an empty street, a car with a maker's badge, then a resident's car."""
    text = house.config.read_text()
    house.config.write_text(text.replace('run = "service"', 'run = "child"').replace('camera = "front"\n', ""))
    house.start_box()
    house.stage.loumen("plate", "add", HOME)
    drive = house.stage.folder / "drive"
    seen = house.stage.follow("event", "follow", "--type", "lane.")
    at = time.monotonic()
    for number, picture in enumerate([plate_picture.empty(), plate_picture.badge(), plate_picture.badge("BMW 520")]):
        beside = house.stage.folder / f"{number}.png"
        cv2.imwrite(str(beside), picture)
        refused = house.stage.loumen("plate", "read", str(beside), ok=False)
        assert (refused.code, "no plate" in refused.out) == (1, True), refused
        beside.rename(drive / beside.name)
        frames = looked_at(house, 0)
        looked_at(house, frames + 8)  # a folder shows a picture eight times
    nothing = house.stage.loumen("plate", "read", "--lane", "gate", ok=False)
    assert nothing.code == 1
    assert "no plate was read at lane gate yet" in nothing.err
    assert [level for when, level in house.building.changes(OPEN) if when >= at] == []
    opens(house)
    at = house.gate.arrive(HOME)
    house.gate.rises(at, within=30)
    first = seen.wait(lambda _event: True, 10, "an event of the lane")
    assert first["type"] == "lane.raised.v1", "nothing was told of a street, or of a badge"


def looked_at(house: House, frames: int) -> int:
    """Wait until the lane's camera has given so many frames; how many it has given."""
    deadline = time.monotonic() + 60.0
    while time.monotonic() < deadline:
        cameras = house.stage.ask("status", ok=False)["plate_vision"]["cameras"]
        if cameras and cameras[0]["frames"] >= max(1, frames):
            return int(cameras[0]["frames"])
    raise AssertionError("the lane's camera gives no frames")
