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
from gateway.journal.rows import Row, number_of, place, row_of, seal, seq_of

_EPOCH = re.compile(r"[0-9a-f]{16}")
_BATCH = 2000


def build(damaged: Path, target: Path, witness: Witness) -> None:
    """Write `target` anew from `damaged` and its log. Raises sqlite3.Error or OSError when it cannot be written."""
    target.unlink(missing_ok=True)
    with closing(sqlite3.connect(target, isolation_level=None)) as new:
        target.chmod(0o600)
        new.execute(f"PRAGMA page_size = {tables.PAGE}")
        new.execute("PRAGMA journal_mode = OFF")
        new.execute("PRAGMA synchronous = OFF")  # synced as a whole below, before it gets its name
        tables.migrate(new)
        marks = _collect(damaged, new)
        _name_epochs(new, witness)
        for number, epoch in new.execute("SELECT number, id FROM epoch ORDER BY number").fetchall():
            _judge(new, number, epoch)
        new.execute("DELETE FROM event WHERE place >> 40 NOT IN (SELECT number FROM epoch)")
        new.execute("DELETE FROM bare WHERE place >> 40 NOT IN (SELECT number FROM epoch)")
        kept = _keep_marks(new, marks)
        pending = Pending(damage=witness.damage, aside=witness.aside, marks_kept=kept)
        new.execute(tables.SET_META, ("pending", msgspec.json.encode(pending).decode()))
    with target.open("rb") as file:
        os.fsync(file.fileno())


def _collect(damaged: Path, new: sqlite3.Connection) -> dict[tuple[str, str], int]:
    """Copy every record that looks like ours; returns the marks: (name, epoch) -> furthest seq."""
    marks: dict[tuple[str, str], int] = {}
    new.execute("BEGIN")
    for count, (rowid, values) in enumerate(_records(damaged), 1):
        match values:
            case [None, str(), int(), int(), 0 | 1, bytes(), bytes(), *rest] if _is_header(rowid, values):
                _keep_row(new, rowid, values[1:7], rest[0] if rest else None)
            case [None, str(id_), str(box), int(at), str(why), str(old), int(last), str(check), *_] if _EPOCH.fullmatch(
                id_
            ) and check == seal(rowid, id_, box, at, why, old, last):
                new.execute("INSERT OR REPLACE " + tables.INSERT_EPOCH, (rowid, id_, box, at, why, old, last, check))
            case [str(name), str(epoch), int(seq), str(check), *_] if check == seal(name, epoch, seq):
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
    with damaged.open("rb") as file:

        def fetch(number: int) -> bytes:
            if number in logged:
                return logged[number]
            return _page(file.fileno(), number)

        for number in range(1, damaged.stat().st_size // tables.PAGE + 1):
            yield from pages.records(_page(file.fileno(), number), fetch, first=number == 1)
        for number, page in log_check.pages(tables.wal(damaged)):
            yield from pages.records(page, fetch, first=number == 1)


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
    if isinstance(body, bytes) and row_of(stored, "").body is not None:
        new.execute(tables.REPLACE_EVENT, stored)
    else:
        new.execute(tables.REPLACE_BARE, stored[:7])


def _name_epochs(new: sqlite3.Connection, witness: Witness) -> None:
    """Epochs whose own row is gone are known from the file beside the database or from their first event."""

    def add(number: int, *told: str | int) -> None:
        new.execute("INSERT OR IGNORE " + tables.INSERT_EPOCH, (number, *told, seal(number, *told)))

    if witness.number > 0:
        new.execute(
            "DELETE FROM epoch WHERE number > ?1 OR (number = ?1 AND id != ?2)", (witness.number, witness.epoch)
        )
        add(witness.number, witness.epoch, witness.box, 0, "unknown", "", 0)
    (box,) = new.execute("SELECT max(box) FROM epoch").fetchone()
    beginnings = "SELECT place, at, body FROM event WHERE type = ?"
    for where, at, body in new.execute(beginnings, (EpochStarted.type_name(),)).fetchall():
        try:
            it = msgspec.json.decode(body, type=EpochStarted)
        except msgspec.DecodeError:
            continue
        if seq_of(where) == 1:
            known_box = it.box or box or witness.box
            add(number_of(where), it.epoch, known_box, at, it.reason, it.predecessor, it.predecessor_last)


def _judge(new: sqlite3.Connection, number: int, epoch: str) -> None:
    """Remove the rows of an epoch that the chain does not vouch for; write down the holes."""
    doubtful: list[int] = []
    after: Row | None = None  # the accepted row above
    lowest = highest = 0
    rows = _descending(new, number, epoch)
    row, has_body = next(rows, (None, False))
    while row is not None:
        below, below_has_body = next(rows, (None, False))
        if after is not None and after.seq == row.seq + 1:
            believed = after.previous == row.head
        else:
            believed = _stands_alone(row, below, has_body=has_body)
        if believed:
            if lowest and lowest - row.seq > 1:
                _lose(new, number, row.seq + 1, lowest - 1)
            after, lowest, highest = row, row.seq, max(highest, row.seq)
        else:
            doubtful.append(place(number, row.seq))
        row, has_body = below, below_has_body
    (told,) = new.execute("SELECT max(predecessor_last) FROM epoch WHERE predecessor = ?", (epoch,)).fetchone()
    if told and told > highest:
        _lose(new, number, highest + 1, told)
    if lowest > 1:
        _lose(new, number, 1, lowest - 1)
    for delete in ("DELETE FROM event WHERE place = ?", "DELETE FROM bare WHERE place = ?"):
        new.executemany(delete, [(where,) for where in doubtful])


def _stands_alone(row: Row, below: Row | None, *, has_body: bool) -> bool:
    """Whether to believe a row that nothing above vouches for: it must fit the row below, or at least its body."""
    if below is not None and below.seq == row.seq - 1:
        return row.previous == below.head
    return has_body


def _lose(new: sqlite3.Connection, number: int, first: int, last: int) -> None:
    new.execute("INSERT OR REPLACE INTO lost (first, last) VALUES (?, ?)", (place(number, first), place(number, last)))


def _descending(new: sqlite3.Connection, number: int, epoch: str) -> Iterator[tuple[Row | None, bool]]:
    high = place(number + 1, 0) - 1
    while True:
        chunk = new.execute(tables.SELECT_ROWS_DOWN, (place(number, 0), high, _BATCH)).fetchall()
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
    rows = [(name, epoch, seq, seal(name, epoch, seq)) for name, (_number, epoch, seq) in furthest.items()]
    new.executemany(tables.INSERT_MARK, rows)
    return bool(furthest)
