"""Checks a whole journal: every hash, every link, every number; says in words what is wrong and where.

It reads a year's rows, which is no work for the daemon: there it runs as a process of its own
(`python -m gateway.journal.verify FILE`), while the daemon holds the file still. Bodies that retention removed and
ranges that an epoch declared lost are no faults; they are counted.
"""

from __future__ import annotations

import asyncio
import os
import sqlite3
import sys
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import msgspec

from gateway.errors import JournalDown, N_
from gateway.journal import tables
from gateway.journal.rows import ZERO, Row, is_header_sound, place, row_of, seq_of
from gateway.journal.statement import Closed

MOST_FAULTS = 100
_CHUNK = 1000


class Fault(msgspec.Struct, frozen=True, kw_only=True):
    """One thing that is wrong. `what` is a message id, `facts` its places."""

    epoch: str
    seq: int
    what: str
    facts: dict[str, str | int] = {}

    def render(self, translate: Callable[[str], str] = lambda message: message) -> str:
        where = f"{self.epoch}/{self.seq}: " if self.epoch else ""
        return where + translate(self.what).format_map(self.facts)


class Verification(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found. `faults` holds at most the first hundred."""

    ok: bool
    rows: int
    epochs: int
    without_body: int
    lost: int  # events in ranges that are known to be lost
    closed: int = 0  # events that are gone whole, on a statement that the box signed
    faults: tuple[Fault, ...]


def verify_file(path: Path, *, held: bool = False, key: str = "") -> Verification:
    """Check the file at `path`. Raises sqlite3.Error when it cannot be read.

    `held`: as its owner holds it still. `key`: the box's public key, where it is known.
    """
    address = tables.still(path) if held else tables.read_only(path)
    with closing(sqlite3.connect(address, uri=True, timeout=5.0)) as connection:
        connection.text_factory = tables.text
        checker = _Checker(connection, key)
        try:
            checker.check()
        except sqlite3.DatabaseError as error:
            checker.add("", 0, N_("the file cannot be read further: {error}"), error=str(error))
    return checker.result()


async def verify_apart(path: Path, key: str = "") -> Verification:
    """`verify_file` of a file that is held still, in a process of low priority. Raises JournalDown for no answer."""
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-m", __name__, str(path), key, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        answer, complaint = await process.communicate()
    except BaseException:
        process.kill()
        await process.wait()
        raise
    try:
        return msgspec.json.decode(answer, type=Verification)
    except msgspec.DecodeError as error:
        words = complaint.decode(errors="replace").strip().splitlines()[-1:] or [""]
        raise JournalDown(N_("the journal could not be checked: {error}"), error=words[0]) from error


class _Checker:
    def __init__(self, connection: sqlite3.Connection, key: str) -> None:
        self._connection, self._key = connection, key
        self._statements: dict[int, Closed] = {}
        self._faults: list[Fault] = []
        self._count = 0
        self._rows = self._epochs = self._without_body = self._lost = self._closed = 0

    def add(self, epoch: str, seq: int, what: str, **facts: str | int) -> None:
        self._count += 1
        if len(self._faults) < MOST_FAULTS:
            self._faults.append(Fault(epoch=epoch, seq=seq, what=what, facts=facts))

    def result(self) -> Verification:
        return Verification(
            ok=not self._count,
            rows=self._rows,
            epochs=self._epochs,
            without_body=self._without_body,
            lost=self._lost,
            closed=self._closed,
            faults=tuple(self._faults),
        )

    def check(self) -> None:
        for (line,) in self._connection.execute(f"PRAGMA integrity_check({MOST_FAULTS})").fetchall():
            if line != "ok":
                self.add("", 0, N_("the database says: {line}"), line=str(line))
        self._read_statements()
        select = "SELECT number, id, predecessor, predecessor_last FROM epoch ORDER BY number"
        epochs = self._connection.execute(select).fetchall()
        told = {predecessor: last for _number, _epoch, predecessor, last in epochs}
        for number, epoch, _predecessor, _last in epochs:
            self._epochs += 1
            self._check_epoch(number, epoch, told.get(epoch, 0))
        (strays,) = self._connection.execute(
            "SELECT count(*) FROM (SELECT place FROM event UNION ALL SELECT place FROM bare)"
            " WHERE place >> 40 NOT IN (SELECT number FROM epoch)"
        ).fetchone()
        if strays:
            self.add("", 0, N_("{count} rows belong to no epoch"), count=strays)

    def _read_statements(self) -> None:
        """What was signed about rows that are gone; a file of the first version knows no such thing."""
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        for values in self._connection.execute(tables.SELECT_CLOSED).fetchall() if version > 1 else ():
            closed = msgspec.convert(dict(zip(Closed.__struct_fields__, values, strict=True)), Closed, strict=False)
            if not closed.is_signed():
                self.add(closed.epoch, closed.last, N_("the statement that closed the rows up to here is not signed"))
            elif self._key and closed.key != self._key:
                self.add(closed.epoch, closed.last, N_("another key than this box's closed the rows up to here"))
            else:
                self._statements[closed.number] = closed

    def _begin(self, number: int, first: int) -> tuple[int, str]:
        """Where the check of an epoch begins: the seq and the head before its first row."""
        closed = self._statements.get(number)
        if first == 1 or closed is None:
            return 0, ZERO
        self._closed += min(first - 1, closed.last)
        if first > closed.last + 1:
            return closed.last, ""
        return first - 1, closed.head if first == closed.last + 1 else ""

    def _check_epoch(self, number: int, epoch: str, told: int) -> None:
        """`told` is the epoch's last sequence number as the next epoch knows it."""
        holes = [
            (seq_of(first), seq_of(last))
            for first, last in self._connection.execute(
                "SELECT first, last FROM lost WHERE first BETWEEN ? AND ? ORDER BY first",
                (place(number, 0), place(number + 1, 0) - 1),
            ).fetchall()
        ]
        self._lost += sum(last - first + 1 for first, last in holes)
        closed = self._statements.get(number)
        seq, head = 0, ZERO  # an empty head: the header before was damaged, and nothing can be said of the link
        for row, has_body, sound in self._each_row(number, epoch):
            self._rows += 1
            if not seq:
                seq, head = self._begin(number, row.seq)
            if closed is not None and row.seq == closed.last and row.head != closed.head:
                self.add(epoch, row.seq, N_("this header is not the one that the box signed when it closed the rows"))
            if not sound:
                self.add(epoch, row.seq, N_("the header is not as it was written"))
            self._without_body += not has_body
            if row.seq == seq:
                self.add(epoch, row.seq, N_("this number is there twice"))
            elif row.seq != seq + 1:
                if not _covered(seq + 1, row.seq - 1, holes):
                    self.add(epoch, seq + 1, N_("rows {first} to {last} are missing"), first=seq + 1, last=row.seq - 1)
            elif sound and head and row.previous != head:
                self.add(epoch, row.seq, N_("this header does not continue the one before it: one of them was changed"))
            if has_body and row.body is None:
                self.add(epoch, row.seq, N_("the body does not match its hash: it was changed"))
            seq, head = row.seq, row.head if sound else ""
        if told > seq and not _covered(seq + 1, told, holes):
            self.add(epoch, seq + 1, N_("rows {first} to {last} are missing"), first=seq + 1, last=told)

    def _each_row(self, number: int, epoch: str) -> Iterator[tuple[Row, bool, bool]]:
        low, high = place(number, 0), place(number + 1, 0) - 1
        while True:
            chunk = self._connection.execute(tables.SELECT_ROWS, (low, high, _CHUNK)).fetchall()
            for stored in chunk:
                row = row_of(stored, epoch)
                yield row, stored[8] is not None, is_header_sound(stored, row)
            if len(chunk) < _CHUNK:
                return
            low = chunk[-1][0] + 1


def _covered(first: int, last: int, holes: list[tuple[int, int]]) -> bool:
    for low, high in holes:
        if low <= first <= high:
            first = high + 1
    return first > last


def main() -> int:
    os.nice(10)
    try:
        result = verify_file(Path(sys.argv[1]), held=True, key=sys.argv[2])
    except sqlite3.Error as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.buffer.write(msgspec.json.encode(result))
    return 0


if __name__ == "__main__":
    sys.exit(main())
