"""What `loumen plate` shows a clerk, wherever she sits."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from gateway import locale
from gateway.cli import plate
from gateway.cli.shell import Options, Shell

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
