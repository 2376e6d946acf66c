"""Marks lag: written at the stop, and after a power cut what they lack is sent twice and kept once."""

from __future__ import annotations

import asyncio
import shutil
from dataclasses import replace
from pathlib import Path

import pytest

from gateway.desk.authority import Authority
from tests.uplink.fake_broker import FakeBroker
from tests.uplink.house import QUICK, House, desk, enrol, holds_the_journal, make_desk, until

AS_SHIPPED = replace(QUICK, marks_every=300.0)


def house_at(folder: Path, broker: FakeBroker, authority: Authority) -> House:
    return House(folder, broker.port, enrol(folder / "state", authority), tls=False)


@pytest.mark.parametrize("stopped", [True, False])
def test_marks_are_kept_at_the_stop_and_what_they_lack_after_a_power_cut_is_kept_once(
    tmp_path: Path, *, stopped: bool
) -> None:
    async def scenario() -> None:
        broker = FakeBroker()
        async with broker.open():
            authority = make_desk(tmp_path / "desk", broker.port)
            house = house_at(tmp_path / "box", broker, authority)
            async with desk(authority, tls=False):
                async with house.open(AS_SHIPPED) as uplink:
                    house.happen(1, 60)
                    await until(house.all_received, why=lambda: str(uplink.status()))
                    received = uplink.status().received
                    shutil.copytree(tmp_path / "box", tmp_path / "cut", symlinks=True)  # as the disk is in this moment
                again = house_at(tmp_path / ("box" if stopped else "cut"), broker, authority)
                await again.journal.start()
                mark = await again.journal.mark("mqtt.received")
                assert (mark is not None and f"{mark.epoch}/{mark.seq}" == received) is stopped
                await again.journal.close()
                again = house_at(tmp_path / ("box" if stopped else "cut"), broker, authority)
                async with again.open(AS_SHIPPED):
                    again.happen(61, 10)
                    await holds_the_journal(again, authority)

    asyncio.run(scenario())
