"""Whatever is dropped, forgotten, repeated or restarted: the receiver ends with exactly the journal."""

from __future__ import annotations

from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.desk.holdings import Holding
from gateway.uplink.receipts import Lie, Place, Receipt, Span
from gateway.uplink.session import START, Flow, Lane


@dataclass
class Journal:
    """Epochs of whole numbers; what was read can be read again."""

    lasts: list[int] = field(default_factory=lambda: [0])

    def spans(self) -> list[Span]:
        return [Span(number, f"epoch-{number}", 1, last) for number, last in enumerate(self.lasts, start=1)]

    def places(self) -> list[Place]:
        return [Place(span.number, seq) for span in self.spans() for seq in range(span.first, span.last + 1)]

    @property
    def head(self) -> Place:
        return max(self.places(), default=START)

    def read(self, after: Place, limit: int) -> list[Place]:
        return [place for place in self.places() if place > after][:limit]


@dataclass
class World:
    """A box, a broker with one queue a direction, a receiver. Each step may go wrong as asked."""

    receiver: bool = True
    journal: Journal = field(default_factory=Journal)
    flow: Flow = field(default_factory=Flow)
    connected: bool = False
    session: int = 0
    state: int = 0
    unacked: list[Place] = field(default_factory=list)
    taken: set[Place] = field(default_factory=set)  # acknowledged by the broker, or in its hands
    queue: list[Place | tuple[int, int]] = field(default_factory=list)  # events and (session, state)
    heard: tuple[int, int] = (0, 0)
    stored: list[Place] = field(default_factory=list)
    doubles: int = 0
    holdings: dict[int, Holding] = field(default_factory=dict)
    given: int = 0
    receipts: list[Receipt] = field(default_factory=list)
    durable: tuple[Place, Place] = (START, START)

    def __post_init__(self) -> None:
        self.flow = Flow(receiver=self.receiver, window=7, flight=4)

    # --- what may happen

    def events(self, count: int) -> None:
        self.journal.lasts[-1] += count

    def new_epoch(self) -> None:
        self.events(1)
        self.journal.lasts.append(0)
        self.restart()
        self.events(1)

    def restart(self) -> None:
        self.drop()
        self.flow = Flow(receiver=self.receiver, window=7, flight=4)
        self.flow.sent, self.flow.received = self.durable
        self.flow.may_have_sent(self.journal.spans())

    def keep_marks(self) -> None:
        self.durable = (self.flow.sent, self.flow.received)

    def connect(self) -> None:
        self.drop()
        self.connected, self.session = True, self.session + 1
        self.flow.connected(self.journal.head, 4)
        self.tell()

    def drop(self) -> None:
        self.connected = False
        self.unacked.clear()

    def tell(self) -> None:
        if self.connected:
            self.state = self.flow.told()
            self.queue.append((self.session, self.state))

    def send(self) -> None:
        if not self.connected:
            return
        want = self.flow.want(self.journal.head)
        if want is not None:
            for place in self.flow.take(want, self.journal.read(want.after, want.limit)):
                assert place in self.journal.places()
                self.unacked.append(place)

    def ack(self, *, take: bool = True, success: bool = True) -> None:
        """The broker answers; it may say yes and keep nothing, or keep it and say no."""
        if self.unacked:
            place = self.unacked.pop(0)
            if take:
                self.queue.append(place)
            if success or take:
                self.taken.add(place)  # as far as the box can know
            (self.flow.acked if success else self.flow.refused)(place)

    def take_unacked(self) -> None:
        """The broker took it; the PUBACK is lost with the connection."""
        if self.unacked:
            self.queue.append(self.unacked[0])
            self.taken.add(self.unacked[0])
            self.drop()

    def forget(self) -> None:
        self.queue.clear()

    def deliver(self) -> None:
        if not self.queue:
            return
        item = self.queue.pop(0)
        if not isinstance(item, Place):
            self.heard = item
        elif item.seq in self.holdings.setdefault(item.epoch, Holding()).have:
            self.doubles += 1
        else:
            self.holdings[item.epoch].add(item.seq)
            self.stored.append(item)

    def give_receipt(self) -> None:
        spans = self.journal.spans()
        held = tuple(self.holdings.get(span.number, Holding()).receipt(span.id) for span in spans)
        session, state = self.heard
        self.given += 1
        receipt = Receipt(
            epoch=spans[-1].id, giver="desk", number=self.given, session=session, state=state, epochs=held
        )
        self.receipts.append(receipt)

    def take_receipt(self, *, lose: bool = False) -> None:
        """In any order: an old one may come last."""
        if self.receipts:
            receipt = self.receipts.pop()
            if self.connected and not lose:
                lie = self.flow.receipt(receipt, self.journal.spans(), current=receipt.session == self.session)
                assert lie is None or lie is Lie.OTHER_EPOCH

    # --- what must hold

    def check(self) -> None:
        for mark in (self.flow.sent, self.durable[0]):
            assert all(place in self.taken for place in self.journal.places() if place <= mark)
        assert len(self.unacked) <= 4
        for lane in Lane:
            assert sum(out.lane is lane for out in self.flow.out.values()) <= 7
        for mark in (self.flow.received, self.durable[1]):
            assert all(place in self.stored for place in self.journal.places() if place <= mark)
        assert len(set(self.stored)) == len(self.stored)

    def settle(self, *, reconnect: bool = True) -> None:
        """From here on everything works; with `reconnect` False the connection that stands is not made anew."""
        if reconnect or not self.connected:
            self.connect()
        for _round in range(60 + 4 * len(self.journal.places())):
            self.send()
            while self.unacked:
                self.ack()
            self.tell()
            while self.queue:
                self.deliver()
            self.give_receipt()
            self.take_receipt()
            self.receipts.clear()
            if self.flow.received == self.journal.head:
                return


NAMES = "events send send send ack ack ack deliver deliver deliver give_receipt take_receipt tell keep_marks"
FAULTS = "forget lie no lose_receipt"
BREAKS = "connect drop restart new_epoch take_unacked"
STEPS = st.tuples(
    st.sampled_from(f"{NAMES} {NAMES} {NAMES} {NAMES} {FAULTS} {FAULTS} {BREAKS}".split()), st.integers(1, 12)
)
HISTORY = st.lists(STEPS, min_size=15, max_size=150)


def perform(world: World, name: str, count: int) -> None:
    match name:
        case "events":
            world.events(count)
        case "lie":
            world.ack(take=False)
        case "no":
            world.ack(success=False)
        case "lose_receipt":
            world.take_receipt(lose=True)
        case _:
            getattr(world, name)()


@settings(max_examples=400, deadline=None)
@given(HISTORY, st.integers(0, 30), st.booleans())
def test_the_receiver_ends_with_exactly_the_journal(
    history: list[tuple[str, int]], before: int, reconnect: bool
) -> None:
    world = World()
    world.events(before)
    world.connect()
    for name, count in history:
        perform(world, name, count)
        world.check()
    world.settle(reconnect=reconnect)
    world.check()
    assert sorted(world.stored) == world.journal.places()
    assert world.flow.received == world.journal.head
    assert world.flow.sent == world.journal.head
    assert not world.flow.out


@settings(max_examples=200, deadline=None)
@given(HISTORY, st.integers(0, 30))
def test_without_receiver_the_mark_sent_never_passes_what_the_broker_took(
    history: list[tuple[str, int]], before: int
) -> None:
    world = World(receiver=False)
    world.events(before)
    world.connect()
    for name, count in history:
        if name not in {"take_receipt", "lose_receipt", "give_receipt"}:
            perform(world, name, count)
            world.check()


@settings(max_examples=200, deadline=None)
@given(
    st.lists(st.tuples(st.sampled_from(NAMES.split()), st.integers(1, 12)), min_size=15, max_size=150),
    st.integers(0, 30),
)
def test_where_nothing_is_lost_nothing_is_sent_twice_in_a_connection(
    history: list[tuple[str, int]], before: int
) -> None:
    world = World()
    world.events(before)
    world.connect()
    for name, count in history:
        perform(world, name, count)
    world.settle(reconnect=False)
    assert world.doubles == 0
    assert world.flow.lost == 0


def test_live_events_do_not_wait_for_a_month_of_backlog() -> None:
    world = World()
    world.events(1000)
    world.connect()
    world.events(1)
    want = world.flow.want(world.journal.head)
    assert want is not None
    assert want.lane is Lane.LIVE
    assert world.flow.take(want, world.journal.read(want.after, want.limit)) == [Place(1, 1001)]


def test_the_box_stops_where_no_receiver_confirms() -> None:
    world = World()
    world.events(100)
    world.connect()
    for _ in range(50):
        world.send()
        world.ack()
    assert len([item for item in world.queue if isinstance(item, Place)]) == 7  # the window


def test_a_gap_that_a_receipt_shows_is_sent_again_without_a_reconnect() -> None:
    world = World()
    world.connect()
    world.events(3)
    world.send()
    world.ack(take=False)  # the broker says yes to the first and forgets it
    world.ack()
    world.ack()
    world.tell()
    while world.queue:
        world.deliver()
    world.give_receipt()
    world.take_receipt()
    assert world.flow.lost == 1
    world.settle()
    assert sorted(world.stored) == world.journal.places()
    assert world.doubles == 0


def test_a_receiver_restored_from_an_old_copy_gets_the_rest_again() -> None:
    world = World()
    world.events(20)
    world.settle()
    world.stored = world.stored[:5]
    world.holdings[1] = Holding()
    for place in world.stored:
        world.holdings[1].add(place.seq)
    world.tell()
    world.deliver()
    world.give_receipt()
    world.take_receipt()
    assert world.flow.shrunk
    for _ in range(20):
        world.send()
        while world.unacked:
            world.ack()
        while world.queue:
            world.deliver()
        world.give_receipt()
        world.take_receipt()
    assert sorted(world.stored) == world.journal.places()
    assert not world.flow.shrunk


def test_resend_sends_what_the_receiver_does_not_name() -> None:
    world = World(receiver=False)
    world.events(3)
    world.connect()
    world.send()
    while world.unacked:
        world.ack()
    assert world.flow.want(world.journal.head) is None
    world.flow.resend(START)
    world.send()
    assert len(world.unacked) == 3
