"""A directory on a real disk for tests: people with Chinese names, faces as numbers, a vision client that is told."""

from __future__ import annotations

import asyncio
import contextlib
import random
import struct
import uuid
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from gateway.clock import Now
from gateway.command import Actor, Role
from gateway.directory.faces import ConsentGiven, Faces
from gateway.directory.people import Draft, People
from gateway.directory.service import DirectoryService
from gateway.directory.store import Directory
from gateway.journal.event import Event
from gateway.vision.protocol import Enrolled, Refusal

T = TypeVar("T")
SPACE = "dlib-resnet-v1"
NAMES = ("王小明", "李秀英", "张伟", "欧阳娜娜", "阿依古丽·买买提", "陈𠮷", "刘洋", "慕容雪村")
CLERK = Actor(id="uid:1000", role=Role.CLERK, mouth="cli", command_id="c-1")
TECHNICIAN = Actor(id="uid:1001", role=Role.TECHNICIAN, mouth="cli", command_id="c-2")
ADMINISTRATOR = Actor(id="uid:0", role=Role.ADMINISTRATOR, mouth="cli", command_id="c-3")


def embedding(seed: int, *, off: float = 0.0) -> bytes:
    """A face: unit length; two seeds are about 1.4 apart, `off` moves it by that distance."""
    numbers = random.Random(seed)
    vector = [numbers.gauss(0, 1) for _ in range(128)]
    length = sum(number * number for number in vector) ** 0.5
    vector = [number / length for number in vector]
    vector[0] += off
    return struct.pack("<128f", *vector)


def moved(face: bytes, off: float) -> bytes:
    """The face, moved by so much; what is no face stays as it is."""
    if not off or len(face) != 512:
        return face
    first, *rest = struct.unpack("<128f", face)
    return struct.pack("<128f", first + off, *rest)


@dataclass
class SetClock:
    """A clock that tests set."""

    wall: datetime = datetime(2026, 11, 24, 10, 0, tzinfo=UTC)
    trusted: bool = True
    mono: float = 0.0

    def now(self) -> Now:
        return Now(self.mono, self.mono, self.wall, self.trusted)

    def later(self, **given: float) -> None:
        self.wall += timedelta(**given)


@dataclass
class TestIdentity:
    """A box's keys."""

    __test__ = False
    name: str = "unit-1"
    uuid: str = field(default_factory=lambda: str(uuid.uuid4()))
    sign: Ed25519PrivateKey = field(default_factory=Ed25519PrivateKey.generate)
    seal: X25519PrivateKey = field(default_factory=X25519PrivateKey.generate)

    def signing_key(self) -> Ed25519PrivateKey:
        return self.sign

    def sealing_key(self) -> X25519PrivateKey:
        return self.seal


@dataclass
class VisionState:
    thresholds: Mapping[str, float]
    models: Mapping[str, str]


@dataclass
class TestVision:
    """Answers as it is told; keeps what it was asked and what the files held."""

    __test__ = False
    embeddings: tuple[bytes, ...] = ()
    refused: tuple[str, ...] = ()
    drift: float = 0.0  # how far each answer's faces are from those of the one before
    thresholds: dict[str, float] = field(default_factory=lambda: {"main": 0.42})
    seen: list[bytes] = field(default_factory=list)
    files: list[Path] = field(default_factory=list)
    asked: list[str] = field(default_factory=list)
    before_answer: Callable[[], Awaitable[None]] | None = None

    async def enrol(self, *, files: Sequence[Path] = (), camera: str = "", seconds: float = 10.0) -> Enrolled:
        self.asked.append(camera)
        self.files = list(files)
        self.seen = [path.read_bytes() for path in files]
        if self.before_answer is not None:
            await self.before_answer()
        names = [path.name for path in files] + [camera] * (len(self.embeddings) + len(self.refused))
        good = len(self.embeddings)
        return Enrolled(
            request=1,
            embeddings=tuple(moved(each, self.drift * len(self.asked)) for each in self.embeddings),
            quality=(0.9,) * len(self.embeddings),
            engine=SPACE,
            names=tuple(names[:good]),
            refused=tuple(Refusal(name=name, why=why) for name, why in zip(names[good:], self.refused, strict=False)),
        )

    def status(self) -> VisionState:
        return VisionState(self.thresholds, {"resnet": "ab" * 32})


@dataclass
class House:
    """One running directory and what it noted."""

    directory: Directory
    people: People
    faces: Faces
    events: list[Event]
    clock: SetClock

    def told(self, kind: type[Event]) -> list[Event]:
        return [event for event in self.events if isinstance(event, kind)]

    async def add(self, name: str = NAMES[0], *, doors: tuple[str, ...] = ("main",), **given: object) -> str:
        person = await self.people.add(Draft(name=name, doors=doors, **given), CLERK)  # type: ignore[arg-type]
        return person.id

    async def enrol(self, person: str, *seeds: int) -> tuple[str, ...]:
        rights = self.directory.snapshot.person(person)
        if rights is None or not rights.face:
            await self.faces.record_consent(person, ConsentGiven(), CLERK)
        return await self.faces.add(person, SPACE, [(embedding(seed), 0.9) for seed in seeds], "m", CLERK)


@contextlib.asynccontextmanager
async def opened(folder: Path, clock: SetClock | None = None) -> AsyncIterator[House]:
    clock = clock or SetClock()
    events: list[Event] = []
    directory = Directory(folder, clock, events.append)
    await directory.start()
    people = People(directory)
    try:
        yield House(directory, people, Faces(directory, people), events, clock)
    finally:
        await directory.close()


def service(house: House, vision: TestVision, run_dir: Path, identity: TestIdentity | None = None) -> DirectoryService:
    return DirectoryService(
        house.directory,
        vision,
        identity or TestIdentity(),
        doors={"main": "porch", "garage": None},
        run_dir=run_dir,
    )


def run(scenario: Awaitable[T]) -> T:
    """Run a scenario to its end."""

    async def whole() -> T:
        return await scenario

    return asyncio.run(whole())


def files_holding(folder: Path, *needles: bytes) -> list[str]:
    """Which files under `folder` hold any of these bytes."""
    return [
        str(path.relative_to(folder))
        for path in sorted(folder.rglob("*"))
        if path.is_file() and any(needle in path.read_bytes() for needle in needles)
    ]
