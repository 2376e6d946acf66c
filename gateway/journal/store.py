"""The journal: whatever happened, once, in order. The only bus in the house.

Two ways in. `note()` takes an event and returns at once: it never waits and never raises, also before
`start()` and while the disk is gone. `record()` returns when the event is durable, or raises.
One way out: `read()` from a position, `wait_beyond()` to be woken, and a durable mark for each reader.

The daemon holds the state folder's lock (`gateway.state_lock`) around all of this: one writer a file.
All methods belong to the event loop's thread.
"""

from __future__ import annotations

import asyncio
import logging
import sqlite3
from collections.abc import Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import msgspec

from gateway.clock import Clock, Now
from gateway.config import schema
from gateway.errors import AlreadyUsed, JournalDown, LoumenError, N_
from gateway.journal import closing, opening, quarantine, retention, statement
from gateway.journal.event import Event
from gateway.journal.file import JournalFile
from gateway.journal.rows import UNFIT, Epoch, Noted, Position, Row, iso, microseconds, noted, place
from gateway.journal.verify import Verification, verify_apart
from gateway.journal.waiting import Drops, Entry, Waiting
from gateway.journal.writer import SLOW, Writer

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

log = logging.getLogger(__name__)

_DISK = (sqlite3.Error, OSError, ValueError)  # ValueError: aiosqlite's word for a connection that was closed

#: How long `record` waits: a single-use mark must be durable before a person's patience ends.
WITHIN_ONCE, WITHIN = 0.3, 5.0
_RESTART = 1.0  # seconds before a writer that failed by a fault of its own is started again


class JournalHealth(msgspec.Struct, frozen=True, kw_only=True):
    """For `loumen status`. `problem` is a message id, empty when all is well; `facts` are its places."""

    state: Literal["ok", "degraded", "down"]
    waiting: int
    dropped: int  # since the daemon's start
    bytes_written_today: int  # UTC day, an estimate from pages written, log and file together
    epoch: str
    problem: str = ""
    facts: dict[str, object] = {}


class Journal:
    """The journal of one box. Touches no disk before `start`."""

    def __init__(
        self,
        path: Path,
        clock: Clock,
        box: str,
        settings: schema.Journal,
        *,
        host: str | None = None,
        key: closing.Key | None = None,
    ) -> None:
        self.box = box
        self.head: Position | None = None  # the newest durable event
        self.last_trusted: datetime | None = None  # the newest believable time of the file as it was opened
        self._path, self._clock, self._settings, self._host, self._key = path, clock, settings, host, key
        self._waiting, self._drops = Waiting(), Drops()
        self._writer = Writer(
            path, self._open, self._noted, self._microseconds, self._waiting, self._drops, self._committed
        )
        self._used: dict[str, str] = {}
        self._using: set[str] = set()
        self._marks: dict[str, Position] = {}
        self._advanced = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._day, self._day_began_at = "", 0

    # --- in

    def note(self, event: Event) -> None:
        """Take an event; it will be written in its turn. Never blocks, never raises."""
        try:
            wall, trusted = self._wall()
            entry = Entry(noted(event, wall, trusted=trusted))
        except UNFIT as error:
            log.error("an event cannot be written: %s: %s", type(event).__name__, error)
            self._drops.count("invalid", _type_of(event), self._microseconds())
        else:
            self._put(entry)
        self._writer.wake(getattr(event, "patience", 0.0))

    async def record(self, event: Event, *, once: str = "", expires: str = "", within: float | None = None) -> Position:
        """Write an event and return when it is durable.

        `once` is an id that may be used one single time, across restarts; its mark is in the same
        transaction. Waits `within` seconds (0.3 with `once`, else 5). Raises AlreadyUsed, JournalDown.
        After JournalDown the event is withdrawn; was it already on its way to the disk it may still
        become durable, and its id then counts as used.
        """
        seconds = within if within is not None else WITHIN_ONCE if once else WITHIN
        if once and self.used(once):
            raise AlreadyUsed(N_("this command was carried out before; it cannot be used again"), id=once)
        if self._writer.down and self._writer.failures:
            raise self._down()
        entry = Entry(self._noted(event), asyncio.get_running_loop().create_future(), once, expires)
        assert entry.done is not None
        if once:
            self._using.add(once)
        try:
            self._put(entry)
            self._writer.wake()
            async with asyncio.timeout(seconds):
                return await entry.done
        except TimeoutError:
            raise self._down(seconds=seconds) from None
        finally:
            entry.withdrawn = True
            if not entry.taken:  # else it may yet become durable, and its id counts as used
                self._using.discard(once)

    def used(self, once: str) -> bool:
        """Whether a single-use id was used, or is just being used."""
        return once in self._used or once in self._using

    # --- out

    def id(self, position: Position) -> str:
        """The event's id, unique for ever."""
        return f"{self.box}/{position.epoch}/{position.seq}"

    async def read(self, after: Position | None, limit: int = 200) -> list[Row]:
        """Up to `limit` rows behind a position (None: from the oldest), oldest epoch first.

        Epochs that this file took over from another box (a clone) are passed over. A position in an
        epoch that the file does not know counts as None. Raises JournalDown.
        """
        try:
            return await self._file().read(after, limit, self.box)
        except _DISK as error:
            if opening.is_damage(error):
                self._writer.suspect(str(error))
            raise self._down(str(error)) from error

    async def wait_beyond(self, position: Position | None) -> None:
        """Return as soon as there is a durable event behind `position`."""
        while not self._is_beyond(position):
            await self._advanced.wait()

    async def mark(self, name: str) -> Position | None:
        """How far a reader has come; None at its beginning."""
        await self._opened()
        return self._marks.get(name)

    async def set_mark(self, name: str, position: Position) -> None:
        """Move a reader's mark, durably; backwards is no move. Raises JournalDown.

        Every move costs a page of log: move it now and then, not for each event.
        """
        await self.set_marks({name: position})

    async def set_marks(self, marks: dict[str, Position]) -> None:
        """Move several marks in one transaction, as `set_mark` does one."""
        await self._opened()
        for done in [self._writer.put_mark(name, position) for name, position in self._advance(marks)]:
            await done

    def note_marks(self, marks: dict[str, Position]) -> None:
        """Move marks without waiting: they become durable with the next events, with `retain` and at the stop.

        For a reader to whom a mark that lags after a power cut means some work done twice. A sync of its own
        for each mark would cost the disk more than the events do.
        """
        if self._writer.file is not None:
            for name, position in self._advance(marks):
                self._writer.ride(name, position)

    async def epochs(self) -> list[Epoch]:
        """The lives of this file, oldest first."""
        file = self._file()
        *older, newest = file.epochs
        return [*older, msgspec.structs.replace(newest, first=newest.first or 1, last=file.chain.seq)]

    async def verify(self) -> Verification:
        """Check every row, hash and link in a process of its own: it may take a minute. Raises JournalDown."""
        try:
            async with self._file().hold_still():
                return await verify_apart(self._path, self._public_key())
        except _DISK as error:
            raise self._down(str(error)) from error

    # --- life

    async def start(self) -> None:
        """Open the file and begin to write what was noted. Again is harmless: there is one writer.

        Never raises for a damaged file or an absent disk: the journal is then 'down' and goes on trying.
        """
        await self._writer.ensure_open()
        if self._task is None or self._task.done():
            self._task = asyncio.get_running_loop().create_task(self._supervise(), name="journal writer")

    async def close(self, within: float = 2.0) -> None:
        """Write what waits (at most `within` seconds), close the file. Again is harmless."""
        self._writer.stop()
        task, self._task = self._task, None
        if task:
            done, _pending = await asyncio.wait({task}, timeout=within)
            if not done:
                log.error("the journal could not write %d events before the stop", len(self._waiting))
                task.cancel()
                await asyncio.wait({task}, timeout=0.5)
        with suppress(TimeoutError):
            async with asyncio.timeout(1.0):
                await self._writer.close()

    async def retain(self, received: Position | None, now: Now) -> int:
        """Remove bodies that are older than `keep_days` or over `max_mb`; returns how many. Then close what is done.

        Only what was received goes, except that a file over `max_mb` with nothing received left gives up
        its least important bodies, by a recorded event. Call it now and then (hourly).
        """
        file = self._file()
        if received is not None:
            self._writer.space.received_place = self._place(received)
            await self._writer.settle_marks()  # no body goes before the mark that lets it go
        try:
            removed = await retention.retain(file, self._writer, self._settings, microseconds(now.wall))
            if now.trusted:
                await self._forget_used(file, now)
            if received is not None and (key := self._signing_key()) is not None:
                at = microseconds(now.wall)
                gone = await closing.close(file, self._writer, self.box, at, key, self.record)
                log.log(logging.INFO if gone else logging.DEBUG, "%d headers of the journal's beginning went", gone)
        except _DISK as error:
            raise self._down(str(error)) from error
        return removed

    def health(self) -> JournalHealth:
        writer = self._writer
        stalled = writer.stalled if self._task else 0.0
        state: Literal["ok", "degraded", "down"] = "ok"
        if not self._task or writer.down:
            state = "down"
        elif writer.failures or stalled > SLOW or writer.problem:
            state = "degraded"
        problem, facts = writer.problem, writer.facts
        if state != "ok" and not problem:
            problem, facts = N_("the disk has not answered for {seconds} seconds"), {"seconds": round(stalled)}
        return JournalHealth(
            state=state,
            waiting=len(self._waiting) + writer.under_way,
            dropped=self._drops.total,
            bytes_written_today=self._written_today(),
            epoch=self.head.epoch if self.head else "",
            problem=problem,
            facts=facts,
        )

    # --- within

    def _noted(self, event: Event) -> Noted:
        wall, trusted = self._wall()
        return noted(event, wall, trusted=trusted)

    def _wall(self) -> tuple[datetime, bool]:
        try:
            now = self._clock.now()
        except RuntimeError:  # a clock of the event loop, asked before the loop runs
            return datetime.now(UTC), False
        return now.wall, now.trusted

    def _microseconds(self) -> int:
        return microseconds(self._wall()[0])

    def _put(self, entry: Entry) -> None:
        for gone in self._waiting.put(entry):
            if not gone.withdrawn:
                self._drops.count("queue", gone.noted.type, gone.noted.at)
            if gone.done and not gone.done.done():
                gone.done.set_exception(self._down())

    async def _open(self, suspect: str) -> JournalFile:
        """Opens the file for the writer; a damaged one is set aside first. Raises sqlite3.Error, OSError."""
        host = opening.host_fingerprint() if self._host is None else self._host
        opened = await asyncio.to_thread(
            quarantine.open_sound, self._path, self.box, host, self._noted, suspect, held=self.head is not None
        )
        file = await JournalFile.open(self._path, opened)
        if opened.damage:
            log.error("the journal was damaged (%s); it was set aside and a new epoch began", opened.damage)
        if opened.trusted_at is not None and self.last_trusted is None:
            self.last_trusted = datetime.fromisoformat(iso(opened.trusted_at))
        self._used = {**opened.used, **self._used}
        self._marks = {**opened.marks, **{name: at for name, at in self._marks.items() if file.number(at.epoch)}}
        return file

    def _committed(self, entries: Sequence[Entry]) -> None:
        """The writer opened the file, or these entries are durable now."""
        for entry in entries:
            if entry.once:
                self._used[entry.once] = entry.expires
                self._using.discard(entry.once)
        file = self._writer.file
        if file:
            self.head = Position(file.chain.epoch, file.chain.seq)
        advanced, self._advanced = self._advanced, asyncio.Event()
        advanced.set()

    async def _opened(self) -> JournalFile:
        while self._writer.file is None:
            if self._task is None or self._task.done():
                raise self._down()
            await self._advanced.wait()
        return self._writer.file

    def _file(self) -> JournalFile:
        if self._writer.file is None:
            raise self._down()
        return self._writer.file

    def _order(self, position: Position) -> tuple[int, int]:
        file = self._writer.file
        return ((file.number(position.epoch) or 0) if file else 0, position.seq)

    def _advance(self, marks: dict[str, Position]) -> list[tuple[str, Position]]:
        """Move marks in memory; returns those that really move."""
        moved = [
            (name, position)
            for name, position in marks.items()
            if name not in self._marks or self._order(position) > self._order(self._marks[name])
        ]
        self._marks.update(moved)
        return moved

    def _place(self, position: Position) -> int:
        number, seq = self._order(position)
        return place(number, seq) if number else -1

    def _is_beyond(self, position: Position | None) -> bool:
        return self.head is not None and (position is None or self._order(self.head) > self._order(position))

    def _down(self, error: str = "", seconds: float = WITHIN) -> JournalDown:
        silent = N_("the journal has not written it within {seconds} s; the disk is slow or busy")
        what = self._writer.problem or (N_("the journal does not answer: {error}") if error else silent)
        mend = N_("open it on the spot (a face, a plate, the button); then look at 'loumen doctor'")
        down = JournalDown(what, mend=mend, error=error, seconds=seconds)
        down.facts.update(self._writer.facts)
        return down

    async def _forget_used(self, file: JournalFile, now: Now) -> None:
        day_ago = now.wall - timedelta(days=1)
        async with self._writer.using():
            self._used = await file.forget_used(day_ago.isoformat(), microseconds(day_ago))

    def _signing_key(self) -> Ed25519PrivateKey | None:
        try:
            return None if self._key is None else self._key()
        except LoumenError as error:
            log.warning("the box's key cannot be had, so headers stay: %s", error)
            return None

    def _public_key(self) -> str:
        key = self._signing_key()
        return "" if key is None else statement.public(key)

    def _written_today(self) -> int:
        today = iso(self._microseconds())[:10]
        total = self._writer.bytes_written
        if today != self._day:
            self._day, self._day_began_at = today, total
        return total - self._day_began_at

    async def _supervise(self) -> None:
        """The journal's own supervisor: a fault in the writer must not end the journal."""
        while True:
            try:
                return await self._writer.run()
            except Exception:
                log.exception("the journal's writer failed by a fault of its own; it starts again")
            await self._writer.rest(_RESTART)


def _type_of(event: object) -> str:
    return event.type_name() if isinstance(event, Event) else type(event).__name__
