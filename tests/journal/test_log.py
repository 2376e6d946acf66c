"""The log's length is known to the frame, so that it is copied into the file before it grows."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.journal import file, tables
from gateway.journal.log import Log, lengthen
from tests.journal.samples import Passed, journal_at, journal_file, running, settled

PAGE = 1024


@contextmanager
def database(folder: Path) -> Iterator[tuple[sqlite3.Connection, Path]]:
    path = folder / "some.db"
    path.unlink(missing_ok=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        for pragma in (*tables.ALONE, f"PRAGMA page_size = {PAGE}", "PRAGMA journal_mode = WAL"):
            connection.execute(pragma)
        connection.execute("PRAGMA wal_autocheckpoint = 0")
        connection.execute("CREATE TABLE t (a)")
        yield connection, tables.wal(path)


def checkpoint(connection: sqlite3.Connection) -> int:
    ((_busy, frames, copied),) = connection.execute("PRAGMA wal_checkpoint(PASSIVE)")
    assert frames == copied
    return int(frames)


@settings(max_examples=30, deadline=None)
@given(st.lists(st.one_of(st.integers(1, 20_000), st.none()), min_size=1, max_size=20))
def test_frames_are_counted_as_sqlite_counts_them(
    tmp_path_factory: pytest.TempPathFactory, steps: list[int | None]
) -> None:
    """Rows of every size, checkpoints between them, the log used anew."""
    folder = tmp_path_factory.mktemp("log")
    with database(folder) as (connection, wal):
        lengthen(wal, 50, PAGE)
        log = Log(wal, PAGE)
        copied = 0
        for size in steps:
            if size is None:
                copied = checkpoint(connection)
                log.copied(copied)
                assert log.frames == 0
            else:
                connection.execute("INSERT INTO t VALUES (zeroblob(?))", (size,))
                log.look()
        whole = log._seen
        assert checkpoint(connection) == whole
        assert log.frames in (whole, whole - copied)
        log.close()


def test_what_goes_to_the_disk_is_counted_in_its_blocks(tmp_path: Path) -> None:
    with database(tmp_path) as (connection, wal):
        log = Log(wal, PAGE)
        assert log.written == 0
        connection.execute("INSERT INTO t VALUES (1)")
        log.look()
        one = log.written
        assert one in (4096, 8192)  # a frame of 1,048 bytes lies in one block or two
        log.look()
        assert log.written == one
        log.copied(checkpoint(connection))
        connection.execute("INSERT INTO t VALUES (2)")
        log.look()
        assert 2 * one <= log.written <= one + 8192 + 4096  # and the copied pages' block
        log.close()


def test_fifteen_hundred_lone_events_do_not_make_the_log_longer(tmp_path: Path) -> None:
    """Each takes some frames: of its row, of the index, of what is marked with it."""

    async def scenario() -> None:
        async with running(journal_at(tmp_path)) as journal:
            await settled(journal)
            wal = tables.wal(journal_file(tmp_path))
            length = wal.stat().st_size
            frames = 32 + (file.CHECKPOINT_FRAMES + file.SPARE_FRAMES) * (tables.PAGE + 24)
            assert length == frames
            for n in range(1500):
                journal.note(Passed(n=n))
                await settled(journal)
            assert wal.stat().st_size == length

    asyncio.run(scenario())
