"""Events, a clock and a journal for the tests of this folder."""

from __future__ import annotations

import asyncio
import os
import shutil
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import ClassVar

import msgspec

from gateway.clock import Now
from gateway.config import schema
from gateway.journal.closing import Key
from gateway.journal.event import Event, Importance
from gateway.journal.rows import Position, Row
from gateway.journal.store import Journal
from gateway.journal.verify import Verification, verify_file

BOX = "9f6b2c6e-0000-4000-8000-000000000001"
START = datetime(2026, 3, 1, 8, 0, tzinfo=UTC)


class Chatter(Event, frozen=True, kw_only=True, tag="test.chatter.v1"):
    importance: ClassVar[Importance] = Importance.CHATTER
    n: int
    text: str = ""


class Passed(Event, frozen=True, kw_only=True, tag="test.passed.v1"):
    importance: ClassVar[Importance] = Importance.ACCESS
    n: int
    text: str = ""


class Ordered(Event, frozen=True, kw_only=True, tag="test.ordered.v1"):
    importance: ClassVar[Importance] = Importance.COMMAND
    n: int


class Alarm(Event, frozen=True, kw_only=True, tag="test.alarm.v1"):
    importance: ClassVar[Importance] = Importance.ALARM
    n: int


class Odd(Event, frozen=True, kw_only=True, tag="test.odd.v1"):
    thing: object


class TestClock:
    """A clock that is set by hand."""

    __test__ = False

    def __init__(self) -> None:
        self.wall, self.trusted = START, True

    def now(self) -> Now:
        self.wall += timedelta(milliseconds=1)
        return Now(0.0, 0.0, self.wall, self.trusted)


def journal_at(
    folder: Path,
    *,
    box: str = BOX,
    host: str = "this machine",
    clock: TestClock | None = None,
    key: Key | None = None,
    **settings: int,
) -> Journal:
    return Journal(folder / "journal.db", clock or TestClock(), box, schema.Journal(**settings), host=host, key=key)


def journal_file(folder: Path) -> Path:
    return folder / "journal.db"


@asynccontextmanager
async def running(journal: Journal) -> AsyncIterator[Journal]:
    await journal.start()
    try:
        yield journal
    finally:
        await journal.close()


async def everything(journal: Journal, after: Position | None = None, chunk: int = 150) -> list[Row]:
    rows: list[Row] = []
    while more := await journal.read(after, chunk):
        rows += more
        after = more[-1].position
    return rows


def numbers(rows: list[Row]) -> list[int]:
    """The `n` of every test event."""
    bodies = [msgspec.json.decode(row.body) for row in rows if row.body is not None]
    return [body["n"] for body in bodies if body["type"].startswith("test.")]


def bodies(rows: list[Row], kind: type[Event]) -> list[dict[str, object]]:
    return [msgspec.json.decode(row.body) for row in rows if row.body is not None and row.type == kind.type_name()]


def power_cut(folder: Path, target: Path) -> Path:
    """What a disk would hold if the power went now: the database and its log, as they lie there."""
    target.mkdir(parents=True, exist_ok=True)
    for name in ("journal.db", "journal.db-wal", "journal.epoch"):
        if (folder / name).exists():
            shutil.copyfile(folder / name, target / name)
    return target


async def verified_beside(journal: Journal, folder: Path) -> Verification:
    """`journal.verify()` without a process of its own: for tests that check hundreds of times."""
    async with journal._file().hold_still():
        return verify_file(folder / "journal.db", held=True)


async def settled(journal: Journal) -> None:
    """Return when everything noted so far is durable."""
    async with asyncio.timeout(20):
        await journal.record(Ordered(n=-1), within=20)


def memory_folder() -> str | None:
    """A folder that costs no sync, for tests that restart hundreds of times; None where there is none."""
    return "/dev/shm" if os.access("/dev/shm", os.W_OK) else None
