"""One connection's talk: the birth, the events, what comes back, commands. See mqtt.py for what is around it."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Protocol

import msgspec

from gateway.clock import Clock
from gateway.errors import AlreadyUsed, BadCommand, LoumenError, N_, UplinkError
from gateway.journal.event import Event
from gateway.journal.rows import Epoch, Position, Row
from gateway.uplink import envelope, messages
from gateway.uplink.connection import Connection
from gateway.uplink.envelope import Refusal, VerifiedCommand
from gateway.uplink.events import ReceiptRefused
from gateway.uplink.incoming import Incoming, failure
from gateway.uplink.limit import Limit
from gateway.uplink.messages import Birth, Reply, State, Topics
from gateway.uplink.packets import FAILURE, Puback, Publish, reason
from gateway.uplink.places import Places
from gateway.uplink.receipts import Place, Receipt
from gateway.uplink.session import Acked, Effect, Flow, Lane, LinkInput, Sent
from gateway.uplink.together import together

log = logging.getLogger(__name__)

AT_ONCE = 8  # commands that may run at the same time
LATE = timedelta(seconds=60)
ASK_AFTER = 3.0  # seconds for receipts that are under way
HOLD_MAX = 60.0  # seconds to wait after a PUBACK that says no
COMMAND_MAY_TAKE = 120.0

BUSY = N_("The box is busy with other commands")
TOO_LONG = N_("The command takes too long; what it did is in the journal")


class Journal(Protocol):
    """What the uplink needs of the journal."""

    @property
    def head(self) -> Position | None: ...
    def note(self, event: Event) -> None: ...
    async def read(self, after: Position | None, limit: int = 200) -> list[Row]: ...
    async def wait_beyond(self, position: Position | None) -> None: ...
    async def mark(self, name: str) -> Position | None: ...
    def note_marks(self, marks: dict[str, Position]) -> None: ...
    async def epochs(self) -> list[Epoch]: ...


@dataclass
class Conversation:
    """`flow` lives as long as the daemon; a connection comes with `begin` and goes with `end`."""

    flow: Flow
    incoming: Incoming
    places: Places
    journal: Journal
    clock: Clock
    topics: Topics
    community: str
    box: str
    run_command: Callable[[VerifiedCommand], Awaitable[Reply]]
    advance: Callable[[LinkInput], tuple[Effect, ...]]
    moved: asyncio.Event = field(default_factory=asyncio.Event)  # a mark moved
    last_puback: float | None = None
    last_receipt: float | None = None
    refused_receipts: int = 0
    _connection: Connection | None = None
    _birth: Birth | None = None
    _waiting: dict[int, Place | None] = field(default_factory=dict)  # packet id -> the event's place
    _wake: asyncio.Event = field(default_factory=asyncio.Event)
    _held_until: float = 0.0
    _refusals: int = 0  # PUBACKs that said no, in a row
    _asking: asyncio.Task[None] | None = None
    _silence: asyncio.Task[None] | None = None
    _unanswered: int = 0  # state messages in a row that no receipt followed
    _running: set[asyncio.Task[None]] = field(default_factory=set)
    _receipt_limit: Limit = field(default_factory=lambda: Limit(6, 3600))

    async def begin(self, connection: Connection, birth: Birth) -> None:
        """Listen, then tell the birth; from then on a receiver may answer."""
        await connection.subscribe([self.topics.command])
        self._connection = connection
        self._waiting.clear()
        self._held_until, self._unanswered = 0.0, 0
        self.flow.connected(self.places.place(self.journal.head), connection.accepted.receive_maximum)
        challenge = self.incoming.renew_challenge()
        self._birth = msgspec.structs.replace(birth, challenge=challenge, state=self.flow.told())
        await self._publish(self.topics.birth, messages.encode(self._birth), None)

    def end(self) -> None:
        self._connection = None

    def stop(self) -> None:
        """The daemon stops: what still runs is cancelled."""
        for task in (*self._running, *filter(None, [self._asking, self._silence])):
            task.cancel()

    def wake(self) -> None:
        self._wake.set()

    async def hold(self) -> None:
        """Talk until the connection is lost; raises ConnectionLost."""
        connection = self._connection
        assert connection is not None  # `begin` came before
        await together(self._hear(connection), self._send_events(), connection.keep_alive())

    async def tell_state(self, *, renew: bool = True) -> None:
        """A number for receipts to answer, and a new challenge unless it comes out of turn."""
        if self._birth is None or self._connection is None:
            return
        head = self.journal.head
        state = State(
            **{name: getattr(self._birth, name) for name in ("box", "session", "online", "name", "version")},
            epoch=head.epoch if head else "",
            epochs=self.places.ids(),
            head=head.seq if head else 0,
            challenge=self.incoming.renew_challenge() if renew else self._birth.challenge,
            state=self.flow.told(),
            backlog=self.backlog(),
        )
        self._birth = msgspec.structs.replace(self._birth, challenge=state.challenge)
        await self._publish(self.topics.state, messages.encode(state), None)

    def _ask_soon(self) -> None:
        """A receipt did not name all that the broker took: ask before the next state message is due.

        A broker that came back empty, or a receiver that was away, would else leave a hole for two minutes.
        """
        if (self._asking is None or self._asking.done()) and self.flow.unconfirmed():
            self._asking = asyncio.create_task(self._ask())

    async def _ask(self) -> None:
        await asyncio.sleep(ASK_AFTER)
        if self.flow.unconfirmed():
            with contextlib.suppress(UplinkError):
                await self.tell_state(renew=False)

    async def _ask_in_silence(self) -> None:
        """No receipt follows what the broker took: perhaps a broker that keeps nothing lost our birth.

        A receiver that never heard it knows no challenge, so it can neither confirm nor command; it is told
        again, less and less often, as it may be away for a month.
        """
        while True:
            began = self.clock.now().mono
            await asyncio.sleep(ASK_AFTER * 2 ** min(self._unanswered, 5))
            if not self.flow.unconfirmed() or (self.last_receipt is not None and self.last_receipt >= began):
                return
            self._unanswered += 1
            with contextlib.suppress(UplinkError):
                await self.tell_state(renew=False)

    def backlog(self) -> int:
        """How many events nobody has confirmed."""
        mark = self.flow.received if self.flow.receiver else self.flow.sent
        spans = self.places.spans(self.journal.head)
        return sum(
            max(0, span.last - max(span.first - 1, mark.seq if span.number == mark.epoch else 0))
            for span in spans
            if span.number >= mark.epoch
        )

    # --- up

    async def _send_events(self) -> None:
        while True:
            head = await self._head()
            want = self.flow.want(head) if self._held_until <= self.clock.now().mono else None
            if want is None:
                await self._until_something_changes()
                continue
            rows = await self.journal.read(self.places.position(want.after), want.limit)
            by_place = {self.places.place(row.position): row for row in rows}
            for place in self.flow.take(want, list(by_place)):
                row = by_place[place]
                late = want.lane is Lane.BACKLOG or self._is_late(row)
                payload = messages.cloud_event(row, self.community, self.box, historical=late)
                await self._publish(self.topics.event if late else self.topics.live, payload, place)
                await asyncio.sleep(0)

    async def _head(self) -> Place:
        head = self.journal.head
        if not self.places.knows(head):  # the journal began a new epoch while we talk
            self.places.update(await self.journal.epochs())
        return self.places.place(head)

    def _is_late(self, row: Row) -> bool:
        now = self.clock.now()
        return now.trusted and row.trusted and now.wall - datetime.fromisoformat(row.at) > LATE

    async def _until_something_changes(self) -> None:
        """A new event, a PUBACK, a receipt, the end of a hold."""
        beyond = asyncio.create_task(self.journal.wait_beyond(self.journal.head))
        woken = asyncio.create_task(self._wake.wait())
        held = self._held_until - self.clock.now().mono
        try:
            await asyncio.wait({beyond, woken}, timeout=held if held > 0 else None, return_when=asyncio.FIRST_COMPLETED)
        finally:
            for task in (beyond, woken):
                task.cancel()
            await asyncio.gather(beyond, woken, return_exceptions=True)
        self._wake.clear()

    async def _publish(self, topic: str, payload: bytes, place: Place | None) -> None:
        if self._connection is None:
            return  # a reply that came after the connection had gone
        self.advance(Sent())
        packet_id = self._connection.claim_id()
        self._waiting[packet_id] = place  # before it is written: the PUBACK may be quick
        await self._connection.publish(packet_id, topic, payload)

    # --- what comes back

    async def _hear(self, connection: Connection) -> None:
        async for packet in connection.arrivals():
            if isinstance(packet, Puback):
                self._acknowledged(packet)
            else:
                await connection.acknowledge(packet)
                if packet.topic == self.topics.command:
                    await self._hear_command(packet)
                await asyncio.sleep(0)

    def _acknowledged(self, packet: Puback) -> None:
        place = self._waiting.pop(packet.packet_id, None)
        now = self.clock.now().mono
        success = packet.code < FAILURE
        if success:
            self.last_puback = now
        if place is not None and success:
            self.flow.acked(place)
            self._refusals = 0
            self.moved.set()
            if self.flow.receiver and (self._silence is None or self._silence.done()):
                self._silence = asyncio.create_task(self._ask_in_silence())
        elif place is not None:
            self.flow.refused(place)
            self._hold_back(now, packet.code)
        self.advance(Acked(len(self._waiting), success))
        self._wake.set()

    def _hold_back(self, now: float, code: int) -> None:
        """The broker does not take events: wait, longer each time; commands and receipts go on."""
        if self._held_until > now:
            return  # one of a handful that was under way
        self._refusals += 1
        self._held_until = now + random.uniform(0.5, 1) * min(HOLD_MAX, 2.0 ** min(self._refusals, 10))
        log.warning("the broker does not take events: %s", reason(code))

    async def _hear_command(self, message: Publish) -> None:
        try:
            command = self.incoming.check(message)
        except Refusal as refusal:
            if refusal.known and refusal.command_id:
                await self._reply(failure(refusal.command_id, refusal))
            return
        if command.name == envelope.RECEIPT:
            self._take_receipt(command)
        elif command.name == envelope.KEYS:
            await self._reply(self.incoming.take_keys(command))
        elif len(self._running) >= AT_ONCE:
            busy = Refusal("busy", BUSY, kid=command.actor.id.removeprefix("key:"), command_id=command.id)
            self.incoming.record(busy)
            await self._reply(failure(command.id, busy))
        else:
            task = asyncio.create_task(self._obey(command))
            self._running.add(task)
            task.add_done_callback(self._running.discard)

    def _take_receipt(self, command: VerifiedCommand) -> None:
        now = self.clock.now().mono
        try:
            receipt = msgspec.json.decode(command.fields, type=Receipt)
        except msgspec.MsgspecError:
            lie = "malformed"
        else:
            current = self._birth is not None and receipt.session == self._birth.session
            refused = self.flow.receipt(receipt, self.places.spans(self.journal.head), current=current)
            if refused is None:
                self.last_receipt, self._unanswered = now, 0
                self._ask_soon()
                self.moved.set()
                self._wake.set()
                return
            lie = refused.value
        self.refused_receipts += 1
        unrecorded = self._receipt_limit.admit(now)
        if unrecorded is not None:
            key = command.actor.id.removeprefix("key:")
            self.journal.note(ReceiptRefused(reason=lie, key=key, unrecorded=unrecorded))

    async def _obey(self, command: VerifiedCommand) -> None:
        """Run a command and tell what became of it, if anybody is still there to hear."""
        try:
            async with asyncio.timeout(COMMAND_MAY_TAKE):
                reply = await self.run_command(command)
                if reply.error is not None and reply.error.code == AlreadyUsed.code:
                    self.incoming.record(
                        Refusal("replayed", envelope.REPLAYED, kid=command.actor.id, command_id=command.id)
                    )
        except TimeoutError:
            reply = failure(command.id, BadCommand(TOO_LONG))
        except LoumenError as error:
            reply = failure(command.id, error)
        try:
            await self._reply(reply)
        except UplinkError:
            log.info("the reply to command %s could not be sent", command.id)

    async def _reply(self, reply: Reply) -> None:
        told = msgspec.structs.replace(reply, box=self.box)
        await self._publish(self.topics.reply, messages.encode(told), None)
