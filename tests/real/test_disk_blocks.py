"""What a lone event costs the disk itself, by a real kernel's count: ext4 with blocks of 4 KB, its journal included.

The file's own blocks are one or two; that no mapped index of the log adds to them is what is held here (8 KB for
each event, before the journal had its file alone). What ext4 adds for a changed time of the file, three blocks of its
own journal each time, only the mount option `lazytime` saves: docs/install.md.
"""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.disk_week import WANTED_MB, on_a_disk
from tests.real.uml.guest import Guest, make_disk

SCRIPT = Path(__file__).parent / "uml" / "guests" / "lone_events.py"
EVENTS = 200


def bytes_an_event(folder: Path, option: str) -> float:
    disk = make_disk(folder / f"{option}.ext4", megabytes=256)
    with Guest(SCRIPT, str(EVENTS), option, disk=disk, time_travel=True) as guest:
        told = guest.expect("bytes ", within=90)
    return int(told.split()[1]) / EVENTS


@pytest.mark.real("kernel")
@pytest.mark.timeout(240)
def test_a_lone_event_costs_two_blocks_and_the_file_systems_own_only_without_lazytime(tmp_path: Path) -> None:
    lazy, default = bytes_an_event(tmp_path, "lazytime"), bytes_an_event(tmp_path, "defaults")
    print(f"{EVENTS} lone events: {lazy / 1024:.1f} KB each with lazytime, {default / 1024:.1f} KB with the defaults")
    assert lazy < 2.5 * 4096
    assert default < 6 * 4096


@pytest.mark.real("kernel")
@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_a_day_of_a_whole_box_stays_below_what_a_card_may_take() -> None:
    (day,) = on_a_disk(1, "lazytime", print)
    assert day["events"] > 3500
    assert day["mb"] < WANTED_MB
