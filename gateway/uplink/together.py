"""Several endless tasks as one: when the first ends, all end, and its error is the error.

Not `asyncio.TaskGroup`: on Python 3.11 a group whose child fails while the group is waited for leaves its
parent with one cancellation too many, and the parent's next `asyncio.timeout` then raises CancelledError
where TimeoutError was due: the uplink was dead after its first lost connection.
"""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


async def together(*parts: Coroutine[Any, Any, None]) -> None:
    """Run `parts` at once until one returns or raises; the others are cancelled."""
    tasks = [asyncio.create_task(part) for part in parts]
    try:
        done, _others = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
    for task in done:
        await task
