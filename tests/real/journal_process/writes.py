"""A journal as a process that tests may kill or starve: `writes.py FOLDER` writes and says what is durable.

Lines on stdout: `up SEQ`, then `ack N SEQ`, `down TEXT` when a record was refused, `state STATE`, `noted SECONDS` (the
longest that one `note()` took since the last line). It ends at a line on stdin, orderly, with `closed`.
"""

from __future__ import annotations

import asyncio
import logging
import sys
import time
from pathlib import Path
from typing import ClassVar

from gateway.clock import SystemClock
from gateway.config import schema
from gateway.errors import JournalDown
from gateway.journal.event import Event, Importance
from gateway.journal.store import Journal


class Passed(Event, frozen=True, kw_only=True, tag="test.passed.v1"):
    importance: ClassVar[Importance] = Importance.ACCESS
    n: int
    text: str = ""


class Chatter(Event, frozen=True, kw_only=True, tag="test.chatter.v1"):
    importance: ClassVar[Importance] = Importance.CHATTER
    n: int
    text: str = "c" * 2000


def say(text: str) -> None:
    print(text, flush=True)


async def write(journal: Journal, first: int) -> None:
    """Five records a turn, events between them; a turn every few milliseconds."""
    n, state, slowest = first, "", 0.0
    while True:
        for _ in range(5):
            started = time.monotonic()
            journal.note(Chatter(n=n))
            slowest = max(slowest, time.monotonic() - started)
        n += 1
        try:
            position = await journal.record(Passed(n=n), within=0.3)
            say(f"ack {n} {position.seq}")
        except JournalDown as down:
            say(f"down {str(down).splitlines()[0]}")
            await asyncio.sleep(0.1)
        if journal.health().state != state:
            state = journal.health().state
            say(f"state {state}")
        if n % 20 == 0:
            say(f"noted {slowest:.6f}")
            slowest = 0.0
        await asyncio.sleep(0.002)


async def main(folder: Path) -> None:
    logging.basicConfig(level=logging.ERROR)
    journal = Journal(folder / "journal.db", SystemClock(), "box", schema.Journal(max_mb=1), host="this machine")
    await journal.start()
    say(f"up {journal.head.seq if journal.head else 0}")
    writing = asyncio.create_task(write(journal, (journal.head.seq if journal.head else 0) * 100))
    await asyncio.get_running_loop().run_in_executor(None, sys.stdin.readline)
    writing.cancel()
    await journal.close()
    say(f"closed {journal.health().waiting} {journal.health().dropped}")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
