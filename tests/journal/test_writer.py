"""The writer when the disk answers late, wrongly, or twice."""

from __future__ import annotations

import asyncio
import sqlite3
from pathlib import Path
from typing import Any, ClassVar

import pytest

from gateway.errors import AlreadyUsed, JournalDown
from gateway.journal import quarantine, writer
from gateway.journal.event import Event
from gateway.journal.events import JournalGap
from gateway.journal.file import JournalFile
from gateway.journal.store import Journal
from gateway.journal.writer import GROUP_SECONDS
from tests.journal.samples import Ordered, Passed, bodies, everything, journal_at, numbers, running, settled

COMMIT = JournalFile.commit


def failing(code: int) -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("the test's disk")
    error.sqlite_errorcode, error.sqlite_errorname = code, "SQLITE_IOERR"
    return error


class Disk:
    """Stands before `JournalFile.commit`: late, failing, or failing after the work was done."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch) -> None:
        self.gate = asyncio.Event()
        self.gate.set()
        self.fail_before = self.fail_after = 0
        self.reached = asyncio.Event()
        disk = self

        async def commit(file: JournalFile, *arguments: Any) -> None:
            disk.reached.set()
            await disk.gate.wait()
            if disk.fail_before:
                disk.fail_before -= 1
                raise failing(sqlite3.SQLITE_IOERR)
            await COMMIT(file, *arguments)
            if disk.fail_after:
                disk.fail_after -= 1
                file.durable = 0  # as SQLite would leave it
                raise failing(sqlite3.SQLITE_IOERR)

        monkeypatch.setattr(JournalFile, "commit", commit)
        monkeypatch.setattr(writer, "PAUSES", (0.01,))


@pytest.mark.parametrize("failures", [1, 2, 7])
def test_failures_are_retried_in_order_without_doubles(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, failures: int
) -> None:
    async def scenario() -> None:
        async with running(journal_at(tmp_path)) as journal:
            disk = Disk(monkeypatch)
            disk.fail_before = failures
            for n in range(300):
                journal.note(Passed(n=n))
            await journal.wait_beyond(journal.head)
            await settled(journal)
            assert numbers(await everything(journal)) == [*range(300), -1]
            assert journal.health().state == "ok"

    asyncio.run(scenario())


def test_a_commit_that_failed_and_yet_happened_is_not_repeated(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with running(journal_at(tmp_path)) as journal:
            await settled(journal)
            disk = Disk(monkeypatch)
            disk.fail_after = 1
            for n in range(100):
                journal.note(Passed(n=n))
            position = await journal.record(Ordered(n=100), once="once")
            assert position.seq == 103
            assert journal.used("once")
            await settled(journal)
            rows = await everything(journal)
            assert numbers(rows) == [-1, *range(101), -1]
            assert [row.seq for row in rows] == list(range(1, 105))

    asyncio.run(scenario())


def test_a_record_given_up_while_it_waits_is_withdrawn_and_its_id_is_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with running(journal_at(tmp_path)) as journal:
            disk = Disk(monkeypatch)
            disk.gate.clear()
            journal.note(Passed(n=0))
            await disk.reached.wait()
            with pytest.raises(JournalDown):
                await journal.record(Ordered(n=1), once="id", within=0.02)
            assert not journal.used("id")
            disk.gate.set()
            await journal.record(Ordered(n=2), once="id")
            assert numbers(await everything(journal)) == [0, 2]

    asyncio.run(scenario())


def test_a_record_given_up_on_its_way_to_the_disk_leaves_its_id_used(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        async with running(journal_at(tmp_path)) as journal:
            disk = Disk(monkeypatch)
            disk.gate.clear()
            with pytest.raises(JournalDown):
                await journal.record(Ordered(n=1), once="id", within=0.05)
            with pytest.raises(AlreadyUsed):
                await journal.record(Ordered(n=2), once="id")
            disk.gate.set()
            await settled(journal)
            assert numbers(await everything(journal)) == [1, -1]

    asyncio.run(scenario())


def test_a_hung_disk_is_said_and_the_stop_is_not_held(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        monkeypatch.setattr("gateway.journal.store.SLOW", 0.05)
        async with running(journal_at(tmp_path)) as journal:
            disk = Disk(monkeypatch)
            disk.gate.clear()
            journal.note(Passed(n=0))
            await disk.reached.wait()
            with pytest.raises(JournalDown):
                await journal.record(Ordered(n=1), within=0.1)
            health = journal.health()
            assert (health.state, bool(health.problem)) == ("degraded", True)
            started = asyncio.get_running_loop().time()
            await journal.close(within=0.1)
            assert asyncio.get_running_loop().time() - started < 3

    asyncio.run(scenario())


def test_a_fault_of_its_own_does_not_end_the_journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        monkeypatch.setattr("gateway.journal.store._RESTART", 0.01)
        async with running(journal_at(tmp_path)) as journal:
            await settled(journal)

            async def commit(_file: JournalFile, *_arguments: Any) -> None:
                raise ZeroDivisionError

            monkeypatch.setattr(JournalFile, "commit", commit)
            with pytest.raises(JournalDown):
                await journal.record(Ordered(n=1))
            monkeypatch.setattr(JournalFile, "commit", COMMIT)
            await settled(journal)

    asyncio.run(scenario())


def test_a_large_damaged_file_is_salvaged_by_a_process_of_its_own(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(quarantine, "_APART", 10_000)
    monkeypatch.setattr(quarantine, "carry_out", None)  # it must not be called in this process

    async def scenario() -> None:
        async with running(journal_at(tmp_path)) as journal:
            for n in range(500):
                journal.note(Passed(n=n))
            await settled(journal)
            before = await everything(journal)
        await asyncio.to_thread(_overwrite_first_page, tmp_path / "journal.db")
        async with running(journal_at(tmp_path)) as journal:
            rows = await everything(journal)
            assert len(bodies(rows, JournalGap)) == 1
            assert rows[: len(before)] == before

    asyncio.run(scenario())


def _overwrite_first_page(path: Path) -> None:
    with path.open("r+b") as file:
        file.write(bytes(2048))


def test_a_journal_that_never_started_refuses_and_closes(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal: Journal = journal_at(tmp_path)
        with pytest.raises(JournalDown):
            await journal.mark("up")
        with pytest.raises(JournalDown):
            await journal.record(Ordered(n=1), within=0.05)
        await journal.close()

    asyncio.run(scenario())


class Followed(Event, frozen=True, kw_only=True, tag="test.followed.v1"):
    patience: ClassVar[float] = 30.0
    n: int


def test_what_may_wait_is_written_with_the_next_that_may_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(journal_at(tmp_path)) as journal:
            journal.note(Followed(n=1))
            await asyncio.sleep(20 * GROUP_SECONDS)  # nothing happens in it: that is what is shown
            assert journal.health().waiting == 1
            journal.note(Passed(n=2))
            async with asyncio.timeout(10):
                while journal.health().waiting:
                    await journal.wait_beyond(journal.head)
            assert numbers(await everything(journal)) == [1, 2]
            journal.note(Followed(n=3))  # and with the stop
        async with running(journal_at(tmp_path)) as journal:
            assert numbers(await everything(journal)) == [1, 2, 3]

    asyncio.run(scenario())


def test_what_may_wait_waits_no_longer_than_that(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with running(journal_at(tmp_path)) as journal:
            before = journal.head
            journal.note(Followed(n=1))
            async with asyncio.timeout(10):
                await journal.wait_beyond(before)
            assert numbers(await everything(journal)) == [1]

    monkeypatch.setattr(Followed, "patience", 0.05)
    asyncio.run(scenario())


def test_a_second_start_makes_no_second_writer(tmp_path: Path) -> None:
    """Its supervisor starts the journal again when a look at what may go has failed."""

    async def scenario() -> None:
        async with running(journal_at(tmp_path)) as journal:
            await journal.record(Ordered(n=1))
            await journal.start()
            writers = [task for task in asyncio.all_tasks() if task.get_name() == "journal writer"]
            assert len(writers) == 1
            await journal.record(Ordered(n=2))
            assert numbers(await everything(journal)) == [1, 2]

    asyncio.run(scenario())
