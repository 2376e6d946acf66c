"""The whole daemon on a real kernel's lines: no edge on a resting relay, and a pulse never outlives its daemon."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.real.uml.guest import Guest, make_disk

GUEST = Path(__file__).parent / "uml" / "guests" / "daemon.py"
ENDED_WITHIN = 3000  # milliseconds from SIGKILL to the end of safe-state; most of it is Python's start in the guest


@pytest.mark.real("kernel")
@pytest.mark.timeout(200)
@pytest.mark.parametrize("death", ["freed", "driven"])
def test_the_whole_daemon_on_a_kernels_lines(tmp_path: Path, death: str) -> None:
    with Guest(GUEST, death, disk=make_disk(tmp_path / "data.ext4", megabytes=64)) as guest:
        assert guest.wait(within=150) == 0, guest.output
    report: dict[str, Any] = json.loads(next(line for line in guest.output if line.startswith("{")))
    print(report)
    assert report["edges_at_start"] == []
    assert report["exit_to_lock_ms"] < 400
    assert 1.9 <= report["open_seconds"] <= 2.6
    assert report["fire_holds"] is True
    assert report["stop_code"] == 0
    assert report["edges_at_stop"] == []
    assert report["edges_at_kill_at_rest"] == []
    assert report["level_after_kill_at_rest"] is False
    assert report["killed_pulse_ended_ms"] < ENDED_WITHIN
    assert report["killed_pulse_set_to_rest"] is True
    assert report["fire_at_start"] is True
    assert report["rests_at_stop_in_fire"] is True
    assert report["verify"] == 0
