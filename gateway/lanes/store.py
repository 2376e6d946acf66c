"""The register of plates on the disk: `lanes.db`, and a copy beside it that is never laxer than the register.

A file of its own and not a table of the directory: capabilities do not know each other, a damaged register must not
take the people with it, and there is nothing here that needs a person's key. Each row carries a checksum of its
own; SQLite's check looks at the structure of pages, and a flipped bit inside a plate would open a gate.

`start()` never raises. A damaged file is set aside and the copy takes its place; without a whole copy the register is
empty, no plate opens, and `status` says so. Order of a change: what it forbids is forbidden at once, and what both the
old and the new rights allow goes on being allowed; the rows are durable; where it was stricter, the copy is renewed, so
that a removed plate does not come back from it; only then is it acknowledged. A change that has begun is carried to its
end also when whoever ordered it goes away.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import logging
import os
import sqlite3
from collections.abc import Callable, Collection, Iterable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TypeVar

import msgspec

from gateway.clock import Clock
from gateway.errors import N_, RegisterDown
from gateway.journal.event import Event
from gateway.lanes.events import RegisterProblem
from gateway.lanes.register import EMPTY, Register, Vehicle, meet
from gateway.uninterrupted import Begun

FILE, COPY = "lanes.db", "lanes-copy.db"
VERSION = 1
SCHEMA = """
CREATE TABLE vehicles (plate TEXT PRIMARY KEY, id TEXT NOT NULL UNIQUE, body BLOB NOT NULL, seal BLOB NOT NULL) STRICT;
"""
PUT = (
    "INSERT INTO vehicles (plate, id, body, seal) VALUES (?, ?, ?, ?) ON CONFLICT (plate) "
    "DO UPDATE SET id = excluded.id, body = excluded.body, seal = excluded.seal"
)
COPY_EVERY = 3600.0
SLICE = 200  # vehicles that are compared at a time
START_WITHIN = 8.0  # seconds that a command waits for the file to be opened; who asked waits 10
T = TypeVar("T")
log = logging.getLogger("loumen.lanes")


class Damaged(Exception):  # noqa: N818  (named for what it says)
    """The file is not what was written."""


class RegisterStore:
    """The register while the daemon runs. Touches no disk before `start`."""

    def __init__(self, folder: Path, clock: Clock, note: Callable[[Event], None]) -> None:
        self._path, self._copy_path = folder / FILE, folder / COPY
        self._clock, self._note = clock, note
        self.register: Register = EMPTY
        self.problem: RegisterDown | None = None
        self._connection: sqlite3.Connection | None = None
        self._thread: ThreadPoolExecutor | None = None
        self._turn, self._started = asyncio.Lock(), asyncio.Event()
        self._begun = Begun()
        self._copied = -1  # the generation that the copy holds

    async def keep(self) -> None:
        """Copy each hour, until cancelled."""
        while True:
            await asyncio.sleep(COPY_EVERY)
            async with self._turn:
                await self._copy()

    async def start(self) -> None:
        """Open, or restore, or do without. Never raises for what is on the disk."""
        await self.close()  # a supervisor may start it a second time
        self._started.clear()
        self._thread = ThreadPoolExecutor(1, "register")
        vehicles = await self._in_thread(self._open)
        self.register = Register(vehicles, self.register.generation + 1)
        if self._connection is not None:
            await self._copy()
        self._started.set()

    async def wait_started(self) -> None:
        """Return when the file is open, or known not to open. Raises RegisterDown when that takes too long."""
        try:
            async with asyncio.timeout(START_WITHIN):
                await self._started.wait()
        except TimeoutError:
            raise RegisterDown(
                N_("the register of plates is still being opened"), mend=N_("try again in some seconds")
            ) from None

    async def close(self) -> None:
        """Finish what has begun, then close the file."""
        await self._begun.ended()
        if self._thread is not None:
            connection, self._connection = self._connection, None
            if connection is not None:
                await self._in_thread(connection.close)
            self._thread.shutdown(wait=True)
            self._thread = None

    async def change(self, put: Collection[Vehicle] = (), gone: Collection[str] = ()) -> None:
        """Durable when it returns; `gone` are plates. Raises RegisterDown."""
        await self._begun.carry(self._change(put, gone))

    async def _change(self, put: Collection[Vehicle], gone: Collection[str]) -> None:
        async with self._turn:
            stricter, forbidden = await _stricter(self.register, put, gone)
            if stricter or forbidden:
                self.register = self.register.changed(stricter, forbidden)
            try:
                await self._in_thread(lambda: self._write(put, gone))
                self.register = self.register.changed(put, gone)
                if stricter or forbidden:
                    await self._in_thread(self._write_copy)
                    self._copied = self.register.generation
            except (sqlite3.Error, OSError) as error:
                self._failed(error)
                raise RegisterDown(
                    N_("the register of plates could not be stored: {problem}"),
                    mend=N_("see 'loumen status'; what was forbidden is forbidden until the next restart: try again"),
                    problem=str(error),
                ) from error
            self.problem = None

    async def _copy(self) -> None:
        if self._copied == self.register.generation or self._connection is None:
            return
        generation = self.register.generation
        try:
            await self._in_thread(self._write_copy)
            self._copied = generation
        except (sqlite3.Error, OSError) as error:
            self._failed(error)

    def _failed(self, error: Exception) -> None:
        log.error("the register of plates: %s", error)
        self.problem = RegisterDown(
            N_("the register of plates could not be stored: {problem}"),
            mend=N_("make room on the disk; see 'loumen doctor'"),
            problem=str(error),
        )

    async def _in_thread(self, work: Callable[[], T]) -> T:
        if self._thread is None:
            raise RegisterDown(N_("the register of plates is not open"))
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    # --- in the thread

    def _open(self) -> list[Vehicle]:
        try:
            fresh = not self._path.exists() and not self._copy_path.exists()
            if not self._path.exists() and not fresh:
                raise Damaged("the file is gone")
            self._connection = _opened(self._path)
            return _read(self._connection)
        except (Damaged, sqlite3.DatabaseError, OSError) as error:
            self._let_go()
            if _refused_by_disk(error):
                return self._unwritable(error)
            return self._restored(error)

    def _restored(self, damage: Exception) -> list[Vehicle]:
        """Set the damaged file aside; the copy takes its place, or nothing does."""
        used = "nothing"
        try:
            for suffix in ("", "-wal"):
                with contextlib.suppress(FileNotFoundError):
                    self._path.with_name(FILE + suffix).replace(self._path.with_name(f"{FILE}.damaged{suffix}"))
            self._path.with_name(FILE + "-shm").unlink(missing_ok=True)
            vehicles: list[Vehicle] = []
            with contextlib.suppress(Damaged, sqlite3.DatabaseError, FileNotFoundError):
                vehicles = _look_into(self._copy_path)
                used = "copy"
            self._connection = _opened(self._path)
            _put(self._connection, vehicles, ())
        except (Damaged, sqlite3.Error, OSError) as error:
            self._let_go()
            return self._unwritable(error)
        log.error("the register of plates was damaged (%s); used instead: %s", damage, used)
        self._note(RegisterProblem(problem=str(damage)[:200], used=used))
        if used == "nothing":
            self.problem = RegisterDown(
                N_("the register of plates was damaged and there is no copy: no plate opens"),
                mend=N_("import the plates again: 'loumen plate import FILE'"),
            )
        return vehicles

    def _unwritable(self, error: Exception) -> list[Vehicle]:
        """Read what can be read, from a disk that is full or cannot be written."""
        self._failed(error)
        for path in (self._path, self._copy_path):
            with contextlib.suppress(Damaged, sqlite3.Error, OSError):
                return _look_into(path)
        return []

    def _let_go(self) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None

    def _write(self, put: Collection[Vehicle], gone: Collection[str]) -> None:
        if self._connection is None:
            raise sqlite3.OperationalError("the disk cannot be written")
        _put(self._connection, put, gone)
        if gone:  # a plate is somebody's: what was removed stands in no page any more, in no log, in no damaged file
            self._connection.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
            for damaged in self._path.parent.glob(f"{FILE}.damaged*"):
                damaged.unlink(missing_ok=True)

    def _write_copy(self) -> None:
        if self._connection is None:
            raise sqlite3.OperationalError("the disk cannot be written")
        unfinished = self._copy_path.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        target = sqlite3.connect(unfinished, isolation_level=None)
        try:
            self._connection.backup(target)
            target.execute("PRAGMA journal_mode=DELETE")
        finally:
            target.close()
        unfinished.chmod(0o600)
        _sync(unfinished)
        unfinished.replace(self._copy_path)
        _sync(self._copy_path.parent)


async def _stricter(register: Register, put: Iterable[Vehicle], gone: Iterable[str]) -> tuple[list[Vehicle], list[str]]:
    """What a change forbids: the vehicles with what is left to them meanwhile, and the plates with nothing left.

    The loop has a turn every `SLICE` vehicles: a list of 50,000 would hold doors up.
    """
    left, forbidden = [], [plate for plate in gone if plate in register]
    for number, vehicle in enumerate(put, start=1):
        if number % SLICE == 0:
            await asyncio.sleep(0)
        known = register.get(vehicle.plate)
        if known is None:
            continue
        meanwhile = meet(known, vehicle)
        if meanwhile is None:
            forbidden.append(vehicle.plate)
        elif meanwhile != known:
            left.append(meanwhile)
    return left, forbidden


def _opened(path: Path) -> sqlite3.Connection:
    """The file with its tables. Raises Damaged, sqlite3.Error."""
    connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
    try:
        path.chmod(0o600)
        for setting in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON"):
            connection.execute(f"PRAGMA {setting}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version > VERSION:
            raise sqlite3.OperationalError("the file is of a newer release")
        if version == 0:
            connection.executescript(f"BEGIN IMMEDIATE;{SCHEMA}PRAGMA user_version={VERSION};COMMIT;")
    except BaseException:
        connection.close()
        raise
    return connection


def _look_into(path: Path) -> list[Vehicle]:
    """The vehicles of a file that is not written to. Raises Damaged, sqlite3.Error, FileNotFoundError."""
    if not path.exists():
        raise FileNotFoundError(path)
    with contextlib.closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro&immutable=1", uri=True)) as connection:
        return _read(connection)


def _read(connection: sqlite3.Connection) -> list[Vehicle]:
    (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
    if verdict != "ok":
        raise Damaged(verdict)
    vehicles = []
    for plate, vehicle, body, seal in connection.execute("SELECT plate, id, body, seal FROM vehicles ORDER BY plate"):
        if seal != _seal(body):
            raise Damaged(f"the row of vehicle {vehicle} is not the one that was written")
        try:
            known = msgspec.json.decode(body, type=Vehicle)
        except msgspec.DecodeError as error:
            raise Damaged(str(error)) from error
        if (known.plate, known.id) != (plate, vehicle):
            raise Damaged(f"the row of vehicle {vehicle} is not the one that was written")
        vehicles.append(known)
    return vehicles


def _put(connection: sqlite3.Connection, put: Iterable[Vehicle], gone: Iterable[str]) -> None:
    """All of it or nothing. Raises sqlite3.Error."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.executemany("DELETE FROM vehicles WHERE plate = ?", ((plate,) for plate in gone))
        connection.executemany(PUT, (_row(vehicle) for vehicle in put))
        connection.execute("COMMIT")
    except sqlite3.Error:
        if connection.in_transaction:
            connection.execute("ROLLBACK")
        raise


def _row(vehicle: Vehicle) -> tuple[str, str, bytes, bytes]:
    body = msgspec.json.encode(vehicle)
    return vehicle.plate, vehicle.id, body, _seal(body)


def _seal(body: bytes) -> bytes:
    return hashlib.sha256(body).digest()[:16]


def _refused_by_disk(error: Exception) -> bool:
    """Whether the disk refuses, and the file is not damaged."""
    tableless = getattr(error, "sqlite_errorcode", 0) == sqlite3.SQLITE_ERROR  # "no such table"
    return isinstance(error, OSError | sqlite3.OperationalError) and not tableless


def _sync(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
