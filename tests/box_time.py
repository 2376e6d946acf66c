"""A box's time: it jumps to the next timer when nothing else is left to do, and stands while a thread works.

    with watched():
        run(scenario(), idle=...)

In tests/virtual_time.py hours fly while a thread writes for a millisecond, which suits parts without a disk. Here each
event meets the disk as it would on a box. Threads are those of `run_in_executor` and of aiosqlite's connections.
"""

from __future__ import annotations

import asyncio
import selectors
import threading
from collections.abc import Callable, Coroutine, Iterator
from concurrent.futures import Executor
from contextlib import contextmanager
from queue import SimpleQueue
from typing import Any, TypeVar, TypeVarTuple

import aiosqlite.core
import pytest

T = TypeVar("T")
Ts = TypeVarTuple("Ts")


class Work:
    """How much the process's threads have still to do."""

    def __init__(self) -> None:
        self._lock, self.open = threading.Lock(), 0

    def add(self, number: int) -> None:
        with self._lock:
            self.open += number


WORK = Work()


class Watched(SimpleQueue):  # type: ignore[type-arg]
    """A connection's queue: what was put is open until its thread comes back for more."""

    taken = False

    def put(self, item: Any, *_: Any) -> None:
        WORK.add(1)
        super().put(item)

    put_nowait = put

    def get(self, *arguments: Any) -> Any:
        if self.taken:
            WORK.add(-1)
        self.taken = False
        item = super().get(*arguments)
        self.taken = True
        return item


_serve = aiosqlite.core._connection_worker_thread


def serve(queue: Watched) -> None:
    """A connection's thread; what it does last, closing, is not followed by another look at the queue."""
    try:
        _serve(queue)
    finally:
        WORK.add(-1)


@contextmanager
def watched() -> Iterator[None]:
    """Connections that are opened meanwhile are known to the clock."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(aiosqlite.core, "SimpleQueue", Watched)
        patch.setattr(aiosqlite.core, "_connection_worker_thread", serve)
        yield


class BoxTime(asyncio.SelectorEventLoop):
    """`idle` is told each jump, in seconds."""

    def __init__(self, idle: Callable[[float], None]) -> None:
        self.elapsed, self.idle = 0.0, idle
        super().__init__(_Selector(self))

    def time(self) -> float:
        return self.elapsed

    async def shutdown_default_executor(self, _timeout: float | None = None) -> None:
        """Without the 300 seconds of Python 3.12 and later: the thread that waits for the others is not known here."""
        await super().shutdown_default_executor()

    def run_in_executor(self, executor: Executor | None, func: Callable[[*Ts], T], *args: *Ts) -> asyncio.Future[T]:
        WORK.add(1)
        future = super().run_in_executor(executor, func, *args)
        future.add_done_callback(lambda _done: WORK.add(-1))
        return future


class _Selector(selectors.EpollSelector):
    def __init__(self, loop: BoxTime) -> None:
        super().__init__()
        self._loop = loop

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        ready = super().select(0)
        if ready or timeout == 0:
            return ready
        if WORK.open or timeout is None:
            return super().select(0.001)  # a thread tells its answer a moment before it looks for more work
        self._loop.elapsed += timeout
        self._loop.idle(timeout)
        return super().select(0)


def run(scenario: Coroutine[Any, Any, T], idle: Callable[[float], None] = lambda _seconds: None) -> T:
    """Run a coroutine to its end."""
    with watched(), asyncio.Runner(loop_factory=lambda: BoxTime(idle)) as runner:
        return runner.run(scenario)
