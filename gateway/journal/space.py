"""Room on the disk for the journal: a reserve, and which bodies give way.

A full disk: the file must not need to grow any more. As soon as less than ROOM is left, on the disk and
on free pages inside the file together, bodies of stored rows go: received ones first, then the
unimportant ones from the bottom up; nothing that a person ordered and no alarm. When the disk is full
all at once, a reserve kept for that (deleted then) makes the room in which to do it.
"""

from __future__ import annotations

import asyncio
import errno
import logging
import os
import sqlite3
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

from gateway.journal import opening
from gateway.journal.event import Importance
from gateway.journal.events import DropReason
from gateway.journal.file import JournalFile
from gateway.journal.rows import place
from gateway.journal.waiting import Drops

log = logging.getLogger(__name__)

RESERVE = 3 * 1024 * 1024  # more than the log and one group can ask of the file
ROOM = 5 * 1024 * 1024  # more than the log and the file can grow between two checkpoints
_RELIEF = 200  # rows whose bodies go at once
_EXPENDABLE = (Importance.CHATTER, Importance.NOTICE, Importance.ACCESS)


class Space:
    """Watches one journal's disk. Its callers hold the writing connection's turn."""

    def __init__(self, path: Path, drops: Drops, at: Callable[[], int]) -> None:
        self._folder, self._reserve = path.parent, path.with_name("journal.reserve")
        self._drops, self._at = drops, at
        self._searched: dict[Importance, int] = {}  # no body of that importance is left up to this place
        self.received_place = -1  # up to here everything was received

    async def keep_reserve(self) -> None:
        """Have the reserve, if the disk can spare it."""
        if self._free() >= ROOM + RESERVE:
            await asyncio.to_thread(_allocate, self._reserve)

    async def watch(self, file: JournalFile) -> None:
        """On a disk that is all but full, see to it that the file need not grow. Raises sqlite3.Error, OSError."""
        await self.keep_reserve()
        while self._free() < ROOM and self._free() + await file.free_bytes() < ROOM:
            if not await self.free_least(file, "disk"):
                return
            await file.checkpoint()

    def _free(self) -> int:
        disk = os.statvfs(self._folder)
        return disk.f_bavail * disk.f_frsize

    async def relieve(self, file: JournalFile | None) -> None:
        """Make room on a full disk, as far as it can be made."""
        try:
            self._reserve.unlink(missing_ok=True)
            if file:
                await file.checkpoint(now=True)
                await self.watch(file)
        except (sqlite3.Error, OSError) as error:
            log.warning("no room could be made on the full disk: %s", error)

    async def free_least(self, file: JournalFile, reason: DropReason) -> int:
        """Remove some bodies, the least worth first and the oldest of those; returns how many. Raises sqlite3.Error."""
        if self.received_place > 0:
            received, _last = await file.strip(self.received_place, most=_RELIEF)
            if received:
                return len(received)
        head = place(file.chain.number, file.chain.seq)
        for importance in _EXPENDABLE:
            after = self._searched.get(importance, 0)
            types, last = await file.strip(head, most=_RELIEF, importance=importance, after=after)
            self._searched[importance] = last or head
            for type_ in types:
                self._drops.count(reason, type_, self._at())
            if types:
                return len(types)
        return 0


def is_full(error: BaseException) -> bool:
    """Whether an error says that the disk is full."""
    full = isinstance(error, OSError) and error.errno in {errno.ENOSPC, errno.EDQUOT}
    return full or opening.primary_code(error) == sqlite3.SQLITE_FULL


def _allocate(reserve: Path) -> None:
    with suppress(OSError):
        if reserve.exists() and reserve.stat().st_size == RESERVE:
            return
        handle = os.open(reserve, os.O_CREAT | os.O_WRONLY, 0o600)
        try:
            os.posix_fallocate(handle, 0, RESERVE)
        except OSError:
            reserve.unlink()
        finally:
            os.close(handle)
