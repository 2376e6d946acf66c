"""What everybody may rely on: in, out, marks, single use, epochs, drops, retention."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from contextlib import closing
from datetime import timedelta
from itertools import pairwise
from pathlib import Path

import pytest

from gateway.clock import LoopClock, Now
from gateway.config import schema
from gateway.errors import AlreadyUsed, JournalDown
from gateway.journal.events import EpochStarted, JournalDropped
from gateway.journal.rows import ZERO, Position
from gateway.journal.store import Journal
from tests.journal.samples import (
    BOX,
    START,
    Alarm,
    Chatter,
    Odd,
    Ordered,
    Passed,
    TestClock,
    bodies,
    everything,
    journal_at,
    journal_file,
    numbers,
    power_cut,
    running,
    settled,
)


def test_what_was_noted_before_the_start_comes_first_and_in_order(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = journal_at(tmp_path)
        for n in range(500):
            journal.note(Passed(n=n))
        assert journal.health().state == "down"
        assert not journal_file(tmp_path).exists()
        async with running(journal):
            await settled(journal)
            rows = await everything(journal)
            assert numbers(rows) == [*range(500), -1]
            assert [row.seq for row in rows] == list(range(1, len(rows) + 1))
            assert rows[0].type == EpochStarted.type_name()
            assert rows[0].previous == ZERO
            assert all(after.previous == before.head for before, after in pairwise(rows))
            assert journal.head == rows[-1].position
            assert journal.id(rows[-1].position) == f"{BOX}/{rows[-1].epoch}/{len(rows)}"
            assert journal.health().state == "ok"

    asyncio.run(scenario())


def test_note_never_raises(tmp_path: Path) -> None:
    clock = LoopClock(START)
    journal = Journal(tmp_path / "journal.db", clock, BOX, schema.Journal())
    journal.note(Passed(n=1))  # no loop runs: this clock cannot even say what time it is
    journal.note(Odd(thing=object()))
    journal.note(Odd(thing="\ud800"))
    journal.note(Passed(n=2, text="x" * 70_000))
    journal.note("no event at all")  # type: ignore[arg-type]

    async def scenario() -> None:
        async with running(journal):
            await settled(journal)
            rows = await everything(journal)
            assert numbers(rows) == [1, -1]
            (dropped,) = bodies(rows, JournalDropped)
            assert dropped["reason"] == "invalid"
            assert dropped["counts"] == {"test.odd.v1": 2, "test.passed.v1": 1, "str": 1}

    asyncio.run(scenario())


def test_a_flood_drops_by_importance_and_says_how_many(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = journal_at(tmp_path)
        for n in range(8_000):
            journal.note(Chatter(n=n))
        for n in range(4_000):
            journal.note(Passed(n=n))
        for n in range(1_000):
            journal.note(Alarm(n=n))
        assert journal.health().waiting == 10_000
        async with running(journal):
            await settled(journal)
            rows = await everything(journal)
        kept = [row.type for row in rows]
        assert kept.count(Alarm.type_name()) == 1_000
        assert kept.count(Passed.type_name()) == 4_000
        assert kept.count(Chatter.type_name()) == 4_999  # `settled` took the place of one
        (dropped,) = bodies(rows, JournalDropped)
        assert (dropped["reason"], dropped["counts"]) == ("queue", {Chatter.type_name(): 3_001})
        assert journal.health().dropped == 3_001

    asyncio.run(scenario())


def test_a_full_queue_refuses_a_record_rather_than_lose_it_silently(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = journal_at(tmp_path)
        for n in range(10_000):
            journal.note(Alarm(n=n))
        with pytest.raises(JournalDown):
            await journal.record(Ordered(n=1))

    asyncio.run(scenario())


def test_a_single_use_id_is_used_once_also_at_the_same_time_and_after_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(journal_at(tmp_path)) as journal:
            tries = [journal.record(Ordered(n=n), once="key", expires="2026-03-01T09:00:00+00:00") for n in range(5)]
            results = await asyncio.gather(*tries, return_exceptions=True)
            assert sum(isinstance(result, Position) for result in results) == 1
            assert sum(isinstance(result, AlreadyUsed) for result in results) == 4
            assert journal.used("key")
            assert not journal.used("other")
        async with running(journal_at(tmp_path)) as journal:
            with pytest.raises(AlreadyUsed):
                await journal.record(Ordered(n=9), once="key")
            assert len(numbers(await everything(journal))) == 1

    asyncio.run(scenario())


def test_single_use_ids_are_forgotten_a_day_after_they_expired(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock = TestClock()
        async with running(journal_at(tmp_path, clock=clock)) as journal:
            await journal.record(Ordered(n=1), once="soon", expires=(START + timedelta(minutes=1)).isoformat())
            await journal.record(Ordered(n=2), once="late", expires=(START + timedelta(days=9)).isoformat())
            await journal.record(Ordered(n=3), once="never told")
            later = START + timedelta(days=2)
            await journal.retain(None, Now(0, 0, later, trusted=False))
            assert journal.used("soon")
            await journal.retain(None, Now(0, 0, later, trusted=True))
            assert [journal.used(once) for once in ("soon", "late", "never told")] == [False, True, False]

    asyncio.run(scenario())


def test_marks_never_go_backwards_and_outlive_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(journal_at(tmp_path)) as journal:
            first = await journal.record(Passed(n=1))
            second = await journal.record(Passed(n=2))
            assert await journal.mark("up") is None
            await journal.set_mark("up", second)
            await journal.set_mark("up", first)
            assert await journal.mark("up") == second
        async with running(journal_at(tmp_path)) as journal:
            assert await journal.mark("up") == second
            assert await journal.read(second) == []

    asyncio.run(scenario())


def test_a_reader_is_woken(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(journal_at(tmp_path)) as journal:
            await journal.wait_beyond(None)
            woken = asyncio.create_task(journal.wait_beyond(journal.head))
            await asyncio.sleep(0)
            assert not woken.done()
            journal.note(Passed(n=1))
            async with asyncio.timeout(5):
                await woken

    asyncio.run(scenario())


def test_reads_are_limited_and_go_on_where_they_ended(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(journal_at(tmp_path)) as journal:
            for n in range(300):
                journal.note(Passed(n=n))
            await settled(journal)
            assert len(await journal.read(None, 7)) == 7
            assert numbers(await everything(journal, chunk=7)) == [*range(300), -1]
            assert len(await everything(journal, Position("0" * 16, 5))) == 302  # an epoch nobody knows

    asyncio.run(scenario())


@pytest.mark.parametrize(
    ("change", "reason", "readable"),
    [("box", "cloned", False), ("host", "cloned", True), ("restored", "restored", True)],
)
def test_a_copy_elsewhere_begins_a_new_epoch(tmp_path: Path, change: str, reason: str, readable: bool) -> None:
    async def scenario() -> None:
        async with running(journal_at(tmp_path)) as journal:
            last = await journal.record(Passed(n=1))
            await journal.set_mark("up", last)
        if change == "restored":
            (tmp_path / "journal.restored").touch()
        other = journal_at(
            tmp_path, box="another" if change == "box" else BOX, host="another" if change == "host" else "this machine"
        )
        async with running(other):
            rows = await everything(other)
            (*_older, started) = bodies(rows, EpochStarted)
            assert (started["reason"], started["predecessor"], started["predecessor_last"]) == (
                reason,
                last.epoch,
                last.seq,
            )
            assert (1 in numbers(rows)) is readable
            assert await other.mark("up") == (last if readable else None)
            assert other.head is not None
            assert other.head.epoch != last.epoch
            verification = await other.verify()
            assert verification.ok, verification
        async with running(other := journal_at(tmp_path, box=other.box, host=other._host or "")) as again:
            assert len(await again.epochs()) == 2

    asyncio.run(scenario())


def test_the_release_before_opens_the_file_of_the_next(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(journal_at(tmp_path)) as journal:
            await journal.record(Passed(n=1))
        with closing(sqlite3.connect(tmp_path / "journal.db")) as newer:
            newer.executescript(
                "ALTER TABLE event ADD COLUMN extra TEXT DEFAULT 'x'; ALTER TABLE bare ADD COLUMN extra TEXT;"
                "CREATE TABLE more (x); ALTER TABLE mark ADD COLUMN extra TEXT; PRAGMA user_version = 2;"
            )
        async with running(journal_at(tmp_path)) as journal:
            position = await journal.record(Passed(n=2))
            assert position.seq == 3
            assert (await journal.verify()).ok
        with closing(sqlite3.connect(tmp_path / "journal.db")) as newer:
            assert newer.execute("PRAGMA user_version").fetchone() == (2,)
            assert {row[0] for row in newer.execute("SELECT extra FROM event")} == {"x"}

    asyncio.run(scenario())


def test_an_empty_file_without_history_is_a_new_journal(tmp_path: Path) -> None:
    async def scenario() -> None:
        (tmp_path / "journal.db").touch()
        async with running(journal_at(tmp_path)) as journal:
            (epoch,) = await journal.epochs()
            assert epoch.reason == "created"

    asyncio.run(scenario())


def test_retention_removes_bodies_of_old_received_rows_and_no_header(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(journal_at(tmp_path, keep_days=30)) as journal:
            for n in range(1000):
                journal.note(Passed(n=n))
            await settled(journal)
            rows = await everything(journal)
            later = Now(0, 0, START + timedelta(days=31))
            assert await journal.retain(None, later) == 0
            assert await journal.retain(rows[499].position, Now(0, 0, START + timedelta(days=29))) == 0
            assert await journal.retain(rows[499].position, later) == 500
            after = await everything(journal)
            assert [row.head for row in after] == [row.head for row in rows]
            assert [row.body for row in after] == [None] * 500 + [row.body for row in rows[500:]]
            verification = await journal.verify()
            assert (verification.ok, verification.without_body) == (True, 500)
        async with running(journal_at(tmp_path)) as journal:
            assert await everything(journal) == after

    asyncio.run(scenario())


def test_a_removed_body_is_gone_from_the_disk(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(journal_at(tmp_path, keep_days=1)) as journal:
            for n in range(100):
                journal.note(Passed(n=n, text="who opened the door"))
            await settled(journal)
            assert await journal.retain(journal.head, Now(0, 0, START + timedelta(days=3))) > 100
        assert b"who opened the door" not in (tmp_path / "journal.db").read_bytes()

    asyncio.run(scenario())


def test_the_size_cap_takes_received_rows_first_then_the_unimportant(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(journal_at(tmp_path, max_mb=2)) as journal:
            for n in range(700):
                journal.note(Chatter(n=n, text="c" * 1400))
                journal.note(Passed(n=n, text="p" * 1400))
            await settled(journal)
            received = (await journal.read(None, 101))[-1].position
            assert await journal.retain(received, Now(0, 0, START)) > 101
            await settled(journal)
            rows = await everything(journal)
            assert all(row.body is None for row in rows[:101])
            assert len(bodies(rows, Passed)) == 700 - 50
            dropped = bodies(rows, JournalDropped)
            assert {drop["reason"] for drop in dropped} == {"cap"}
            lost = sum(row.body is None for row in rows[101:])
            counts = [drop["counts"] for drop in dropped]
            assert sum(count[Chatter.type_name()] for count in counts if isinstance(count, dict)) == lost > 0

    asyncio.run(scenario())


def test_health_tells_what_a_technician_asks(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock = TestClock()
        async with running(journal_at(tmp_path, clock=clock)) as journal:
            journal.health()
            for n in range(2000):
                journal.note(Passed(n=n))
            await settled(journal)
            health = journal.health()
            assert health.state == "ok"
            assert 300_000 < health.bytes_written_today < 2_000_000
            clock.wall += timedelta(days=1)
            assert journal.health().bytes_written_today == 0

    asyncio.run(scenario())


def test_a_journal_without_a_disk_is_down_and_comes_up_by_itself(tmp_path: Path) -> None:
    async def scenario() -> None:
        folder = tmp_path / "state"
        folder.touch()  # a file where the folder should be
        journal = journal_at(folder)
        async with running(journal):
            journal.note(Passed(n=1))
            assert journal.health().state == "down"
            with pytest.raises(JournalDown):
                await journal.record(Ordered(n=2), once="x")
            with pytest.raises(JournalDown):
                await journal.read(None)
            folder.unlink()
            async with asyncio.timeout(20):
                await journal.wait_beyond(None)
                await settled(journal)
            assert numbers(await everything(journal)) == [1, -1]
            assert journal.health().state == "ok"

    asyncio.run(scenario())


def test_closing_leaves_no_thread_and_loses_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        journal = journal_at(tmp_path)
        await journal.close()
        journal = journal_at(tmp_path)
        await journal.start()
        for n in range(3000):
            journal.note(Passed(n=n))
        await journal.close()
        await journal.close()
        with pytest.raises(JournalDown):
            await journal.read(None)
        assert not (tmp_path / "journal.db-wal").exists()
        async with running(journal_at(tmp_path)) as journal:
            assert numbers(await everything(journal)) == list(range(3000))

    asyncio.run(scenario())
    assert [thread for thread in threading.enumerate() if thread is not threading.main_thread()] == []


def test_a_power_cut_with_a_whole_log_is_no_damage(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(journal_at(tmp_path / "a")) as journal:
            for n in range(50):
                await journal.record(Passed(n=n))
            power_cut(tmp_path / "a", tmp_path / "b")
        async with running(journal_at(tmp_path / "b")) as journal:
            assert numbers(await everything(journal)) == list(range(50))
            assert len(await journal.epochs()) == 1

    asyncio.run(scenario())
