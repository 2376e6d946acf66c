"""Builds a sound journal file from what can still be read of a damaged one.

Rows keep their old ids: those that the platform has not received yet can still be sent, and are doubles
to it where it has. A row is believed when its seal fits its header and the row after it stands on it; its
body, when it fits its hash. What is missing below the last row of an epoch is written down as lost. Marks
only ever state what was received, so any copy of a mark is true and the furthest counts; of single-use
ids every copy counts.
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
from gateway.journal.rows import Row, is_header_sound, number_of, place, row_of, seal, seq_of
from gateway.journal.statement import is_signed

_EPOCH = re.compile(r"[0-9a-f]{16}")
_BATCH = 2000
_PROBE = 4 * 1024 * 1024  # bytes that tell a damaged file's page size

Marks = dict[tuple[str, str], int]  # (name, epoch) -> the furthest seq
Beginnings = list[tuple[int, int, bytes]]  # place, time, body


def build(damaged: Path, target: Path, witness: Witness) -> None:
    """Write `target` anew from `damaged` and its log. Raises sqlite3.Error or OSError when it cannot be written."""
    target.unlink(missing_ok=True)
    with closing(sqlite3.connect(target, isolation_level=None)) as new:
        target.chmod(0o600)
        new.execute(f"PRAGMA page_size = {tables.PAGE}")
        new.execute("PRAGMA journal_mode = OFF")
        new.execute("PRAGMA synchronous = OFF")  # synced as a whole below, before it gets its name
        tables.migrate(new)
        marks, beginnings = _collect(damaged, new)
        epochs = _name_epochs(new, beginnings, witness)
        _collect_rows(damaged, new, epochs)
        for number, epoch in epochs.items():
            _judge(new, number, epoch)
        kept = _keep_marks(new, marks)
        pending = Pending(damage=witness.damage, aside=witness.aside, marks_kept=kept)
        new.execute(tables.SET_META, ("pending", msgspec.json.encode(pending).decode()))
    with target.open("rb") as file:
        os.fsync(file.fileno())


def _collect(damaged: Path, new: sqlite3.Connection) -> tuple[Marks, Beginnings]:
    """Copy epochs and single-use ids; returns the marks, and what the first events of epochs say of them."""
    marks: Marks = {}
    beginnings: Beginnings = []
    new.execute("BEGIN")
    for rowid, values in _records(damaged):
        match values:
            case [None, str(type_), int(), int(at), 0 | 1, *_, bytes(body)] if type_ == EpochStarted.type_name():
                beginnings.append((rowid, at, body))
            case [None, str(id_), str(box), int(at), str(why), str(old), int(last), str(check), *_] if _EPOCH.fullmatch(
                id_
            ) and check == seal(rowid, id_, box, at, why, old, last):
                new.execute("INSERT OR REPLACE " + tables.INSERT_EPOCH, (rowid, id_, box, at, why, old, last, check))
            case [None, str(box), str(epoch), int(last), str(head), int(at), str(key), str(signature), *_] if is_signed(
                box, epoch, last, head, key, signature
            ):
                new.execute(tables.INSERT_CLOSED, (rowid, box, epoch, last, head, at, key, signature))
            case [str(name), str(epoch), int(seq), str(check), *_] if check == seal(name, epoch, seq):
                marks[name, epoch] = max(seq, marks.get((name, epoch), 0))
            case [str(id_), str(expires), int(at), *_] if not expires or expires[:2] == "20":
                new.execute(tables.INSERT_USED, (id_, expires, at))
    new.execute("COMMIT")
    return marks, beginnings


def _collect_rows(damaged: Path, new: sqlite3.Connection, epochs: dict[int, str]) -> None:
    """Copy every row whose seal fits, with its body where that fits its hash."""
    new.execute("BEGIN")
    for count, (rowid, values) in enumerate(_records(damaged), 1):
        epoch = epochs.get(number_of(rowid)) if rowid > 0 else None
        if epoch is not None and len(values) >= 8 and seq_of(rowid) > 0:
            stored = (rowid, *values[1:8], values[8] if len(values) > 8 else None)
            row = row_of(stored, epoch)
            if row.body is not None and is_header_sound(stored, row):
                new.execute(tables.REPLACE_EVENT, stored)
            elif is_header_sound(stored, row):
                new.execute(tables.REPLACE_BARE, stored[:8])
        if count % _BATCH == 0:
            new.execute("COMMIT")
            new.execute("BEGIN")
    new.execute("DELETE FROM bare WHERE place IN (SELECT place FROM event)")
    new.execute("COMMIT")


def _records(damaged: Path) -> Iterator[pages.Record]:
    """Every record of the file, then of its log: later copies come later."""
    size = _page_size(damaged)
    logged = dict(log_check.images(tables.wal(damaged), size))
    with damaged.open("rb") as file:

        def fetch(number: int) -> bytes:
            if number in logged:
                return logged[number]
            return _page(file.fileno(), number, size)

        for number in range(1, damaged.stat().st_size // size + 1):
            yield from pages.records(_page(file.fileno(), number, size), fetch, first=number == 1)
        for number, page in log_check.images(tables.wal(damaged), size):
            yield from pages.records(page, fetch, first=number == 1)


def _page_size(damaged: Path) -> int:
    """As the file says, else its log, else what it looks like."""
    with damaged.open("rb") as file:
        beginning = file.read(_PROBE)
    return pages.size_of(beginning) or log_check.page_size(tables.wal(damaged)) or pages.likely_size(beginning)


def _page(handle: int, number: int, size: int) -> bytes:
    """One page; empty where the disk does not give it."""
    try:
        return os.pread(handle, size, (number - 1) * size) if 0 < number < 1 << 32 else b""
    except OSError:
        return b""


def _name_epochs(new: sqlite3.Connection, beginnings: Beginnings, witness: Witness) -> dict[int, str]:
    """Number and id of every epoch; one whose own row is gone is known by its first event, or from `journal.epoch`."""

    def add(number: int, *told: str | int) -> None:
        new.execute("INSERT OR IGNORE " + tables.INSERT_EPOCH, (number, *told, seal(number, *told)))

    if witness.number > 0:
        new.execute(
            "DELETE FROM epoch WHERE number > ?1 OR (number = ?1 AND id != ?2)", (witness.number, witness.epoch)
        )
        add(witness.number, witness.epoch, witness.box, 0, "unknown", "", 0)
    (box,) = new.execute("SELECT max(box) FROM epoch").fetchone()
    for where, at, body in beginnings:
        try:
            it = msgspec.json.decode(body, type=EpochStarted)
        except (msgspec.DecodeError, UnicodeDecodeError):
            continue
        if seq_of(where) == 1 and _EPOCH.fullmatch(it.epoch):
            known_box = it.box or box or witness.box
            add(number_of(where), it.epoch, known_box, at, it.reason, it.predecessor, it.predecessor_last)
    return dict(new.execute("SELECT number, id FROM epoch ORDER BY number").fetchall())


def _judge(new: sqlite3.Connection, number: int, epoch: str) -> None:
    """Remove rows of an epoch that do not fit the row after them; write down the holes."""
    doubtful: list[int] = []
    after: Row | None = None  # the believed row above
    (closed,) = new.execute("SELECT max(last) FROM closed WHERE number = ? AND epoch = ?", (number, epoch)).fetchone()
    closed = highest = closed or 0  # what was closed is not lost; free pages may still show some of it
    for table in ("event", "bare"):
        new.execute(f"DELETE FROM {table} WHERE place BETWEEN ? AND ?", (place(number, 0), place(number, closed)))  # noqa: S608
    for row in _descending(new, number, epoch):
        if after is not None and after.seq == row.seq + 1 and after.previous != row.head:
            doubtful.append(place(number, row.seq))
            continue
        if after is not None and after.seq - row.seq > 1:
            _lose(new, number, max(row.seq, closed) + 1, after.seq - 1)
        after, highest = row, max(highest, row.seq)
    (told,) = new.execute("SELECT max(predecessor_last) FROM epoch WHERE predecessor = ?", (epoch,)).fetchone()
    if told and told > highest:
        _lose(new, number, highest + 1, told)
    if after is not None:
        _lose(new, number, closed + 1, after.seq - 1)
    for delete in ("DELETE FROM event WHERE place = ?", "DELETE FROM bare WHERE place = ?"):
        new.executemany(delete, [(where,) for where in doubtful])


def _lose(new: sqlite3.Connection, number: int, first: int, last: int) -> None:
    if last < first:
        return
    new.execute("INSERT OR REPLACE INTO lost (first, last) VALUES (?, ?)", (place(number, first), place(number, last)))


def _descending(new: sqlite3.Connection, number: int, epoch: str) -> Iterator[Row]:
    high = place(number + 1, 0) - 1
    while True:
        chunk = new.execute(tables.SELECT_ROWS_DOWN, (place(number, 0), high, _BATCH)).fetchall()
        yield from (row_of(stored, epoch) for stored in chunk)
        if len(chunk) < _BATCH:
            return
        high = chunk[-1][0] - 1


def _keep_marks(new: sqlite3.Connection, marks: Marks) -> bool:
    numbers = {epoch: number for number, epoch in new.execute("SELECT number, id FROM epoch").fetchall()}
    furthest: dict[str, tuple[int, str, int]] = {}
    for (name, epoch), seq in marks.items():
        if epoch in numbers:
            furthest[name] = max(furthest.get(name, (0, "", 0)), (numbers[epoch], epoch, seq))
    rows = [(name, epoch, seq, seal(name, epoch, seq)) for name, (_number, epoch, seq) in furthest.items()]
    new.executemany(tables.INSERT_MARK, rows)
    return bool(furthest)
