"""Ten checks: each says ok where all is well, and what to do where it is not."""

from __future__ import annotations

import json
import os
import socket
import sqlite3
from collections.abc import Callable
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from drivers.errors import LineMissing, N_
from drivers.interfaces import LineInfo
from gateway.config.load import load
from gateway.config.mistakes import ConfigMistakes
from gateway.config.new import text
from gateway.control.status import (
    CameraStatus,
    ClockStatus,
    ConfigStatus,
    DirectoryStatus,
    DiskStatus,
    Problem,
    Status,
    UplinkStatus,
    VisionStatus,
)
from gateway.doctor.checks import CHECKS, files
from gateway.doctor.look import Look, Outcome
from gateway.state_lock import StateLock
from tests.cli.run_cli import loumen


def free(_driver: str, chip: str, line: int) -> LineInfo:
    return LineInfo(chip, line, "", "")


@pytest.fixture
def box(tmp_path: Path) -> Look:
    path = tmp_path / "gateway.toml"
    path.write_text(text("simulated", str(tmp_path)))
    (tmp_path / "state").mkdir(mode=0o750)
    return Look(path, tmp_path / "state", tmp_path / "run", free, load(path))


def configured(box: Look, more: str) -> Look:
    box.path.write_text(text("simulated", str(box.path.parent)).replace("[journal]", f"{more}\n[journal]"))
    return replace(box, loaded=load(box.path))


def said(outcome: Outcome) -> tuple[str, str]:
    return outcome.grade, outcome.what.format_map(outcome.facts)


def test_there_are_ten() -> None:
    assert list(CHECKS) == ("config permissions lines camera models clock disk database broker certificate".split())


def test_config(box: Look) -> None:
    assert said(CHECKS["config"](box))[0] == "ok"
    running = replace(box, status=Status(config=ConfigStatus(source="last good")))
    assert said(CHECKS["config"](running)) == (
        "warn",
        "the file is valid, but the daemon runs another configuration",
    )
    box.path.write_text("nonsense")
    with pytest.raises(ConfigMistakes) as error:
        load(box.path)
    outcome = CHECKS["config"](replace(box, loaded=None, mistakes=error.value))
    assert said(outcome) == ("fail", "one mistake in gateway.toml")
    assert (outcome.details[0].name, outcome.details[0].what) == ("gateway.toml:1", "this is not TOML: {problem}")


def test_permissions(box: Look) -> None:
    assert said(CHECKS["permissions"](box))[0] == "ok"
    box.state.chmod(0o755)
    assert said(CHECKS["permissions"](box)) == ("fail", f"everybody can look into {box.state}")
    box.state.chmod(0o750)
    box.path.chmod(0o666)
    assert said(CHECKS["permissions"](box)) == ("fail", f"everybody can change {box.path}")
    box.path.chmod(0o640)
    (box.state / "identity").mkdir(mode=0o755)
    assert said(CHECKS["permissions"](box))[0] == "fail"
    assert said(CHECKS["permissions"](replace(box, state=box.state / "none")))[0] == "warn"


def test_lines_of_a_stopped_box(box: Look) -> None:
    assert said(CHECKS["lines"](box)) == ("ok", "all 7 lines exist and are free")

    def missing(_driver: str, chip: str, line: int) -> LineInfo:
        raise LineMissing(
            N_("There is no GPIO chip {chip} on this machine."), mend=N_("Use one of: {known}."), chip=chip
        )

    assert said(CHECKS["lines"](replace(box, inspect=missing)))[0] == "fail"
    busy = replace(box, inspect=lambda _driver, chip, line: LineInfo(chip, line, "", "pigpiod"))
    outcome = CHECKS["lines"](busy)
    assert outcome.grade == "fail"
    assert len(outcome.details) == 7
    assert outcome.details[0].what.format_map(outcome.details[0].facts) == (
        "line 5 of simulated is busy: pigpiod holds it"
    )
    assert said(CHECKS["lines"](replace(box, loaded=None)))[0] == "skip"


def test_lines_of_a_running_box(box: Look) -> None:
    names = "lock contact exit_button fire indicators.granted indicators.denied indicators.buzzer".split()
    held = tuple({"name": f"main.{name}", "active": False} for name in names)
    assert said(CHECKS["lines"](replace(box, lines=held))) == ("ok", "the daemon holds all 7 lines")
    gone: tuple[dict[str, Any], ...] = ({"name": "main.lock", "active": None}, *held[1:])
    assert said(CHECKS["lines"](replace(box, lines=gone))) == ("fail", "the daemon cannot use: main.lock")
    busy = {"what": "Line {line} is held by '{holder}'.", "mend": "Stop it.", "facts": {"line": 5, "holder": "x"}}
    told = ({**gone[0], "problem": busy}, *held[1:])
    assert CHECKS["lines"](replace(box, lines=told)).details[0].mend == "Stop it."


def test_cameras(box: Look, tmp_path: Path) -> None:
    assert said(CHECKS["camera"](box))[0] == "skip"
    seen = configured(box, f'[camera.a]\ndriver = "folder"\npath = "{tmp_path}"')
    assert said(CHECKS["camera"](seen)) == ("ok", "cameras that are there: 1")
    missing = configured(box, f'[camera.a]\ndriver = "folder"\npath = "{tmp_path}/none"')
    assert said(CHECKS["camera"](missing)) == ("fail", f"there is no folder {tmp_path}/none")
    with socket.create_server(("127.0.0.1", 0)) as listener:
        url = f"rtsp://u:p@127.0.0.1:{listener.getsockname()[1]}/"
        assert said(CHECKS["camera"](configured(box, f'[camera.a]\ndriver = "rtsp"\nurl = "{url}"')))[0] == "ok"
    silent = configured(box, f'[camera.a]\ndriver = "rtsp"\nurl = "{url}"')
    assert said(CHECKS["camera"](silent)) == ("fail", "camera a does not answer on the network")


def test_cameras_as_the_daemon_says(box: Look, tmp_path: Path) -> None:
    box = configured(box, f'[camera.a]\ndriver = "folder"\npath = "{tmp_path}"')
    box.path.write_text(box.path.read_text().replace('# camera = "main"  ', 'camera = "a"  '))
    box = replace(box, loaded=load(box.path))

    def outcome(vision: VisionStatus, plates: VisionStatus | None = None) -> Outcome:
        return CHECKS["camera"](replace(box, status=Status(vision=vision, plate_vision=plates)))

    down = outcome(VisionStatus(state="down", last_end="signal 11", last_end_words="it crashed"))
    assert said(down) == ("fail", "the process that owns the cameras does not run: it crashed")
    assert outcome(VisionStatus(state="starting")).grade == "warn"
    fresh = CameraStatus(camera="a", frame_age=0.1)
    assert said(outcome(VisionStatus(state="up", cameras=(fresh,)))) == ("ok", "cameras that give pictures: 1")
    assert outcome(VisionStatus(state="up", cameras=(fresh,)), VisionStatus(state="down")).grade == "fail"
    old = outcome(VisionStatus(state="up", cameras=(CameraStatus(camera="a", frame_age=60.0),)))
    assert (old.grade, old.details[0].what.format_map(old.details[0].facts)) == ("fail", "the last picture is 60 s old")
    assert outcome(VisionStatus(state="up")).details[0].what == "no picture yet"
    told = CameraStatus(camera="a", problem="gone", what="there is no camera at {device}", mend="plug it in")
    assert outcome(VisionStatus(state="up", cameras=(told,))).details[0].mend == "plug it in"


def test_models(box: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.vision import models

    off = configured(box, "").path
    off.write_text(off.read_text().replace('run = "child"', 'run = "off"'))
    assert said(CHECKS["models"](replace(box, loaded=load(off)))) == ("skip", "vision is off")
    model = models.manifest().model[0]
    monkeypatch.setattr(models, "states", lambda **_extra: iter([(model, "ok")]))
    assert said(CHECKS["models"](box)) == ("ok", "1 models are there and whole")
    monkeypatch.setattr(models, "states", lambda **_extra: iter([(model, "damaged")]))
    outcome = CHECKS["models"](box)
    assert (outcome.grade, outcome.details[0].name, outcome.details[0].what) == ("fail", model.name, "damaged")
    assert outcome.details[0].mend == "loumen model prepare"
    optional = models.manifest().optional[0]
    monkeypatch.setattr(models, "states", lambda **_extra: iter([(optional, "damaged")]))
    assert "{upstream}" in CHECKS["models"](box).details[0].mend


def test_clock(box: Look) -> None:
    assert said(CHECKS["clock"](replace(box, status=Status(clock=ClockStatus(trusted=True, now="x"))))) == (
        "ok",
        "the daemon trusts the clock: x",
    )
    assert said(CHECKS["clock"](replace(box, status=Status())))[0] == "warn"
    assert said(CHECKS["clock"](box))[0] in {"ok", "warn"}


def test_disk(box: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    import types

    def room(free_mb: int, flags: int = 0) -> Callable[[object], object]:
        return lambda _path: types.SimpleNamespace(
            f_bavail=free_mb, f_frsize=1024 * 1024, f_flag=flags, f_files=100_000, f_favail=50_000
        )

    for free_mb, flags, grade in ((9000, 0, "ok"), (100, 0, "warn"), (10, 0, "fail"), (9000, os.ST_RDONLY, "fail")):
        monkeypatch.setattr("gateway.doctor.checks.files.os.statvfs", room(free_mb, flags))
        assert said(CHECKS["disk"](box))[0] == grade
    monkeypatch.setattr("gateway.doctor.checks.files.os.statvfs", room(9000))
    busy = replace(box, status=Status(disk=DiskStatus(written_today_mb=90.0)))
    assert said(CHECKS["disk"](busy)) == (
        "warn",
        "90 MB were written today; 50 MB are the budget of an SD card",
    )


@pytest.mark.parametrize(
    ("options", "grade"),
    [("ext4 /dev/root rw", "warn"), ("ext4 /dev/root rw,lazytime", "ok"), ("f2fs /dev/root rw", "ok")],
)
def test_a_disk_that_writes_times(
    box: Look, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: str, grade: str
) -> None:
    device = box.state.stat().st_dev
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "22 27 0:921 / /proc rw - proc proc rw\n"
        f"27 1 {os.major(device)}:{os.minor(device)} / / rw,noatime shared:1 - {options}\n"
    )
    monkeypatch.setattr(files, "MOUNTS", mounts)
    assert said(CHECKS["disk"](box))[0] == "ok"  # a checkout is no box: nothing here could mend it
    (tmp_path / "loumen-disk.service").touch()
    monkeypatch.setattr(files, "DISK_UNIT", tmp_path / "loumen-disk.service")
    assert said(CHECKS["disk"](box))[0] == grade


def test_databases_of_a_stopped_box(box: Look) -> None:
    assert said(CHECKS["database"](box)) == ("skip", "there is no database yet")
    for name in ("journal.db", "directory.db"):
        with closing(sqlite3.connect(box.state / name)) as connection:
            connection.execute("PRAGMA journal_mode=WAL")
            connection.execute("CREATE TABLE t (x)")
            connection.commit()
    assert said(CHECKS["database"](box)) == ("ok", "journal.db, directory.db are whole")
    (box.state / "directory.db").write_bytes(b"noise" * 1000)
    assert said(CHECKS["database"](box)) == ("fail", "damaged: directory.db")
    with StateLock(box.state):
        assert said(CHECKS["database"](box))[0] == "warn"  # somebody uses the folder: it is not touched


def test_databases_of_a_running_box(box: Look) -> None:
    assert said(CHECKS["database"](replace(box, status=Status())))[0] == "ok"
    ill = Status(directory=DirectoryStatus(state="down"))
    outcome = CHECKS["database"](replace(box, status=ill))
    assert said(outcome) == ("fail", "the daemon says: not well")
    assert [(one.name, one.what) for one in outcome.details] == [("directory", "not well")]
    told = Problem(part="directory", what="the directory was damaged", mend="restart loumen")
    why = CHECKS["database"](replace(box, status=msgspec.structs.replace(ill, problems=(told,)))).details
    assert [(one.what, one.mend) for one in why] == [("the directory was damaged", "restart loumen")]


def test_broker(box: Look) -> None:
    assert said(CHECKS["broker"](box))[0] == "skip"
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port = listener.getsockname()[1]
        box = configured(box, f'[uplink]\nbrokers = [{{ host = "127.0.0.1", port = {port} }}]')
        assert said(CHECKS["broker"](box)) == ("ok", f"127.0.0.1:{port} answers")
        waiting = replace(box, status=Status(uplink=UplinkStatus(state="resting")))
        assert said(CHECKS["broker"](waiting))[0] == "warn"
    assert said(CHECKS["broker"](box)) == ("fail", f"no broker can be reached: 127.0.0.1:{port}")
    connected = replace(box, status=Status(uplink=UplinkStatus(state="connected", broker="b")))
    assert said(CHECKS["broker"](connected)) == ("ok", "connected to b")
    behind = replace(box, status=Status(uplink=UplinkStatus(state="connected", broker="b", backlog=5000)))
    assert said(CHECKS["broker"](behind))[0] == "warn"


def test_certificate(box: Look, monkeypatch: pytest.MonkeyPatch) -> None:
    import types
    from datetime import UTC, datetime, timedelta

    from gateway.identity import Box

    assert said(CHECKS["certificate"](box))[0] == "skip"
    box = configured(box, '[uplink]\nbrokers = [{ host = "b.cn" }]')
    assert said(CHECKS["certificate"](box)) == ("fail", "this box is not enrolled")
    assert not (box.state / "identity").exists()
    for days, grade in ((300, "ok"), (10, "warn"), (-1, "fail")):
        until = datetime.now(UTC) + timedelta(days=days)
        monkeypatch.setattr(Box, "credentials", lambda _self, end=until: types.SimpleNamespace(not_after=end))
        assert said(CHECKS["certificate"](box))[0] == grade
    (box.state / "identity" / "current").mkdir(parents=True)
    monkeypatch.undo()
    assert said(CHECKS["certificate"](box)) == ("fail", "The box's certificate or bundle is damaged")


def test_as_a_program(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(text("simulated", str(tmp_path)))
    words = ("--config", str(path), "doctor")
    done = loumen(*words, "config", "lines", "disk", home=tmp_path)
    assert done.returncode == 0, done.stdout
    assert done.stdout.splitlines()[:2] == [
        f"● configuration: {path} is valid",
        "● lines: all 7 lines exist and are free",
    ]
    told = json.loads(loumen(*words, "--json", "config", home=tmp_path).stdout)
    assert told["running"] is False
    assert told["checks"][0]["check"] == "config"
    path.write_text("broken")
    assert loumen(*words, "config", home=tmp_path).returncode == 1
