"""The uplink and the desk against a broker that fails in every way we know of; and commands from bad people."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import AsyncIterator, Callable, Coroutine
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import msgspec
import pytest

from gateway.desk.authority import Authority
from gateway.desk.errors import StoreDown
from gateway.desk.service import DeskService
from gateway.desk.store import Store
from gateway.errors import LoumenError
from gateway.identity.keys import sign
from gateway.uplink.envelope import Payload
from gateway.uplink.messages import Topics, encode
from gateway.uplink.mqtt import MqttUplink
from gateway.uplink.receipts import EpochReceipt, Receipt
from gateway.uplink.status import sentences
from tests.uplink.fake_broker import FakeBroker
from tests.uplink.house import COMMUNITY, House, desk, enrol, make_desk, stored, until
from tests.uplink.house import holds_the_journal as house_holds_the_journal


@dataclass
class Scene:
    broker: FakeBroker
    house: House
    authority: Authority
    uplink: MqttUplink
    desk: DeskService | None

    def journal_types(self) -> list[str]:
        return [kind for _epoch, _seq, kind, _body in stored(self.authority)]

    def envelope(self, name: str = "door.open", fields: bytes = b"{}", **changes: Any) -> bytes:
        """A command as the desk would sign it."""
        box = self.house.box.uuid
        given: dict[str, Any] = {
            "box": box, "id": "c1", "issued": "2026-01-01T00:00:00+00:00", "expires": "2999-01-01T00:00:00+00:00",
            "challenge": self.uplink._incoming.challenges.newest, "command": name, "fields": msgspec.Raw(fields),
        }  # fmt: skip
        return sign(encode(Payload(**{**given, **changes})), "desk", self.authority.key())

    def command(self, payload: bytes, *, retain: bool = False) -> None:
        self.broker.send(Topics.of(COMMUNITY, self.house.box.uuid).command, payload, retain=retain)


@contextlib.asynccontextmanager
async def scene(
    tmp_path: Path, broker: FakeBroker, *, with_desk: bool = True, events: int = 0, receiver: bool = True
) -> AsyncIterator[Scene]:
    async with contextlib.AsyncExitStack() as stack:
        await stack.enter_async_context(broker.open())
        authority = make_desk(tmp_path / "desk", broker.port)
        box = enrol(tmp_path / "state", authority)
        house = House(tmp_path, broker.port, box, receiver=receiver, tls=False)
        service = None
        if with_desk:
            service = await stack.enter_async_context(desk(authority, tls=False))
            if not broker.silent and not broker.greeting and not broker.connack:
                await until(partial(_connected, service))
        house.happen(1, events)
        uplink = await stack.enter_async_context(house.open())
        yield Scene(broker, house, authority, uplink, service)


def _connected(service: DeskService) -> bool:
    return bool(service.status()["connected_since"])


def run(scenario: Callable[[], Coroutine[Any, Any, None]]) -> None:
    asyncio.run(scenario())


async def holds_the_journal(now: Scene) -> None:
    await house_holds_the_journal(now.house, now.authority)


@pytest.mark.parametrize("version", [5, 4])
def test_events_go_up_receipts_and_commands_come_down(tmp_path: Path, version: int) -> None:
    async def story() -> None:
        async with scene(tmp_path, FakeBroker(version=version), events=150) as now:
            await holds_the_journal(now)
            assert now.desk
            reply = await now.desk.command("box-1", "door.open", b'{"door":"main"}')
            assert (reply.ok, bytes(reply.result)) == (True, b'{"door":"main"}')
            assert [command.fields for command in now.house.commands] == [b'{"door":"main"}']
            assert now.uplink.status().protocol == {5: "5", 4: "3.1.1"}[version]

    run(story)


def test_a_broker_that_forgets_every_third_message_it_acknowledged(tmp_path: Path) -> None:
    async def story() -> None:
        broker = FakeBroker(keep=lambda topic, count: not (topic.endswith(("event", "live")) and count % 3 == 0))
        async with scene(tmp_path, broker, events=200) as now:
            await until(lambda: now.uplink.status().sent_again > 10)
            broker.keep = lambda _topic, _count: True
            await holds_the_journal(now)
            assert broker.connects == 2  # the box and the desk: no reconnect was needed

    run(story)


@pytest.mark.parametrize("code", [0x87, 0x97])
def test_a_puback_that_says_no_moves_no_mark_and_keeps_commands_alive(tmp_path: Path, code: int) -> None:
    async def story() -> None:
        broker = FakeBroker(puback=lambda topic, _count: code if "/event" in topic else 0)
        async with scene(tmp_path, broker, events=5) as now:
            await until(lambda: now.uplink.status().last_puback_age is not None)
            assert now.desk
            await until(lambda: now.desk and now.desk._births)
            assert (await now.desk.command("box-1", "door.open", b"{}")).ok
            status = now.uplink.status()
            assert (status.sent, status.received) == ("", "")
            broker.puback = lambda _topic, _count: 0
            await holds_the_journal(now)

    run(story)


def test_a_broker_that_cuts_the_line_again_and_again(tmp_path: Path) -> None:
    async def story() -> None:
        async with scene(tmp_path, FakeBroker(), events=50) as now:
            for _ in range(5):
                published = now.broker.published
                now.house.happen(1, 20)
                await until(lambda published=published: now.broker.published > published + 3)  # type: ignore[misc]
                now.broker.cut()
            await holds_the_journal(now)
            connects = now.journal_types().count("uplink.connected.v1")
            assert 1 <= connects <= 6  # recorded, and not without end

    run(story)


@pytest.mark.parametrize(
    ("broker", "words"),
    [
        (FakeBroker(silent=True), "says nothing"),
        (FakeBroker(connack=5), "not authorized"),
        (FakeBroker(greeting=b"SSH-2.0-OpenSSH_9.2\r\n"), "does not speak MQTT"),
        (FakeBroker(greeting=b"\x20\xff\xff\xff\x7f"), "does not speak MQTT"),
        (FakeBroker(noise=b"\x00" * 50), "does not speak MQTT"),
        (FakeBroker(noise=b"\xe0\x01\x8b"), "server shutting down"),
    ],
    ids=["hangs", "refuses", "another protocol", "an endless packet", "noise", "says good-bye"],
)
def test_a_bad_broker_is_told_in_words_and_tried_again(tmp_path: Path, broker: FakeBroker, words: str) -> None:
    async def story() -> None:
        quick = msgspec.structs  # noqa: F841
        async with scene(tmp_path, broker, with_desk=False, events=3) as now:
            await until(lambda: words in told(now.uplink), within=20)
            await until(lambda: broker.connects >= 2, within=20)
            broker.silent, broker.connack, broker.greeting, broker.noise = False, 0, b"", b""
            await until(lambda: now.uplink.status().state == "connected", within=20)

    run(story)


def told(uplink: MqttUplink) -> str:
    return " | ".join(sentence.text.format_map(sentence.facts) for sentence in sentences(uplink.status()))


def test_a_broker_that_acknowledges_nothing_is_left(tmp_path: Path) -> None:
    async def story() -> None:
        async with scene(tmp_path, FakeBroker(deaf=True), with_desk=False, events=3) as now:
            await until(lambda: now.broker.connects >= 2)
            assert now.uplink.status().sent == ""

    run(story)


def test_without_a_receiver_the_status_says_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with scene(tmp_path, FakeBroker(), with_desk=False, events=30, receiver=False) as now:
            await until(lambda: now.uplink.status().sent == now.uplink.status().head)
            assert now.uplink.status().received == ""
            assert now.uplink.status().backlog == 0
            assert "acknowledged by the broker only" in told(now.uplink)

    run(story)


def test_pause_survives_a_restart_and_resume_goes_on(tmp_path: Path) -> None:
    async def story() -> None:
        async with scene(tmp_path, FakeBroker(), events=3) as now:
            await holds_the_journal(now)
            await now.uplink.pause()
            now.house.happen(10, 5)
            await until(lambda: not [client for client in now.broker.clients if now.house.box.uuid in client.name])
            again = MqttUplink(
                now.house.config, SITE, now.house.box, now.house.journal, now.house.clock, now.house.obey
            )
            assert again.status().state == "paused"
            assert "Paused" in told(now.uplink)
            await now.uplink.resume()
            await holds_the_journal(now)

    from tests.uplink.house import SITE

    run(story)


# --- commands from bad people


def test_forged_late_replayed_retained_and_oversized_commands(tmp_path: Path) -> None:
    async def story() -> None:
        async with scene(tmp_path, FakeBroker()) as now:
            await until(now.house.all_received)
            good = now.envelope()
            forged = good.replace(b"door.open", b"door.hold")
            now.command(good, retain=True)
            now.command(forged)
            now.command(b"x" * 100_000)
            now.command(b"\x00\xff")
            now.command(now.envelope(expires="2020-01-01T00:00:00+00:00"))
            now.command(now.envelope(challenge="00" * 16))
            now.command(now.envelope(box="somebody else"))
            await until(lambda: now.uplink.status().refused_commands == 7)
            assert now.house.commands == []
            now.command(good)
            await until(lambda: len(now.house.commands) == 1)
            await holds_the_journal(now)
            bodies = [body for _e, _s, kind, body in stored(now.authority) if kind == "command.refused.v1"]
            reasons = [msgspec.json.decode(body)["reason"] for body in bodies]
            assert reasons == "retained bad_signature oversized malformed expired stale_challenge wrong_box".split()
            assert not any(b"door" in body for body in bodies)

    run(story)


def test_a_flood_of_forged_commands_is_recorded_at_most_twenty_times(tmp_path: Path) -> None:
    async def story() -> None:
        async with scene(tmp_path, FakeBroker()) as now:
            await until(now.house.all_received)
            for _ in range(500):
                now.command(b"nonsense")
            await until(lambda: now.uplink.status().refused_commands == 500)
            await holds_the_journal(now)
            assert now.journal_types().count("command.refused.v1") == 20

    run(story)


def test_a_receipt_that_claims_too_much_is_refused_and_recorded_once(tmp_path: Path) -> None:
    async def story() -> None:
        async with scene(tmp_path, FakeBroker(), with_desk=False, events=5) as now:
            await until(lambda: now.uplink.status().sent)
            epoch = now.house.journal.head.epoch  # type: ignore[union-attr]
            lie = Receipt(epoch=epoch, epochs=(EpochReceipt(epoch=epoch, through=10_000),))
            now.command(now.envelope("receipt", encode(lie)))
            now.command(now.envelope("receipt", b"[]"))
            await until(lambda: now.uplink.status().refused_receipts == 2)
            assert now.uplink.status().received == ""
            rows = await now.house.journal.read(None, 500)
            assert [row.type for row in rows].count("uplink.receipt_refused.v1") == 2
            assert "claimed what was never sent" in told(now.uplink)

    run(story)


def test_a_slow_command_delays_no_other_and_a_ninth_is_told_so(tmp_path: Path) -> None:
    async def story() -> None:
        async with scene(tmp_path, FakeBroker()) as now:
            await until(now.house.all_received)
            assert now.desk
            stuck = asyncio.Event()
            obey = now.house.obey

            async def slow(command: Any) -> Any:
                if command.name == "slow":
                    await stuck.wait()
                return await obey(command)

            now.uplink._conversation.run_command = slow
            orders = [asyncio.create_task(now.desk.command("box-1", "slow", b"{}")) for _ in range(7)]
            await until(lambda: len(now.uplink._conversation._running) == 7)
            assert (await now.desk.command("box-1", "door.open", b"{}")).ok
            orders.append(asyncio.create_task(now.desk.command("box-1", "slow", b"{}")))
            await until(lambda: len(now.uplink._conversation._running) == 8)
            reply = await now.desk.command("box-1", "door.open", b"{}")
            assert reply.error
            assert reply.error.code == "command.busy"
            stuck.set()
            assert all(reply.ok for reply in await asyncio.gather(*orders))

    run(story)


def test_a_refusal_of_the_box_comes_back_in_its_words(tmp_path: Path) -> None:
    async def story() -> None:
        async with scene(tmp_path, FakeBroker()) as now:
            await until(now.house.all_received)
            assert now.desk

            async def refuse(_command: Any) -> Any:
                raise LoumenError("No {thing}", mend="look at {thing}", thing="door")

            now.uplink._conversation.run_command = refuse
            reply = await now.desk.command(now.house.box.uuid[:8], "door.open", b"{}")
            assert reply.error
            assert (reply.error.what, reply.error.facts) == ("No {thing}", {"thing": "door"})

    run(story)


def test_a_new_list_of_keys_comes_down_and_an_older_one_does_not(tmp_path: Path) -> None:
    async def story() -> None:
        async with scene(tmp_path, FakeBroker()) as now:
            await until(now.house.all_received)
            assert now.desk
            first = now.authority.signed_list()
            from gateway.command import Role

            now.authority.add_key("porter", Role.CLERK, "Mr Li")
            newer = encode({"signed": now.authority.signed_list().decode()})
            assert (await now.desk.command("box-1", "keys", newer)).ok
            assert now.uplink.keys().version == 2
            assert (await now.desk.command("box-1", "door.open", b"{}", kid="porter")).ok
            assert now.house.commands[-1].actor.role is Role.CLERK
            older = await now.desk.command("box-1", "keys", encode({"signed": first.decode()}))
            assert older.error
            assert now.uplink.keys().version == 2

    run(story)


def test_a_desk_whose_disk_fails_confirms_nothing_and_goes_on_when_it_works(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    fails = True
    add = Store.add

    def full(store: Store, *arguments: Any) -> Any:
        if fails:
            raise StoreDown("The disk is full")
        return add(store, *arguments)

    monkeypatch.setattr(Store, "add", full)

    async def story() -> None:
        nonlocal fails
        async with scene(tmp_path, FakeBroker(), events=20) as now:
            assert now.desk
            await until(lambda: now.desk and "disk is full" in now.desk.status()["problem"])
            await until(lambda: now.uplink.status().last_puback_age is not None)
            assert now.uplink.status().received == ""
            fails = False
            await holds_the_journal(now)

    run(story)
