"""Copies of the directory, made some minutes after a change: which there are, making one, taking one back.

Blocks: runs in a thread.

A copy holds ciphertext; the keys are elsewhere and are never copied, so whoever is forgotten is
forgotten in every copy as well. SQLite's backup reads through a connection of its own in one go.
"""

from __future__ import annotations

import re
import shutil
import sqlite3
from datetime import UTC, datetime
from pathlib import Path

from gateway.directory.files import sync_file, sync_folder

KEPT = 4
_NAME = re.compile(r"directory-(\d{8})-(\d{8}T\d{6}Z)\.db")


def newest_first(folder: Path) -> list[Path]:
    """By their numbers: a box without a clock chip may have been wrong about the time."""
    return sorted((path for path in folder.glob("directory-*.db") if _NAME.fullmatch(path.name)), reverse=True)


def made_at(copy: Path) -> datetime | None:
    """When the copy was made, as the box believed."""
    match = _NAME.fullmatch(copy.name)
    return datetime.strptime(match[2], "%Y%m%dT%H%M%SZ").replace(tzinfo=UTC) if match else None


def is_fresh(state: Path) -> bool:
    """Whether nothing was written since the newest copy was made: a restart needs no other one. Raises nothing."""
    found = newest_first(state / "copies")
    try:
        made = found[0].stat().st_mtime_ns if found else 0
        return all(path.stat().st_mtime_ns < made for path in state.glob("directory.db*") if path.suffix != ".db-shm")
    except OSError:
        return False


def _next_name(folder: Path, wall: datetime) -> str:
    numbers = [int(match[1]) for path in folder.iterdir() if (match := _NAME.fullmatch(path.name))]
    return f"directory-{max(numbers, default=0) + 1:08}-{wall:%Y%m%dT%H%M%SZ}.db"


def make(source: Path, folder: Path, wall: datetime) -> Path:
    """A new copy, checked and durable; the oldest beyond KEPT are removed. Raises OSError, sqlite3.Error."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / _next_name(folder, wall)
    beside = path.with_suffix(".unfinished")
    for leftover in folder.glob("*.unfinished*"):
        leftover.unlink()
    reader = sqlite3.connect(f"{source.absolute().as_uri()}?mode=ro", uri=True)
    try:
        target = sqlite3.connect(beside, isolation_level=None)
        try:
            reader.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")
            if (verdict := target.execute("PRAGMA quick_check(1)").fetchone()[0]) != "ok":
                raise sqlite3.DatabaseError(f"the copy is damaged: {verdict}")
        finally:
            target.close()
    finally:
        reader.close()
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
