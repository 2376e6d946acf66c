"""Edges between a wire and its one reader, for drivers whose kernel does not keep them: debounced by
the edges' own times, bounded, and nothing lost in silence.

A level counts once it has lasted `debounce` seconds; the edge's time is the end of that wait, as the
kernel's own debouncer stamps it. Because only stamps are compared, a reader that was late hears what
happened and when, not a shadow of its own delay.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from math import inf

from drivers.errors import LineGone
from drivers.interfaces import Edge, Level

LOOK = 5.0  # seconds; some wires tell nobody when they vanish: the reader looks so often
CAPACITY = 1024  # edges that may wait for the reader; the oldest gives way and is counted


class Debouncer:
    """Pure: raw changes in, edges out."""

    def __init__(self, quiet: float, active: Level) -> None:
        self._quiet, self._stable, self._since = quiet, active, 0.0
        self._raw = active

    @property
    def deadline(self) -> float | None:
        """When the level that waits will count, if nothing changes before."""
        return self._since + self._quiet if self._raw != self._stable else None

    def change(self, at: float, active: Level) -> Edge | None:
        """The wire changed; the edge that had become due before, or the one that is due at once."""
        due = self.settle(at)
        if active != self._raw:
            self._raw, self._since = active, at
        return due or self.settle(at)

    def settle(self, now: float) -> Edge | None:
        """The edge that is due by `now`."""
        deadline = self.deadline
        if deadline is None or deadline > now:
            return None
        self._stable = self._raw
        return Edge(self._raw, deadline)


class LoopReader:
    """Calls `ready` whenever `fd` has something, in whichever loop is running when `follow` is called."""

    def __init__(self, fd: int, ready: Callable[[], None]) -> None:
        self._fd, self._ready = fd, ready
        self._loop: asyncio.AbstractEventLoop | None = None

    def follow(self) -> bool:
        """Listen in the running loop, if there is one; True where that is new."""
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return False
        if loop is self._loop:
            return False
        self.stop()
        self._loop = loop
        loop.add_reader(self._fd, self._ready)
        return True

    def stop(self) -> None:
        """Stop listening; before the descriptor is closed."""
        if self._loop is not None and not self._loop.is_closed():
            self._loop.remove_reader(self._fd)
        self._loop = None


async def hand_over(edges: AsyncIterator[Edge], hear: Callable[[Edge], None]) -> None:
    """What `InputLine.hand_over` is where nothing faster is to be had."""
    async for edge in edges:
        hear(edge)


class EdgeQueue:
    """Where a driver puts changes, and the async iterator that its reader takes edges from.

    `fetch` is called before each look, and every LOOK seconds: it brings what waits in a socket or a pipe, and
    raises LineGone where the wire itself tells nobody.
    """

    def __init__(
        self, debounce: float, active: Level, *, capacity: int = CAPACITY, fetch: Callable[[], None] = lambda: None
    ) -> None:
        self.lost = 0
        self._debouncer = Debouncer(debounce, active)
        self._edges = deque[Edge]()
        self._capacity = capacity
        self._fetch = fetch
        self._gone: LineGone | None = None
        self._waiter: asyncio.Future[None] | None = None

    def change(self, at: float, active: Level) -> None:
        """The wire changed, at its own time."""
        self._keep(self._debouncer.change(at, active))
        self._wake()

    def end(self, error: LineGone) -> None:
        """The line is gone: the reader gets what waits, then `error`."""
        self._gone = error
        self._wake()

    def __aiter__(self) -> EdgeQueue:
        return self

    async def __anext__(self) -> Edge:
        if self._waiter is not None:
            raise RuntimeError("a line has one reader")
        loop = asyncio.get_running_loop()
        while True:
            self._fetch()
            self._keep(self._debouncer.settle(loop.time()))
            if self._edges:
                return self._edges.popleft()
            if self._gone is not None:
                raise self._gone
            self._waiter = loop.create_future()
            try:
                async with asyncio.timeout_at(min(self._debouncer.deadline or inf, loop.time() + LOOK)):
                    await self._waiter
            except TimeoutError:
                pass
            finally:
                self._waiter = None

    def _keep(self, edge: Edge | None) -> None:
        if edge is None:
            return
        if len(self._edges) >= self._capacity:
            self._edges.popleft()
            self.lost += 1
        self._edges.append(edge)

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)
