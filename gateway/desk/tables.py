"""The desk's tables and their migrations. WAL, synchronous=FULL, one connection writes."""

from __future__ import annotations

import sqlite3
from pathlib import Path

SCHEMA = (
    """
    CREATE TABLE box (
        box TEXT PRIMARY KEY, name TEXT NOT NULL, version TEXT NOT NULL, session INTEGER NOT NULL,
        online INTEGER NOT NULL, challenge TEXT NOT NULL, state INTEGER NOT NULL, epoch TEXT NOT NULL,
        epochs TEXT NOT NULL, head INTEGER NOT NULL, backlog INTEGER NOT NULL,
        first_seen TEXT NOT NULL, last_seen TEXT NOT NULL
    ) WITHOUT ROWID;
    CREATE TABLE epoch (
        box TEXT NOT NULL, epoch TEXT NOT NULL, predecessor TEXT NOT NULL, closed INTEGER,
        lost TEXT NOT NULL, PRIMARY KEY (box, epoch)
    ) WITHOUT ROWID;
    CREATE TABLE event (
        arrival INTEGER PRIMARY KEY, box TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL,
        type TEXT NOT NULL, at TEXT NOT NULL, trusted INTEGER NOT NULL, historical INTEGER NOT NULL,
        body BLOB, bodyhash TEXT NOT NULL, previous TEXT NOT NULL, head TEXT NOT NULL, arrived TEXT NOT NULL
    );
    CREATE UNIQUE INDEX event_place ON event (box, epoch, seq);
    CREATE TABLE finding (
        box TEXT NOT NULL, epoch TEXT NOT NULL, seq INTEGER NOT NULL, kind TEXT NOT NULL,
        detail TEXT NOT NULL, found TEXT NOT NULL, times INTEGER NOT NULL,
        PRIMARY KEY (box, epoch, seq, kind)
    ) WITHOUT ROWID;
    CREATE TABLE command (
        id TEXT PRIMARY KEY, box TEXT NOT NULL, kid TEXT NOT NULL, command TEXT NOT NULL,
        issued TEXT NOT NULL, expires TEXT NOT NULL, replied TEXT, outcome TEXT
    ) WITHOUT ROWID;
    """,
)


def open_for_writing(path: Path) -> sqlite3.Connection:
    """The one connection that writes. Raises sqlite3.Error."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        connection.execute("PRAGMA journal_mode=WAL")
        connection.execute("PRAGMA synchronous=FULL")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        for number, script in enumerate(SCHEMA[version:], start=version + 1):
            connection.executescript(f"BEGIN; {script} PRAGMA user_version={number}; COMMIT;")
    except sqlite3.Error:
        connection.close()
        raise
    return connection


def open_for_reading(path: Path) -> sqlite3.Connection:
    """A connection that can only look. Raises sqlite3.Error."""
    connection = sqlite3.connect(f"file:{path}?mode=ro", uri=True, isolation_level=None)
    connection.execute("PRAGMA query_only=1")
    connection.row_factory = sqlite3.Row
    return connection
