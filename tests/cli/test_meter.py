"""What `loumen meter` says of a reading, in the reader's language."""

from __future__ import annotations

import argparse
from typing import Any

import pytest

from gateway import locale
from gateway.cli import meter
from gateway.cli.shell import Options, Shell

READING = {
    "meter": "flat-502",
    "at": "2026-11-29T00:00:00Z",
    "register": 5000.25,
    "believed": True,
    "values": {"reverse": 3.0, "own": 2.5},
    "units": {"reverse": "L"},
    "flags": [],
    "step": 0.001,
    "seconds": 0.1,
    "answers_within": 0.5,
    "note": "",
}


class Meters:
    """The daemon's side."""

    def command(self, _name: str, _fields: dict[str, Any], **_more: float) -> dict[str, Any]:
        return READING


@pytest.mark.parametrize(("language", "said"), [("en", "backwards: 3 L"), ("zh", "反向累计：3 L")])
def test_quantities_have_their_names_and_colons(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], language: str, said: str
) -> None:
    locale.speak("zh" if language == "zh" else "en")
    shell = Shell(Options())
    monkeypatch.setattr(shell, "client", Meters)
    assert meter.run(argparse.Namespace(verb="read", meter="flat-502", raw=False), shell) == 0
    assert f"  {said}\n" in capsys.readouterr().out
