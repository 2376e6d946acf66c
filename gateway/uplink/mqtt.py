"""The uplink to the platform: keeps in touch with a broker, sends the journal, hears commands and receipts.

`session.py` decides, this module does: it dials what `Link` says, reads the rows that `Flow` wants, and tells
both what came back. Everything runs on the one loop and yields after each message, so that a backlog of a
month or a flood of forged commands delays no door. Commands run in tasks of their own: neither a slow one
nor a lost connection holds up or breaks off another.
"""

from __future__ import annotations

import asyncio
import logging
import random
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, replace

from gateway import __version__
from gateway.clock import Clock
from gateway.command import Command, Handler
from gateway.config import schema
from gateway.errors import IdentityError, LoumenError, N_, UplinkError
from gateway.identity import Box, Credentials
from gateway.identity.certificates import client_context
from gateway.identity.keys import KeyList
from gateway.journal.rows import Position
from gateway.uplink import commands, session
from gateway.uplink.connection import Connection, Target
from gateway.uplink.conversation import Conversation, Journal
from gateway.uplink.envelope import VerifiedCommand
from gateway.uplink.errors import ConnectionLost
from gateway.uplink.events import UplinkConnected, UplinkDisconnected
from gateway.uplink.incoming import Incoming
from gateway.uplink.limit import Limit
from gateway.uplink.memory import Memory
from gateway.uplink.messages import Birth, Reply, Topics, encode
from gateway.uplink.packets import Connect, Will
from gateway.uplink.places import Places
from gateway.uplink.receipts import MAX_EPOCHS
from gateway.uplink.resolve import Resolver
from gateway.uplink.session import Due, Effect, Failed, Flow, Link, Opened, Pause, Phase, Resume
from gateway.uplink.status import UplinkStatus
from gateway.uplink.together import together

log = logging.getLogger(__name__)

MARK_SENT = "mqtt.sent"
MARK_RECEIVED = "mqtt.received"
MARKS_EVERY = 300.0  # seconds; each time they cost the next group of events a page more
ENROLLED_EVERY = 1.0  # seconds between looks whether a person has enrolled the box: she stands there and waits


@dataclass(frozen=True, slots=True)
class Timing:
    """Seconds; a test sets its own."""

    state_every: float = session.STATE_EVERY
    ack_within: float = session.ACK_WITHIN
    dial_within: float = 15.0
    marks_every: float = MARKS_EVERY


RunCommand = Callable[[VerifiedCommand], Awaitable[Reply]]


class MqttUplink:
    """One uplink. `run` is supervised until cancelled; the other calls come from the same loop."""

    def __init__(
        self,
        config: schema.Uplink,
        site: schema.Site,
        box: Box,
        journal: Journal,
        clock: Clock,
        run_command: RunCommand,
        *,
        timing: Timing = Timing(),
    ) -> None:
        self._config, self._site, self._box = config, site, box
        self._journal, self._clock, self._timing = journal, clock, timing
        self._memory = Memory(box.folder.parent / "uplink.json")
        self._incoming = Incoming(box.uuid, clock, journal.note)
        self._places = Places()
        self._resolver = Resolver()
        self._brokers: tuple[tuple[str, int], ...] = tuple((broker.host, broker.port) for broker in config.brokers)
        self._link = Link(
            brokers=max(1, len(self._brokers)),
            protocol=config.protocol,
            backoff_max=config.backoff_max,
            state_every=timing.state_every,
            ack_within=timing.ack_within,
            phase=Phase.PAUSED if self._memory.now.paused else Phase.RESTING,
            deadline=None if self._memory.now.paused else 0.0,
        )
        self._conversation = Conversation(
            flow=Flow(receiver=config.receiver),
            incoming=self._incoming,
            places=self._places,
            journal=journal,
            clock=clock,
            topics=Topics.of(site.community, box.uuid),
            community=site.community,
            box=box.uuid,
            run_command=run_command,
            advance=self._advance,
        )
        self._turned = asyncio.Event()
        self._hang_up: str = ""
        self._use_previous = False
        self._credentials: Credentials | None = None
        self._problem: LoumenError | None = None
        self._session = self._memory.session
        self._since: tuple[float, str] | None = None
        self._protocol = ""
        self._connects, self._disconnects = Limit(6, 3600), Limit(6, 3600)

    # --- the run

    async def run(self) -> None:
        """Stay in touch until cancelled."""
        await self._begin()
        marks = asyncio.create_task(self._keep_marks())
        try:
            while True:
                await self._rest()
                for effect in self._advance(Due()):
                    if effect is Effect.DIAL:
                        await self._one_connection()
        finally:
            marks.cancel()
            self._conversation.stop()
            await asyncio.gather(marks, return_exceptions=True)

    async def _begin(self) -> None:
        self._places.update(await self._journal.epochs())
        flow = self._conversation.flow
        flow.sent = self._places.place(await self._journal.mark(MARK_SENT))
        flow.received = self._places.place(await self._journal.mark(MARK_RECEIVED))
        flow.may_have_sent(self._places.spans(self._journal.head))
        if self._link.phase is not Phase.PAUSED:  # a supervisor's restart begins with a rest too
            self._link = replace(self._link, phase=Phase.RESTING, deadline=self._clock.now().mono)

    async def _rest(self) -> None:
        """Until the deadline of a resting link, or until the box is enrolled; a pause has no deadline."""
        unenrolled = isinstance(self._problem, IdentityError) and not self._box.enrolled
        while True:
            self._turned.clear()
            if unenrolled and self._box.enrolled and self._link.phase is Phase.RESTING:
                self._advance(Resume())
            due, now = self._link.deadline, self._clock.now().mono
            if self._link.phase is Phase.RESTING and due is not None and due <= now:
                return
            waits = [] if due is None else [due - now]
            try:
                async with asyncio.timeout(min([*waits, ENROLLED_EVERY] if unenrolled else waits, default=None)):
                    await self._turned.wait()
            except TimeoutError:
                pass

    def _advance(self, given: session.LinkInput) -> tuple[Effect, ...]:
        before, now = self._link, self._clock.now().mono
        self._link, effects = before.advance(given, now)
        if effects or self._link.phase is not before.phase or _sooner(self._link.deadline, before.deadline):
            self._turned.set()
        if Effect.HANG_UP in effects:
            self._hang_up = "paused" if self._link.phase is Phase.PAUSED else "watchdog"
        return effects

    async def _one_connection(self) -> None:
        """Dial, talk, and note why it ended."""
        self._hang_up = ""
        lost: LoumenError | None = None
        try:
            await together(self._watch(), self._talk())
        except LoumenError as error:
            lost = error
        self._problem = lost
        self._ended(lost)
        failed = Failed(random.random())
        if isinstance(lost, ConnectionLost):
            failed = replace(failed, unsupported=lost.unsupported, silent=lost.silent)
            if lost.tls:
                self._use_previous = not self._use_previous and self._box.credentials("previous") is not None
        self._advance(failed)

    async def _watch(self) -> None:
        """The link's clock while a connection is there: state messages, watchdog, a person's pause."""
        while True:
            self._turned.clear()
            if self._hang_up == "paused":
                raise UplinkError(N_("Paused by a person; events are kept"))
            if self._hang_up:
                raise UplinkError(N_("The broker acknowledges nothing any more"))
            due, now = self._link.deadline, self._clock.now().mono
            if self._link.phase is Phase.ONLINE and due is not None and due <= now:
                if Effect.STATE in self._advance(Due()):
                    await self._conversation.tell_state()
                continue
            try:
                async with asyncio.timeout(None if due is None else max(0.0, due - now)):
                    await self._turned.wait()
            except TimeoutError:
                pass

    async def _talk(self) -> None:
        target = self._target()
        self._session = self._memory.next_session()
        options = self._options()
        connection = await Connection.open(
            target, options, self._link.version, self._resolver, self._timing.dial_within
        )
        try:
            self._places.update(await self._journal.epochs())
            self._protocol = "5" if connection.version == 5 else "3.1.1"
            await self._conversation.begin(connection, self._birth())
            self._advance(Opened())
            self._started(target)
            await self._conversation.hold()
        finally:
            connection.abort()  # not a good-bye: the broker then sends the will, which is true
            self._conversation.end()

    def _birth(self) -> Birth:
        head = self._journal.head
        return Birth(
            box=self._box.uuid,
            session=self._session,
            online=True,
            name=self._box.name,
            version=__version__,
            epoch=head.epoch if head else "",
            epochs=self._places.ids()[-MAX_EPOCHS:],
            head=head.seq if head else 0,
        )

    def _options(self) -> Connect:
        will = encode(Birth(box=self._box.uuid, session=self._session, online=False, name=self._box.name))
        return Connect(
            client_id=f"loumen-{self._box.uuid}",
            keepalive=self._config.keepalive,
            will=Will(Topics.of(self._site.community, self._box.uuid).birth, will),
        )

    def _target(self) -> Target:
        """Where to dial next and with which certificate. Raises IdentityError."""
        current = self._box.credentials()
        chosen = self._box.credentials("previous") if self._use_previous else current
        self._credentials = chosen = chosen or current
        self._incoming.load_keys(current)
        if chosen is None and self._config.tls:
            raise IdentityError(N_("This box is not enrolled with a desk"), mend=N_("enrol it: loumen enrol"))
        if not self._config.brokers and chosen is not None:
            self._brokers = tuple((broker.host, broker.port) for broker in chosen.bundle.brokers)
        if not self._brokers:
            raise IdentityError(N_("No broker is configured"), mend=N_("name one in gateway.toml under [uplink]"))
        host, port = self._brokers[self._link.broker % len(self._brokers)]
        if not self._config.tls or chosen is None:
            return Target(host, port, None)
        trusted = self._clock.now().trusted
        return Target(host, port, client_context(chosen.ca, chosen.certificate, chosen.key, trusted_time=trusted))

    def _started(self, target: Target) -> None:
        now = self._clock.now()
        self._since = now.mono, now.wall.isoformat(timespec="seconds")
        self._problem = None
        if not self._use_previous:
            self._box.settle()
        unrecorded = self._connects.admit(now.mono)
        if unrecorded is not None:
            self._journal.note(
                UplinkConnected(
                    broker=f"{target.host}:{target.port}",
                    protocol=self._protocol,
                    session=self._session,
                    unrecorded=unrecorded,
                )
            )

    def _ended(self, lost: LoumenError | None) -> None:
        if self._since is None:
            return
        now = self._clock.now()
        seconds, self._since = now.mono - self._since[0], None
        unrecorded = self._disconnects.admit(now.mono)
        if unrecorded is not None:
            self._journal.note(
                UplinkDisconnected(
                    broker=self._address(),
                    session=self._session,
                    reason=lost.what.format_map(lost.facts) if lost else "",
                    seconds=round(seconds, 1),
                    unrecorded=unrecorded,
                )
            )

    async def _keep_marks(self) -> None:
        """Hand moved marks to the journal now and then, both together, and at the end: they may lag, never lead.

        After a power cut what a lagging mark does not know is sent again, unless the receiver's next receipt
        names it first.
        """
        try:
            while True:
                await self._conversation.moved.wait()
                await asyncio.sleep(self._timing.marks_every)
                self._note_marks()
        finally:
            self._note_marks()

    def _note_marks(self) -> None:
        self._conversation.moved.clear()
        flow = self._conversation.flow
        positions = {MARK_SENT: self._places.position(flow.sent), MARK_RECEIVED: self._places.position(flow.received)}
        self._journal.note_marks({name: position for name, position in positions.items() if position is not None})

    # --- what a person may do

    async def pause(self) -> None:
        self._memory.pause(paused=True)
        self._advance(Pause())

    async def resume(self) -> None:
        self._memory.pause(paused=False)
        self._advance(Resume())

    async def resend(self, after: Position | None = None) -> None:
        """Send again what comes after `after`, except what the receiver names."""
        self._places.update(await self._journal.epochs())
        self._conversation.flow.resend(self._places.place(after))
        self._conversation.wake()

    def handlers(self) -> dict[type[Command], Handler]:
        """The uplink's part of the command table."""
        return commands.handlers(self)

    def keys(self) -> KeyList:
        """Whose commands this box obeys."""
        return self._incoming.keys

    def status(self) -> UplinkStatus:
        now, flow, talk = self._clock.now(), self._conversation.flow, self._conversation
        credentials, problem = self._credentials, self._problem
        resting = self._link.phase is Phase.RESTING and self._link.deadline is not None
        return UplinkStatus(
            state=_STATES[self._link.phase],
            enrolled=self._box.enrolled or not self._config.tls,
            receiver=self._config.receiver,
            broker=self._address(),
            protocol=self._protocol,
            session=self._session,
            connected_since=self._since[1] if self._since else "",
            retry_in=max(0.0, (self._link.deadline or 0.0) - now.mono) if resting else None,
            failures=self._link.failures,
            problem=problem.what if problem else "",
            problem_mend=problem.mend if problem else "",
            problem_facts={name: str(value) for name, value in problem.facts.items()} if problem else {},
            sent=_text(self._places.position(flow.sent)),
            received=_text(self._places.position(flow.received)),
            head=_text(self._journal.head),
            backlog=self._conversation.backlog(),
            sent_again=flow.lost,
            receiver_short=flow.shrunk,
            last_puback_age=None if talk.last_puback is None else now.mono - talk.last_puback,
            last_receipt_age=None if talk.last_receipt is None else now.mono - talk.last_receipt,
            refused_commands=self._incoming.refused,
            refused_receipts=talk.refused_receipts,
            certificate_until=credentials.not_after.isoformat(timespec="seconds") if credentials else "",
            certificate_renew=bool(credentials and now.trusted and credentials.renew_from <= now.wall),
            certificate_expired=bool(credentials and now.trusted and credentials.not_after <= now.wall),
            keys_version=self._incoming.keys.version,
        )

    def _address(self) -> str:
        if not self._brokers:
            return ""
        host, port = self._brokers[self._link.broker % len(self._brokers)]
        return f"{host}:{port}"


_STATES = {
    Phase.RESTING: "resting",
    Phase.DIALLING: "connecting",
    Phase.ONLINE: "connected",
    Phase.PAUSED: "paused",
}


def _sooner(deadline: float | None, than: float | None) -> bool:
    return deadline is not None and (than is None or deadline < than)


def _text(position: Position | None) -> str:
    return f"{position.epoch}/{position.seq}" if position else ""
