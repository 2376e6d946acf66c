"""Copies of the directory: a new one for new content only, whatever the files' times say."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from gateway.directory import copies

NOON = datetime(2026, 11, 28, 12, tzinfo=UTC)


def tell(path: Path, *statements: str) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as file:
        for statement in statements:
            file.execute(statement)


def test_what_the_newest_holds_already_is_not_copied_again(tmp_path: Path) -> None:
    source, folder = tmp_path / "directory.db", tmp_path / "copies"
    tell(source, "CREATE TABLE t (a)", "INSERT INTO t VALUES (1), (2)")
    first = copies.make(source, folder, NOON)
    os.utime(source, (2**31, 2**31))  # a wrong clock dates nothing that changed
    assert copies.make(source, folder, NOON) == first
    tell(source, "UPDATE t SET a = 3 WHERE a = 2")
    os.utime(source, (0, 0))  # the power took the time of a change along
    second = copies.make(source, folder, NOON)
    assert second != first
    tell(source, "CREATE TABLE u (a)")
    third = copies.make(source, folder, NOON)
    assert copies.newest_first(folder) == [third, second, first]


def test_a_damaged_copy_is_none(tmp_path: Path) -> None:
    source, folder = tmp_path / "directory.db", tmp_path / "copies"
    tell(source, "CREATE TABLE t (a)", "INSERT INTO t VALUES (1)")
    damaged = copies.make(source, folder, NOON)
    damaged.write_bytes(b"not a database" * 1000)
    assert copies.make(source, folder, NOON) != damaged
