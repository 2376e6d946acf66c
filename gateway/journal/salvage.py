"""Builds a sound journal file from what can still be read of a damaged one.

Rows keep their old ids: those that the platform has not received yet can still be sent, and are doubles
to it where it has. A row is believed when its body matches its hash and the header after it vouches for
its own; where the two disagree, the one that fits its other neighbour is kept. What is missing below the
last row of an epoch is written down as lost. Marks only ever state what was received, so any copy of a
mark is true and the furthest counts; of single-use ids every copy counts.
"""

from __future__ import annotations

import os
import re
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from gateway.journal import log_check, pages, tables
from gateway.journal.events import EpochStarted
from gateway.journal.opening import Pending, Witness
from gateway.journal.rows import Row, place, row_of, seq_of

_EPOCH = re.compile(r"[0-9a-f]{16}")
_BATCH = 2000


def build(damaged: Path, target: Path, witness: Witness) -> None:
    """Write `target` anew from `damaged` and its log. Raises sqlite3.Error or OSError when it cannot be written."""
    target.unlink(missing_ok=True)
    with closing(sqlite3.connect(target, isolation_level=None)) as new:
        os.chmod(target, 0o600)
        new.execute(f"PRAGMA page_size = {tables.PAGE}")
        new.execute("PRAGMA journal_mode = OFF")
        new.execute("PRAGMA synchronous = OFF")  # synced as a whole below, before it gets its name
        tables.migrate(new)
        marks = _collect(damaged, new)
        _name_epochs(new, witness)
        for (number, epoch) in new.execute("SELECT number, id FROM epoch ORDER BY number").fetchall():
            _judge(new, number, epoch)
        new.execute("DELETE FROM event WHERE place >> 40 NOT IN (SELECT number FROM epoch)")
        new.execute("DELETE FROM bare WHERE place >> 40 NOT IN (SELECT number FROM epoch)")
        kept = _keep_marks(new, marks)
        pending = Pending(damage=witness.damage, aside=witness.aside, marks_kept=kept)
        new.execute(tables.SET_META, ("pending", msgspec.json.encode(pending).decode()))
    with open(target, "rb") as file:
        os.fsync(file.fileno())


def _collect(damaged: Path, new: sqlite3.Connection) -> dict[tuple[str, str], int]:
    """Copy every record that looks like ours; returns the marks: (name, epoch) -> furthest seq."""
    marks: dict[tuple[str, str], int] = {}
    new.execute("BEGIN")
    for count, (rowid, values) in enumerate(_records(damaged), 1):
        match values:
            case [None, str(), int(), int(), 0 | 1, bytes(), bytes(), *rest] if _is_header(rowid, values):
                _keep_row(new, rowid, values[1:7], rest[0] if rest else None)
            case [None, str(id_), str(box), int(created), str(reason), str(predecessor), *_] if _EPOCH.fullmatch(id_):
                if 0 < rowid < 1 << 20:
                    new.execute(
                        "INSERT OR REPLACE INTO epoch (number, id, box, created, reason, predecessor)"
                        " VALUES (?, ?, ?, ?, ?, ?)",
                        (rowid, id_, box, created, reason, predecessor),
                    )
            case [str(name), str(epoch), int(seq), *_] if _EPOCH.fullmatch(epoch):
                marks[name, epoch] = max(seq, marks.get((name, epoch), 0))
            case [str(id_), str(expires), int(at), *_] if not expires or expires[:2] == "20":
                new.execute(tables.INSERT_USED, (id_, expires, at))
        if count % _BATCH == 0:
            new.execute("COMMIT")
            new.execute("BEGIN")
    new.execute("DELETE FROM bare WHERE place IN (SELECT place FROM event)")
    new.execute("COMMIT")
    return marks


def _records(damaged: Path) -> Iterator[pages.Record]:
    """Every record of the file, then of its log: later copies come later."""
    logged = dict(log_check.pages(tables.wal(damaged)))
    with open(damaged, "rb") as file:

        def fetch(number: int) -> bytes:
            if number in logged:
                return logged[number]
            return _page(file.fileno(), number)

        for number in range(1, damaged.stat().st_size // tables.PAGE + 1):
            yield from pages.records(_page(file.fileno(), number), number == 1, fetch)
        for number, page in log_check.pages(tables.wal(damaged)):
            yield from pages.records(page, number == 1, fetch)


def _page(handle: int, number: int) -> bytes:
    """One page; empty where the disk does not give it."""
    try:
        return os.pread(handle, tables.PAGE, (number - 1) * tables.PAGE) if 0 < number < 1 << 32 else b""
    except OSError:
        return b""


def _is_header(rowid: int, values: list[pages.Value]) -> bool:
    _none, type_, importance, at, _trusted, body_sha256, previous = values[:7]
    return (
        rowid > 0
        and seq_of(rowid) > 0
        and isinstance(body_sha256, bytes)
        and isinstance(previous, bytes)
        and len(body_sha256) == len(previous) == 32
        and isinstance(importance, int)
        and 0 <= importance < 16
        and isinstance(at, int)
        and 0 <= at < 1 << 53
        and bool(type_)
    )


def _keep_row(new: sqlite3.Connection, rowid: int, header: list[pages.Value], body: pages.Value) -> None:
    stored = (rowid, *header, body)
    if isinstance(body, bytes) and row_of(stored, "").body is not None:  # type: ignore[arg-type]
        new.execute(tables.INSERT_EVENT.replace("INSERT", "INSERT OR REPLACE", 1), stored)
    else:
        new.execute(f"INSERT OR REPLACE INTO bare ({tables.HEADER}) VALUES (?, ?, ?, ?, ?, ?, ?)", stored[:7])


def _name_epochs(new: sqlite3.Connection, witness: Witness) -> None:
    """Epochs whose own row is gone are known from the file beside the database or from their first event."""
    insert = (
        "INSERT OR IGNORE INTO epoch (number, id, box, created, reason, predecessor) VALUES (?, ?, ?, ?, 'unknown', '')"
    )
    if witness.number > 0:
        new.execute("DELETE FROM epoch WHERE number > ? OR (number = ? AND id != ?)", (witness.number, witness.number, witness.epoch))
        new.execute(insert, (witness.number, witness.epoch, witness.box, 0))
    (box,) = new.execute("SELECT max(box) FROM epoch").fetchone()
    for where, at, body in new.execute("SELECT place, at, body FROM event WHERE type = ?", (EpochStarted.type_name(),)).fetchall():
        try:
            started = msgspec.json.decode(body, type=EpochStarted)
        except msgspec.DecodeError:
            continue
        if seq_of(where) == 1:
            new.execute(insert, (where >> 40, started.epoch, box or witness.box, at))


def _judge(new: sqlite3.Connection, number: int, epoch: str) -> None:
    """Remove the rows of an epoch that the chain does not vouch for; write down the holes."""
    doubtful: list[int] = []
    after: Row | None = None  # the accepted row above
    lowest = 0
    rows = _descending(new, number, epoch)
    row, has_body = next(rows, (None, False))
    while row is not None:
        below, below_has_body = next(rows, (None, False))
        if after is not None and after.seq == row.seq + 1:
            believed = after.previous == row.head
        else:
            believed = _stands_alone(row, has_body, below)
        if believed:
            if lowest and lowest - row.seq > 1:
                _lose(new, number, row.seq + 1, lowest - 1)
            after, lowest = row, row.seq
        else:
            doubtful.append(place(number, row.seq))
        row, has_body = below, below_has_body
    if lowest > 1:
        _lose(new, number, 1, lowest - 1)
    for table in ("event", "bare"):
        new.executemany(f"DELETE FROM {table} WHERE place = ?", [(where,) for where in doubtful])


def _stands_alone(row: Row, has_body: bool, below: Row | None) -> bool:
    """Whether to believe a row that nothing above vouches for: it must fit the row below, or at least its body."""
    if below is not None and below.seq == row.seq - 1:
        return row.previous == below.head
    return has_body


def _lose(new: sqlite3.Connection, number: int, first: int, last: int) -> None:
    new.execute("INSERT OR REPLACE INTO lost (first, last) VALUES (?, ?)", (place(number, first), place(number, last)))


def _descending(new: sqlite3.Connection, number: int, epoch: str) -> Iterator[tuple[Row | None, bool]]:
    high = place(number + 1, 0) - 1
    while True:
        chunk = new.execute(
            f"""SELECT * FROM (SELECT {tables.HEADER}, body FROM event WHERE place BETWEEN ?1 AND ?2 ORDER BY place DESC LIMIT ?3)
            UNION ALL
            SELECT * FROM (SELECT {tables.HEADER}, NULL FROM bare WHERE place BETWEEN ?1 AND ?2 ORDER BY place DESC LIMIT ?3)
            ORDER BY 1 DESC LIMIT ?3""",
            (place(number, 0), high, _BATCH),
        ).fetchall()
        for stored in chunk:
            yield row_of(stored, epoch), stored[7] is not None
        if len(chunk) < _BATCH:
            return
        high = chunk[-1][0] - 1


def _keep_marks(new: sqlite3.Connection, marks: dict[tuple[str, str], int]) -> bool:
    numbers = {epoch: number for number, epoch in new.execute("SELECT number, id FROM epoch").fetchall()}
    furthest: dict[str, tuple[int, str, int]] = {}
    for (name, epoch), seq in marks.items():
        if epoch in numbers:
            furthest[name] = max(furthest.get(name, (0, "", 0)), (numbers[epoch], epoch, seq))
    new.executemany(tables.INSERT_MARK, [(name, epoch, seq) for name, (_number, epoch, seq) in furthest.items()])
    return bool(furthest)
