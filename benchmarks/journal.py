"""Durable events per second: the journal against raw SQLite that writes the same batches, both with synchronous=FULL.

    python -m benchmarks.journal [--folder DIR] [--rounds 9] [--events 6000] [--json]

In each round both write the same events, one after the other, in transactions of 200 (the journal's group); the
ratio is taken round by round. Both begin with events in memory: the journal with what `note()` took (what that
costs the loop is printed beside), and hashes, chains and writes it through its queue and threads; the rival
with the very same rows ready-made, for one plain `executemany` a batch into a file with the same page size.
Wanted: a median ratio of at least 0.5.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import sqlite3
import statistics
import sys
import tempfile
import time
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

from gateway.clock import SystemClock
from gateway.config import schema
from gateway.journal import tables
from gateway.journal.event import Event
from gateway.journal.rows import Chain, noted
from gateway.journal.store import Journal
from gateway.journal.writer import GROUP

WANTED = 0.5


class Opened(Event, frozen=True, kw_only=True, tag="bench.opened.v1"):
    door: str
    person: str
    how: str
    number: int


def events(count: int) -> list[Opened]:
    return [Opened(door="unit-1", person=f"{n * 7919 % 10_000:032x}", how="face", number=n) for n in range(count)]


def raw(folder: Path, given: list[Opened]) -> float:
    """Seconds that plain SQLite takes for the same rows in the same batches."""
    now, chain = datetime.now(UTC), Chain("0" * 16, 1)
    rows = [chain.link(noted(event, now, trusted=True)) for event in given]
    with closing(sqlite3.connect(folder / "raw.db")) as connection:
        connection.execute(f"PRAGMA page_size = {tables.PAGE}")
        tables.migrate(connection)
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        started = time.perf_counter()
        for first in range(0, len(rows), GROUP):
            connection.executemany(tables.INSERT_EVENT, rows[first : first + GROUP])
            connection.commit()
        return time.perf_counter() - started


async def ours(folder: Path, given: list[Opened]) -> tuple[float, float]:
    """Seconds that `note()` took for all events, and from then until the last of them is durable."""
    journal = Journal(folder / "journal.db", SystemClock(), "bench", schema.Journal())
    await journal.start()
    assert journal.head is not None
    last = journal.head.seq + len(given)
    started = time.perf_counter()
    for event in given:
        journal.note(event)  # nothing is written meanwhile: this loop does not let go
    noted_at = time.perf_counter()
    while journal.head.seq < last:
        await journal.wait_beyond(journal.head)
    taken = time.perf_counter() - noted_at
    await journal.close()
    return noted_at - started, taken


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", default=None, help="where to write; a folder on the disk to measure")
    parser.add_argument("--rounds", type=int, default=9)
    parser.add_argument("--events", type=int, default=6000)
    parser.add_argument("--json", action="store_true")
    arguments = parser.parse_args()
    given = events(min(arguments.events, 9000))
    journal, rival, notes, whole = list[float](), list[float](), list[float](), list[float]()
    for _ in range(arguments.rounds):
        with tempfile.TemporaryDirectory(dir=arguments.folder) as name:
            rival.append(len(given) / raw(Path(name), given))
            noting, writing = asyncio.run(ours(Path(name), given))
            journal.append(len(given) / writing)
            notes.append(noting / len(given) * 1e6)
            whole.append(len(given) / (noting + writing) / rival[-1])
    ratios = [mine / theirs for mine, theirs in zip(journal, rival, strict=True)]
    result = {
        "machine": f"{platform.node()} {platform.machine()} ({os.cpu_count()} cores)",
        "sqlite": sqlite3.sqlite_version,
        "rounds": arguments.rounds,
        "events": len(given),
        "batch": GROUP,
        "journal_per_second": spread(journal),
        "sqlite_per_second": spread(rival),
        "note_microseconds": spread(notes),
        "ratio": spread(ratios),
        "ratio_with_note": spread(whole),
        "wanted": WANTED,
    }
    if arguments.json:
        print(json.dumps(result))
    else:
        print(f"{result['machine']}, SQLite {sqlite3.sqlite_version}, {arguments.rounds} rounds of {len(given)} events")
        print(f"journal      {say(journal)} durable events a second")
        print(f"raw SQLite   {say(rival)} in the same batches of {GROUP}, synchronous=FULL")
        print(f"note()       {say(notes, 1)} microseconds of the loop, an event")
        print(f"ratio        {say(ratios, 2)}, at least {WANTED} wanted; {say(whole, 2)} with note()")
    return 0 if statistics.median(ratios) >= WANTED else 1


def spread(values: list[float]) -> dict[str, float]:
    return {"median": statistics.median(values), "lowest": min(values), "highest": max(values)}


def say(values: list[float], digits: int = 0) -> str:
    return f"{statistics.median(values):,.{digits}f} ({min(values):,.{digits}f} to {max(values):,.{digits}f})"


if __name__ == "__main__":
    sys.exit(main())
