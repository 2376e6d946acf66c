"""`keys.db`: one wrapped key a person, and nothing else. It is never inside a copy of the directory.

Destroying a key overwrites its 60 bytes in place with as many zeros: the cell keeps its size, so
SQLite moves nothing and no stale copy is left in a page; rows are only ever appended, and
secure_delete is on besides. The row stays as a tombstone: who has one was forgotten. The rollback
journal is truncated and synced at each commit (a WAL would keep the old page until its next turn).

A damaged file is searched for whatever in it still is a person's id followed by a key that unwraps;
authenticated encryption tells a key from noise, and a tombstone's zeros unwrap to nothing. What was
found goes into a new file, and the damaged one is overwritten and removed: it holds keys.
"""

from __future__ import annotations

import asyncio
import re
import sqlite3
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import aiosqlite

from gateway.directory.files import erase
from gateway.directory.sealing import WRAPPED, Cipher, Unreadable, new_key, unwrap, wrap

FILE = "keys.db"
VERSION = 1
PAGE = 1000
_SCHEMA = """
CREATE TABLE keys (
    place INTEGER PRIMARY KEY,
    person TEXT NOT NULL UNIQUE,
    wrapped BLOB NOT NULL CHECK (length(wrapped) = 60),
    destroyed INTEGER NOT NULL DEFAULT 0 CHECK (destroyed IN (0, 1))
) STRICT;
"""
_SETTINGS = ("PRAGMA journal_mode=TRUNCATE", "PRAGMA synchronous=FULL", "PRAGMA secure_delete=ON")
_INSERT = "INSERT INTO keys (person, wrapped, destroyed) VALUES (?, ?, ?)"
_PAGE_OF_KEYS = "SELECT place, person, wrapped, destroyed FROM keys WHERE place > ? ORDER BY place LIMIT ?"
_CANDIDATE = re.compile(rb"(?=([0-9a-f]{32})(.{%d}))" % WRAPPED, re.DOTALL)


@dataclass(frozen=True, slots=True)
class Prepared:
    """What `prepare` found: what was wrong (empty: nothing), and how many keys were saved from it."""

    damage: str = ""
    saved: int = 0


def prepare(folder: Path, box_key: bytes | None, forgotten: Collection[str]) -> Prepared:
    """Make `keys.db`, or check it and save what can be saved. Blocks. Raises OSError, sqlite3.Error."""
    path, aside = folder / FILE, folder / (FILE + ".damaged")
    if path.exists():
        erase(aside)  # the power went while a saved file took the place of a damaged one
    damage = _damage(path) if path.exists() else ""
    if not damage:
        _create_if_new(path)
        return Prepared()
    if box_key is None:
        raise OSError(f"{path} is damaged ({damage}), and without the box key nothing can be saved from it")
    saved = _salvage(path.read_bytes(), box_key, forgotten)
    fresh = path.with_name(FILE + ".saved")
    fresh.unlink(missing_ok=True)
    _create_if_new(fresh)
    connection = sqlite3.connect(fresh, isolation_level=None)
    try:
        for setting in _SETTINGS:
            connection.execute(setting)
        connection.execute("BEGIN")
        connection.executemany(_INSERT, [(person, wrapped, 0) for person, wrapped in saved.items()])
        connection.executemany(_INSERT, [(person, bytes(WRAPPED), 1) for person in forgotten])
        connection.execute("COMMIT")
    finally:
        connection.close()
    fresh.with_name(fresh.name + "-journal").unlink(missing_ok=True)  # empty
    path.rename(aside)
    fresh.rename(path)
    erase(path.with_name(FILE + "-journal"))
    erase(aside)
    return Prepared(damage, len(saved))


def _damage(path: Path) -> str:
    try:
        connection = sqlite3.connect(path)
        try:
            (verdict,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
            if verdict == "ok":
                connection.execute("SELECT person, wrapped, destroyed FROM keys LIMIT 1").fetchall()
            return "" if verdict == "ok" else str(verdict)
        finally:
            connection.close()
    except sqlite3.DatabaseError as error:
        if error.sqlite_errorcode & 0xFF in {sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_FULL}:
            raise
        return str(error)


def _create_if_new(path: Path) -> None:
    if path.exists() and path.stat().st_size:
        return
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        path.chmod(0o600)
        for setting in _SETTINGS:
            connection.execute(setting)
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(f"BEGIN;{_SCHEMA}PRAGMA user_version={VERSION};COMMIT;")
    finally:
        connection.close()


def _salvage(data: bytes, box_key: bytes, forgotten: Collection[str]) -> dict[str, bytes]:
    found = {}
    for match in _CANDIDATE.finditer(data):
        person, wrapped = match[1].decode("ascii"), match[2]
        if person in forgotten or not any(wrapped):
            continue
        try:
            unwrap(box_key, person, wrapped)
        except Unreadable:
            continue
        found[person] = wrapped
    return found


class Keyring:
    """Everybody's key, ready to be unwrapped. Writes are durable when they return."""

    def __init__(self, path: Path, box_key: bytes | None, *, writable: bool = True) -> None:
        self._path, self._box_key, self._writable = path, box_key, writable
        self._connection: aiosqlite.Connection | None = None
        self._wrapped: dict[str, bytes] = {}
        self.forgotten: set[str] = set()

    async def open(self) -> None:
        """Read all keys, wrapped. Raises sqlite3.Error."""
        if self._writable:
            self._connection = await aiosqlite.connect(self._path, isolation_level=None)
            for setting in _SETTINGS:
                await self._connection.execute_fetchall(setting)
        else:
            uri = f"file:{quote(str(self._path))}?mode=ro&immutable=1"
            self._connection = await aiosqlite.connect(uri, uri=True, isolation_level=None)
        place = 0
        while rows := list(await self._connection.execute_fetchall(_PAGE_OF_KEYS, (place, PAGE))):
            for place, person, wrapped, destroyed in rows:  # noqa: B007  (the next page begins after the last place)
                if destroyed:
                    self.forgotten.add(person)
                else:
                    self._wrapped[person] = wrapped
            await asyncio.sleep(0)

    def has(self, person: str) -> bool:
        return person in self._wrapped

    def cipher(self, person: str) -> Cipher:
        """The person's key, unwrapped. Raises Unreadable where it is lost or destroyed."""
        wrapped = self._wrapped.get(person)
        if wrapped is None or self._box_key is None:
            raise Unreadable(person)
        return Cipher(person, unwrap(self._box_key, person, wrapped))

    async def create(self, people: Iterable[str]) -> dict[str, Cipher]:
        """New keys, durable. A key that somebody has already is used again. Raises sqlite3.Error, Unreadable."""
        connection, box_key = self._connection, self._box_key
        if connection is None or box_key is None:
            raise Unreadable("no box key")
        made: dict[str, bytes] = {}
        ciphers = {}
        for person in people:
            if person in self.forgotten:
                raise Unreadable(person)
            if person not in self._wrapped:
                key = new_key()
                made[person] = wrap(box_key, person, key)
                ciphers[person] = Cipher(person, key)
            else:
                ciphers[person] = self.cipher(person)
        if made:
            await _commit(connection, _INSERT, [(person, wrapped, 0) for person, wrapped in made.items()])
            self._wrapped |= made
        return ciphers

    async def destroy(self, people: Iterable[str]) -> None:
        """Overwrite the keys; a person without one gets a tombstone too. Durable. Raises sqlite3.Error."""
        gone = list(people)
        for person in gone:
            self._wrapped.pop(person, None)
        self.forgotten.update(gone)
        if self._connection is not None:
            await _commit(
                self._connection,
                _INSERT + " ON CONFLICT (person) DO UPDATE SET wrapped = excluded.wrapped, destroyed = 1",
                [(person, bytes(WRAPPED), 1) for person in gone],
            )

    async def close(self) -> None:
        if self._connection is not None:
            await self._connection.close()
            self._connection = None


async def _commit(connection: aiosqlite.Connection, sql: str, rows: list[tuple[object, ...]]) -> None:
    await connection.execute("BEGIN IMMEDIATE")
    try:
        await connection.executemany(sql, rows)
        await connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            await connection.execute("ROLLBACK")
        raise
