"""One screen that can be read aloud."""

from __future__ import annotations

import contextlib
import fcntl
import os
import pty
import re
import struct
import subprocess
import sys
import termios
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from gateway import locale
from gateway.cli.shell import Options, Shell
from gateway.cli.status import duration, faces, lines, show
from gateway.control.status import (
    CameraStatus,
    ClockStatus,
    ConfigStatus,
    DirectoryStatus,
    DiskStatus,
    DoorStatus,
    JournalStatus,
    LaneStatus,
    MetersStatus,
    Problem,
    Status,
    UplinkStatus,
    VisionStatus,
    decode,
)
from tests.cli.run_cli import ROOT
from tests.control.daemon import serving

WELL = Status(
    box="unit-1",
    site="花园小区",
    version="0.1.0",
    uptime=3700.0,
    doors=(
        DoorStatus(
            id="main", name="东门", commanded="locked", sensed="closed", face="alone", camera="front", people=120
        ),
    ),
    vision=VisionStatus(
        run="service",
        state="up",
        engine="onnx",
        detector="yunet",
        cameras=(CameraStatus(camera="front", frame_age=0.12, frames=900),),
    ),
    directory=DirectoryStatus(people=120),
    uplink=UplinkStatus(state="connected", enrolled=True, broker="b.cn:8883", backlog=3),
    clock=ClockStatus(now="2026-11-24T20:00:00+08:00", timezone="Asia/Shanghai", trusted=True),
    disk=DiskStatus(free_mb=9000, total_mb=30000, written_today_mb=3.25),
    config=ConfigStatus(file="/etc/loumen/gateway.toml"),
)

ILL = Status(
    doors=(
        DoorStatus(id="main", commanded="held", sensed="open", alarm="forced", faults=("contact",)),
        DoorStatus(id="gate", commanded="blocked", sensed="unknown"),
    ),
    vision=VisionStatus(
        run="service", state="down", restarts=3, cameras=(CameraStatus(camera="front", problem="no such device"),)
    ),
    journal=JournalStatus(state="down", waiting=7, dropped=2, problem="the disk is full"),
    directory=DirectoryStatus(state="degraded", people=4, unreadable=1),
    uplink=UplinkStatus(state="resting", receiver=False, problem="The broker does not answer", backlog=9),
    disk=DiskStatus(free_mb=12, written_today_mb=80.0),
    config=ConfigStatus(source="last good", confirm_within=125.0),
    problems=(
        Problem(part="journal", what="the disk is full", mend="make room: old logs, old releases"),
        Problem(part="config", what="the configuration file is invalid; the last good one runs", severity="warning"),
    ),
)


def screen(status: Status, capsys: pytest.CaptureFixture[str]) -> str:
    show(status, Shell(Options(lang="en")))
    return capsys.readouterr().out


def test_all_well(capsys: pytest.CaptureFixture[str]) -> None:
    assert screen(WELL, capsys) == (
        "unit-1 · 花园小区 · Loumen 0.1.0 · running for 1 h 1 min\n"
        "● no problems\n"
        "\n"
        "● door main (东门): locked · leaf closed · faces: 120\n"
        "● face recognition: running · detector yunet (onnx) · pictures from front\n"
        "● journal: well\n"
        "● directory: well · people: 120\n"
        "● uplink: connected · b.cn:8883 · 3 events not yet confirmed\n"
        "● clock: 2026-11-24 20:00:00 · Asia/Shanghai · trusted\n"
        "● disk: 9000 MB free · 3.2 MB of 50 MB written today\n"
        "● configuration: as the file says · /etc/loumen/gateway.toml\n"
        "○ faces: unmeasured: children, East Asian faces, attacks (loumen evaluate faces)\n"
    )


def test_all_ill(capsys: pytest.CaptureFixture[str]) -> None:
    assert screen(ILL, capsys) == (
        "? · ? · Loumen  · running for 0 s\n"
        "✖ journal: the disk is full\n"
        "    mend: make room: old logs, old releases\n"
        "▲ configuration: the configuration file is invalid; the last good one runs\n"
        "\n"
        "✖ door main: FORCED OPEN · held open · leaf open · lines at fault: door contact\n"
        "▲ door gate: blocked · leaf unknown\n"
        "✖ face recognition: DOWN · no picture from front yet · restarted 3 times\n"
        "✖ journal: DOWN · 7 events wait to be stored · 2 events were dropped\n"
        "▲ directory: degraded · people: 4 · 1 cannot be read\n"
        "▲ uplink: waiting to try again · "
        "9 events not yet confirmed · acknowledged by the broker only\n"
        "▲ clock: NOT trusted\n"
        "✖ disk: 12 MB free · 80.0 MB of 50 MB written today\n"
        "▲ configuration: the last good copy, because the file is invalid · "
        "applied, not confirmed: taken back in 2 min 5 s (loumen config apply --confirm)\n"
    )


def test_the_mistakes_of_an_invalid_file_are_told(capsys: pytest.CaptureFixture[str]) -> None:
    from gateway.config.load import parse
    from gateway.config.mistakes import ConfigMistakes

    with pytest.raises(ConfigMistakes) as error:
        parse("[site]\nname = 1\n[box", Path("gateway.toml"))
    problem = Problem(part="config", what=error.value.what, facts=error.value.facts)
    assert (
        "✖ configuration: one mistake in gateway.toml\n"
        "    gateway.toml:3: this is not TOML: Expected ']' at the end of a table declaration\n"
    ) in screen(Status(problems=(problem,)), capsys)


def test_in_chinese(capsys: pytest.CaptureFixture[str]) -> None:
    locale.speak("zh")
    told = screen(ILL, capsys)
    assert "✖ 门 main：强行开门 · 常开 · 门开着 · 故障线路：门磁" in told
    assert "✖ 事件日志：停止工作 · 7 个事件等待存储" in told
    assert "✖ 事件日志：磁盘已满" in told


def test_only_a_site_with_faces_is_warned_of_what_was_not_measured() -> None:
    assert faces(WELL)
    assert not faces(ILL)


def test_an_empty_document_is_a_status() -> None:
    assert next(lines(decode({}))).state == "bad"


@settings(max_examples=200, deadline=None)
@given(
    st.dictionaries(
        st.sampled_from(["doors", "vision", "journal", "clock", "disk", "problems", "uptime", "new_key"]),
        st.one_of(
            st.none(),
            st.integers(),
            st.text(max_size=5),
            st.lists(st.dictionaries(st.sampled_from(["id", "commanded", "what"]), st.text(max_size=5)), max_size=2),
            st.dictionaries(st.sampled_from(["state", "engine", "trusted", "free_mb"]), st.text(max_size=5)),
        ),
    )
)
def test_any_document_is_a_status_or_refused(document: dict[str, Any]) -> None:
    try:
        status = decode(document)
    except msgspec.ValidationError:
        return
    assert list(lines(status))


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0, "0 s"), (59.9, "59 s"), (60, "1 min 0 s"), (3599, "59 min 59 s"), (7325, "2 h 2 min"), (90061, "1 d 1 h")],
)
def test_durations(seconds: float, text: str) -> None:
    assert duration(seconds) == text


BUSY = msgspec.structs.replace(
    WELL,
    doors=(*WELL.doors, DoorStatus(id="back", name="后门", commanded="locked", sensed="closed")),
    lanes=(LaneStatus(id="gate", name="南门道闸", commanded="down", sensed="down", under="free", camera="drive"),),
    plate_vision=VisionStatus(
        run="service", state="up", engine="pp-ocrv4", detector="clp-det", cameras=(CameraStatus(camera="drive"),)
    ),
    meters=MetersStatus(count=12, ok=10, silent=1, leaks=1),
    problems=(
        Problem(
            part="door.back.lock",
            what="Line {line} of {chip} is held by '{holder}'.",
            where="pinctrl-rp1:17",
            facts={"line": 17, "chip": "pinctrl-rp1", "holder": "pigpiod"},
            mend="Stop that program, or give this line's wire another line.",
        ),
        Problem(
            part="meter.flat-12",
            what="meter {meter} (unit {unit}) gives no believable answer",
            facts={"meter": "flat-12", "unit": 12},
            mend="'loumen meter read {meter}' says what comes; check its supply, wires and unit number",
            severity="warning",
        ),
    ),
)


def on_a_terminal(status: Status, home: Path, *words: str, rows: int = 24, columns: int = 80) -> list[str]:
    """What a technician sees: the rows that `loumen status` writes to a terminal of this size."""
    ours, theirs = pty.openpty()
    fcntl.ioctl(theirs, termios.TIOCSWINSZ, struct.pack("HHHH", rows, columns, 0, 0))
    document = msgspec.to_builtins(status)
    environment = {"PATH": os.environ["PATH"], "HOME": str(home), "LANG": "C.UTF-8", "TERM": "xterm"}
    with serving(home / "s", status=document):
        done = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli.main", "status", "--socket", str(home / "s"), *words],
            stdout=theirs,
            cwd=ROOT,
            env=environment,
        )
        os.close(theirs)
        seen = b""
        with contextlib.suppress(OSError):  # the terminal is hung up at the program's end
            while piece := os.read(ours, 65536):
                seen += piece
        done.wait(30)
    os.close(ours)
    return re.sub(r"\x1b\[[0-9;]*m", "", seen.decode()).replace("\r", "").splitlines()


@pytest.mark.parametrize("language", ["zh", "en"])
@pytest.mark.parametrize("problems", [0, 2, 9])
def test_a_busy_box_is_one_screen(language: str, problems: int, tmp_path: Path) -> None:
    more = tuple(
        Problem(part=f"meter.m{number}", what="this line does not work", mend="look at its wire", severity="warning")
        for number in range(problems - 2)
    )
    status = msgspec.structs.replace(BUSY, problems=(*BUSY.problems, *more)[:problems])
    rows = on_a_terminal(status, tmp_path, "--lang", language)
    assert len(rows) <= 23
    assert max(map(cell_len, rows)) <= 80
    told = "".join(rows)
    if problems:
        assert "pigpiod" in told
    if problems > 2:
        assert "--all" in told
        assert len(on_a_terminal(status, tmp_path, "--lang", language, "--all")) > 23
