"""The tables of `journal.db`, how the file is opened, and how it grows from version to version.

The schema only grows: a newer release adds tables, and columns with defaults, and raises `user_version`;
nothing is renamed or dropped, every statement names its columns, and nobody lowers `user_version`. So a
box that is rolled back to the release before goes on in the same file.

    event   rows with their bodies; one append to one B-tree, so a lone event costs one page of log
    bare    rows whose bodies retention removed (the pages of `event` that fall free are used again)
    closed  what the box signed about the rows of an epoch that are gone whole (`closing`); since version 2
    epoch   the lives of this file; `place` = epoch number << 40 | seq orders all rows
    lost    ranges that are known to be unreadable since a damaged file was set aside
    mark    how far each reader has come (`seal`: a checksum, for a mark that is wrong loses events)
    used    ids of single-use commands
    meta    host (fingerprint of the machine), open (1 while a daemon writes), pending (an epoch to begin)
"""

from __future__ import annotations

import re
import sqlite3
from pathlib import Path
from urllib.parse import quote

from gateway.journal import pages

VERSION = 2
PAGE = pages.PAGE

_STEPS = (
    """
    CREATE TABLE meta (key TEXT PRIMARY KEY, value TEXT NOT NULL);
    CREATE TABLE epoch (number INTEGER PRIMARY KEY, id TEXT NOT NULL UNIQUE, box TEXT NOT NULL,
        created INTEGER NOT NULL, reason TEXT NOT NULL, predecessor TEXT NOT NULL DEFAULT '',
        predecessor_last INTEGER NOT NULL DEFAULT 0, seal TEXT NOT NULL);
    CREATE TABLE event (place INTEGER PRIMARY KEY, type TEXT NOT NULL, importance INTEGER NOT NULL,
        at INTEGER NOT NULL, trusted INTEGER NOT NULL, body_sha256 BLOB NOT NULL, previous BLOB NOT NULL,
        seal BLOB NOT NULL, body BLOB NOT NULL);
    CREATE TABLE bare (place INTEGER PRIMARY KEY, type TEXT NOT NULL, importance INTEGER NOT NULL,
        at INTEGER NOT NULL, trusted INTEGER NOT NULL, body_sha256 BLOB NOT NULL, previous BLOB NOT NULL,
        seal BLOB NOT NULL);
    CREATE TABLE lost (first INTEGER PRIMARY KEY, last INTEGER NOT NULL);
    CREATE TABLE mark (name TEXT PRIMARY KEY, epoch TEXT NOT NULL, seq INTEGER NOT NULL,
        seal TEXT NOT NULL);
    CREATE TABLE used (id TEXT PRIMARY KEY, expires TEXT NOT NULL, at INTEGER NOT NULL);
    """,
    """
    CREATE TABLE closed (number INTEGER PRIMARY KEY, box TEXT NOT NULL, epoch TEXT NOT NULL, last INTEGER NOT NULL,
        head TEXT NOT NULL, at INTEGER NOT NULL, key TEXT NOT NULL, signature TEXT NOT NULL);
    """,
)

HEADER = "place, type, importance, at, trusted, body_sha256, previous, seal"
INSERT_EVENT = f"INSERT INTO event ({HEADER}, body) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
REPLACE_EVENT = INSERT_EVENT.replace("INSERT", "INSERT OR REPLACE", 1)
REPLACE_BARE = f"INSERT OR REPLACE INTO bare ({HEADER}) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"  # noqa: S608
MAKE_BARE = f"INSERT INTO bare ({HEADER}) SELECT {HEADER} FROM event WHERE place = ?"  # noqa: S608
INSERT_CLOSED = (
    "INSERT OR REPLACE INTO closed (number, box, epoch, last, head, at, key, signature) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
SELECT_CLOSED = "SELECT number, box, epoch, last, head, at, key, signature FROM closed"
#: Rows of an epoch that have no body and none with a body before them; parameters: lowest place, highest place.
SELECT_CLOSABLE = """
    SELECT count(*), max(place) FROM bare WHERE place BETWEEN ?1 AND min(?2,
        coalesce((SELECT min(place) - 1 FROM event WHERE place BETWEEN ?1 AND ?2), ?2))
"""
DROP_HEADERS = """
    DELETE FROM bare WHERE place BETWEEN ?1 AND ?2
        AND place <= (SELECT max(place) FROM
            (SELECT place FROM bare WHERE place BETWEEN ?1 AND ?2 ORDER BY place LIMIT ?3))
"""
INSERT_USED = "INSERT OR REPLACE INTO used (id, expires, at) VALUES (?, ?, ?)"
INSERT_MARK = """
    INSERT INTO mark (name, epoch, seq, seal) VALUES (?, ?, ?, ?)
    ON CONFLICT (name) DO UPDATE SET epoch = excluded.epoch, seq = excluded.seq, seal = excluded.seal
"""
INSERT_EPOCH = (
    "INTO epoch (number, id, box, created, reason, predecessor, predecessor_last, seal) VALUES (?, ?, ?, ?, ?, ?, ?, ?)"
)
SET_META = "INSERT OR REPLACE INTO meta (key, value) VALUES (?, ?)"
LAST_EVENTS = f"SELECT {HEADER}, body FROM event ORDER BY place DESC LIMIT ?"  # noqa: S608
LAST_BARE = f"SELECT {HEADER}, NULL FROM bare ORDER BY place DESC LIMIT ?"  # noqa: S608
_SELECT = f"""
    SELECT * FROM
        (SELECT {HEADER}, body FROM event WHERE place BETWEEN ?1 AND ?2 ORDER BY place WAY LIMIT ?3)
    UNION ALL SELECT * FROM
        (SELECT {HEADER}, NULL FROM bare WHERE place BETWEEN ?1 AND ?2 ORDER BY place WAY LIMIT ?3)
    ORDER BY 1 WAY LIMIT ?3
"""  # noqa: S608
#: Rows between two places, with the bodies that are left; parameters: low, high, limit.
SELECT_ROWS = _SELECT.replace(" WAY LIMIT", " ASC LIMIT")
SELECT_ROWS_DOWN = _SELECT.replace(" WAY LIMIT", " DESC LIMIT")
#: Events whose bodies may go; parameters: highest place, age limit or NULL, importance or NULL, how many,
#: lowest place (excluded).
SELECT_OLDEST = """
    SELECT place, type, length(body) FROM event
    WHERE place > ?5 AND place <= ?1 AND (?2 IS NULL OR at < ?2) AND (?3 IS NULL OR importance = ?3)
    ORDER BY place LIMIT ?4
"""
TRUSTED_AT = "SELECT max(at) FROM (SELECT at, trusted FROM event ORDER BY place DESC LIMIT ?) WHERE trusted = 1"
IS_LOST = "SELECT 1 FROM lost WHERE first <= ?1 AND last >= ?2"
#: The ends of an epoch; parameters: its lowest and highest possible place.
SELECT_BOUNDS = """
    SELECT min(low), max(high) FROM (
        SELECT min(place) AS low, max(place) AS high FROM event WHERE place BETWEEN ?1 AND ?2
        UNION ALL SELECT min(place), max(place) FROM bare WHERE place BETWEEN ?1 AND ?2)
"""
#: What must compile for a file to be usable.
EVERY = (
    INSERT_EVENT,
    MAKE_BARE,
    INSERT_USED,
    INSERT_MARK,
    "INSERT " + INSERT_EPOCH,
    SET_META,
    SELECT_ROWS,
    SELECT_OLDEST,
    IS_LOST,
)

WRITER_PRAGMAS: tuple[str, ...] = (
    f"PRAGMA page_size = {PAGE}",  # takes effect in an empty file only
    "PRAGMA journal_mode = WAL",
    "PRAGMA synchronous = FULL",
    "PRAGMA wal_autocheckpoint = 0",  # the writer checkpoints when it chooses, and counts what that costs
    "PRAGMA secure_delete = ON",  # a body that retention removed is gone, also from the free pages
    "PRAGMA cache_size = -1000",
)
#: Of the daemon's connection, before any other: the log's index is then in its memory and not in a mapped file.
ALONE = ("PRAGMA locking_mode = EXCLUSIVE",)


def connect(path: Path) -> sqlite3.Connection:
    """A writing connection for work at opening, in manual transactions."""
    connection = sqlite3.connect(path, timeout=2.0, isolation_level=None)
    connection.text_factory = text
    for pragma in WRITER_PRAGMAS:
        connection.execute(pragma)
    return connection


def text(raw: bytes) -> str:
    """Text as read: damaged letters must not raise, the hashes tell."""
    return raw.decode(errors="replace")


def read_only(path: Path) -> str:
    """The address of a connection that neither writes nor checkpoints (needs `uri=True`)."""
    return f"file:{quote(str(path))}?mode=ro"


def still(path: Path) -> str:
    """The same, for a file that its owner holds still: neither locks nor the log are looked at."""
    return read_only(path) + "&immutable=1"


def wal(path: Path) -> Path:
    """The write-ahead log beside a database."""
    return path.with_name(path.name + "-wal")


def parameters(statement: str) -> int:
    """How many values a statement takes; numbered places (?1) count once."""
    return statement.count("?") if "?1" not in statement else max(int(n) for n in re.findall(r"\?(\d)", statement))


def migrate(connection: sqlite3.Connection) -> None:
    """Bring an older (or empty) file to VERSION; a newer one is left as it is."""
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    for step in range(version, VERSION):
        connection.execute("BEGIN IMMEDIATE")
        try:
            for statement in _STEPS[step].split(";"):
                connection.execute(statement)
            connection.execute(f"PRAGMA user_version = {step + 1}")
            connection.execute("COMMIT")
        except BaseException:
            connection.execute("ROLLBACK")
            raise
