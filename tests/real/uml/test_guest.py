"""The machine that the other tests stand on does what it says."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from tests.real.uml.guest import Guest, TooLate, check_disk, make_disk

GUESTS = Path(__file__).parent / "guests"
pytestmark = pytest.mark.real("kernel")


def test_an_edge_and_a_pulse_on_real_lines() -> None:
    with Guest(GUESTS / "one_edge.py") as guest:
        assert guest.wait(within=20) == 0, guest.output
    assert guest.output == [
        "label pinctrl-bcm2711",
        "name contact",
        "edge 17 RISING_EDGE",
        "high True",
        "after False",
        "sets [False, True, False] ['out']",
    ]


def test_what_was_synced_survives_a_power_cut(tmp_path: Path) -> None:
    disk = make_disk(tmp_path / "data.ext4", megabytes=8)
    with Guest(GUESTS / "keeps.py", "100000", disk=disk) as guest:
        assert guest.expect("found") == "found nothing"
        guest.expect("kept 20")
        guest.cut()
    told = max(int(line.split()[1]) for line in guest.output if line.startswith("kept"))
    with Guest(GUESTS / "keeps.py", "0", disk=disk) as guest:
        assert int(guest.expect("found").split()[1]) in (told, told + 1)
        assert guest.wait(within=20) == 0
    assert check_disk(disk) == ""


def test_a_day_in_a_moment() -> None:
    began = time.monotonic()
    with Guest(GUESTS / "flies.py", time_travel=True) as guest:
        assert guest.wait(within=20) == 0, guest.output
    assert guest.output == ["elapsed 86400 86400"]
    assert time.monotonic() - began < 15


def test_lines_in_both_directions_and_the_exit_code() -> None:
    with Guest(GUESTS / "answers.py", "a b", env={"COLOUR": "red"}) as guest:
        assert guest.expect("ready") == "ready 1 a b red"
        guest.send("good evening")
        assert guest.wait(within=20) == 3
    assert guest.output[-1] == "said good evening"


def test_too_late_says_what_was_heard(tmp_path: Path) -> None:
    script = tmp_path / "raises.py"
    script.write_text("print('so far'); raise OSError('no such thing')")
    with Guest(script) as guest:
        with pytest.raises(TooLate, match="so far"):
            guest.expect("never", within=20)
        assert guest.wait() == 70
