"""Reference pictures: from files or from a door's camera, one person, and only a good look at her.

A bad reference harms for years: it lets others in, or keeps its owner out. So the gate here is strict:
exactly one face, upright, and no reason against it (`quality.ENROLMENT`). A face that stands on its head is found
like any other, and its numbers are nobody's; it is known by the same picture turned over, where the detector's
points fit the alignment better (right in all of 141 pictures that pass the gate, either way up).

All pictures of one request must be one person's, who is the one that most of them show: with two people in equal
number nobody knows which of them is meant, and none is taken. A picture that is there twice counts once, for
a door compares with a person's two nearest templates. From a camera up to PICTURES good looks are taken, at least
APART seconds apart.
"""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator, Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.errors import LoumenError, N_
from gateway.vision import quality
from gateway.vision.protocol import Enrol, Enrolled, Refusal

if TYPE_CHECKING:
    from drivers.interfaces import Frame
    from gateway.vision.engine import Embedded, Engine, Face

PICTURES = 3  # from a camera
APART = 0.3  # seconds
SAME = 0.5  # distance up to which two reference pictures are one person's
TWICE = 0.02  # distance up to which they are one picture: a sensor's noise alone moves a face by 0.03 (measured)
FILES = 50  # of one request
ANOTHER = N_("this is not the person of the other pictures")
UNDECIDED = N_("the pictures show different people, and none of them more often than the others")
NO_PICTURE = N_("the camera gave no picture")
NO_PICTURE_MEND = N_("look at its cable and power: 'loumen status' and 'loumen doctor camera' say how it is")
SEEN = N_("the same picture is given twice")


@dataclass(slots=True)
class Look:
    """One picture: a good look at a face, or why it is none."""

    name: str
    embedded: Embedded | None = None
    refusal: Refusal | None = None

    def refuse(self, why: str, mend: str = "") -> None:
        self.embedded, self.refusal = None, Refusal(name=self.name, why=why, mend=mend)


@dataclass(slots=True)
class Found:
    """What the pictures gave, in their order."""

    looks: list[Look] = field(default_factory=list)

    def good(self) -> list[tuple[Look, Embedded]]:
        return [(look, look.embedded) for look in self.looks if look.embedded is not None]

    def refusals(self) -> tuple[Refusal, ...]:
        return tuple(look.refusal for look in self.looks if look.refusal is not None)


class Enroller:
    """Answers Enrol. Whose face it may be else, the daemon's directory knows."""

    def __init__(
        self,
        engine: Engine,
        refusal: Callable[[Embedded], str],
        load: Callable[[Path], Frame],
    ) -> None:
        self._engine, self._refusal, self._load = engine, refusal, load

    async def answer(self, request: Enrol, frames: AsyncIterator[Frame]) -> Enrolled:
        """The answer; `frames` are the asked camera's, and end when its time is over."""
        if request.files:
            found = await self._from_files(request.files[:FILES])
        else:
            found = await self._from_camera(request.camera, frames)
        good = found.good()
        return Enrolled(
            request=request.request,
            embeddings=tuple(each.vector.astype("<f4").tobytes() for _, each in good),
            quality=tuple(min(1.0, max(0.0, each.quality.score)) for _, each in good),
            engine=self._engine.space,
            names=tuple(look.name for look, _ in good),
            refused=found.refusals(),
        )

    def judge(self, frame: Frame, find: Callable[[Frame], list[Face]]) -> tuple[Embedded | None, str]:
        """The one face of a picture, or why it is no reference."""
        faces = find(frame)
        over = frame[::-1, ::-1].copy()
        if not faces:
            return None, quality.UPSIDE_DOWN if self._engine.find(over) else quality.NO_FACE
        if len(faces) > 1:
            return None, quality.SEVERAL_FACES
        embedded = self._engine.embed(frame, faces[0])
        if refusal := self._refusal(embedded):
            return None, refusal
        turned = self._engine.find(over)[:1]
        if turned and self._engine.embed(over, turned[0]).quality.misfit < embedded.quality.misfit:
            return None, quality.UPSIDE_DOWN
        return embedded, ""

    async def _from_files(self, files: Iterable[str]) -> Found:
        found = Found()
        for path in map(Path, files):
            look = Look(path.name)
            found.looks.append(look)
            try:
                look.embedded, why = self.judge(self._load(path), self._engine.search)
            except LoumenError as error:
                facts = {key: fact for key, fact in error.facts.items() if isinstance(fact, str | int | float)}
                look.refusal = Refusal(name=path.name, why=error.what, mend=error.mend, facts=facts)
            else:
                if look.embedded is None:
                    look.refuse(why)
            await asyncio.sleep(0)  # the heartbeat between two pictures
        _keep_one_person(found)
        return found

    async def _from_camera(self, camera: str, frames: AsyncIterator[Frame]) -> Found:
        found, why, last = Found(), NO_PICTURE, -math.inf
        clock = asyncio.get_running_loop().time
        async for frame in frames:
            embedded, refusal = self.judge(frame, self._engine.find)
            if embedded is None:
                why = refusal
            elif clock() - last >= APART:
                last = clock()
                apart = [_distance(embedded, other) for _, other in found.good()]
                if min(apart, default=math.inf) <= TWICE:
                    why = N_("the camera shows the same picture again and again")
                    continue
                found.looks.append(Look(camera, embedded))
                if len(found.looks) >= PICTURES:
                    break
        _keep_one_person(found)
        if not found.looks:
            found.looks.append(look := Look(camera))
            look.refuse(why, NO_PICTURE_MEND if why == NO_PICTURE else "")
        return found


def _keep_one_person(found: Found) -> None:
    """Refuse doubles, then whoever is not the person of most of the pictures."""
    kept: list[tuple[Look, Embedded]] = []
    for look, embedded in found.good():
        if any(_distance(embedded, other) <= TWICE for _, other in kept):
            look.refuse(SEEN)
        else:
            kept.append((look, embedded))
    near = [[_distance(one, other) <= SAME for _, other in kept] for _, one in kept]
    most = max(near, key=sum, default=[])
    decided = sum(most) * 2 > len(kept)
    for (look, _), fits in zip(kept, most, strict=True):
        if not (decided and fits):
            look.refuse(ANOTHER if decided else UNDECIDED)


def _distance(one: Embedded, other: Embedded) -> float:
    return math.sqrt(float(((one.vector - other.vector) ** 2).sum()))
