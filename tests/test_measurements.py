"""Values in, values and hours out; a damaged or full disk costs values, never the daemon."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from gateway import measurements
from gateway.clock import Now
from gateway.measurements import Measurements

START = datetime(2026, 3, 1, 8, 50, tzinfo=UTC)
END = START + timedelta(days=400)


class HandClock:
    def __init__(self) -> None:
        self.wall = START

    def now(self) -> Now:
        return Now(0.0, 0.0, self.wall)


@asynccontextmanager
async def running(folder: Path, clock: HandClock | None = None) -> AsyncIterator[Measurements]:
    store = Measurements(folder / "measurements.db", clock or HandClock())
    await store.start()
    try:
        yield store
    finally:
        await store.close()


def test_values_and_hours_outlive_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as store:
            for minute in range(30):
                store.add("water", float(minute), START + timedelta(minutes=minute))
            store.add("load", 0.5)
        async with running(tmp_path) as store:
            assert [sample.value for sample in await store.read("water", START, END)] == [float(n) for n in range(30)]
            first, second = await store.hours("water", START - timedelta(hours=1), END)
            assert (first.count, first.low, first.high, first.mean, first.last) == (10, 0, 9, 4.5, 9)
            assert (second.count, second.at) == (20, START.replace(hour=9, minute=0))
            store.add("water", 100.0, START + timedelta(minutes=5))  # late: it counts, but is not the hour's last
            await store.flush()
            (first, _second) = await store.hours("water", START - timedelta(hours=1), END)
            assert (first.count, first.high, first.last) == (11, 100, 9)

    asyncio.run(scenario())
    for thread in threading.enumerate():
        if thread is not threading.current_thread():
            thread.join(5)  # aiosqlite's ends a moment after it was closed
    assert threading.active_count() == 1


def test_the_uplinks_mark_never_goes_back(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as store:
            for n in range(5):
                store.add("a", n)
            await store.flush()
            places = [sample.place for sample in await store.after(await store.mark("up"))]
            assert len(places) == 5
            await store.set_mark("up", places[3])
            await store.set_mark("up", places[1])
            assert [sample.place for sample in await store.after(await store.mark("up"))] == places[4:]

    asyncio.run(scenario())


def test_old_values_go_and_their_hours_stay(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock = HandClock()
        async with running(tmp_path, clock) as store:
            store.add("a", 1)
            await store.flush()
            clock.wall += timedelta(days=31)
            store.add("a", 2)
            await store.flush()
            assert await store.retain() == 1
            assert [sample.value for sample in await store.read("a", START, END)] == [2]
            assert len(await store.hours("a", START - timedelta(hours=1), END)) == 2
            assert [sample.place for sample in await store.after(0)] == [2]

    asyncio.run(scenario())


def test_a_damaged_file_is_set_aside(tmp_path: Path) -> None:
    async def scenario() -> None:
        (tmp_path / "measurements.db").write_bytes(b"noise" * 2000)
        async with running(tmp_path) as store:
            store.add("a", 1)
            assert await store.flush()
            assert [sample.value for sample in await store.read("a", START, END)] == [1]
        assert len(list(tmp_path.glob("measurements.damaged-*"))) == 1

    asyncio.run(scenario())


def test_a_reader_that_is_cancelled_takes_no_values_along_and_doubles_none(tmp_path: Path) -> None:
    """Reading writes what waits first; who hangs up in the middle of that must not cost a quarter of an hour."""

    async def scenario() -> None:
        async with running(tmp_path) as store:
            await store.flush()
            for turns in range(60):
                store.add("a", turns)
                reading = asyncio.create_task(store.read("a", START, END))
                for _ in range(turns % 12):
                    await asyncio.sleep(0)
                reading.cancel()
                await asyncio.gather(reading, return_exceptions=True)
            assert [sample.value for sample in await store.read("a", START, END)] == list(range(60))
            (hour,) = await store.hours("a", START - timedelta(hours=1), END)
            assert hour.count == 60

    asyncio.run(scenario())


def test_without_a_disk_values_wait_and_the_oldest_give_way(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(measurements, "FLUSH_AT", 10**9)

    async def scenario() -> None:
        folder = tmp_path / "state"
        folder.touch()
        async with running(folder) as store:
            for n in range(measurements.LIMIT + 10):
                store.add("a", n)
            assert not await store.flush()
            assert store.problem
            assert store.dropped == 10
            folder.unlink()
            assert await store.flush()
            assert [sample.value for sample in await store.read("a", START, END, 2)] == [10, 11]

    asyncio.run(scenario())


def test_nobody_else_may_read_the_values(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path / "state") as store:
            store.add("water", 1.0)
            await store.flush()
            modes = {path.name: path.stat().st_mode & 0o777 for path in (tmp_path / "state").iterdir()}
            assert modes == {"measurements.db": 0o600, "measurements.db-wal": 0o600}  # and no index in a mapped file

    asyncio.run(scenario())
