"""A barrier on a real kernel's lines: no edge at rest, a car under it raises it, what is not seen closes nothing."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gateway.lanes.why import LOOP_SAYS
from tests.real.uml.guest import Guest, make_disk

GUEST = Path(__file__).parent / "uml" / "guests" / "lane.py"
ENDED_WITHIN = 3000  # milliseconds from SIGKILL to the end of safe-state; most of it is Python's start in the guest


@pytest.mark.real("kernel")
@pytest.mark.timeout(200)
@pytest.mark.parametrize("death", [pytest.param("freed", marks=pytest.mark.nightly), "driven"])
def test_a_barrier_on_a_kernels_lines(tmp_path: Path, death: str) -> None:
    with Guest(GUEST, death, disk=make_disk(tmp_path / "data.ext4", megabytes=64)) as guest:
        assert guest.wait(within=150) == 0, guest.output
    report: dict[str, Any] = json.loads(next(line for line in guest.output if line.startswith("{")))
    print(report)
    assert report["moved_at_start"] == {}
    assert report["closing_at_stop"] is False
    assert report["edge_to_stop_ms"] < 150
    assert report["stop_before_open"] is True
    assert report["moved_in_fire"] == {}
    assert report["stop_code"] == 0
    assert report["moved_at_stop"] == {}
    assert report["exit_to_lock_ms"] < 400
    assert report["closed_without_loop"] is False
    assert report["faults"] == {"gate": ["loop"], "side": ["loop"]}
    assert report["why"] == {"gate": LOOP_SAYS["silent"], "side": LOOP_SAYS["silent"]}
    assert report["door_faults"] == []
    assert report["moved_at_kill_at_rest"] == {}
    assert report["killed_pulse_ended_ms"] < ENDED_WITHIN
    assert report["last_set_of_the_drive"] == [False, False]
    assert report["raised_over_a_car"][:1] == [True]
