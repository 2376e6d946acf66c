"""What `loumen lane simulate` makes of parts that a lane does not have."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.cli.main import main

CONFIG = """\
[site]
name = "Garden"
community = "garden-1"

[box]
name = "unit-1"
board = "simulated"

[lane.gate]
name = "Gate"
photocell = { driver = "simulated", line = 52 }
[lane.gate.arm]
open = { driver = "simulated", line = 45 }
close = { driver = "simulated", line = 46 }
"""


def test_of_a_part_that_is_not_fitted_nothing_is_heard(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(CONFIG)
    words = ["lane", "simulate", "gate", "0 plate", "10 loop cut", "+1 loop rattle", "+1 limit_up cut"]
    assert main([*words, "+1 photocell cut", "--config", str(config), "--json"]) == 0
    rows = json.loads(capsys.readouterr().out)["rows"]
    told = [(row["what"], row["events"]) for row in rows if row["what"]]
    assert told == [
        ("plate", ["lane.raised.v1"]),
        ("loop", []),
        ("loop", []),
        ("limit_up", []),
        ("photocell", ["lane.line_fault.v1"]),
    ]
