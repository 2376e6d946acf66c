"""Work that goes on to its end, whoever is cancelled meanwhile (a client hung up, the daemon stops).

`asyncio.to_thread` lets go of a thread when the one who waits is cancelled: the thread goes on, the next writer of the
same file meets it there, and what should have followed the write never does. `uninterrupted` keeps the caller until
the end; a store lets her go and waits for all that has `Begun` before it closes its file.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


async def uninterrupted(work: Coroutine[Any, Any, T]) -> T:
    """What `work` gives or raises. Cancelled, this ends when the work has ended, and raises CancelledError then."""
    task = asyncio.create_task(work)
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait([task])
        if not task.cancelled():
            task.exception()  # nobody is left to hear of it
        raise


class Begun:
    """What was begun at one store."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    async def carry(self, work: Coroutine[Any, Any, T]) -> T:
        """What `work` gives or raises. Cancelled, this ends at once, and the work goes on."""
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._finished)
        return await asyncio.shield(task)

    async def ended(self) -> None:
        """Return when all of it has ended, however."""
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _finished(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled():
            task.exception()  # who asked may have gone away; the store's health tells of it
