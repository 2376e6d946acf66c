"""Events in words, and the live view of a box."""

from __future__ import annotations

import re
import signal
import subprocess
from dataclasses import dataclass
from typing import Any

import msgspec
import pytest

from gateway import events, locale
from gateway.cli.happenings import SENTENCES, told
from gateway.cli.watch import changes
from gateway.control.status import DoorStatus, Problem, Status
from gateway.demo.stage import LOUMEN, Stage
from tests.cli.test_box import stage as stage  # noqa: PLC0414  (a fixture)

GIVEN = {"line", "why", "mode"}  # made from other fields


def row(kind: str, **fields: Any) -> dict[str, Any]:
    return {"type": kind, "event": {"type": kind, **fields}}


def test_every_event_has_a_sentence_of_its_own_fields() -> None:
    assert set(events.ALL) - set(SENTENCES) == set()
    for kind, entry in ((kind, SENTENCES[kind]) for kind in events.ALL):
        fields = {field.name for field in msgspec.structs.fields(events.ALL[kind])}
        sentences = [entry] if isinstance(entry, str) else [*entry[1].values()]
        assert isinstance(entry, str) or entry[0] in fields, kind
        for sentence in sentences:
            assert set(re.findall(r"{(\w+)}", sentence)) - GIVEN <= fields, (kind, sentence)


@dataclass(frozen=True)
class Said:
    row: dict[str, Any]
    english: str
    chinese: str


@pytest.mark.parametrize(
    "said",
    [
        Said(
            row("door.opened.v1", door="main", by="face", person="0123456789", reason=""),
            "door main opened by a face: 01234567",
            "门 main 刷脸开门：01234567",
        ),
        Said(
            row("door.opened.v1", door="main", by="command", actor="uid:0", reason="搬家"),
            "door main opened by command of uid:0 · 搬家",
            "门 main 由 uid:0 命令开门 · 搬家",
        ),
        Said(
            row("door.refused.v1", door="main", code="expired"),
            "door main refused: the person's validity has ended",
            "门 main 拒绝：此人的有效期已结束",
        ),
        Said(
            row("door.line_fault.v1", door="main", line="indicators.denied", gone=True),
            "door main: line denied lamp does not work",
            "门 main：拒绝灯线路故障",
        ),
        Said(
            row("command.done.v1", command="door.open", actor="uid:0", result="journal.down"),
            "command door.open from uid:0 did not succeed: journal.down",
            "uid:0 的命令 door.open 未成功：journal.down",
        ),
        Said(
            row("meter.reading_refused.v1", meter="flat-502", reason="backwards"),
            "meter flat-502: a reading was not believed (the register runs backwards)",
            "水表 flat-502：一次读数不可信（读数在倒走）",
        ),
        Said(
            row("command.refused.v1", reason="replayed", key="desk"),
            "a command from afar was refused: The command was carried out before",
            "拒绝了一条远程命令：该命令以前已执行过",
        ),
        Said(row("sauna.hot.v1", degrees=90, note=""), "sauna.hot.v1 degrees=90", "sauna.hot.v1 degrees=90"),
        Said({"type": "door.opened.v1", "event": None}, "(body removed by retention)", "（正文已按保留期限删除）"),
    ],
)
def test_events_in_words(said: Said) -> None:
    assert told(said.row) == said.english
    locale.speak("zh")
    assert told(said.row) == said.chinese


def test_what_changes_is_told_and_figures_that_move_are_not() -> None:
    def status(free: int, *problems: Problem, alarm: str = "") -> Status:
        disk = Problem(part="disk", what="only {free} MB are free on the disk", facts={"free": free})
        return Status(doors=(DoorStatus(id="main", alarm=alarm),), problems=(disk, *problems))

    assert list(changes(status(100), status(99))) == []
    lock = Problem(part="door.main.lock", what="this line does not work")
    assert list(changes(status(9), status(9, lock))) == [("bad", "door main · lock: this line does not work")]
    assert list(changes(status(9, lock), status(9))) == [("ok", "over: door main · lock: this line does not work")]
    ((state, text),) = changes(status(9), status(9, alarm="forced"))
    assert (state, text.startswith("door main: FORCED OPEN")) == ("bad", True)


def test_watch_shows_the_screen_then_what_happens_until_ctrl_c(stage: Stage) -> None:
    watching = subprocess.Popen(
        [*LOUMEN, "--lang", "zh", "watch"], env=stage.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    assert watching.stdout is not None
    assert watching.stdout.readline().startswith("unit-1 · 花园小区")
    while watching.stdout.readline().strip():
        pass  # problems, then an empty line
    while watching.stdout.readline().strip():
        pass  # parts, then an empty line: now it follows
    happened = ""
    while "由 uid:" not in happened:
        stage.ask("door", "open", "main")
        happened = watching.stdout.readline()
    assert re.match(r"\d\d-\d\d \d\d:\d\d:\d\d( \?)?  ", happened)
    watching.send_signal(signal.SIGINT)
    _, wrong = watching.communicate(timeout=20)
    assert (watching.returncode, wrong) == (0, "")
