"""A week of a box: 60 meters and 2,000 passages a day, lived by the real daemon in virtual time.

The whole daemon runs: two doors on simulated lines (who comes, shows a face or presses the exit button, opens the
leaf and closes it), the directory with 500 people and a clerk who changes ten a day, 60 meters on two buses, the
journal, the uplink, and in the same process a broker with a receiver that gives receipts. Only its clock is ours
(tests/box_time.py): it jumps to the next timer, and stands while a thread works, so each event meets the disk as it
would on a box. Events and single readings are kept for a day and not for half a year and a month, so that from the
third day on as much goes each day as comes, with statements and all: a box that is years old.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from drivers import registry
from drivers.interfaces import Span
from gateway import measurements
from gateway.clock import SHANGHAI, LoopClock
from gateway.config.last_good import choose
from gateway.daemon import Daemon
from gateway.desk.authority import DESK_KEY, Authority
from gateway.desk.holdings import Holding, receipts
from gateway.directory.faces import Faces
from gateway.directory.people import Changes, Draft, People
from gateway.identity.keys import sign
from gateway.metering import profiles
from gateway.metering.profile import encode
from gateway.uplink import messages
from gateway.uplink.envelope import RECEIPT, Payload
from gateway.uplink.messages import Birth
from gateway.uplink.receipts import Receipt
from gateway.vision.protocol import Candidate, Candidates
from tests.directory.house import CLERK, SPACE, ConsentGiven, embedding
from tests.uplink.fake_broker import FakeBroker
from tests.uplink.house import enrol, make_desk

METERS, PASSAGES, PEOPLE, FACES_EACH, CHANGES, ORDERS = 60, 2000, 500, 3, 10, 20
DOORS = ("front", "garden")
PROFILE = "usw-dn15-dn40"
#: Passages by the hour of the day, in parts: two peaks, a quiet night.
BUSY = (6, 3, 2, 1, 2, 8, 40, 95, 80, 50, 40, 50, 65, 50, 40, 45, 60, 85, 95, 80, 60, 45, 25, 12)
EVENING = datetime(2026, 11, 29, 22, tzinfo=SHANGHAI)
MOVING_IN = 7200.0  # seconds before the first midnight: people are entered, configuration and copies kept

CONFIG = """\
[site]
name = "Peach Garden"
community = "peach-garden"

[box]
name = "unit-1"
board = "simulated"
state = "{folder}/state"
run = "{folder}/run"

[journal]
keep_days = 1

[vision]
run = "off"

[camera.porch]
driver = "folder"
path = "{folder}/frames"

[uplink]
tls = false
[[uplink.brokers]]
host = "127.0.0.1"
port = {port}
"""
DOOR = """
[door.{name}]
name = "{name}"
contact = {{ driver = "simulated", line = {contact}, debounce = 0 }}
exit_button = {{ driver = "simulated", line = {button}, debounce = 0 }}
camera = "porch"
lock = {{ output = {{ driver = "simulated", line = {lock} }}, kind = "fail-secure" }}
"""
BUS = """
[bus.{bus}]
driver = "simulated"
meters = "{bus}"
"""
METER = """
[meter.flat-{number}]
name = "flat {number}"
bus = "{bus}"
unit = {unit}
profile = "{profile}"
"""


class Water:
    """A bus of meters whose registers move as people use water."""

    def __init__(self, meters: str) -> None:
        self.device = meters
        self._profile = profiles.load(PROFILE)
        self._random = random.Random(meters)
        self._total: dict[int, int] = {}
        self._seen: dict[int, tuple[int, dict[int, int]]] = {}

    async def open(self) -> None:
        """Always there."""

    async def ask(self, unit: int, span: Span, _within: float) -> tuple[int, ...]:
        await asyncio.sleep(0.08)  # the wire's time at 9600 baud
        total = self._total.setdefault(unit, self._random.randrange(1_000_000, 900_000_000))
        hour = int((asyncio.get_running_loop().time() - MOVING_IN) % 86400 / 3600)
        if self._random.random() < BUSY[hour] / 400:
            self._total[unit] = total = total + self._random.randrange(200, 6_000)  # millilitres in a minute
        if self._seen.get(unit, (-1, {}))[0] != total:
            self._seen[unit] = total, encode(self._profile, total)
        registers = self._seen[unit][1]
        return tuple(registers[span.address + place] for place in range(span.count))

    def close(self) -> None:
        """Nothing to let go of."""


@dataclass
class Receiver(FakeBroker):
    """Broker and desk in one: holds what came, gives receipts four times a second at most, sends orders."""

    authority: Authority | None = None
    held: dict[str, Holding] = field(default_factory=dict)
    birth: Birth | None = None
    events: Counter[str] = field(default_factory=Counter)
    receipts: int = 0
    orders: int = 0
    replies: int = 0
    _due: asyncio.TimerHandle | None = None
    _key: Any = None

    def send(self, topic: str, payload: bytes, **_: Any) -> None:
        kind = topic.split("/", 3)[3]
        if kind in ("event", "event/live"):
            event = messages.read_event(payload, topic.split("/")[2])
            self.events[event.type] += 1
            self.held.setdefault(event.epoch, Holding()).add(event.seq)
        elif kind in ("birth", "state"):
            self.birth = msgspec.json.decode(payload, type=Birth)
        else:
            self.replies += 1
            return
        if self._due is None:
            self._due = asyncio.get_running_loop().call_later(0.25, self._confirm)

    def _confirm(self) -> None:
        self._due = None
        assert self.birth is not None
        self.receipts += 1
        receipt = Receipt(
            epoch=self.birth.epoch,
            giver="bench",
            number=self.receipts,
            session=self.birth.session,
            state=self.birth.state,
            epochs=receipts(self.held, self.birth.epochs),
        )
        self._tell(RECEIPT, messages.encode(receipt))

    def order(self, door: str) -> None:
        """`door open` from the desk."""
        self.orders += 1
        self._tell("door.open", msgspec.json.encode({"door": door, "reason": "a parcel"}))

    def _tell(self, name: str, fields: bytes) -> None:
        assert self.birth is not None
        assert self.authority is not None
        self._key = self._key or self.authority.key(DESK_KEY)
        now = EVENING + timedelta(seconds=asyncio.get_running_loop().time())
        payload = Payload(
            box=self.birth.box,
            id=f"{random.getrandbits(128):032x}",
            issued=now.isoformat(timespec="milliseconds"),
            expires=(now + timedelta(seconds=60)).isoformat(timespec="milliseconds"),
            challenge=self.birth.challenge,
            command=name,
            fields=msgspec.Raw(fields),
        )
        super().send(
            f"loumen/peach-garden/{self.birth.box}/command", sign(messages.encode(payload), DESK_KEY, self._key)
        )


class Street:
    """Who comes and goes at one door, one after the other."""

    def __init__(self, name: str, daemon: Daemon, residents: list[str]) -> None:
        self._name, self._daemon, self._residents = name, daemon, residents
        self._random, self._track = random.Random(name), 0
        gpio = daemon.drivers.gpio("simulated")
        place = 10 * DOORS.index(name)
        self._contact, self._button = (gpio.building.line(place + at) for at in (1, 2))  # type: ignore[attr-defined]
        self._contact.press()  # closed

    async def day(self, passages: int) -> None:
        """A day from midnight on."""
        began = asyncio.get_running_loop().time()
        hours = self._random.choices(range(24), BUSY, k=passages)
        for at in sorted(3600 * (hour + self._random.random()) for hour in hours):
            await asyncio.sleep(max(0.0, began + at - asyncio.get_running_loop().time()))
            await self._comes()

    async def _comes(self) -> None:
        kind = self._random.random()
        if kind < 0.03:
            await self._face(f"{self._random.getrandbits(128):032x}", 0.7)  # a stranger
        elif kind < 0.55:
            await self._face(self._random.choice(self._residents), 0.3 + 0.1 * self._random.random())
            await self._leaf()
        else:
            self._button.press()
            await asyncio.sleep(0.4)
            self._button.let_go()
            await self._leaf()

    async def _face(self, person: str, distance: float) -> None:
        self._track += 1
        other = self._random.choice(self._residents)
        for frames in range(1, self._random.randrange(5, 9)):  # as many comparisons while she stands there
            seen = Candidates(
                camera="porch", door=self._name, track=self._track, generation=1, frames=min(frames, 3),
                best=(
                    Candidate(person=person, distance=distance + 0.01 * self._random.random()),
                    Candidate(person=other, distance=0.75),
                ),
                threshold=0.45, quality=0.9, at=asyncio.get_running_loop().time(),
            )  # fmt: skip
            self._daemon._services._candidates(seen)  # type: ignore[union-attr]
            await asyncio.sleep(0.35)

    async def _leaf(self) -> None:
        await asyncio.sleep(1.0 + self._random.random())
        self._contact.let_go()
        await asyncio.sleep(3.0 + 4 * self._random.random())
        self._contact.press()


async def clerk(people: People, faces: Faces, residents: list[str]) -> None:
    """A day at the office: ten changes, each in another hour."""
    chance = random.Random(len(residents))
    began = asyncio.get_running_loop().time()
    for turn in range(CHANGES):
        await asyncio.sleep(max(0.0, began + 8.5 * 3600 + 3600 * turn - asyncio.get_running_loop().time()))
        if turn % 5 == 0:
            residents.append(await add(people, faces, len(residents) + chance.getrandbits(30)))
        elif turn == 4:
            await people.forget([residents.pop(0)], CLERK)
        else:
            number = f"138{chance.randrange(10**8):08}"
            await people.change(chance.choice(residents), Changes(phone=number), CLERK)


async def add(people: People, faces: Faces, number: int) -> str:
    """A resident with her faces."""
    person = await people.add(Draft(name=f"Resident {number}", home=f"1-{number}", doors=DOORS), CLERK)
    await faces.record_consent(person.id, ConsentGiven(), CLERK)
    pictures = [(embedding(number * FACES_EACH + picture), 0.9) for picture in range(FACES_EACH)]
    await faces.add(person.id, SPACE, pictures, "m", CLERK)
    return person.id


async def orders(receiver: Receiver) -> None:
    """The porter opens from the desk, from eight in the morning on."""
    await asyncio.sleep(8 * 3600)
    for turn in range(ORDERS):
        receiver.order(DOORS[turn % len(DOORS)])
        await asyncio.sleep(12 * 3600 / ORDERS)


# --- its days


class Week:
    """A box that has moved in: people are entered, its configuration and the copies of its directory are kept."""

    def __init__(self, daemon: Daemon, receiver: Receiver) -> None:
        assert daemon._services is not None
        directory = daemon._services.directory
        self._people = People(directory)
        self._faces = Faces(directory, self._people)
        self._daemon, self._receiver = daemon, receiver
        self._residents: list[str] = []
        self._streets: list[Street] = []

    async def move_in(self) -> None:
        """Until the first midnight."""
        self._residents = [await add(self._people, self._faces, number) for number in range(PEOPLE)]
        self._streets = [Street(name, self._daemon, self._residents) for name in DOORS]
        await asyncio.sleep(MOVING_IN - asyncio.get_running_loop().time())

    async def day(self) -> Counter[str]:
        """From midnight to midnight; the events that the desk has got in it, by type."""
        before = self._receiver.events.copy()
        async with asyncio.TaskGroup() as group:
            for street in self._streets:
                group.create_task(street.day(PASSAGES // len(DOORS)))
            group.create_task(clerk(self._people, self._faces, self._residents))
            group.create_task(orders(self._receiver))
            group.create_task(asyncio.sleep(86400))
        return self._receiver.events - before


@asynccontextmanager
async def living(folder: Path) -> AsyncIterator[Week]:
    """The daemon, its broker and its street; its state is in `folder`/state."""
    measurements.KEEP_SAMPLES = 86_400_000
    registry.BUSES["simulated"] = f"{__name__}:Water"
    authority = make_desk(folder / "desk", 1)
    async with Receiver(authority=authority).open() as receiver:
        assert isinstance(receiver, Receiver)
        config = folder / "gateway.toml"
        config.write_text(configuration(folder, receiver.port))
        enrol(folder / "state", authority)
        daemon = Daemon(choose(config), config, 0.0)
        daemon.clock = LoopClock(EVENING)  # type: ignore[assignment]
        running = asyncio.create_task(daemon.run())
        try:
            await asyncio.sleep(10)
            week = Week(daemon, receiver)
            await week.move_in()
            yield week
        finally:
            daemon.ask_to_stop("the week is over")
            await running


def configuration(folder: Path, port: int) -> str:
    (folder / "frames").mkdir()
    text = CONFIG.format(folder=folder, port=port)
    for place, name in enumerate(DOORS):
        text += DOOR.format(name=name, contact=10 * place + 1, button=10 * place + 2, lock=10 * place + 3)
    for place, bus in enumerate(("cellar", "attic")):
        text += BUS.format(bus=bus)
        for unit in range(1, METERS // 2 + 1):
            text += METER.format(number=place * 100 + unit, bus=bus, unit=unit, profile=PROFILE)
    return text
