"""Marks that ride: no sync of their own, and never behind what they let go."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import closing
from pathlib import Path

from gateway.clock import Now
from tests.journal.samples import START, Passed, journal_at, power_cut, running


def test_a_noted_mark_rides_with_the_next_events_and_is_kept_at_the_stop(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(journal_at(tmp_path)) as journal:
            first = await journal.record(Passed(n=1))
            journal.note_marks({"sent": first, "received": first})
            assert await journal.mark("sent") == first
            assert _marks(power_cut(tmp_path, tmp_path / "before")) == {}  # no sync of its own
            second = await journal.record(Passed(n=2))
            assert _marks(power_cut(tmp_path, tmp_path / "after")) == {"sent": first.seq, "received": first.seq}
            journal.note_marks({"sent": second, "received": first})
        async with running(journal_at(tmp_path)) as journal:
            assert (await journal.mark("sent"), await journal.mark("received")) == (second, first)

    asyncio.run(scenario())


def test_no_body_goes_before_the_mark_that_lets_it_go_is_durable(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(journal_at(tmp_path)) as journal:
            first = await journal.record(Passed(n=1))
            journal.note_marks({"received": first})
            await journal.retain(first, Now(0, 0, START.replace(year=2028)))
            assert _marks(power_cut(tmp_path, tmp_path / "cut")) == {"received": first.seq}

    asyncio.run(scenario())


def _marks(folder: Path) -> dict[str, int]:
    with closing(sqlite3.connect(folder / "journal.db")) as connection:
        return dict(connection.execute("SELECT name, seq FROM mark").fetchall())
