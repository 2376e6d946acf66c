"""Whether the wall clock may be believed, and that becoming so is told once."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.clock import Now, SystemClock
from gateway.journal.event import Event
from gateway.journal.events import ClockSynchronised
from gateway.trust import RELEASED, Machine, TrustWatcher, judge, kernel_synchronised

WALL = datetime(2027, 1, 1, tzinfo=UTC)
DAY = timedelta(days=1)


@pytest.mark.parametrize(
    ("wall", "last", "ntp", "chip", "source"),
    [
        (WALL, None, True, None, "ntp"),
        (WALL, WALL + DAY, True, None, "ntp"),  # NTP is believed over the journal
        (datetime(1970, 1, 1, tzinfo=UTC), None, True, None, None),  # nothing is believed before this release
        (WALL, None, False, None, None),
        (WALL, WALL - DAY, False, WALL, "clock_chip"),
        (WALL, None, False, WALL, "clock_chip"),
        (WALL, WALL + DAY, False, WALL, None),  # the chip stood still, or lost its battery
        (WALL, WALL - DAY, False, WALL - DAY / 2, None),  # the wall clock was restored from a file
        (WALL, WALL - DAY, False, datetime(1970, 1, 2, tzinfo=UTC), None),
    ],
)
def test_judge(wall: datetime, last: datetime | None, ntp: bool, chip: datetime | None, source: str | None) -> None:
    assert judge(wall, last, ntp=ntp, chip=chip) == source


class Wrong(SystemClock):
    """A clock that is an hour behind until somebody sets it."""

    def __init__(self) -> None:
        super().__init__()
        self.wall, self.boot = WALL - timedelta(hours=1), 10.0

    def now(self) -> Now:
        return Now(self.boot, self.boot, self.wall, self.trusted)


def test_the_offset_is_told_once(tmp_path: Path) -> None:
    clock, told = Wrong(), list[Event]()
    machine = Machine(kernel=lambda: False, timesyncd=tmp_path / "synchronized", chip=tmp_path / "rtc")
    watcher = TrustWatcher(clock, told.append, lambda: None, machine=machine)
    assert not watcher.check()
    assert not clock.now().trusted
    clock.boot, clock.wall = 40.0, WALL + timedelta(seconds=30)
    (tmp_path / "synchronized").touch()
    assert watcher.check()
    assert watcher.check()
    assert clock.now().trusted
    assert told == [ClockSynchronised(offset=3600.0, source="ntp")]


def test_a_chip_counts_only_where_it_is_declared(tmp_path: Path) -> None:
    clock, told = Wrong(), list[Event]()
    (tmp_path / "rtc").write_text(f"{int(clock.wall.timestamp())}\n")
    machine = Machine(kernel=lambda: False, timesyncd=tmp_path / "no", chip=tmp_path / "rtc")
    assert not TrustWatcher(clock, told.append, lambda: RELEASED, machine=machine).check()
    assert TrustWatcher(clock, told.append, lambda: RELEASED, chip_declared=True, machine=machine).check()
    assert told == [ClockSynchronised(offset=0.0, source="clock_chip")]


def test_the_kernel_can_be_asked() -> None:
    assert kernel_synchronised() in {True, False}
