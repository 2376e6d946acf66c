"""SIGKILL in the middle of a pulse on a real kernel's lines, under both behaviours of a dead owner's line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from tests.real.uml.guest import Guest

GUEST = Path(__file__).parent / "uml" / "guests" / "safe_state.py"
WITHIN = 2000  # milliseconds from SIGKILL to rest; measured 185 in the guest, most of it Python's start


@pytest.mark.real("kernel")
@pytest.mark.parametrize("death", ["freed", "driven"])
def test_a_pulse_ends_and_nothing_that_rests_is_moved(death: str) -> None:
    with Guest(GUEST, death) as guest:
        assert guest.wait(within=60) == 0, guest.output
    report = json.loads(guest.output[0])
    assert report["left_energised"] == (death == "driven")
    assert report["milliseconds"] < WITHIN
    assert report["after"] is False
    # what was set on each wire, from the owner's claim to the second safe-state: no set but to its resting level
    assert report["lock"] == [False, True, False, False]
    assert report["light"] == [False, False, False]
    assert report["maglock"] == [True, True, True]
    assert set(report["ways"]) == {"out"}
    assert report["levels"] == [False, True]


@pytest.mark.real("kernel")
def test_a_living_daemon_keeps_its_lines_and_is_named() -> None:
    with Guest(GUEST, "freed") as guest:
        assert guest.wait(within=60) == 0, guest.output
    report = json.loads(guest.output[0])
    assert report["owned"]["code"] == 1
    assert "loumen:main.lock" in report["owned"]["problems"][0]["why"]
    names = ["main.lock", "main.light", "gate.lock"]
    for run in ("first", "again"):
        assert report[run] == {"code": 0, "resting": names, "problems": [], "stderr": ""}
