"""An order that comes twice raises once: by the command table, over a restart, and for a role that may."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.clock import LoopClock
from gateway.command import Actor, Role
from gateway.commands import Commands
from gateway.config import schema
from gateway.errors import AlreadyUsed, Refused
from gateway.journal.store import Journal
from gateway.lanes import commands as c
from gateway.lanes.answers import Lanes
from tests.lanes.site import OPEN, Site, site

DESK = Actor("desk:clerk", Role.CLERK, "platform", command_id="c1", expires="2099-01-01T00:00:00+00:00")
RAISE = c.RaiseLane(lane="gate", reason="parcel")


async def table(folder: Path, s: Site) -> tuple[Commands, Journal]:
    clock = LoopClock(datetime(2026, 11, 24, tzinfo=UTC))
    journal = Journal(folder / "journal.db", clock, "box", schema.Journal())
    await journal.start()
    commands = Commands(journal, clock)
    commands.declare(Lanes({"gate": s.lane}, folder / "lanes.json", clock).handlers())
    return commands, journal


def test_a_replayed_order_raises_once(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site() as s:
            commands, journal = await table(tmp_path, s)
            done = await commands.run(RAISE, DESK)
            assert done.motion == "rising"
            with pytest.raises(AlreadyUsed):
                await commands.run(RAISE, DESK)
            with pytest.raises(Refused, match="role"):
                await commands.run(RAISE, Actor("resident:1", Role.RESIDENT, "platform", command_id="c2"))
            await journal.close()
            commands, journal = await table(tmp_path, s)
            with pytest.raises(AlreadyUsed):
                await commands.run(RAISE, DESK)
            assert s.pulses(OPEN) == 1
            assert s.types().count("lane.raised.v1") == 1
            await journal.close()

    asyncio.run(scenario())
