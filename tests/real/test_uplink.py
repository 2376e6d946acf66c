"""Debian's mosquitto with mutual TLS between a box and its desk; each of the three dies in turn."""

from __future__ import annotations

import asyncio
import contextlib
import random
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.identity import Box, certificates
from gateway.identity.certificates import client_context
from gateway.uplink import packets
from gateway.uplink.connection import Connection, Target
from gateway.uplink.errors import ConnectionLost
from gateway.uplink.messages import Topics
from gateway.uplink.mqtt import Timing
from gateway.uplink.packets import Connect, Puback, Version
from gateway.uplink.resolve import Resolver
from gateway.uplink.status import sentences
from tests.uplink.house import (
    COMMUNITY,
    QUICK,
    House,
    Mosquitto,
    desk,
    enrol,
    free_port,
    holds_the_journal,
    make_desk,
    stored,
    until,
)

pytestmark = pytest.mark.real("mosquitto")
SELDOM = Timing(state_every=120, ack_within=3.0, dial_within=3.0, marks_every=0.05)  # as on a box


class Site:
    """A desk's folder, a broker, an enrolled box."""

    def __init__(self, folder: Path, extra: str = "") -> None:
        self.folder, port = folder, free_port()
        self.authority = make_desk(folder / "desk", port)
        self.broker = Mosquitto(self.authority, port, extra=extra)
        self.box = enrol(folder / "state", self.authority)

    def house(self, protocol: str = "auto") -> House:
        return House(self.folder, self.broker.port, self.box, protocol)

    def target(self, *, who: str = "desk", host: str = "127.0.0.1") -> Target:
        folder = self.authority.folder
        if who == "desk":
            files = (folder / "ca" / "ca.pem", folder / "client" / "desk.pem", folder / "client" / "desk.key")
        else:
            credentials = self.box.credentials()
            assert credentials
            files = (credentials.ca, credentials.certificate, credentials.key)
        return Target(host, self.broker.port, client_context(*files))


@pytest.fixture
def site(tmp_path: Path) -> Iterator[Site]:
    made = Site(tmp_path)
    made.broker.start()
    yield made
    made.broker.kill()


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_thousand_events_and_a_command(site: Site, protocol: str) -> None:
    async def story() -> None:
        house = site.house(protocol)
        async with desk(site.authority) as service, house.open() as uplink:
            house.happen(1, 1000)
            await holds_the_journal(house, site.authority)
            reply = await service.command("box-1", "door.open", b'{"door":"main"}')
            assert reply.ok
            assert uplink.status().protocol == protocol
            assert service.status()["findings"] == 0
            assert uplink.status().refused_receipts == 0

    run(story)


def test_the_broker_is_killed_again_and_again_while_events_flow(site: Site) -> None:
    async def story() -> None:
        house, dice = site.house(), random.Random(7)
        async with desk(site.authority), house.open() as uplink:
            for number in range(6):
                house.happen(number * 100, 100)
                await asyncio.sleep(dice.uniform(0, 0.4))  # the moment is the test
                site.broker.kill()
                house.happen(number * 1000, 20)
                site.broker.start()
                await until(lambda: uplink.status().state == "connected")
            await holds_the_journal(house, site.authority)

    run(story)


def test_the_desk_is_restarted_again_and_again_while_events_flow(site: Site) -> None:
    async def story() -> None:
        house, dice = site.house(), random.Random(8)
        async with house.open():
            for number in range(5):
                house.happen(number * 100, 100)
                async with desk(site.authority):
                    await asyncio.sleep(dice.uniform(0, 0.4))  # the moment is the test
            async with desk(site.authority):
                await holds_the_journal(house, site.authority)

    run(story)


def test_the_box_is_restarted_again_and_again_while_events_flow(site: Site) -> None:
    async def story() -> None:
        dice = random.Random(9)
        async with desk(site.authority) as service:
            for number in range(5):
                house = site.house()
                async with house.open():
                    house.happen(number * 100, 100)
                    await asyncio.sleep(dice.uniform(0, 0.4))  # the moment is the test
            house = site.house()
            async with house.open():
                await holds_the_journal(house, site.authority)
            assert service.status()["findings"] == 0

    run(story)


def test_a_broker_that_acknowledges_and_drops_what_it_queues_for_an_absent_desk(tmp_path: Path) -> None:
    """mosquitto's own behaviour beyond its queue limit, which is here 10."""
    site = Site(tmp_path)
    conf = site.broker._path
    conf.write_text(conf.read_text().replace("max_queued_messages 20000", "max_queued_messages 10"))
    site.broker.start()

    async def story() -> None:
        house = site.house()
        async with desk(site.authority):  # the broker knows the desk and queues for it from now on
            await asyncio.sleep(0)
            async with house.open():
                await until(house.all_received)
        house = site.house()
        async with house.open() as uplink:
            house.happen(1, 300)
            await until(house.noted)
            await until(lambda: uplink.status().sent == uplink.status().head)
            async with desk(site.authority):
                await holds_the_journal(house, site.authority)
            assert uplink.status().sent_again > 200

    try:
        run(story)
    finally:
        site.broker.kill()


def test_the_will_tells_the_desk_that_a_box_is_gone(site: Site) -> None:
    async def story() -> None:
        house = site.house()
        async with desk(site.authority) as service:
            async with house.open():
                await until(lambda: [birth for birth in service._births.values() if birth.online])
            await until(lambda: [birth for birth in service._births.values() if not birth.online])

    run(story)


@contextlib.asynccontextmanager
async def connected(target: Target, version: Version = 5, client: str = "probe") -> AsyncIterator[Connection]:
    connection = await Connection.open(target, Connect(client, 30), version, Resolver(), 5)
    try:
        yield connection
    finally:
        await connection.close()


def test_a_box_may_not_speak_under_another_name_and_hears_so(site: Site) -> None:
    async def story() -> None:
        async with connected(site.target(who="box")) as box:
            mine, other = Topics.of(COMMUNITY, site.box.uuid), Topics.of(COMMUNITY, "another")
            answers = aiter(box.arrivals())
            for topic, code in ((mine.event, 0), (other.event, 0x87), (mine.command, 0x87)):
                await box.publish(box.claim_id(), topic, b"{}")
                answer = await anext(answers)
                assert isinstance(answer, Puback)
                assert (answer.code < packets.FAILURE) == (code == 0)

    run(story)


def test_nobody_gets_in_without_a_certificate_of_this_community(site: Site, tmp_path: Path) -> None:
    async def story() -> None:
        stranger = make_desk(tmp_path / "stranger", 1)
        theirs = stranger.folder
        ours = site.authority.folder / "ca" / "ca.pem"
        forged = client_context(ours, theirs / "client" / "desk.pem", theirs / "client" / "desk.key")
        believing_another = client_context(
            theirs / "ca" / "ca.pem",
            site.authority.folder / "client" / "desk.pem",
            site.authority.folder / "client" / "desk.key",
        )
        for context in (None, forged, believing_another):
            with pytest.raises(ConnectionLost):
                async with connected(Target("127.0.0.1", site.broker.port, context)):
                    pass
        async with connected(site.target(host="localhost")):
            pass

    run(story)


def test_a_box_without_a_clock_connects_and_one_with_a_clock_sees_what_expired(site: Site) -> None:
    async def story() -> None:
        folder, authority = site.authority.folder, site.authority._ca()
        key = certificates.new_key()
        expired = certificates.issue(
            "127.0.0.1", key.public_key(), authority, purpose="server", days=0, hosts=("127.0.0.1",)
        )
        (folder / "broker" / "broker.key").write_bytes(certificates.key_pem(key))
        (folder / "broker" / "broker.pem").write_text(certificates.certificate_pem(expired))
        site.broker.kill()
        site.broker.start()
        files = (folder / "ca" / "ca.pem", folder / "client" / "desk.pem", folder / "client" / "desk.key")
        with pytest.raises(ConnectionLost) as caught:
            async with connected(Target("127.0.0.1", site.broker.port, client_context(*files))):
                pass
        assert "expired" in str(caught.value)
        async with connected(Target("127.0.0.1", site.broker.port, client_context(*files, trusted_time=False))):
            pass

    run(story)


def test_a_box_that_is_enrolled_while_its_uplink_rests_connects_at_once(site: Site) -> None:
    """The technician stands before it: she waits for no back-off, however long it has grown."""

    async def story() -> None:
        state = site.folder / "other"
        state.mkdir()
        house = House(state, site.broker.port, Box.load_or_create(state, "other"))
        async with house.open() as uplink:
            await until(lambda: uplink.status().problem and uplink.status().state == "resting")
            uplink._link = replace(uplink._link, deadline=house.clock.now().mono + 3600)
            assert [said.text for said in sentences(uplink.status())].count("This box is not enrolled with a desk") == 1
            enrol(state, site.authority, "other")
            await until(lambda: uplink.status().state == "connected")

    run(story)


def test_a_renewed_certificate_connects_and_only_then_the_old_one_goes(site: Site) -> None:
    async def story() -> None:
        house = site.house()
        enrol(site.folder / "state", site.authority)
        assert site.box.credentials("previous")
        async with desk(site.authority), house.open():
            await holds_the_journal(house, site.authority)
        assert site.box.credentials("previous") is None

    run(story)


def test_a_renewal_that_the_broker_does_not_take_falls_back_to_the_old_one(site: Site) -> None:
    async def story() -> None:
        house = site.house()
        enrol(site.folder / "state", site.authority)
        credentials = site.box.credentials()
        assert credentials
        stranger = make_desk(site.folder / "stranger", 1)
        request, _ = site.box.request()
        theirs = stranger.admit(msgspec.json.encode(request), lambda *_told: True)
        credentials.certificate.write_text(theirs.certificate)
        credentials.key.write_bytes((site.box.folder / "pending" / "box.key").read_bytes())
        async with desk(site.authority), house.open():
            await holds_the_journal(house, site.authority)
        assert site.box.credentials("previous")

    run(story)


def test_an_independent_peer_reads_our_events_and_we_read_what_it_says(site: Site) -> None:
    """Eclipse paho, over the same broker: CloudEvents as the standard has them."""
    paho = pytest.importorskip("paho.mqtt.client")
    heard: list[dict[str, Any]] = []
    folder = site.authority.folder
    client = paho.Client(paho.CallbackAPIVersion.VERSION2, "peer", protocol=paho.MQTTv5)
    client.tls_set(
        str(folder / "ca" / "ca.pem"), str(folder / "client" / "desk.pem"), str(folder / "client" / "desk.key")
    )
    client.on_message = lambda _client, _data, message: heard.append(msgspec.json.decode(message.payload))
    client.on_connect = lambda peer, *_told: peer.subscribe(f"loumen/{COMMUNITY}/+/event/#", qos=1)
    client.connect("127.0.0.1", site.broker.port)
    client.loop_start()

    async def story() -> None:
        house = site.house()
        await until(client.is_connected)
        async with house.open():
            house.happen(1, 5)
            await until(lambda: [event for event in heard if event["type"] == "test.happened.v1"])
            command = Topics.of(COMMUNITY, site.box.uuid).command
            client.publish(command, b"no command", qos=1)
            await until(lambda: house.uplink.status().refused_commands == 1)

    try:
        run(story)
    finally:
        client.disconnect()
        client.loop_stop()
    event = next(event for event in heard if event["type"] == "test.happened.v1")
    assert event["specversion"] == "1.0"
    assert event["id"] == f"{site.box.uuid}/{event['epoch']}/{event['seq']}"
    assert event["source"] == f"/loumen/{COMMUNITY}/{site.box.uuid}"
    assert event["datacontenttype"] == "application/json"
    assert event["data"]["type"] == event["type"]
    assert all(name.isalnum() and name.islower() for name in event)


def test_state_messages_bring_new_challenges_and_old_ones_end(site: Site) -> None:
    async def story() -> None:
        house = site.house()
        async with desk(site.authority) as service, house.open(QUICK) as uplink:
            await until(lambda: service._births)
            first = service.find("box-1").challenge
            await until(lambda: first not in uplink._incoming.challenges)
            assert (await service.command("box-1", "door.open", b"{}")).ok

    run(story)


def test_a_birth_that_the_broker_forgot_is_told_again_long_before_the_next_state_message(site: Site) -> None:
    """The box began anew while the desk was away and the broker kept nothing: the desk answers an old challenge."""

    async def story() -> None:
        async with desk(site.authority), site.house().open():
            await until(lambda: stored(site.authority) or [])
        house = site.house()
        async with house.open(SELDOM):
            house.happen(1, 30)
            await until(lambda: house.noted() and house.uplink.status().sent == house.uplink.status().head)
            site.broker.kill()  # it keeps nothing on its disk: the desk's queue is gone
            await until(lambda: house.uplink.status().state != "connected")
            site.broker.start()
            await until(lambda: house.uplink.status().state == "connected")
            house.happen(31, 5)
            async with desk(site.authority) as service:
                house.happen(36, 1)
                await holds_the_journal(house, site.authority, within=20)
                assert (await service.command("box-1", "door.open", b"{}")).ok

    run(story)
