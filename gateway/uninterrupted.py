"""Work that is waited for to its end, whoever is cancelled meanwhile (a client hung up, the daemon stops).

`asyncio.to_thread` lets go of a thread when the one who waits is cancelled: the thread goes on, the next writer of the
same file meets it there, and what should have followed the write never does.
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
