"""What `loumen plate` shows a clerk, wherever she sits."""

from __future__ import annotations

import argparse
import contextlib
import io
import json
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import cv2
import pytest

from gateway import locale
from gateway.cli import plate
from gateway.cli.shell import Options, Shell
from gateway.demo import plate_picture
from gateway.errors import Refused
from tests.cli.run_cli import loumen

VEHICLE = {"id": "a1", "plate": "粤B12345", "person": "", "lanes": ["*"], "origin": "import", "valid_from": None}


class Register:
    """The daemon's side."""

    def command(self, name: str, _fields: dict[str, Any]) -> dict[str, Any]:
        assert name == "plate.list"
        ends = ("2026-12-31T16:00:00Z", "2026-12-31T10:30:00Z")
        plates = [{**VEHICLE, "plate": f"粤B1234{n}", "valid_until": end} for n, end in enumerate(ends)]
        return {"plates": plates, "states": {one["plate"]: "ok" for one in plates}, "next": "", "total": 2}


@pytest.fixture
def _elsewhere(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """A laptop in another zone than the site."""
    monkeypatch.setenv("TZ", "America/Lima")
    time.tzset()
    locale.live_in(lambda: ZoneInfo("Asia/Shanghai"))
    yield
    locale.live_in(lambda: None)
    monkeypatch.undo()
    time.tzset()


@pytest.mark.usefixtures("_elsewhere")
@pytest.mark.parametrize(("language", "origin"), [("en", "from a list"), ("zh", "名单")])
def test_a_validity_ends_on_the_day_of_the_site(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], language: str, origin: str
) -> None:
    locale.speak("zh" if language == "zh" else "en")
    shell = Shell(Options())
    monkeypatch.setattr(shell, "client", Register)
    plate.run(argparse.Namespace(verb="list", find="", person=""), shell)
    said = capsys.readouterr().out
    assert " 2026-12-31 " in said, "as she typed it"
    assert " 2026-12-31 18:30 " in said
    assert origin in said


def test_one_bad_picture_takes_no_other_with_it(tmp_path: Path) -> None:
    cv2.imwrite(str(tmp_path / "street.png"), plate_picture.empty())
    cv2.imwrite(str(tmp_path / "car.png"), plate_picture.badge())
    (tmp_path / "letter.png").write_text("no picture")
    files = [str(tmp_path / f"{name}.png") for name in ("street", "letter", "car")]
    done = loumen("plate", "read", *files, home=tmp_path)
    assert (done.returncode, done.stderr.count("this is no picture")) == (1, 1), done
    assert [line.split(":")[0] for line in done.stdout.splitlines()] == [files[0], files[2]]
    document = json.loads(loumen("plate", "read", *files, "--json", home=tmp_path).stdout)
    assert [one.get("error", {}).get("code", "") for one in document["pictures"]] == ["", "image", ""]


class Importing:
    """The daemon's side: a list that would take 400 plates away."""

    def __init__(self) -> None:
        self.done: list[bool] = []

    def command(self, _name: str, fields: dict[str, Any], **_more: float) -> dict[str, Any]:
        self.done.append(not fields["dry_run"])
        return {"added": 0, "changed": 0, "removed": 400, "same": 1, "errors": [], "more_errors": 0}


@pytest.mark.parametrize(
    ("terminal", "answer", "imported"), [(True, "n\n", False), (True, "y\n", True), (False, "", True)]
)
def test_a_list_that_empties_the_register_is_asked_about(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, terminal: bool, answer: str, imported: bool
) -> None:
    (tmp_path / "list.csv").write_text("plate\n")
    daemon, stdin, stderr = Importing(), io.StringIO(answer), io.StringIO()
    for name, stream in (("stdin", stdin), ("stderr", stderr)):
        monkeypatch.setattr(stream, "isatty", lambda: terminal)
        monkeypatch.setattr(sys, name, stream)
    shell = Shell(Options())
    monkeypatch.setattr(shell, "client", lambda: daemon)
    words = argparse.Namespace(verb="import", file=tmp_path / "list.csv", replace=True, dry_run=False)
    with contextlib.nullcontext() if imported else pytest.raises(Refused, match="nothing was changed"):
        plate.run(words, shell)
    assert (True in daemon.done) is imported
    assert ("400" in stderr.getvalue()) is terminal
