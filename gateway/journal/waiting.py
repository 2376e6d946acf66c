"""Events that wait for the disk: bounded, in order, the least important giving way first. Pure.

At most `LIMIT` events and `LIMIT_BYTES` bytes wait. When one more comes, the oldest event of the lowest
importance gives way; if that would be the newcomer's own importance or a higher one, the newcomer does.
What gave way is counted by type until it has been told.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, deque
from itertools import islice

import msgspec

from gateway.journal.event import Importance
from gateway.journal.events import DropReason
from gateway.journal.rows import Noted, Position

LIMIT = 10_000
LIMIT_BYTES = 8 * 1024 * 1024


class Entry(msgspec.Struct, eq=False):
    """One waiting event. `done` is there when somebody waits for it to be durable."""

    noted: Noted
    done: asyncio.Future[Position] | None = None
    once: str = ""
    expires: str = ""
    withdrawn: bool = False  # nobody wants it any more; it is passed over unless it is being written
    taken: bool = False  # the writer has it


class Waiting:
    """The queue between `note()` and the disk."""

    def __init__(self, limit: int = LIMIT, limit_bytes: int = LIMIT_BYTES) -> None:
        self._limit, self._limit_bytes = limit, limit_bytes
        self._entries: OrderedDict[int, Entry] = OrderedDict()
        self._by_importance: dict[Importance, deque[int]] = {importance: deque() for importance in Importance}
        self._arrivals = 0
        self._bytes = 0

    def __len__(self) -> int:
        return len(self._entries)

    def put(self, entry: Entry) -> list[Entry]:
        """Add an entry; returns those that gave way, which may be `entry` itself."""
        gone: list[Entry] = []
        size = len(entry.noted.body)
        while self._entries and (len(self._entries) >= self._limit or self._bytes + size > self._limit_bytes):
            lowest = self._lowest()
            if lowest is None or entry.noted.importance <= lowest:
                return [*gone, entry]
            gone.append(self._remove(self._by_importance[lowest][0]))
        self._arrivals += 1
        self._entries[self._arrivals] = entry
        self._by_importance[entry.noted.importance].append(self._arrivals)
        self._bytes += size
        return gone

    def take(self, most: int, most_bytes: int = LIMIT_BYTES) -> list[Entry]:
        """Remove and return the oldest entries, without those that were withdrawn."""
        entries: list[Entry] = []
        size = 0
        for key in list(islice(self._entries, most)):
            entries.append(self._remove(key))
            size += len(entries[-1].noted.body)
            if size > most_bytes:
                break
        for entry in entries:
            entry.taken = not entry.withdrawn
        return [entry for entry in entries if entry.taken]

    def _lowest(self) -> Importance | None:
        return next((importance for importance, keys in self._by_importance.items() if keys), None)

    def _remove(self, key: int) -> Entry:
        """Remove an entry; both ways out (taken, given way) take the oldest of its importance."""
        entry = self._entries.pop(key)
        self._by_importance[entry.noted.importance].popleft()
        self._bytes -= len(entry.noted.body)
        return entry


class Drops:
    """What gave way and has not been told yet."""

    def __init__(self) -> None:
        self._counts: dict[DropReason, dict[str, int]] = {}
        self._since: dict[DropReason, int] = {}
        self.total = 0

    def __bool__(self) -> bool:
        return bool(self._counts)

    def count(self, reason: DropReason, type_: str, at: int, number: int = 1) -> None:
        counts = self._counts.setdefault(reason, {})
        counts[type_] = counts.get(type_, 0) + number
        self._since.setdefault(reason, at)
        self.total += number

    def take(self) -> list[tuple[DropReason, dict[str, int], int]]:
        """(reason, counts, since) for each reason; they count as told."""
        told = [(reason, counts, self._since[reason]) for reason, counts in self._counts.items()]
        self._counts, self._since = {}, {}
        return told
