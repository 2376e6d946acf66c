"""How many bytes the disk is asked to write for lone events of the journal, ten seconds apart.

    lone_events.py COUNT OPTION     OPTION: 'lazytime' or 'defaults', how the disk is mounted

Prints `bytes N`, all that the device was given from the first event to the last sync, the file system's own
journal with it. Time travels: the kernel writes back what nobody syncs, as it does in real minutes.
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path
from typing import ClassVar

from gateway.clock import SystemClock
from gateway.config import schema
from gateway.journal.event import Event, Importance
from gateway.journal.store import Journal
from tests.real.uml.disk import given_to_the_disk, mount_lazily

PAUSE = 10.0


class Opened(Event, frozen=True, kw_only=True, tag="test.opened.v1"):
    importance: ClassVar[Importance] = Importance.ACCESS
    n: int
    text: str = "x" * 200


async def tell(journal: Journal, n: int) -> None:
    """Note an event and wait until it is durable. With no deadline: time jumps while the disk works."""
    before = journal.head
    journal.note(Opened(n=n))
    await journal.wait_beyond(before)


async def main() -> None:
    count, option = int(sys.argv[1]), sys.argv[2]
    if option == "lazytime":
        mount_lazily()
    journal = Journal(Path("/run/data/journal.db"), SystemClock(), "box", schema.Journal(), host="the box")
    await journal.start()
    await tell(journal, -1)
    await asyncio.sleep(60)
    before = await asyncio.to_thread(given_to_the_disk)
    for n in range(count):
        await tell(journal, n)
        await asyncio.sleep(PAUSE)
    print(f"bytes {await asyncio.to_thread(given_to_the_disk) - before}")
    await journal.close()


asyncio.run(main())
