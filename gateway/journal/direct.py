"""Reads a journal file without a daemon, for `loumen event` on a stopped box.

The caller holds the state folder's lock; a daemon's own journal is read through its socket.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from gateway.errors import JournalDown, N_
from gateway.journal import tables
from gateway.journal.rows import Position, Row, place, row_of, seq_of

_CHUNK = 500


class JournalReader:
    """The rows of the file at `path`, in order. Raises JournalDown when it cannot be read."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def boxes(self) -> dict[str, str]:
        """Whose each epoch is; a clone's file begins with its origin's."""
        try:
            with closing(self._connect()) as connection:
                return dict(connection.execute("SELECT id, box FROM epoch").fetchall())
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def head(self) -> Position | None:
        """The newest event."""
        last = None
        with closing(self._connect()) as connection:
            for number, epoch in self._epochs(connection):
                low, high = connection.execute(
                    tables.SELECT_BOUNDS, (place(number, 0), place(number + 1, 0) - 1)
                ).fetchone()
                last = last if low is None else Position(epoch, seq_of(high))
        return last

    def rows(self, after: Position | None = None) -> Iterator[Row]:
        """Every row behind a position."""
        try:
            with closing(self._connect()) as connection:
                epochs = self._epochs(connection)
                start = next((number for number, epoch in epochs if after and epoch == after.epoch), 0)
                for number, epoch in epochs:
                    if number >= start:
                        first = after.seq + 1 if after and number == start else 0
                        yield from self._of_epoch(connection, epoch, place(number, first), place(number + 1, 0) - 1)
        except sqlite3.Error as error:
            raise self._unreadable(error) from error

    def _of_epoch(self, connection: sqlite3.Connection, epoch: str, low: int, high: int) -> Iterator[Row]:
        while True:
            chunk = connection.execute(tables.SELECT_ROWS, (low, high, _CHUNK)).fetchall()
            yield from (row_of(stored, epoch) for stored in chunk)
            if len(chunk) < _CHUNK:
                return
            low = chunk[-1][0] + 1

    def _epochs(self, connection: sqlite3.Connection) -> list[tuple[int, str]]:
        return connection.execute("SELECT number, id FROM epoch ORDER BY number").fetchall()

    def _connect(self) -> sqlite3.Connection:
        try:
            connection = sqlite3.connect(tables.read_only(self._path), uri=True, timeout=5.0)
        except sqlite3.Error as error:
            raise self._unreadable(error) from error
        connection.text_factory = tables.text
        return connection

    def _unreadable(self, error: sqlite3.Error) -> JournalDown:
        return JournalDown(
            N_("the journal cannot be read: {error}"),
            where=str(self._path),
            mend=N_("the daemon sets a damaged journal aside when it starts"),
            error=str(error),
        )
