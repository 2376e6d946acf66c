"""The demo's broker, amqtt as a process of its own: mutual TLS, 3.1.1, the whole way up and down."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.uplink.connection import Connection, Target
from gateway.uplink.errors import ConnectionLost
from gateway.uplink.packets import Connect
from gateway.uplink.resolve import Resolver
from tests.uplink.house import DemoBroker, House, desk, enrol, free_port, holds_the_journal, make_desk, until


def test_the_demo_broker_carries_events_receipts_and_commands_and_may_die(tmp_path: Path) -> None:
    port = free_port()
    authority = make_desk(tmp_path / "desk", port, "3.1.1")
    broker = DemoBroker(authority, port)
    box = enrol(tmp_path / "state", authority)
    house = House(tmp_path, port, box, "3.1.1")

    async def story() -> None:
        async with desk(authority) as service, house.open():
            house.happen(1, 100)
            await until(house.all_received)
            assert (await service.command("box-1", "door.open", b"{}")).ok
            broker.kill()
            house.happen(1, 100)
            broker.start()
            await holds_the_journal(house, authority)

    broker.start()
    try:
        asyncio.run(story())
    finally:
        broker.kill()


def test_the_demo_broker_lets_nobody_in_without_a_certificate(tmp_path: Path) -> None:
    port = free_port()
    broker = DemoBroker(make_desk(tmp_path / "desk", port), port)

    async def story() -> None:
        with pytest.raises(ConnectionLost):
            await Connection.open(Target("127.0.0.1", port, None), Connect("x", 30), 4, Resolver(), 3)

    broker.start()
    try:
        asyncio.run(story())
    finally:
        broker.kill()
