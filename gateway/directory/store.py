"""The directory while the daemon runs: its files, its snapshot, its health. What changes it is in
`people.py`, `faces.py`, `transfer.py` and `platform.py`, each built on the few primitives here.

`start()` never raises. Whatever is damaged is set aside, replaced by the last good copy where there
is one, and told: in the health that `status` shows and in the journal. The worst that can happen is
an empty snapshot: nobody is recognised, and doors go on with their exit buttons and fire inputs.

Order of a change that makes access stricter: the snapshot first (it acts at once), then
`revoked.log`, synced, then the keys, then the rows; only then is it acknowledged. A change that
allows more: the rows first, the snapshot when they are durable. A change that has begun is carried
to its end also when whoever ordered it goes away.
"""

from __future__ import annotations

import asyncio
import functools
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Collection, Coroutine, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from pathlib import Path
from typing import Any, TypeVar

from gateway.clock import Clock
from gateway.command import Actor
from gateway.directory import copies, keyring, opening, revoked, starting
from gateway.directory.database import Database, Step
from gateway.directory.keyring import Keyring
from gateway.directory.problem import DirectoryHealth, Problem, State
from gateway.directory.revoked import Revocation
from gateway.directory.sealing import Cipher, Unreadable
from gateway.directory.snapshot import EMPTY, PersonRights, Snapshot
from gateway.directory.templates import opened
from gateway.errors import DirectoryDown, N_
from gateway.journal.event import Event
from gateway.uninterrupted import Begun
from gateway.vision.protocol import SPACES

T = TypeVar("T")
FIRST_COPY = 120.0  # seconds after the start: a box that restarts often has copies too
COPY_EVERY = 600.0  # seconds at least between two copies, and only after a change
COPIED_A_DAY = 8_000_000  # bytes that copies may write, of 50 MB for all: one of 1 MB is made every three hours
LOOK_AT_DATES_EVERY = 60.0
START_WITHIN = 8.0  # seconds that a command waits for the files to be opened; who asked waits 10
DISK = N_("look at the disk: 'loumen doctor disk database'; what is known goes on opening doors")
Leaving = Callable[[Collection[str], Actor], Awaitable[None]]
log = logging.getLogger("loumen.directory")


async def _nothing_of_theirs(_people: Collection[str], _actor: Actor) -> None:
    """On a box whose capabilities hold nothing of a person."""


class Directory:
    """Who lives here. `folder` is the box's state folder."""

    def __init__(self, folder: Path, clock: Clock, note: Callable[[Event], None]) -> None:
        self._folder, self._clock, self.note = folder, clock, note
        self.snapshot: Snapshot = EMPTY
        self.writing = asyncio.Lock()  # one change at a time, from its first look to its last row
        self.forgotten_externals: set[str] = set()
        self.before_forgetting: Leaving = _nothing_of_theirs  # what else holds something of these people lets it go
        self._changed, self._started = asyncio.Event(), asyncio.Event()
        self._database: Database | None = None
        self._keys = Keyring(self.keys_folder / keyring.FILE, None)
        self._log = revoked.Writer(folder / revoked.FILE, 0)
        self._thread: ThreadPoolExecutor | None = None
        self._begun = Begun()
        self._keeper: asyncio.Task[None] | None = None
        self._problems: dict[str, Problem] = {}
        self._unreadable = 0
        self.removed_faces: frozenset[str] = frozenset()
        self._copy_size = 0
        self._copied: tuple[int, str] = (0, "")  # of which generation the last copy is, and when it was made

    @property
    def keys_folder(self) -> Path:
        return self._folder / "keys"

    @property
    def keys(self) -> Keyring:
        return self._keys

    # --- start and end

    async def start(self) -> None:
        """Open, or restore, or do without. Never raises for what is on the disk."""
        await self.close()  # a supervisor may start it a second time
        self._thread = ThreadPoolExecutor(1, "directory-files")
        started = await starting.open_all(self._folder, self._clock, self.in_thread)
        self._database, self._keys, self._log = started.database, started.keys, started.log
        self._unreadable, self.forgotten_externals = started.unreadable, started.forgotten_externals
        self.removed_faces = started.removed_faces
        for name, problem in started.problems.items():
            self._problem(name, problem)
        for event in started.events:
            self.note(event)
        self.snapshot = Snapshot(started.people, self.snapshot.generation + 1)
        self._copied = (-1, self._newest_copy_time())
        self._tell()
        self._started.set()
        self._keeper = asyncio.create_task(self._keep(), name="directory-keeper")

    async def close(self) -> None:
        """Finish what has begun, then close every connection: an open one would hold the process."""
        if self._keeper is not None:
            self._keeper.cancel()
            await asyncio.gather(self._keeper, return_exceptions=True)
            self._keeper = None
        await self._begun.ended()
        if self._database is not None:
            await self._database.close()
            self._database = None
        await self._keys.close()
        if self._thread is not None:
            self._thread.shutdown(wait=True)
            self._thread = None

    def health(self) -> DirectoryHealth:
        problems = tuple(self._problems.values())
        if self._keeper is not None and self._keeper.done():
            text = N_("the directory is not copied any more")
            problems += (Problem(text, mend=N_("restart loumen: systemctl restart loumen")),)
        down = self._database is None or any(problem.grave for problem in problems)
        state: State = "down" if down else "degraded" if problems else "ok"
        return DirectoryHealth(
            state=state if self._started.is_set() else "starting",
            problems=problems,
            people=len(self.snapshot.people),
            unreadable=self._unreadable,
            generation=self.snapshot.generation,
            last_copy=self._copied[1],
        )

    async def wait_started(self) -> None:
        """Return when the files are open, or known not to open. Raises DirectoryDown when that takes too long."""
        try:
            async with asyncio.timeout(START_WITHIN):
                await self._started.wait()
        except TimeoutError:
            raise DirectoryDown(
                N_("the directory of people is still being opened"),
                mend=N_("try again in some seconds; `loumen status` says when it is there"),
            ) from None

    async def wait_changed(self, generation: int) -> int:
        """Return the snapshot's generation as soon as it is not `generation`."""
        while self.snapshot.generation == generation:
            await self._changed.wait()
        return self.snapshot.generation

    # --- what the rooms that change the directory build on

    def wall(self) -> datetime:
        return self._clock.now().wall

    @property
    def clock(self) -> Clock:
        return self._clock

    async def uninterrupted(self, change: Coroutine[Any, Any, T]) -> T:
        """Carry a change to its end, one at a time. Raises DirectoryDown for what the disk does."""
        return await self._begun.carry(self._alone(change))

    async def _alone(self, change: Coroutine[Any, Any, T]) -> T:
        async with self.writing:
            try:
                return await change
            except Unreadable as error:
                raise DirectoryDown(
                    N_("the person's key is lost: nothing of hers can be read or changed"),
                    mend=N_("forget this person and add her anew, or put back the keys"),
                ) from error
            except (sqlite3.Error, OSError) as error:
                self.trouble(error)
                raise DirectoryDown(
                    N_("the directory could not make the change durable: {error}"),
                    mend=N_("see 'loumen status'; what was forbidden is forbidden until the next restart: try again"),
                    error=str(error),
                ) from error

    def trouble(self, error: sqlite3.Error | OSError) -> None:
        """A read or a write failed: say so."""
        if isinstance(error, sqlite3.Error) and not isinstance(error, sqlite3.OperationalError):
            text = N_("the directory was damaged while it ran ({error})")
            mend = N_("restart loumen: it goes on with the last good copy; change the SD card or disk soon")
            self._problem("damage", Problem(text, {"error": str(error)}, mend=mend))
        else:
            text = N_("the directory could not be written or read: {error}")
            self._problem("write", Problem(text, {"error": str(error)}, mend=DISK))

    @property
    def database(self) -> Database:
        """Raises DirectoryDown."""
        if self._database is None:
            raise DirectoryDown(
                N_("there is no directory of people to read or write"), mend=N_("see 'loumen status' for what is wrong")
            )
        return self._database

    async def write(self, *steps: Step) -> None:
        """Durable when it returns. Raises sqlite3.Error."""
        await self.database.write(*steps)
        self._problems.pop("write", None)

    async def read(self, sql: str, *values: object) -> list[tuple[Any, ...]]:
        """Raises DirectoryDown."""
        try:
            return await self.database.read(sql, *values)
        except sqlite3.Error as error:
            self.trouble(error)
            raise DirectoryDown(N_("the directory could not be read: {error}"), error=str(error)) from error

    async def forbid(self, entries: Sequence[Revocation]) -> None:
        """Append to `revoked.log`; durable when it returns. Raises OSError."""
        await self.in_thread(functools.partial(self._log.append, entries))

    async def templates(self, door: str, engine: str) -> list[tuple[str, bytes]]:
        """A door's gallery: (person, 512-byte embedding) of who may pass it now and consented. Raises DirectoryDown.

        `engine` is a vision engine, or the space of numbers that engines share.
        """
        now = self._clock.now()
        people = self.snapshot.compared_at(door, now.wall, trusted=now.trusted)
        return [found async for found in opened(self, SPACES.get(engine, engine), people)]

    def show(self, put: Iterable[PersonRights] = (), gone: Iterable[str] = ()) -> None:
        """The next snapshot, at once."""
        self.snapshot = self.snapshot.changed(put, gone)
        self._tell()

    def cipher(self, person: str) -> Cipher:
        """Raises Unreadable."""
        return self._keys.cipher(person)

    def _tell(self) -> None:
        waiting, self._changed = self._changed, asyncio.Event()
        waiting.set()

    async def in_thread(self, work: Callable[[], T]) -> T:
        """For small files and syncs; never for what computes. Raises DirectoryDown after close()."""
        if self._thread is None:
            raise DirectoryDown(N_("the directory is closed"))
        return await asyncio.get_running_loop().run_in_executor(self._thread, work)

    def _problem(self, name: str, problem: Problem) -> None:
        if self._problems.get(name) != problem:
            log.error("%s", problem.render())
        self._problems[name] = problem

    # --- as time goes by

    def _newest_copy_time(self) -> str:
        newest = copies.newest_first(self._folder / "copies")
        made = copies.made_at(newest[0]) if newest else None
        return made.isoformat() if made else ""

    async def _keep(self) -> None:
        """Copies after changes, and a new generation when somebody's validity begins or ends."""
        loop = asyncio.get_running_loop()
        copy_at = loop.time() + FIRST_COPY
        current = self._current()
        while True:
            await asyncio.sleep(LOOK_AT_DATES_EVERY)
            if (current_now := self._current()) != current:
                current = current_now
                self.show()
            if loop.time() >= copy_at:
                await self.copy()
                copy_at = loop.time() + max(COPY_EVERY, 86400 * self._copy_size / COPIED_A_DAY)

    def _current(self) -> tuple[bool, frozenset[str]]:
        now = self._clock.now()
        return now.trusted, frozenset(
            rights.id
            for rights in self.snapshot.people.values()
            if (rights.valid_from or rights.valid_until) and rights.begun(now.wall) and not rights.ended(now.wall)
        )

    async def copy(self) -> str:
        """Copy the directory unless nothing changed since the last copy; returns when the newest was made."""
        generation, _ = self._copied
        if self._database is None or generation == self.snapshot.generation:
            return self._copied[1]
        generation = self.snapshot.generation
        make = functools.partial(copies.make, self._folder / opening.FILE, self._folder / "copies", self.wall())
        try:
            made = await self.in_thread(make)
            self._copy_size = made.stat().st_size
        except (OSError, sqlite3.Error) as error:
            text = N_("the directory could not be copied: {error}")
            self._problem("copy", Problem(text, {"error": str(error)}, mend=DISK))
        else:
            self._problems.pop("copy", None)
            self._copied = (generation, self._newest_copy_time())
        return self._copied[1]
