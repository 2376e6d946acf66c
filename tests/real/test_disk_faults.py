"""A real process on a failing disk (strace injects it): notes stay instant, records are refused, then it recovers.

Where strace fails a call of the process, the journal must not be wrong afterwards: whatever was acknowledged is
there, and a commit that reported failure but reached the disk is not written a second time. (strace counts calls
by thread: a connection that is opened anew meets the same faults again.)
"""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.journal.direct import JournalReader
from tests.real.journal_process.process import Process
from tests.real.test_journal_kill import check

INSTANT = 0.25  # seconds: a busy test machine takes 0.1, with strace in the way; a disk that fails takes 0.3 and more


def strace(*injections: str) -> list[str]:
    traced = ",".join(sorted({injection.split(":")[0] for injection in injections}))
    return ["strace", "-f", "-qqq", "-o", "/dev/null", "-e", f"trace={traced}"] + [
        part for injection in injections for part in ("-e", f"inject={injection}")
    ]


@pytest.mark.real("strace")
@pytest.mark.parametrize(
    "injection",
    [
        "fdatasync:error=EIO:when=20..25",
        "fdatasync:error=EIO:when=20+7",
        "pwrite64:error=ENOSPC:when=150..155",
        "pwrite64:error=EIO:when=150+40",
    ],
)
def test_errors_come_and_go(tmp_path: Path, injection: str) -> None:
    with Process(tmp_path, strace(injection)) as process:
        process.until("up")
        process.take_acks(60, within=60)
        assert process.stop().startswith("closed 0")
        assert process.slowest_note < INSTANT
    assert check(tmp_path, process.acks) >= 60


@pytest.mark.real("strace")
def test_a_disk_that_hangs_delays_nothing_but_records(tmp_path: Path) -> None:
    with Process(tmp_path, strace("fdatasync:delay_enter=1500000:when=25..27")) as process:
        process.until("up")
        process.until("down", within=60)
        process.until("state degraded")
        process.until("state ok", within=30)
        process.take_acks(20)
        assert process.stop().startswith("closed 0")
        assert process.slowest_note < INSTANT
    check(tmp_path, process.acks)


@pytest.mark.real("strace")
def test_a_dead_disk_is_said_and_does_not_hold_the_stop(tmp_path: Path) -> None:
    with Process(tmp_path, strace("fdatasync:error=EIO:when=25+")) as process:
        process.until("up")
        process.until("state down", within=60)
        line = process.until("down")
        assert "disk" in line
        process.stop(within=10)
        assert process.slowest_note < INSTANT
        process.kill()
    with Process(tmp_path) as process:
        process.take_acks(5)
        process.stop()
    check(tmp_path, process.acks)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "small"
    folder.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=14m", "tmpfs", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", "-l", str(folder)], check=True)


@pytest.mark.real("root")
def test_a_full_disk_gives_up_the_least_important_and_says_so(small_disk: Path) -> None:
    with Process(small_disk) as process:
        process.until("up")
        process.take_acks(1500, within=100)  # 15 MB of chatter beside them: more than there is room for
        last = process.stop()
        assert process.slowest_note < INSTANT
    rows = list(JournalReader(small_disk / "journal.db").rows())
    assert {row.seq for row in rows} == set(range(1, len(rows) + 1))
    assert any(row.type == "journal.dropped.v1" and row.body and b'"disk"' in row.body for row in rows)
    kept = {row.seq for row in rows if row.type == "test.passed.v1" and row.body is not None}
    assert set(process.acks.values()) <= kept
    assert last
