"""The vision unit is given its cameras' devices and nothing else, whatever stands in the file of settings."""

from __future__ import annotations

import os
import stat
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gateway.config import schema
from gateway.vision import devices, settings

REAL = os.stat
UNIT = "loumen-vision@doors.service"


def looked(path: Any, *arguments: Any, **named: Any) -> os.stat_result:
    """A machine with two cameras, a disk and what it really has."""
    kinds = {
        "/dev/video0": (81, stat.S_IFCHR),
        "/dev/loumen/camera-7": (81, stat.S_IFCHR),
        "/dev/sda": (8, stat.S_IFBLK),
    }
    if path in kinds:
        major, kind = kinds[str(path)]
        return os.stat_result((kind | 0o660, *([0] * 9)), {"st_rdev": os.makedev(major, 0)})
    return REAL(path, *arguments, **named)


@pytest.fixture
def given(monkeypatch: pytest.MonkeyPatch) -> Callable[[], list[list[str]]]:
    """What systemctl was called with."""
    calls: list[list[str]] = []

    class Done:
        returncode = 0

    def run(command: list[str], **_: object) -> Done:
        calls.append(command)
        return Done()

    monkeypatch.setattr(os, "stat", looked)
    monkeypatch.setattr(subprocess, "run", run)
    return lambda: calls


def written(folder: Path, **cameras: schema.Camera) -> Path:
    """The file as the daemon writes it."""
    doors = {
        name: schema.Door(name=name, lock=schema.Lock(output=schema.SimulatedOutput(line=1)), camera=name)
        for name in cameras
    }
    file = folder / "vision-doors.json"
    file.write_bytes(settings.encode(settings.Settings.of("doors", schema.Vision(run="service"), cameras, doors)))
    return file


def test_just_the_configured_cameras(given: Callable[[], list[list[str]]], tmp_path: Path) -> None:
    file = written(
        tmp_path, main=schema.V4l2Camera(device="/dev/loumen/camera-7"), yard=schema.RtspCamera(url="rtsp://x")
    )
    assert devices.main(["doors", str(file)]) == 0
    assert given() == [
        ["systemctl", "set-property", "--runtime", UNIT, "DeviceAllow=", "DeviceAllow=/dev/loumen/camera-7 rw"]
    ]


def test_a_camera_that_is_gone_or_of_the_network_opens_nothing(
    given: Callable[[], list[list[str]]], tmp_path: Path
) -> None:
    file = written(tmp_path, main=schema.V4l2Camera(device="/dev/video9"), yard=schema.RtspCamera(url="rtsp://x"))
    assert devices.main(["doors", str(file)]) == 0
    assert given() == [["systemctl", "set-property", "--runtime", UNIT, "DeviceAllow="]]


@pytest.mark.parametrize(
    "said",
    [
        {"cameras": {"a": {"device": "/dev/sda"}, "b": {"device": "/dev/null"}, "c": {"device": "/etc/passwd"}}},
        {"cameras": {"a": {"device": "/dev/video0 rw\nDeviceAllow=/dev/sda"}, "b": {"device": "char-video4linux"}}},
        {"cameras": {"a": {"device": "/dev/\0"}, "b": {"device": ["/dev/video0"]}, "c": 1}},
        {"cameras": ["/dev/video0"]},
        ["/dev/video0"],
        None,
    ],
)
def test_nothing_else_is_ever_given(given: Callable[[], list[list[str]]], said: object) -> None:
    assert devices.devices(said) == []
    assert given() == []


def test_a_file_that_is_none_starts_nothing(given: Callable[[], list[list[str]]], tmp_path: Path) -> None:
    file = tmp_path / "vision-doors.json"
    assert devices.main(["doors", str(file)]) == 1
    file.write_text("{")
    assert devices.main(["doors", str(file)]) == 1
    assert given() == []
