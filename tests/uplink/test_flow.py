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
    queue: list[Place | tuple[int, int]] = field(default_factory=list)  # events and (session, state)
    heard: tuple[int, int] = (0, 0)
    stored: list[Place] = field(default_factory=list)
    doubles: int = 0
    holdings: dict[int, Holding] = field(default_factory=dict)
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
            (self.flow.acked if success else self.flow.refused)(place)

    def take_unacked(self) -> None:
        """The broker took it; the PUBACK is lost with the connection."""
        if self.unacked:
            self.queue.append(self.unacked[0])
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
        self.receipts.append(Receipt(epoch=spans[-1].id, session=session, state=state, epochs=held))

    def take_receipt(self, *, lose: bool = False) -> None:
        """In any order: an old one may come last."""
        if self.receipts:
            receipt = self.receipts.pop()
            if self.connected and not lose:
                lie = self.flow.receipt(receipt, self.journal.spans(), current=receipt.session == self.session)
                assert lie is None or lie is Lie.OTHER_EPOCH

    # --- what must hold

    def check(self) -> None:
        for mark in (self.flow.received, self.durable[1]):
            assert all(place in self.stored for place in self.journal.places() if place <= mark)
        assert len(set(self.stored)) == len(self.stored)

    def settle(self) -> None:
        """From here on everything works."""
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


NAMES = "send send ack ack deliver deliver give_receipt take_receipt connect drop tell keep_marks restart new_epoch"
FAULTS = "forget take_unacked lie no lose_receipt"
STEPS = st.one_of(
    st.tuples(st.just("events"), st.integers(1, 12)),
    st.sampled_from([(name,) for name in f"{NAMES} {FAULTS}".split()]),
)


def perform(world: World, step: tuple[object, ...]) -> None:
    match step:
        case ("events", int(count)):
            world.events(count)
        case ("lie",):
            world.ack(take=False)
        case ("no",):
            world.ack(success=False)
        case ("lose_receipt",):
            world.take_receipt(lose=True)
        case (str(name),):
            getattr(world, name)()


@settings(max_examples=400, deadline=None)
@given(st.lists(STEPS, max_size=120))
def test_the_receiver_ends_with_exactly_the_journal(steps: list[tuple[object, ...]]) -> None:
    world = World()
    for step in steps:
        perform(world, step)
        world.check()
    world.settle()
    world.check()
    assert sorted(world.stored) == world.journal.places()
    assert world.flow.received == world.journal.head
    assert world.flow.sent == world.journal.head


@settings(max_examples=200, deadline=None)
@given(st.lists(STEPS, max_size=80))
def test_without_receiver_the_mark_sent_never_passes_what_the_broker_took(steps: list[tuple[object, ...]]) -> None:
    world, taken = World(receiver=False), set[Place]()
    for step in steps:
        if step[0] in {"take_receipt", "lose_receipt", "give_receipt", "lie", "forget", "deliver"}:
            continue
        perform(world, step)
        taken |= {item for item in world.queue if isinstance(item, Place)}
        assert all(place in taken for place in world.journal.places() if place <= world.flow.sent)


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
