"""`directory.db` while it is open: one connection that writes and checkpoints, one that only reads."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any, TypeAlias

import aiosqlite

#: One statement and the rows it is run for.
Step: TypeAlias = tuple[str, Iterable[Sequence[object]]]


class Database:
    """Writes are durable when they return; reads are short, by LIMIT, and hold no transaction over an await."""

    def __init__(self, writer: aiosqlite.Connection | None, reader: aiosqlite.Connection) -> None:
        self._writer, self._reader = writer, reader
        self._turn = asyncio.Lock()

    @classmethod
    async def open(cls, path: Path) -> Database:
        """Both connections. Raises sqlite3.Error, and leaves none open then."""
        writer = await aiosqlite.connect(path, isolation_level=None)
        try:
            for setting in (
                "PRAGMA journal_mode=WAL",
                "PRAGMA synchronous=FULL",
                "PRAGMA secure_delete=ON",
                "PRAGMA foreign_keys=ON",
            ):
                await writer.execute_fetchall(setting)
            reader = await aiosqlite.connect(_uri(path, "mode=ro"), uri=True, isolation_level=None)
        except BaseException:  # cancelled, too: an open connection would hold the process
            await writer.close()
            raise
        return cls(writer, reader)

    @classmethod
    async def open_unwritable(cls, path: Path) -> Database:
        """Only for reading, from a disk that is full or cannot be written. Raises sqlite3.Error."""
        return cls(None, await aiosqlite.connect(_uri(path, "mode=ro&immutable=1"), uri=True, isolation_level=None))

    async def write(self, *steps: Step) -> None:
        """All of it or nothing. Raises sqlite3.Error."""
        if self._writer is None:
            raise sqlite3.OperationalError("the disk cannot be written")
        async with self._turn:
            await self._writer.execute("BEGIN IMMEDIATE")
            try:
                for sql, rows in steps:
                    await self._writer.executemany(sql, rows)
                await self._writer.execute("COMMIT")
            except sqlite3.Error:
                if self._writer.in_transaction:
                    await self._writer.execute("ROLLBACK")
                raise

    async def empty_log(self) -> None:
        """Checkpoint and truncate the WAL, so that what was deleted is not in it either."""
        if self._writer is not None:
            async with self._turn:
                await self._writer.execute_fetchall("PRAGMA wal_checkpoint(TRUNCATE)")

    async def read(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Rows, at most as many as the statement's LIMIT. Raises sqlite3.Error."""
        return [tuple(row) for row in await self._reader.execute_fetchall(sql, values)]

    async def close(self) -> None:
        """The reader first: the writer, closed last, checkpoints."""
        await self._reader.close()
        if self._writer is not None:
            await self._writer.close()


def _uri(path: Path, options: str) -> str:
    return f"{path.absolute().as_uri()}?{options}"
