"""Copies of the directory, made some minutes after a change: which there are, making one, taking one back.

Blocks: runs in a thread.

A copy holds ciphertext; the keys are elsewhere and are never copied, so whoever is forgotten is
forgotten in every copy as well. SQLite's backup reads through a connection of its own in one go.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
from contextlib import closing, suppress
from datetime import UTC, datetime
from itertools import zip_longest
from pathlib import Path

from gateway.directory.files import sync_file, sync_folder

KEPT = 4
_TABLES = "SELECT name, sql FROM sqlite_master WHERE type = 'table' ORDER BY name"
_NAME = re.compile(r"directory-(\d{8})-(\d{8}T\d{6}Z)\.db")


def newest_first(folder: Path) -> list[Path]:
    """By their numbers: a box without a clock chip may have been wrong about the time."""
    return sorted((path for path in folder.glob("directory-*.db") if _NAME.fullmatch(path.name)), reverse=True)


def made_at(copy: Path) -> datetime | None:
    """When the copy was made, as the box believed."""
    match = _NAME.fullmatch(copy.name)
    return datetime.strptime(match[2], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) if match else None


def _same(one: Path, other: Path) -> bool:
    """Whether both hold the same rows. Raises sqlite3.Error.

    The files' times would not tell: they are lost with the power, and a box without a clock chip has changed
    something before its own past.
    """
    with closing(_reader(one)) as ours, closing(_reader(other)) as theirs:
        tables, version = ours.execute(_TABLES).fetchall(), ours.execute("PRAGMA user_version").fetchone()
        if (tables, version) != (theirs.execute(_TABLES).fetchall(), theirs.execute("PRAGMA user_version").fetchone()):
            return False
        for name, _sql in tables:
            rows = f'SELECT * FROM "{name}" ORDER BY rowid'  # noqa: S608  (a table's own name)
            if any(mine != his for mine, his in zip_longest(ours.execute(rows), theirs.execute(rows))):
                return False
    return True


def _reader(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True)


def _next_name(folder: Path, wall: datetime) -> str:
    numbers = [int(match[1]) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    return f"directory-{max(numbers, default=0) + 1:08}-{wall:%Y%m%dT%H%M%SZ}.db"


def make(source: Path, folder: Path, wall: datetime) -> Path:
    """The copy of what is there now: a new one, checked and durable, unless the newest holds it already.

    The oldest beyond KEPT are removed. Raises OSError, sqlite3.Error.
    """
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    for newest in newest_first(folder)[:1]:
        with suppress(sqlite3.Error):  # a damaged copy is none
            if _same(source, newest):
                return newest
    path = folder / _next_name(folder, wall)
    beside = path.with_suffix(".unfinished")
    for leftover in folder.glob("*.unfinished*"):
        leftover.unlink()
    with closing(_reader(source)) as reader, closing(sqlite3.connect(beside, isolation_level=None)) as target:
        reader.backup(target)
        target.execute("PRAGMA journal_mode=DELETE")
        if (verdict := target.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
            raise sqlite3.DatabaseError(f"the copy is damaged: {verdict}")
    beside.chmod(0o600)
    sync_file(beside)
    beside.rename(path)
    sync_folder(folder)
    for old in newest_first(folder)[KEPT:]:
        old.unlink()
    return path


def take_back(copy: Path, path: Path) -> None:
    """Put the copy in the directory's place, durably. Raises OSError."""
    beside = path.with_name(path.name + ".restored")
    shutil.copyfile(copy, beside)
    beside.chmod(0o600)
    sync_file(beside)
    beside.rename(path)
    sync_folder(path.parent)
