"""The open `journal.db`: one connection that writes, checkpoints and reads. No policy here.

It alone has the file (`tables.ALONE`): a log that several connections share has an index in a mapped file,
and the kernel writes that file's pages back every 30 s, 8 KB for each lone event, measured on ext4. So
whoever else wants to read asks the daemon, or reads what is in the file itself (`hold_still`).

aiosqlite gives the connection a thread of its own; `close()` must be called, for that thread holds a
process that forgets it. A transaction is one visit to that thread, so no reader sees half of one.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, NamedTuple

import aiosqlite

from gateway.journal import tables
from gateway.journal.event import Importance
from gateway.journal.log import Log, lengthen
from gateway.journal.opening import Opened
from gateway.journal.rows import Chain, Epoch, Position, Row, Stored, is_sound, place, row_of

CHECKPOINT_FRAMES, SPARE_FRAMES = 2000, 500  # pages in the log (2 MB of a new file's) before it is copied into the file
STRIP_BYTES = 256 * 1024  # bodies removed in one transaction: their pages are overwritten, through the log
_TURN = 20  # rows hashed in one turn of the loop: doors run on it too
_LAST = (1 << 40) - 1


class DamagedRow(sqlite3.DatabaseError):
    """A row is not as it was written."""

    sqlite_errorcode = sqlite3.SQLITE_CORRUPT
    sqlite_errorname = "SQLITE_CORRUPT"


class Group(NamedTuple):
    """What one transaction writes."""

    rows: Sequence[Stored] = ()
    used: Sequence[tuple[str, str, int]] = ()
    marks: Sequence[tuple[str, str, int, str]] = ()
    bare: Sequence[tuple[int]] = ()  # places whose bodies go
    closed: Sequence[tuple[int, str, str, int, str, int, str, str]] = ()


class _Writer(sqlite3.Connection):
    """Writes whole groups in one visit to its thread: each visit costs the loop more than the rows do."""

    groups: Sequence[Group] = ()
    durable = 0
    log: Log | None = None

    def commit(self) -> None:
        groups, self.groups, self.durable = self.groups, (), 0
        for group in groups:
            if group.rows:
                self.executemany(tables.INSERT_EVENT, group.rows)
            if group.used:
                self.executemany(tables.INSERT_USED, group.used)
            if group.marks:
                self.executemany(tables.INSERT_MARK, group.marks)
            if group.bare:
                self.executemany(tables.MAKE_BARE, group.bare)
                self.executemany("DELETE FROM event WHERE place = ?", group.bare)
            if group.closed:
                self.executemany(tables.INSERT_CLOSED, group.closed)
            super().commit()
            self.durable += 1
            self._look()
        super().commit()
        self._look()

    def _look(self) -> None:
        if self.log is not None:
            with suppress(OSError):  # what is durable is durable; a disk that cannot be read says so by itself
                self.log.look()


class JournalFile:
    """Made by `open`. Every method raises sqlite3.Error when the disk fails."""

    def __init__(self, opened: Opened, writer: aiosqlite.Connection, inner: _Writer, log: Log, page: int) -> None:
        self.chain: Chain = opened.chain
        self.epochs: list[Epoch] = list(opened.epochs)
        self._writer, self._inner, self._log, self._page = writer, inner, log, page
        self._still = asyncio.Event()
        self._still.set()
        self.durable = 0  # groups of the last `commit` that are on the disk

    @classmethod
    async def open(cls, path: Path, opened: Opened) -> JournalFile:
        made: list[_Writer] = []

        def factory(*arguments: Any, **options: Any) -> _Writer:
            made.append(_Writer(*arguments, **options))
            return made[0]

        writer = await aiosqlite.connect(path, timeout=2.0, isolation_level="IMMEDIATE", factory=factory)
        try:
            writer.text_factory = tables.text
            for pragma in (*tables.ALONE, *tables.WRITER_PRAGMAS):
                await writer.execute_fetchall(pragma)
            ((page,),) = await writer.execute_fetchall("PRAGMA page_size")
            await writer.execute(tables.SET_META, ("open", "1"))
            await writer.commit()
            await writer.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")  # the flag lies in the file itself
            await asyncio.to_thread(lengthen, tables.wal(path), CHECKPOINT_FRAMES + SPARE_FRAMES, page)
            log = made[0].log = Log(tables.wal(path), page)
        except BaseException:
            await _close(writer)
            raise
        return cls(opened, writer, made[0], log, page)

    @property
    def bytes_written(self) -> int:
        """To the disk since it was opened: blocks of log and file."""
        return self._log.written

    def number(self, epoch: str) -> int | None:
        """The number of an epoch of this file; None for one it does not know."""
        return next((known.number for known in self.epochs if known.id == epoch), None)

    def name(self, number: int) -> str:
        """The id of one of this file's epochs."""
        return next(known.id for known in self.epochs if known.number == number)

    async def commit(self, groups: Sequence[Group]) -> None:
        """Make the groups durable one after the other, each in whole or not at all; `durable` says how many are."""
        self._inner.groups = groups
        try:
            await self._writer.commit()
        except BaseException:
            await self._roll_back()
            raise
        finally:
            self.durable = self._inner.durable

    async def checkpoint(self, *, now: bool = False) -> bool:
        """Copy the log into the file once it has grown enough; whether it had."""
        if (not now and self._log.frames < CHECKPOINT_FRAMES) or not self._still.is_set():
            return False
        await self._copy()
        return True

    async def _copy(self) -> None:
        ((_busy, _frames, copied),) = await self._writer.execute_fetchall("PRAGMA wal_checkpoint(PASSIVE)")
        self._log.copied(max(0, copied))

    @asynccontextmanager
    async def hold_still(self) -> AsyncIterator[None]:
        """Everything of this moment is in the file itself, which then stays as it is; the log grows meanwhile."""
        await self._still.wait()
        self._still.clear()
        try:
            await self._copy()
            yield
        finally:
            self._still.set()

    async def holds(self, row: Stored) -> bool:
        """Whether exactly this row is in the file."""
        found = await self._writer.execute_fetchall(
            "SELECT previous, body_sha256 FROM event WHERE place = ?", (row[0],)
        )
        return [tuple(stored) for stored in found] == [(row[6], row[5])]

    async def read(self, after: Position | None, limit: int, box: str) -> list[Row]:
        """The rows behind `after`, oldest epoch first; epochs that another box began are passed over.

        Raises DamagedRow too.
        """
        start = (self.number(after.epoch) or 0, after.seq) if after else (0, 0)
        rows: list[Row] = []
        for epoch in self.epochs:
            if epoch.number < start[0] or epoch.box != box or len(rows) >= limit:
                continue
            low = place(epoch.number, start[1] + 1 if epoch.number == start[0] else 0)
            found = await self._writer.execute_fetchall(
                tables.SELECT_ROWS, (low, place(epoch.number, _LAST), limit - len(rows))
            )
            for count, stored in enumerate(found, 1):
                row = row_of(stored, epoch.id)
                if not is_sound(stored, row):
                    raise DamagedRow(f"row {row.epoch}/{row.seq} is damaged")
                rows.append(row)
                if count % _TURN == 0:
                    await asyncio.sleep(0)
        return rows

    async def strip(
        self,
        up_to: int,
        *,
        most: int,
        before: int | None = None,
        importance: Importance | None = None,
        after: int = 0,
    ) -> tuple[list[str], int]:
        """Remove bodies of the oldest rows between two places; returns the types of what went, and the last place.

        `before` (microseconds) spares younger rows, `importance` spares all but one kind.
        """
        kind = None if importance is None else int(importance)
        found = list(await self._writer.execute_fetchall(tables.SELECT_OLDEST, (up_to, before, kind, most, after)))
        if not found:
            return [], 0
        total = 0
        for count, (_place, _type, length) in enumerate(found):
            total += length
            if total > STRIP_BYTES and count:
                del found[count:]
                break
        chosen = [(row[0],) for row in found]
        await self.commit([Group(bare=chosen)])
        return [row[1] for row in found], int(found[-1][0])

    async def closable(self, number: int, last: int) -> tuple[int, int]:
        """How many rows at an epoch's beginning have no body any more, up to a place; and the last one's place."""
        ((count, highest),) = await self._writer.execute_fetchall(tables.SELECT_CLOSABLE, (place(number, 0), last))
        return int(count), int(highest or 0)

    async def header(self, where: int) -> Sequence[Any]:
        """The row at a place, without its body."""
        (found,) = await self._writer.execute_fetchall(tables.SELECT_ROWS, (where, where, 1))
        return found

    async def closed(self, number: int) -> int | None:
        """The place up to which an epoch is closed; None where it is not."""
        found = await self._writer.execute_fetchall("SELECT last FROM closed WHERE number = ?", (number,))
        return next((place(number, row[0]) for row in found), None)

    async def drop_headers(self, number: int, last: int, most: int) -> int:
        """Remove the oldest `most` bare rows of an epoch up to a place; returns how many went."""
        try:
            await self._writer.execute_fetchall("PRAGMA secure_delete = FAST")  # there is nothing of a body in them
            gone = await self._writer.execute(tables.DROP_HEADERS, (place(number, 0), last, most))
            await self._writer.commit()
        except BaseException:
            await self._roll_back()
            raise
        finally:
            await self._writer.execute_fetchall("PRAGMA secure_delete = ON")
        return gone.rowcount

    async def forget_used(self, expired_before: str, noted_before: int) -> dict[str, str]:
        """Drop single-use ids that were used and expired long ago; returns those that are left."""
        try:
            await self._writer.execute(
                "DELETE FROM used WHERE at < ?2 AND (expires = '' OR expires < ?1)", (expired_before, noted_before)
            )
            await self._writer.commit()
        except BaseException:
            await self._roll_back()
            raise
        left = await self._writer.execute_fetchall("SELECT id, expires FROM used")
        return {str(row[0]): str(row[1]) for row in left}

    async def size(self) -> int:
        """Bytes of the file that hold something."""
        total = 0
        for sign, pragma in ((1, "page_count"), (-1, "freelist_count")):
            ((pages,),) = await self._writer.execute_fetchall(f"PRAGMA {pragma}")
            total += sign * pages * self._page
        return total

    async def free_bytes(self) -> int:
        """What the next rows can use inside the file without its growing."""
        ((pages,),) = await self._writer.execute_fetchall("PRAGMA freelist_count")
        return int(pages) * self._page

    async def close(self) -> None:
        """Close the connection, whatever state it is in; the file is marked as orderly left if it can be."""
        try:
            with suppress(sqlite3.Error, ValueError):
                await self._writer.execute(tables.SET_META, ("open", "0"))
                await self._writer.commit()
        finally:
            await _close(self._writer)
            self._log.close()

    async def _roll_back(self) -> None:
        with suppress(sqlite3.Error, ValueError):
            await self._writer.rollback()


async def _close(connection: Any) -> None:
    with suppress(sqlite3.Error, ValueError):
        await connection.close()
