"""The one writer: takes what waits, groups it, and does not give up.

A group is written 5 ms after its first event came, or as soon as 200 wait: one transaction, one sync. An
event of a kind that may wait (`Event.patience`) is written with the next that may not, or when its time is up. Of
a backlog a few groups go to the writing thread at once, so that the disk does not wait for the loop. A
group that fails is rolled back and tried again with growing pauses, in order, until it is durable; events
go on gathering behind it and give way by importance (`waiting`). After three failures, or when SQLite
says that the file is damaged, the file is closed and opened anew, which sets a damaged one aside. A
commit that reported failure may still be found in the reopened file; it is then not written a second
time.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any

from gateway.errors import JournalDown, N_
from gateway.journal import opening
from gateway.journal.event import Event
from gateway.journal.events import JournalDropped
from gateway.journal.file import Group, JournalFile
from gateway.journal.rows import Chain, Noted, Position, Stored, iso, number_of, seal, seq_of
from gateway.journal.space import Space, is_full
from gateway.journal.waiting import Drops, Entry, Waiting

log = logging.getLogger(__name__)

GROUP = 200
GROUP_SECONDS = 0.005
VISIT = 8  # groups of a backlog that are handed to the writing thread at once, each its own transaction
PAUSES = (0.1, 0.2, 0.5, 1.0, 2.0, 5.0)
FAILURES_DOWN = 3  # failures in a row before the journal counts as down and the file is opened anew
SLOW, STUCK = 1.0, 10.0  # seconds in one transaction before it counts as degraded, as down
VISIT_BYTES = 512 * 1024
_TURN = 50  # rows hashed in one turn of the loop

Marks = dict[str, tuple[Position, list[asyncio.Future[None]]]]
Open = Callable[[str], Awaitable[JournalFile]]


class Writer:
    """Owns the file while the journal runs. `open_file` takes what is suspected to be wrong with it, or ''."""

    def __init__(
        self,
        path: Path,
        open_file: Open,
        note: Callable[[Event], Noted],
        at: Callable[[], int],
        waiting: Waiting,
        drops: Drops,
        committed: Callable[[Sequence[Entry]], None],
    ) -> None:
        self.space = Space(path, drops, at)
        self._path, self._open, self._note, self._at, self._committed = path, open_file, note, at, committed
        self._waiting, self._drops = waiting, drops
        self._marks: Marks = {}
        self._something, self._plenty, self._stopping = asyncio.Event(), asyncio.Event(), asyncio.Event()
        self._hurry = asyncio.Event()  # the group is due sooner than it was
        self._due: float | None = None  # when what waits must be written,
        self._patience = 0.0  # and the least patience of it
        self._writing_since: float | None = None
        self._turn = asyncio.Lock()  # one user of the writing connection at a time
        self._suspect = ""
        self._ambiguous: tuple[Sequence[Stored], Chain] | None = None  # a group whose commit failed, and its end
        self.file: JournalFile | None = None
        self.failures = 0
        self.under_way = 0  # events taken from the queue and not durable yet
        self.problem = N_("not started yet")
        self.facts: dict[str, object] = {}
        self._bytes_before = 0

    # --- called from outside, never blocking

    def wake(self, patience: float = 0.0) -> None:
        """Something was put into the queue that may wait so many seconds."""
        if self._due is None or patience < self._patience:
            due = asyncio.get_running_loop().time() + max(patience, GROUP_SECONDS) if _in_loop() else 0.0
            self._due = due if self._due is None else min(due, self._due)
            self._patience = patience
            self._something.set()
            self._hurry.set()
        if len(self._waiting) >= GROUP:
            self._plenty.set()
            self._hurry.set()

    def put_mark(self, name: str, position: Position) -> asyncio.Future[None]:
        """Have a mark written with the next group; a later one for the same name takes its place."""
        done: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        _older, waiters = self._marks.get(name, (position, []))
        self._marks[name] = (position, [*waiters, done])
        self.wake()
        return done

    def ride(self, name: str, position: Position) -> None:
        """Have a mark written with whatever is written next, and at the stop; it wakes nobody."""
        _older, waiters = self._marks.get(name, (position, []))
        self._marks[name] = (position, waiters)

    async def settle_marks(self) -> None:
        """Write the marks that still wait for company."""
        for done in [self.put_mark(name, position) for name, (position, _waiters) in [*self._marks.items()]]:
            await done

    def suspect(self, what: str) -> None:
        """The file was found damaged: set it aside with the next group."""
        self._suspect = what
        self.wake()

    def stop(self) -> None:
        """Write what waits, once, then end."""
        self._stopping.set()
        self._something.set()
        self._hurry.set()

    @property
    def stalled(self) -> float:
        """Seconds that the transaction under way has taken."""
        started = self._writing_since
        return 0.0 if started is None else asyncio.get_running_loop().time() - started

    @property
    def down(self) -> bool:
        return self.file is None or self.failures >= FAILURES_DOWN or self.stalled > STUCK

    # --- the task

    async def run(self) -> None:
        """Until `stop`, or cancelled."""
        while True:
            await self._gather()
            entries = self._waiting.take(GROUP * VISIT, VISIT_BYTES)
            marks, self._marks = self._marks, {}
            if not self._waiting:
                self._due = None
                self._something.clear()
            if len(self._waiting) < GROUP and not self._stopping.is_set():
                self._plenty.clear()
            self.under_way = len(entries)
            try:
                written = await self._make_durable(entries, marks)
            finally:
                self.under_way = 0
            more = self._waiting or self._marks or self._drops
            if self._stopping.is_set() and not (written and more):
                return

    async def ensure_open(self) -> bool:
        """Open the file if it is not open; False when that failed."""
        async with self._turn:
            try:
                await self._opened()
            except opening.FAULTS as error:
                await self._failed(error)
                return False
        return True

    async def close(self) -> None:
        async with self._turn:
            await self._let_go()

    async def _let_go(self) -> None:
        if self.file:
            file, self.file = self.file, None
            self._bytes_before += file.bytes_written
            with suppress(sqlite3.Error, ValueError):
                await file.close()

    async def _gather(self) -> None:
        if self._drops and not self._waiting:
            self.wake()
        await self._something.wait()
        with suppress(TimeoutError):
            while self._due is not None and not self._plenty.is_set() and not self._stopping.is_set():
                self._hurry.clear()
                async with asyncio.timeout_at(self._due):
                    await self._hurry.wait()

    async def _make_durable(self, entries: list[Entry], marks: Marks) -> bool:
        """Write all of it in one transaction, on a full disk in smaller ones. False: stopped with a failing disk.

        Each attempt writes the same: what failed attempts leave in the log then looks like one torn transaction
        (`log_check`), and a commit that failed only in word is recognised. So a record that is withdrawn after
        the first attempt still becomes durable.
        """
        entries[:] = [entry for entry in entries if not entry.withdrawn]
        entries += self._told_drops()
        size = len(entries)
        try:
            while True:
                if not entries and not marks and not self._suspect:
                    return True
                try:
                    async with self._turn:
                        file = await self._reconciled(entries)
                        await self._write(file, entries, size, marks)
                except opening.FAULTS as error:
                    async with self._turn:
                        await self._failed(error)
                    if self._stopping.is_set():
                        return False
                    if is_full(error):
                        size = max(1, min(size, len(entries)) // 4)
                    await self._pause()
        finally:
            self._fail_waiters(entries, marks)

    async def _reconciled(self, entries: list[Entry]) -> JournalFile:
        """The open file. Entries of a commit that failed and yet is found in it are acknowledged and removed."""
        file = await self._opened()
        (rows, end), self._ambiguous = self._ambiguous or ([], file.chain), None
        if rows and await file.holds(rows[-1]):
            if end.epoch == file.chain.epoch and end.seq > file.chain.seq:
                file.chain = end
            self._acknowledge(file, entries, rows)
            bodies = {id(row[8]) for row in rows}
            entries[:] = [entry for entry in entries if id(entry.noted.body) not in bodies]
        return file

    async def _write(self, file: JournalFile, entries: list[Entry], most: int, marks: Marks) -> None:
        """One attempt at the first `most` entries; what became durable leaves `entries`. `_turn` is held."""
        self._writing_since = asyncio.get_running_loop().time()
        file.durable = 0
        groups, ends = await _link(entries[:most], file.chain)
        sealed = [(name, *position, seal(name, *position)) for name, (position, _waiters) in marks.items()]
        try:
            await file.commit([*groups[:-1], groups[-1]._replace(marks=sealed)])
        finally:
            self._writing_since = None
            for group, end in zip(groups[: file.durable], ends, strict=False):
                done, entries[: len(group.rows)] = entries[: len(group.rows)], []
                file.chain = end
                self._acknowledge(file, done, group.rows)
            if file.durable < len(groups):
                self._ambiguous = groups[file.durable].rows, ends[file.durable]
        self.failures, self.problem, self.facts = 0, "", {}
        for _position, waiters in marks.values():
            for waiter in waiters:
                if not waiter.done():
                    waiter.set_result(None)
        marks.clear()
        await self._checkpoint(file)

    def _acknowledge(self, file: JournalFile, entries: list[Entry], rows: Sequence[Stored]) -> None:
        """Tell who waits for these rows where they are. The rows' bodies are the entries' own objects."""
        awaited = [entry for entry in entries if entry.done or entry.once]
        places = {id(row[8]): row[0] for row in rows} if awaited else {}
        durable = [entry for entry in awaited if id(entry.noted.body) in places]
        for entry in durable:
            if entry.done and not entry.done.done():
                where = places[id(entry.noted.body)]
                entry.done.set_result(Position(file.name(number_of(where)), seq_of(where)))
        self._committed(durable)

    async def _checkpoint(self, file: JournalFile) -> None:
        try:
            if await file.checkpoint():
                await self.space.watch(file)
        except opening.FAULTS as error:
            log.warning("journal checkpoint failed, trying again later: %s", error)
            self._note_damage(error)
            if is_full(error):
                await self.space.relieve(self.file)

    async def _opened(self) -> JournalFile:
        if self._suspect:
            await self._let_go()
        if self.file is None:
            self.file = await self._open(self._suspect)
            self._suspect = ""
            self.problem, self.facts = "", {}
            await self.space.keep_reserve()
            self._committed(())
        return self.file

    async def _failed(self, error: Exception) -> None:
        """Take note of a failure; give space back, or close the file for a fresh look at it."""
        self.failures += 1
        self.problem, self.facts = N_("the disk does not take the journal: {error}"), {"error": str(error)}
        log.warning("journal write failed (%d in a row): %s", self.failures, error)
        self._note_damage(error)
        if is_full(error):
            self.problem, self.facts = N_("the disk is full"), {}
            await self.space.relieve(self.file)
        elif self.file and (self._suspect or self.failures >= FAILURES_DOWN):
            await self._let_go()

    def _note_damage(self, error: Exception) -> None:
        if opening.is_damage(error) or (
            error_name(error) in ("SQLITE_IOERR_READ", "SQLITE_IOERR_CORRUPTFS") and self.failures > FAILURES_DOWN
        ):
            self._suspect = str(error)

    @property
    def bytes_written(self) -> int:
        """By all files since the start, log and copies together."""
        return self._bytes_before + (self.file.bytes_written if self.file else 0)

    def using(self) -> asyncio.Lock:
        """Held by whoever else writes through the file (retention)."""
        return self._turn

    def _told_drops(self) -> list[Entry]:
        """Drops become events once the flood has ebbed to half, or nothing else waits."""
        if not self._drops or len(self._waiting) > 5000:
            return []
        until = iso(self._at())
        return [
            Entry(self._note(JournalDropped(reason=reason, counts=counts, since=iso(since), until=until)))
            for reason, counts, since in self._drops.take()
        ]

    async def _pause(self) -> None:
        """Wait before the next attempt."""
        await self.rest(PAUSES[min(max(self.failures, 1), len(PAUSES)) - 1])

    async def rest(self, seconds: float) -> None:
        """Wait; `stop` cuts it short."""
        with suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._stopping.wait()

    def _fail_waiters(self, entries: list[Entry], marks: Marks) -> None:
        """Whoever still waits for what was not written is told so (the journal is closing)."""
        down = JournalDown(N_("the journal could not be written before the stop"))
        for entry in entries:
            self._drops.count("invalid", entry.noted.type, entry.noted.at)
        waiting: list[asyncio.Future[Any]] = [entry.done for entry in entries if entry.done]
        for _position, waiters in marks.values():
            waiting += waiters
        for waiter in waiting:
            if not waiter.done():
                waiter.set_exception(down)


async def _link(entries: list[Entry], start: Chain) -> tuple[list[Group], list[Chain]]:
    """Give entries their places, in groups; the chain behind each."""
    chain, groups, ends = start.copy(), list[Group](), list[Chain]()
    for first in range(0, len(entries), GROUP):
        some, rows = entries[first : first + GROUP], list[Stored]()
        for at in range(0, len(some), _TURN):
            rows += [chain.link(entry.noted) for entry in some[at : at + _TURN]]
            await asyncio.sleep(0)
        groups.append(Group(rows, [(entry.once, entry.expires, entry.noted.at) for entry in some if entry.once]))
        ends.append(chain.copy())
    return groups or [Group()], ends or [chain]


def error_name(error: BaseException) -> str:
    return str(getattr(error, "sqlite_errorname", ""))


def _in_loop() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
