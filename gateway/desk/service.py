"""The receiver: hears boxes, stores, confirms what is on the disk, and carries commands down.

A message is acknowledged to the broker, and named in a receipt, only after the commit that holds it. A
receipt follows each commit (at most four a second a box) and each state message, whose number it
names: a box concludes from that what was lost between it and us. When the store fails nothing is
acknowledged and the connection is given up, so the broker keeps what it can and the boxes keep the rest.
"""

from __future__ import annotations

import asyncio
import logging
import os
import random
import uuid
from collections import deque
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, ParamSpec, TypeVar

import msgspec

from gateway.desk.authority import DESK_KEY, Authority
from gateway.desk.errors import NoAnswer
from gateway.desk.store import Store
from gateway.errors import LoumenError, N_, NotFound
from gateway.identity.certificates import client_context
from gateway.identity.keys import sign
from gateway.uplink import messages
from gateway.uplink.connection import Connection, Target
from gateway.uplink.envelope import RECEIPT, Payload
from gateway.uplink.errors import ConnectionLost
from gateway.uplink.messages import Birth, CloudEvent, Reply, Topics, Unreadable
from gateway.uplink.packets import Connect, Publish, Version
from gateway.uplink.receipts import Receipt
from gateway.uplink.resolve import Resolver
from gateway.uplink.session import backoff
from gateway.uplink.together import together

log = logging.getLogger(__name__)

BATCH = 200
GATHER = 0.005  # seconds a batch may grow
RECEIPT_EVERY = 0.25
KEEPALIVE = 30
CHALLENGE_LIVES = timedelta(minutes=4)  # a box keeps three, renewed every two minutes
SESSION_KEPT = 7 * 86400
LIVES = timedelta(seconds=60)  # of a signed message; the challenge bounds it anyway

P = ParamSpec("P")
R = TypeVar("R")


@dataclass(slots=True)
class Numbers:
    """What the desk counts since its start."""

    stored: int = 0
    doubles: int = 0
    findings: int = 0
    unreadable: int = 0
    receipts: int = 0


class DeskService:
    """One community's receiver. `run` until cancelled; `command` and `status` from the same loop."""

    def __init__(self, authority: Authority, *, backoff_max: float = 30.0, tls: bool = True) -> None:
        self._authority, self._backoff_max, self._tls = authority, backoff_max, tls
        self._settings = authority.settings()
        self._keys: dict[str, Any] = {DESK_KEY: authority.key()}
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="desk-store")
        self._store: Store | None = None
        self._births: dict[str, Birth] = {}
        self._heard: dict[str, datetime] = {}
        self._name = os.urandom(8).hex()  # of this run
        self._waiting: deque[Publish] = deque()
        self._arrived = asyncio.Event()
        self._room = asyncio.Event()
        self._dirty: dict[str, None] = {}  # boxes to confirm to, in order
        self._to_confirm = asyncio.Event()
        self._replies: dict[str, asyncio.Future[Reply]] = {}
        self._connection: Connection | None = None
        self._resolver = Resolver()
        self._version: Version = 4 if self._settings.protocol == "3.1.1" else 5
        self._broker = 0
        self._since = ""
        self._problem: LoumenError | None = None
        self._numbers = Numbers()
        self.changed = asyncio.Condition()

    @property
    def _db(self) -> Store:
        assert self._store is not None  # `run` opens it first
        return self._store

    def _key_of(self, box: str) -> str:
        admitted = self._authority.boxes().get(box)
        return "" if admitted is None else admitted.sign

    async def _in_writer(self, call: Callable[P, R], *args: P.args, **kwargs: P.kwargs) -> R:
        loop = asyncio.get_running_loop()
        return await loop.run_in_executor(self._writer, lambda: call(*args, **kwargs))

    # --- the run

    async def run(self) -> None:
        """Receive until cancelled. Raises StoreDown when the store cannot be opened."""
        self._store = await self._in_writer(Store, self._authority.database, self._key_of)
        for birth, last_seen in await self._in_writer(self._db.births):
            self._births[birth.box], self._heard[birth.box] = birth, datetime.fromisoformat(last_seen)
        failures = 0
        try:
            while True:
                began = asyncio.get_running_loop().time()
                try:
                    await self._one_connection()
                except LoumenError as error:
                    self._problem = error
                log.warning("not connected: %s", self._problem)
                if self._fall_back():
                    continue
                failures = 0 if asyncio.get_running_loop().time() - began > self._backoff_max else failures + 1
                self._broker += 1
                await asyncio.sleep(backoff(failures, random.random(), self._backoff_max))
        finally:
            await self._in_writer(self._db.close)
            self._writer.shutdown()

    def _fall_back(self) -> bool:
        """MQTT 5 where the broker can, else 3.1.1."""
        lost = self._problem
        if self._settings.protocol != "auto" or not isinstance(lost, ConnectionLost):
            return False
        before = self._version
        if lost.unsupported or lost.silent:
            self._version = 4 if before == 5 else 5
        return before == 5 and self._version == 4

    async def _one_connection(self) -> None:
        options = Connect(
            client_id=f"loumen-desk-{self._settings.community}",
            keepalive=KEEPALIVE,
            clean=False,
            session_expiry=SESSION_KEPT,
            receive_maximum=BATCH,
        )
        connection = await Connection.open(self._target(), options, self._version, self._resolver)
        try:
            everyone = Topics.of(self._settings.community, "+")
            topics = (everyone.event, everyone.live, everyone.birth, everyone.state, everyone.reply)
            await connection.subscribe(topics)
            self._connection, self._problem, self._since = connection, None, _now()
            self._waiting.clear()  # of an older connection: the broker sends them again
            recently = datetime.now(UTC) - CHALLENGE_LIVES
            for box, heard in self._heard.items():
                if heard > recently:  # else its challenge has gone; the next state message brings one
                    self._confirm(box)
            await together(
                self._hear(connection), self._keep(connection), self._give_receipts(connection), connection.keep_alive()
            )
        finally:
            self._connection, self._since = None, ""
            connection.abort()

    def _target(self) -> Target:
        brokers = self._settings.brokers
        broker = brokers[self._broker % len(brokers)]
        folder = self._authority.folder
        if not self._tls:
            return Target(broker.host, broker.port, None)
        client = folder / "client"
        context = client_context(folder / "ca" / "ca.pem", client / "desk.pem", client / "desk.key")
        return Target(broker.host, broker.port, context)

    # --- in

    async def _hear(self, connection: Connection) -> None:
        async for packet in connection.arrivals():
            if not isinstance(packet, Publish):
                continue
            while len(self._waiting) >= 10 * BATCH:
                self._room.clear()
                await self._room.wait()
            self._waiting.append(packet)
            self._arrived.set()

    async def _keep(self, connection: Connection) -> None:
        """Batches: parse, commit, acknowledge to the broker, confirm to the boxes."""
        while True:
            await self._arrived.wait()
            if len(self._waiting) < BATCH:
                await asyncio.sleep(GATHER)  # group commit
            self._arrived.clear()
            batch = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
            if self._waiting:
                self._arrived.set()
            self._room.set()
            events = [event for event in map(self._event, batch) if event is not None]
            if events:
                added = await self._in_writer(self._db.add, events, _now())
                self._numbers.stored += added.stored
                self._numbers.doubles += added.doubles
                self._numbers.findings += added.findings
                for box in dict.fromkeys(box for box, _event in events):
                    self._confirm(box)
                async with self.changed:
                    self.changed.notify_all()
            for message in batch:  # after the events: a receipt that names a state speaks of all that came before it
                await self._hear_other(message)
            for message in batch:
                await connection.acknowledge(message)

    def _event(self, message: Publish) -> tuple[str, CloudEvent] | None:
        """The event in `message`, with its box; None where it is something else or unreadable."""
        box, kind = self._parts(message)
        if kind not in {"event", "event/live"}:
            return None
        try:
            return box, messages.read_event(message.payload, box)
        except Unreadable as error:
            self._unreadable(box, error)
            return None

    async def _hear_other(self, message: Publish) -> None:
        box, kind = self._parts(message)
        try:
            match kind:
                case "birth":
                    await self._born(messages.read_birth(message.payload, box), 0)
                case "state":
                    state = messages.read_state(message.payload, box)
                    await self._born(state, state.backlog)
                case "reply":
                    self._replied(messages.read_reply(message.payload))
        except Unreadable as error:
            self._unreadable(box, error)

    def _parts(self, message: Publish) -> tuple[str, str]:
        """Box and kind by the topic, which the broker's access list ties to the box's certificate."""
        parts = message.topic.split("/", 3)
        if len(parts) == 4 and parts[:2] == ["loumen", self._settings.community] and not message.retain:
            return parts[2], parts[3]
        return "", ""

    def _unreadable(self, box: str, error: Unreadable) -> None:
        self._numbers.unreadable += 1
        log.warning("unreadable message from %s: %s", box[:64], error)

    async def _born(self, birth: Birth, backlog: int) -> None:
        if not await self._in_writer(self._db.hear, birth, _now(), backlog):
            return
        known = self._births.get(birth.box)
        if birth.online:
            self._births[birth.box], self._heard[birth.box] = birth, datetime.now(UTC)
            self._confirm(birth.box)
        elif known is not None:
            self._births[birth.box] = msgspec.structs.replace(known, online=False)

    def _replied(self, reply: Reply) -> None:
        future = self._replies.get(reply.command_id)
        if future is not None and not future.done():
            future.set_result(reply)

    # --- out

    def _confirm(self, box: str) -> None:
        self._dirty[box] = None
        self._to_confirm.set()

    async def _give_receipts(self, connection: Connection) -> None:
        while True:
            await self._to_confirm.wait()
            self._to_confirm.clear()
            dirty, self._dirty = list(self._dirty), {}
            for box in dirty:
                birth = self._births.get(box)
                if birth is None or not birth.challenge or not birth.online:
                    continue  # its next birth or state message brings a challenge
                held = await self._in_writer(self._db.receipts, box, birth.epochs)
                self._numbers.receipts += 1
                receipt = Receipt(
                    epoch=birth.epoch,
                    giver=self._name,
                    number=self._numbers.receipts,
                    session=birth.session,
                    state=birth.state,
                    epochs=held,
                )
                envelope = self._signed(birth, RECEIPT, messages.encode(receipt), DESK_KEY)[1]
                await self._publish(connection, box, envelope)
            await asyncio.sleep(RECEIPT_EVERY)

    async def _publish(self, connection: Connection, box: str, envelope: bytes) -> None:
        topic = Topics.of(self._settings.community, box).command
        await connection.publish(connection.claim_id(), topic, envelope)

    def _signed(self, birth: Birth, name: str, fields: bytes, kid: str) -> tuple[Payload, bytes]:
        if kid not in self._keys:
            self._keys[kid] = self._authority.key(kid)
        now = datetime.now(UTC)
        payload = Payload(
            box=birth.box,
            id=str(uuid.uuid4()),
            issued=now.isoformat(timespec="milliseconds"),
            expires=(now + LIVES).isoformat(timespec="milliseconds"),
            challenge=birth.challenge,
            command=name,
            fields=msgspec.Raw(fields),
        )
        return payload, sign(messages.encode(payload), kid, self._keys[kid])

    # --- for the desk's own socket

    def find(self, box: str) -> Birth:
        """The box by uuid, its unambiguous beginning, or its name. Raises NotFound."""
        found = [birth for birth in self._births.values() if box in (birth.box, birth.name)]
        found = found or [birth for birth in self._births.values() if box and birth.box.startswith(box)]
        if len(found) != 1:
            raise NotFound(
                N_("No box or more than one box is called {box}"), box=box, mend=N_("see: loumen desk boxes")
            )
        return found[0]

    async def command(self, box: str, name: str, fields: bytes, *, kid: str = DESK_KEY, within: float = 10.0) -> Reply:
        """Order `name` at `box` and wait for what became of it. Raises NotFound, NoAnswer, IdentityError."""
        birth, connection = self.find(box), self._connection
        if connection is None or not birth.online:
            raise NoAnswer(
                N_("The box is not connected") if connection else N_("The desk is not connected to the broker"),
                mend=N_("see: loumen desk status"),
            )
        payload, envelope = self._signed(birth, name, fields, kid)
        await self._in_writer(self._db.ordered, payload.id, birth.box, kid, name, payload.issued, payload.expires)
        answer = self._replies[payload.id] = asyncio.get_running_loop().create_future()
        try:
            await self._publish(connection, birth.box, envelope)
            async with asyncio.timeout(within):
                reply: Reply = await answer
        except TimeoutError as error:
            await self._in_writer(self._db.replied, payload.id, "no answer", _now())
            raise NoAnswer(
                N_("The box did not answer within {seconds} s; it may still have acted"),
                mend=N_("look for the command in its journal: loumen desk events"),
                seconds=within,
            ) from error
        finally:
            del self._replies[payload.id]
        outcome = "done" if reply.ok or reply.error is None else reply.error.code
        await self._in_writer(self._db.replied, payload.id, outcome, _now())
        return reply

    def status(self) -> dict[str, Any]:
        brokers = self._settings.brokers
        broker = brokers[self._broker % len(brokers)]
        problem = self._problem
        return {
            "community": self._settings.community,
            "broker": f"{broker.host}:{broker.port}",
            "protocol": {4: "3.1.1", 5: "5"}[self._version],
            "connected_since": self._since,
            "problem": problem.render() if problem else "",
            **asdict(self._numbers),
        }


def _now() -> str:
    return datetime.now(UTC).isoformat(timespec="milliseconds")
