"""Work for a thread that is waited for to its end, whoever is cancelled meanwhile.

`asyncio.to_thread` lets go of a thread when the one who waits is cancelled (a client hung up, the daemon stops): the
thread goes on, and the next writer of the same file meets it there. Two then write one file at once.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
T = TypeVar("T")


async def to_its_end(call: Callable[P, T], *arguments: P.args, **named: P.kwargs) -> T:
    """What `call` gives or raises. Cancelled, it ends when the call has ended, and raises CancelledError then."""
    work = asyncio.ensure_future(asyncio.to_thread(call, *arguments, **named))
    try:
        return await asyncio.shield(work)
    except asyncio.CancelledError:
        await asyncio.wait([work])
        if not work.cancelled():
            work.exception()  # nobody is left to hear of it
        raise
