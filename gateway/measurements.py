"""Measurements: registers, health, scores. Many, regular, each of little worth: never events.

`add()` takes a value and returns; at most a quarter of an hour later it is in `measurements.db`, in its series and in
its hour. A power cut may cost those minutes (synchronous=NORMAL); whoever reads is told everything. Single
values are kept for a month, hours for three years. Rows lie in the order of time, not of series, so that what
sixty series bring at once changes a few pages and not a page each. One connection has the file alone, as the
journal's has (`journal/file.py` says what a shared log costs). What a day writes is measured by
`benchmarks/disk_week.py`. A damaged file is set aside and a new one begun. The uplink has its own mark here,
over `Sample.place`.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
import time
from collections import deque
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import aiosqlite
import msgspec

from gateway.clock import Clock
from gateway.uninterrupted import Begun

log = logging.getLogger(__name__)

FLUSH_SECONDS, FLUSH_AT = 900.0, 2500  # each flush writes pages of every series it touches: the disk has a budget
LIMIT = 5_000  # waiting values; the oldest gives way
KEEP_SAMPLES, KEEP_HOURS = 30 * 86_400_000, 3 * 366 * 86_400_000  # milliseconds
HOUR = 3_600_000

_TABLES = """
    CREATE TABLE IF NOT EXISTS series (id INTEGER PRIMARY KEY, name TEXT NOT NULL UNIQUE);
    CREATE TABLE IF NOT EXISTS sample (place INTEGER PRIMARY KEY AUTOINCREMENT, series INTEGER NOT NULL,
        at INTEGER NOT NULL, value REAL NOT NULL);
    CREATE INDEX IF NOT EXISTS sample_at ON sample (at);
    CREATE TABLE IF NOT EXISTS hour (series INTEGER NOT NULL, at INTEGER NOT NULL, count INTEGER NOT NULL,
        low REAL NOT NULL, high REAL NOT NULL, total REAL NOT NULL, last REAL NOT NULL, last_at INTEGER NOT NULL,
        PRIMARY KEY (at, series)) WITHOUT ROWID;
    CREATE TABLE IF NOT EXISTS mark (name TEXT PRIMARY KEY, place INTEGER NOT NULL);
    PRAGMA user_version = 1;
"""
_ADD = "INSERT INTO sample (series, at, value) SELECT id, ?, ? FROM series WHERE name = ?"
_ROLL = """
    INSERT INTO hour (series, at, count, low, high, total, last, last_at)
    SELECT id, ?2, 1, ?3, ?3, ?3, ?3, ?4 FROM series WHERE name = ?1
    ON CONFLICT (at, series) DO UPDATE SET count = count + 1, low = min(low, excluded.low),
        high = max(high, excluded.high), total = total + excluded.total,
        last = CASE WHEN excluded.last_at >= last_at THEN excluded.last ELSE last END,
        last_at = max(last_at, excluded.last_at)
"""
_READ = """
    SELECT place, name, at, value FROM sample JOIN series ON series.id = sample.series
    WHERE name = ? AND at >= ? AND at < ? ORDER BY at LIMIT ?
"""
_AFTER = """
    SELECT place, name, at, value FROM sample JOIN series ON series.id = sample.series
    WHERE place > ? ORDER BY place LIMIT ?
"""
_HOURS = """
    SELECT name, hour.at, count, low, high, total / count, last FROM hour JOIN series ON series.id = hour.series
    WHERE name = ? AND hour.at >= ? AND hour.at < ? ORDER BY hour.at LIMIT ?
"""


class Sample(msgspec.Struct, frozen=True):
    """One value. `place` grows for ever and names it for the uplink's mark."""

    place: int
    series: str
    at: datetime
    value: float


class Hour(msgspec.Struct, frozen=True):
    """One hour of a series (UTC)."""

    series: str
    at: datetime
    count: int
    low: float
    high: float
    mean: float
    last: float


class Measurements:
    """The values of one box. Touches no disk before `start`."""

    def __init__(self, path: Path, clock: Clock) -> None:
        self._path, self._clock = path, clock
        self._waiting: deque[tuple[str, int, float]] = deque(maxlen=LIMIT)
        self._connection: aiosqlite.Connection | None = None
        self._turn = asyncio.Lock()
        self._plenty, self._stopping = asyncio.Event(), asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._begun = Begun()
        self.problem = ""  # English, for logs and doctor
        self.dropped = 0

    def add(self, series: str, value: float, at: datetime | None = None) -> None:
        """Take a value (`at`: UTC, now by default). Never blocks, never raises."""
        self.dropped += len(self._waiting) == LIMIT
        wall = at if at is not None else self._clock.now().wall
        self._waiting.append((series, _milliseconds(wall), float(value)))
        if len(self._waiting) >= FLUSH_AT:
            self._plenty.set()

    async def start(self) -> None:
        """Open the file; never raises for a damaged or absent disk, but goes on trying."""
        await self.flush()
        self._task = asyncio.get_running_loop().create_task(self._run(), name="measurements")

    async def close(self) -> None:
        """Write what waits, close. Again is harmless."""
        self._stopping.set()
        self._plenty.set()
        task, self._task = self._task, None
        if task:
            await task
            await self.flush()
        await self._begun.ended()
        async with self._turn:
            await self._let_go()

    async def flush(self) -> bool:
        """Write what waits now; False when the disk does not take it. Who is cancelled meanwhile costs nothing."""
        return await self._begun.carry(self._flush())

    async def _flush(self) -> bool:
        async with self._turn:
            batch = list(self._waiting)
            self._waiting.clear()
            try:
                writer = await self._opened()
                if batch:
                    await self._write(writer, batch)
            except (sqlite3.Error, OSError) as error:
                self.problem = str(error)
                self._put_back(batch)
                log.warning("measurements are not written: %s", error)
                await self._let_go()
                if getattr(error, "sqlite_errorcode", 0) & 0xFF in {sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB}:
                    await asyncio.to_thread(_set_aside, self._path)
                return False
            self.problem = ""
            return True

    async def read(self, series: str, since: datetime, until: datetime, limit: int = 1000) -> list[Sample]:
        """Single values of a series, oldest first. Raises sqlite3.Error, OSError."""
        await self.flush()
        rows = await self._fetch(_READ, (series, _milliseconds(since), _milliseconds(until), limit))
        return [_sample(row) for row in rows]

    async def hours(self, series: str, since: datetime, until: datetime, limit: int = 1000) -> list[Hour]:
        """Hours of a series, oldest first. Raises sqlite3.Error, OSError."""
        await self.flush()
        rows = await self._fetch(_HOURS, (series, _milliseconds(since), _milliseconds(until), limit))
        return [Hour(row[0], _wall(row[1]), *row[2:]) for row in rows]

    async def after(self, place: int, limit: int = 200) -> list[Sample]:
        """Values behind a place, in the order in which they came. Raises sqlite3.Error, OSError."""
        return [_sample(row) for row in await self._fetch(_AFTER, (place, limit))]

    async def mark(self, name: str) -> int:
        """How far a reader has come; 0 at its beginning."""
        rows = await self._fetch("SELECT place FROM mark WHERE name = ?", (name,))
        return int(rows[0][0]) if rows else 0

    async def set_mark(self, name: str, place: int) -> None:
        """Move a reader's mark; backwards is no move. Raises sqlite3.Error, OSError."""
        async with self._turn:
            writer = await self._opened()
            await writer.execute(
                "INSERT INTO mark (name, place) VALUES (?, ?)"
                " ON CONFLICT (name) DO UPDATE SET place = max(place, excluded.place)",
                (name, place),
            )
            await writer.commit()

    async def retain(self) -> int:
        """Remove what is too old; returns how many single values went. Raises sqlite3.Error, OSError."""
        now = _milliseconds(self._clock.now().wall)
        async with self._turn:
            writer = await self._opened()
            gone = await writer.execute("DELETE FROM sample WHERE at < ?", (now - KEEP_SAMPLES,))
            await writer.execute("DELETE FROM hour WHERE at < ?", (now - KEEP_HOURS,))
            await writer.commit()
            return gone.rowcount

    async def _run(self) -> None:
        while not self._stopping.is_set():
            with suppress(TimeoutError):
                async with asyncio.timeout(FLUSH_SECONDS):
                    await self._plenty.wait()
            if not self._stopping.is_set():
                self._plenty.clear()
            if not await self.flush() and not self._stopping.is_set():
                with suppress(TimeoutError):
                    async with asyncio.timeout(FLUSH_SECONDS):
                        await self._stopping.wait()

    def _put_back(self, batch: list[tuple[str, int, float]]) -> None:
        younger = list(self._waiting)
        self.dropped += max(0, len(batch) + len(younger) - LIMIT)
        self._waiting.clear()
        self._waiting.extend(batch + younger)  # the oldest give way

    async def _write(self, writer: aiosqlite.Connection, batch: list[tuple[str, int, float]]) -> None:
        try:
            names = {name for name, _at, _value in batch}
            await writer.executemany("INSERT OR IGNORE INTO series (name) VALUES (?)", [(name,) for name in names])
            await writer.executemany(_ADD, [(at, value, name) for name, at, value in batch])
            await writer.executemany(_ROLL, [(name, at - at % HOUR, value, at) for name, at, value in batch])
            await writer.commit()
        except BaseException:
            with suppress(sqlite3.Error, ValueError):
                await writer.rollback()
            raise

    async def _opened(self) -> aiosqlite.Connection:
        if self._connection is None:
            self._path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._path.touch(mode=0o600)  # its log gets the same rights
            writer = self._connection = await aiosqlite.connect(self._path, timeout=2.0)
            await writer.execute_fetchall("PRAGMA locking_mode = EXCLUSIVE")
            await writer.execute_fetchall("PRAGMA journal_mode = WAL")
            await writer.execute_fetchall("PRAGMA synchronous = NORMAL")
            await writer.execute_fetchall("PRAGMA secure_delete = FAST")  # Debian's default writes each freed page
            await writer.execute_fetchall("PRAGMA cache_size = -500")
            await writer.executescript(_TABLES)
        return self._connection

    async def _fetch(self, sql: str, arguments: tuple[Any, ...]) -> list[Any]:
        async with self._turn:
            return list(await (await self._opened()).execute_fetchall(sql, arguments))

    async def _let_go(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            with suppress(sqlite3.Error, ValueError):
                await connection.close()


def _set_aside(path: Path) -> None:
    """Keep a damaged file under another name; the one from the time before goes."""
    with suppress(OSError):
        for old in path.parent.glob(f"{path.stem}.damaged-*"):
            old.unlink()
        path.replace(path.with_name(f"{path.stem}.damaged-{time.strftime('%Y%m%dT%H%M%S', time.gmtime())}.db"))
    for suffix in ("-wal", "-shm"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _sample(row: tuple[int, str, int, float]) -> Sample:
    place, series, at, value = row
    return Sample(place, series, _wall(at), value)


def _milliseconds(wall: datetime) -> int:
    return round(wall.timestamp() * 1000)


def _wall(at: int) -> datetime:
    return datetime.fromtimestamp(at / 1000, UTC)
