"""What the status says of the disk: everything the daemon wrote today, whatever wrote it."""

from __future__ import annotations

import os
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway.clock import Now
from gateway.written import Written


class HandClock:
    wall = datetime(2026, 3, 1, 12, 0, tzinfo=UTC)  # 20:00 at the site

    def now(self) -> Now:
        return Now(0.0, 0.0, self.wall)


def test_a_day_begins_at_midnight_of_the_site(tmp_path: Path) -> None:
    clock, source = HandClock(), tmp_path / "io"
    source.write_text("rchar: 9\nwrite_bytes: 1000\ncancelled_write_bytes: 5\n")
    written = Written(clock, source)
    assert written.today() == 1000
    source.write_text("write_bytes: 5000\n")
    clock.wall += timedelta(hours=5)
    assert written.today() == 0
    source.write_text("write_bytes: 5096\n")
    assert written.today() == 96


def test_without_the_kernels_count_nothing_is_claimed(tmp_path: Path) -> None:
    assert Written(HandClock(), tmp_path / "none").today() is None
    (tmp_path / "io").write_text("write_bytes: many\n")
    assert Written(HandClock(), tmp_path / "io").today() is None


def test_the_kernel_counts_blocks_and_not_bytes(tmp_path: Path) -> None:
    written = Written(HandClock())
    before = written.today()
    if before is None:
        pytest.skip("this kernel keeps no count of a process's writes")
    with (tmp_path / "file").open("wb", buffering=0) as file:
        for _ in range(10):
            file.write(b"x")
            os.fdatasync(file.fileno())
    now = written.today()
    if now == before:
        pytest.skip("the temporary folder is in memory")
    assert now is not None
    assert now - before >= 10 * 4096
