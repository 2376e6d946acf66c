"""Which bodies may go, and when: by age, then by size. When headers may go is `closing`'s business.

Ordinarily only what a receiver has confirmed goes. A box that was offline so long that the file reaches
`max_mb` with nothing received left gives up its least important bodies, the oldest first, and says so.
"""

from __future__ import annotations

import asyncio

from gateway.config import schema
from gateway.journal.file import JournalFile
from gateway.journal.writer import Writer

_BATCH = 200  # bodies removed in one transaction: the writer waits no longer than that takes
_DAY = 86_400 * 1_000_000


async def retain(file: JournalFile, writer: Writer, settings: schema.Journal, now: int) -> int:
    """Remove what may go; returns how many bodies. `now` is in microseconds. Raises sqlite3.Error."""
    removed = 0
    if writer.space.received_place > 0:
        while batch := await _strip_old(file, writer, now - settings.keep_days * _DAY):
            removed += batch
    while await file.size() > settings.max_mb * 1024 * 1024:
        async with writer.using():
            batch = await writer.space.free_least(file, "cap")
            await file.checkpoint()
        if not batch:
            break
        removed += batch
        await asyncio.sleep(0)
    return removed


async def _strip_old(file: JournalFile, writer: Writer, before: int) -> int:
    async with writer.using():
        removed, _last = await file.strip(writer.space.received_place, most=_BATCH, before=before)
        await file.checkpoint()
    return len(removed)
