"""Whether the parts of a lane fit together, in the exact words a technician reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.config.load import parse
from gateway.config.mistakes import ConfigMistakes

GOOD = """\
[site]
name = "Garden"
community = "garden-1"

[box]
name = "gate-1"

[lane.gate]
name = "Gate"
loop = { driver = "simulated", line = 3, bias = "up" }
photocell = { driver = "simulated", line = 4, active_low = true, bias = "up" }
fire = { driver = "simulated", line = 5 }

[lane.gate.arm]
open = { driver = "simulated", line = 6 }
close = { driver = "simulated", line = 7 }
limit_up = { driver = "simulated", line = 8 }
limit_down = { driver = "simulated", line = 9 }
"""


def told(text: str) -> list[str]:
    try:
        mistakes = parse(text, Path("gateway.toml")).warnings
    except ConfigMistakes as error:
        mistakes = error.mistakes
    return [f"{m.severity}: {m.render()}" for m in mistakes if m.severity != "hint"]


def test_a_good_file() -> None:
    assert told(GOOD) == []


@pytest.mark.parametrize(
    ("old", "new", "says"),
    [
        ('limit_down = { driver = "simulated", line = 9 }\n', "", "error: .*one limit switch alone"),
        ("line = 7", "line = 6", "error: .*line 6 of simulated is used by gate.open already"),
        ('bias = "up" }\nphotocell', 'bias = "down" }\nphotocell', "warning: .*loop would look like a free lane"),
        (", active_low = true", "", "warning: .*photocell would look like a free lane"),
        ('active_low = true, bias = "up"', 'active_low = true, bias = "down"', "warning: .*photocell would look like"),
        (
            'photocell = { driver = "simulated", line = 4, active_low = true, bias = "up" }\n',
            "",
            "sees cars, not people",
        ),
        ('fire = { driver = "simulated", line = 5 }\n', 'camera = "drive"\n', "error: .*there is no camera drive"),
        ('name = "Gate"', 'name = " "', "error: .*the lane has no name"),
        ("[lane.gate.arm]\n", "[lane.gate.arm]\npulse = 5\n", "error: .*pulse"),
        (
            "[lane.gate]\n",
            '[door.gate]\nname = "D"\n[door.gate.lock]\noutput = { driver = "simulated", line = 20 }\n[lane.gate]\n',
            "error: .*a door has the name gate already",
        ),
    ],
)
def test_what_does_not_fit(old: str, new: str, says: str) -> None:
    assert GOOD.count(old) == 1
    found = "\n".join(told(GOOD.replace(old, new)))
    assert re.search(says, found), found
