"""How the box stays in touch and what it sends next. Pure: no socket, no clock, no journal.

Two machines, because they answer two questions.

`Link`: am I connected, and when do I try again?
    RESTING    waits until the deadline, then dials.
    DIALLING   a connection is being made.
    ONLINE     messages go; state messages every two minutes; the watchdog looks at the last PUBACK.
    PAUSED     a person said so; nothing happens until she says otherwise.
    Back-off is full jitter: a random part of a ceiling that doubles with each failure (the random number
    comes with the input), so that a hundred boxes do not return in step. A PUBACK with success ends the
    row of failures, not the connection itself: a broker may accept and then refuse everything.

`Flow`: which events go now, and what do the acknowledgements prove?
    Two cursors: the backlog goes in order from the mark `received` up to the head at connect; the live one
    from that head on, first served. `sent` moves on a PUBACK with success, `received` on receipts only.
    At most `flight` messages wait for their PUBACK; at most `window` a cursor wait for a receipt, because
    brokers drop silently what they queue for an absent receiver (mosquitto beyond 1,000): without receipts
    the box stops and waits instead of pouring a month into a hole.
    What the broker acknowledged before a state message, and a receipt that answers that state message does
    not name, was forgotten: the backlog cursor goes back for it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from enum import Enum, auto
from typing import Literal, NamedTuple

from gateway.uplink.packets import Version
from gateway.uplink.receipts import Lie, Place, Ranges, Receipt, Span, held, judge, received

STATE_EVERY = 120.0
ACK_WITHIN = 30.0  # seconds without any PUBACK while one is due
BACKOFF_BASE = 1.0
WINDOW = 500
FLIGHT = 20
KEPT_FOR_LIVE = 4
READ_AHEAD = 200  # rows at once where many are passed over

# --- the link


class Phase(Enum):
    RESTING = auto()
    DIALLING = auto()
    ONLINE = auto()
    PAUSED = auto()


@dataclass(frozen=True, slots=True)
class Due:
    """The deadline has come."""


@dataclass(frozen=True, slots=True)
class Opened:
    """The broker has accepted."""


@dataclass(frozen=True, slots=True)
class Failed:
    """Dialling failed or the connection is gone. `dice` is random, 0 <= dice < 1."""

    dice: float
    unsupported: bool = False  # the broker does not speak this version
    silent: bool = False  # there was a connection, and no answer to the first packet


@dataclass(frozen=True, slots=True)
class Sent:
    """A message that awaits a PUBACK went out."""


@dataclass(frozen=True, slots=True)
class Acked:
    """A PUBACK; `waiting` more are due. Only one with success ends a row of failures."""

    waiting: int
    success: bool = True


@dataclass(frozen=True, slots=True)
class Pause:
    pass


@dataclass(frozen=True, slots=True)
class Resume:
    pass


class Effect(Enum):
    DIAL = auto()
    BIRTH = auto()
    STATE = auto()
    HANG_UP = auto()


LinkInput = Due | Opened | Failed | Sent | Acked | Pause | Resume


@dataclass(frozen=True, slots=True)
class Link:
    """One uplink's connection. Times are monotonic seconds; `deadline` None waits for ever."""

    brokers: int
    protocol: Literal["5", "3.1.1", "auto"] = "auto"
    backoff_max: float = 60.0
    state_every: float = STATE_EVERY
    ack_within: float = ACK_WITHIN
    phase: Phase = Phase.RESTING
    deadline: float | None = 0.0
    broker: int = 0
    failures: int = 0
    older: frozenset[int] = frozenset()  # brokers that speak 3.1.1 only
    state_due: float = 0.0
    ack_due: float | None = None

    @property
    def version(self) -> Version:
        """The version to dial with."""
        if self.protocol == "auto":
            return 4 if self.broker in self.older else 5
        return 5 if self.protocol == "5" else 4

    def advance(self, given: LinkInput, now: float) -> tuple[Link, tuple[Effect, ...]]:
        """The link after `given`; what a phase does not expect changes nothing (it came too late)."""
        match self.phase, given:
            case Phase.RESTING, Due():
                return replace(self, phase=Phase.DIALLING, deadline=None), (Effect.DIAL,)
            case Phase.DIALLING, Opened():
                return self._online(now), (Effect.BIRTH,)
            case ((Phase.DIALLING | Phase.ONLINE), Failed()):
                return self._rest(given, now), ()
            case Phase.ONLINE, (Due() | Sent() | Acked()):
                return self._talking(given, now)
            case ((Phase.PAUSED | Phase.RESTING), Resume()):
                return replace(self, phase=Phase.RESTING, deadline=now, failures=0), ()
            case Phase.PAUSED, _:
                return self, ()
            case _, Pause():
                hang_up = (Effect.HANG_UP,) if self.phase in (Phase.DIALLING, Phase.ONLINE) else ()
                return replace(self, phase=Phase.PAUSED, deadline=None), hang_up
            case _:
                return self, ()

    def _online(self, now: float) -> Link:
        state_due = now + self.state_every
        return replace(self, phase=Phase.ONLINE, state_due=state_due, ack_due=None, deadline=state_due)

    def _talking(self, given: Due | Sent | Acked, now: float) -> tuple[Link, tuple[Effect, ...]]:
        link, effects = self, tuple[Effect, ...]()
        match given:
            case Sent():
                link = replace(self, ack_due=now + self.ack_within if self.ack_due is None else self.ack_due)
            case Acked():
                failures = 0 if given.success else self.failures
                link = replace(self, failures=failures, ack_due=now + self.ack_within if given.waiting else None)
            case Due() if self.ack_due is not None and self.ack_due <= now:
                return replace(self, deadline=None, ack_due=None), (Effect.HANG_UP,)
            case Due() if self.state_due <= now:
                link, effects = replace(self, state_due=now + self.state_every), (Effect.STATE,)
        deadline = link.state_due if link.ack_due is None else min(link.state_due, link.ack_due)
        return replace(link, deadline=deadline), effects

    def _rest(self, given: Failed, now: float) -> Link:
        if given.unsupported and self.protocol == "auto" and self.broker not in self.older:
            return replace(self, phase=Phase.RESTING, deadline=now, older=self.older | {self.broker})
        older, broker = self.older, (self.broker + 1) % self.brokers
        if given.silent and self.protocol == "auto":
            # Some brokers of 3.1.1 wait for ever for the rest of a CONNECT of 5: try the other version, same broker.
            older ^= {self.broker}
            broker = self.broker if self.broker in older else broker
        return replace(
            self,
            phase=Phase.RESTING,
            deadline=now + backoff(self.failures, given.dice, self.backoff_max),
            failures=self.failures + 1,
            older=older,
            broker=broker,
        )


def backoff(failures: int, dice: float, most: float) -> float:
    """Full jitter: a random part of a ceiling that doubles with each failure."""
    return dice * min(most, BACKOFF_BASE * 2.0 ** min(failures, 30))


# --- the flow

START = Place(0, 0)


class Lane(Enum):
    LIVE = auto()
    BACKLOG = auto()


class Want(NamedTuple):
    """Read the journal after `after`; nothing beyond `upto` concerns this lane."""

    lane: Lane
    after: Place
    upto: Place | None
    limit: int


@dataclass(slots=True)
class Out:
    """Sent in this connection and not yet named by a receipt."""

    lane: Lane
    before: Place  # where the cursor stood
    acked: bool = False
    told: int | None = None  # the first state message that went out after the PUBACK


@dataclass(slots=True)
class Flow:
    """The marks and cursors of one uplink. `START` stands for 'before everything'."""

    receiver: bool = True
    window: int = WINDOW
    flight: int = FLIGHT
    sent: Place = START
    received: Place = START
    cursor: Place = START
    split: Place = START
    live: Place = START
    highest: dict[int, int] = field(default_factory=dict)  # epoch number -> highest seq ever sent
    named: dict[int, Ranges] = field(default_factory=dict)  # what the newest receipt names
    out: dict[Place, Out] = field(default_factory=dict)
    flying: dict[Place, Out] = field(default_factory=dict)
    lost: int = 0  # how many events were sent again because a receipt did not name them
    shrunk: bool = False  # the receiver holds less than it once said
    resend_from: Place | None = None  # a resend that is not through yet
    _states: int = 0
    _newest: tuple[str, int] = ("", 0)  # the newest receipt's giver and number

    def may_have_sent(self, spans: Sequence[Span]) -> None:
        """At start: an earlier run of this box may have sent whatever the journal holds now."""
        for span in spans:
            self.highest[span.number] = max(self.highest.get(span.number, 0), span.last)

    def connected(self, head: Place, flight: int = FLIGHT) -> None:
        """A connection begins: nothing of the last one is in flight any more."""
        self.out.clear()
        self.flying.clear()
        self.flight = max(1, min(flight, FLIGHT))
        self.split = self.live = max(head, self.received)
        self.cursor = self.received if self.receiver else self.sent
        if self.resend_from is not None:
            self.cursor = min(self.cursor, self.resend_from)

    def want(self, head: Place) -> Want | None:
        """What to read next, live first; None when there is nothing to send or no room."""
        room = self._room(Lane.LIVE)
        if room <= 0:
            return None
        if self.live < head and self._waiting(Lane.LIVE) < self.window:
            return Want(Lane.LIVE, self.live, None, room)
        room = self._room(Lane.BACKLOG)
        roomy = room > self.flight // 2 or len(self.flying) < 2  # in handfuls: one read of the journal for each
        if room > 0 and roomy and self.cursor < self.split and self._waiting(Lane.BACKLOG) < self.window:
            ahead = self.named.get(self.cursor.epoch)
            passing = ahead is not None and (ahead.highest or 0) > self.cursor.seq
            return Want(Lane.BACKLOG, self.cursor, self.split, READ_AHEAD if passing else room)
        return None

    def _room(self, lane: Lane) -> int:
        """How many more may go now; the backlog leaves a few places to what happens meanwhile."""
        kept = min(KEPT_FOR_LIVE, self.flight // 4) if lane is Lane.BACKLOG else 0
        return self.flight - kept - len(self.flying)

    def _waiting(self, lane: Lane) -> int:
        return sum(out.lane is lane for out in self.out.values()) if self.receiver else 0

    def take(self, want: Want, read: Sequence[Place]) -> list[Place]:
        """Which of the places read (the next ones after `want.after`, in order) to send now.

        A place that is named or under way is passed over. Stops when there is no more room: the rest
        is read again.
        """
        at = self.live if want.lane is Lane.LIVE else self.cursor
        if at != want.after:
            return []  # a receipt or a reconnect moved the cursor while the journal was read
        room = min(self._room(want.lane), self.window - self._waiting(want.lane))
        chosen: list[Place] = []
        for place in read:
            if want.upto is not None and place > want.upto:
                at = want.upto
                break
            if place not in self.out and not self._named(place):
                if len(chosen) >= room:
                    break
                chosen.append(place)
                self._send(place, want.lane, at)
            at = place
        if not read and want.upto is not None:
            at = want.upto  # nothing more is there
        if want.lane is Lane.LIVE:
            self.live = at
            return chosen
        self.cursor = at
        if self.resend_from is not None and at >= self.split:
            self.resend_from = None
        return chosen

    def _send(self, place: Place, lane: Lane, before: Place) -> None:
        self.out[place] = self.flying[place] = Out(lane, before)
        self.highest[place.epoch] = max(self.highest.get(place.epoch, 0), place.seq)

    def _named(self, place: Place) -> bool:
        ranges = self.named.get(place.epoch)
        return ranges is not None and place.seq in ranges

    def acked(self, place: Place) -> None:
        """A PUBACK with success."""
        out = self.flying.pop(place, None)
        if out is not None:
            out.acked = True
            if not self.receiver:
                self.out.pop(place, None)
        self._move_sent()

    def refused(self, place: Place) -> None:
        """A PUBACK with a failure: it was not taken, and goes again when sending goes on."""
        self.flying.pop(place, None)
        self._again([place])

    def _move_sent(self) -> None:
        """`sent` is the last place up to which every one has been acknowledged or named."""
        backlog = [place for place, out in self.flying.items() if out.lane is Lane.BACKLOG]
        live = [place for place, out in self.flying.items() if out.lane is Lane.LIVE]
        if backlog:
            reached = self.flying[min(backlog)].before
        elif self.cursor < self.split:
            reached = self.cursor
        elif live:
            reached = self.flying[min(live)].before
        else:
            reached = self.live
        self.sent = max(self.sent, self.received, reached)

    def unconfirmed(self) -> bool:
        """Whether the broker took something of this connection that no receipt names yet."""
        return self.receiver and any(out.acked for out in self.out.values())

    def told(self) -> int:
        """A state message goes out: its number. A receipt that names it speaks of all that was acked by now."""
        self._states += 1
        for out in self.out.values():
            if out.acked and out.told is None:
                out.told = self._states
        return self._states

    def receipt(self, receipt: Receipt, spans: Sequence[Span], *, current: bool) -> Lie | None:
        """Take a receipt, or say why not. `current`: it answers a state message of this connection."""
        lie = judge(receipt, spans, self.highest)
        if lie is not None:
            return lie
        if receipt.giver and receipt.giver == self._newest[0] and receipt.number <= self._newest[1]:
            return None  # overtaken, or delivered twice
        self._newest = receipt.giver, receipt.number
        self.named = held(receipt, spans)
        self.received = received(self.named, spans, self.received if self.received != START else None) or START
        self._look_for_shortage(spans)
        missing: list[Place] = []
        for place, out in list(self.out.items()):
            if self._named(place):
                del self.out[place]
            elif current and out.told is not None and out.told <= receipt.state:
                missing.append(place)
        self.lost += len(missing)
        self._again(missing)
        self._move_sent()
        return None

    def _look_for_shortage(self, spans: Sequence[Span]) -> None:
        """A receiver that was restored from an old copy gets what it lost, as far as the journal has it."""
        held_now = received(self.named, spans, None) or START
        short = held_now < self.received
        if short and not self.shrunk:
            self.resend(held_now)
        self.shrunk = short

    def _again(self, places: Sequence[Place]) -> None:
        """Send these once more, by the backlog cursor."""
        for place in places:
            out = self.out.pop(place, None)
            if out is not None:
                self.cursor = min(self.cursor, out.before)
                self.split = max(self.split, place)

    def resend(self, after: Place) -> None:
        """Send once more what comes after `after`, except what receipts name."""
        self.resend_from = after if self.resend_from is None else min(self.resend_from, after)
        self.cursor = min(self.cursor, after)
