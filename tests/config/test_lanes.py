"""Whether the parts of a lane fit together, in the exact words a technician reads."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gateway.config.load import parse
from gateway.config.mistakes import ConfigMistakes
from gateway.config.new import BOARDS, Board, text

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
        (
            'open = { driver = "simulated", line = 6 }',
            'open = { driver = "simulated", line = 6, bias = "up" }',
            "^error: gateway.toml:15: lane.gate.arm.open.bias: the output rests electrically low",
        ),
        (
            "[lane.gate.arm]\n",
            "[lane.gate.arm]\ntravel = 0.3\npulse = 0.5\n",
            "^error: gateway.toml:16: lane.gate.arm.pulse: a pulse of 0.5 s is longer",
        ),
        (
            "[lane.gate.arm]\n",
            "[lane.gate.arm]\ntravel = 0.8\n",
            "^error: gateway.toml:15: lane.gate.arm.travel: no arm arrives within 0.8 s",
        ),
        ("[lane.gate.arm]\n", "[lane.gate.arm]\ntravel = -1\n", "^error: gateway.toml:15: lane.gate.arm.travel"),
        ("[lane.gate.arm]\n", "[lane.gate.arm]\ntravel = 500\n", "^error: gateway.toml:15: lane.gate.arm.travel"),
        ("[lane.gate.arm]\n", "[lane.gate.arm]\nspeed = 5\n", "^error: gateway.toml:15: lane.gate.arm.speed"),
        (
            'name = "Gate"\n',
            'name = "Gate"\nstuck_after = 15\n',
            "^warning: gateway.toml:10: lane.gate.stuck_after: warning: a car that waits",
        ),
        ('name = "Gate"\n', 'name = "Gate"\nclose_after = 0\n', "^error: gateway.toml:10: lane.gate.close_after"),
        (
            'limit_up = { driver = "simulated", line = 8 }\nlimit_down = { driver = "simulated", line = 9 }\n',
            "",
            "^warning: gateway.toml:14: lane.gate.arm: warning: without limit switches nobody notices",
        ),
        (
            'loop = { driver = "simulated", line = 3, bias = "up" }\n'
            'photocell = { driver = "simulated", line = 4, active_low = true, bias = "up" }\n',
            "",
            "^warning: gateway.toml:8: lane.gate: warning: with neither loop nor photocell .* it is never closed",
        ),
    ],
)
def test_what_does_not_fit(old: str, new: str, says: str) -> None:
    assert GOOD.count(old) == 1
    found = "\n".join(told(GOOD.replace(old, new)))
    assert re.search(says, found), found


def test_one_camera_for_a_door_and_a_lane_or_for_two_lanes() -> None:
    camera = '[camera.drive]\ndriver = "folder"\npath = "/tmp/cars"\n'
    gate = GOOD.replace('name = "Gate"\n', 'name = "Gate"\ncamera = "drive"\n') + camera
    assert told(gate) == []
    door = '[door.main]\nname = "D"\ncamera = "drive"\n[door.main.lock]\noutput = { driver = "simulated", line = 20 }\n'
    (error,) = told(gate + door)
    assert error.startswith("error: gateway.toml:10: lane.gate.camera: this camera belongs to a door")
    lane = gate[gate.index("[lane.gate]") : gate.index("[camera")]
    side = re.sub(r"line = (\d)", r"line = 3\1", lane.replace("lane.gate", "lane.side"))
    (warning,) = told(gate + side)
    assert warning.startswith("warning: gateway.toml:25: lane.side.camera: warning: lane gate looks through this")
    assert told(gate + side.replace('camera = "drive"\n', 'camera = "drive"\nplate = "off"\n')) == []


@pytest.mark.parametrize("board", BOARDS)
def test_the_new_files_lane_fits_when_it_is_uncommented(board: Board) -> None:
    lines = text(board).splitlines()
    begin = lines.index("# [lane.gate]")
    end = lines.index("", begin)
    lane = [line.removeprefix("#").removeprefix(" ") for line in lines[begin:end]]
    assert told("\n".join([*lines[:begin], *lane, *lines[end:]])) == []
