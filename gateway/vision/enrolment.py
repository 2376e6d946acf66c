"""Reference pictures: from files or from a door's camera, one person, and only a good look at her.

A bad reference harms for years: it lets others in, or keeps its owner out. So the gate here is strict:
exactly one face, and no reason against it (`quality.strict`). From a camera up to PICTURES good looks
are taken, at least APART seconds apart, which must be one and the same person.
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
from gateway.vision.protocol import Candidate, Enrol, Enrolled

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    from drivers.interfaces import Frame
    from gateway.vision.engine import Embedded, Engine

    Vector = npt.NDArray[np.float32]

PICTURES = 3  # from a camera
APART = 0.3  # seconds
SAME = 0.5  # distance up to which two reference pictures are one person's
FILES = 50  # of one request


@dataclass(slots=True)
class Collected:
    """What has been found so far."""

    vectors: list[Vector] = field(default_factory=list)
    scores: list[float] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    names: list[str] = field(default_factory=list)

    def refuse(self, name: str, reason: str) -> None:
        self.refused.append(reason)
        self.names.append(name)


class Enroller:
    """Answers Enrol. `alike` tells who else is nearest and whether that is too near (by the doors' galleries)."""

    def __init__(
        self,
        engine: Engine,
        refusal: Callable[[Embedded], str],
        load: Callable[[Path], Frame],
        alike: Callable[[Vector, str], Candidate | None],
    ) -> None:
        self._engine, self._refusal, self._load, self._alike = engine, refusal, load, alike

    async def answer(self, request: Enrol, frames: AsyncIterator[Frame]) -> Enrolled:
        """The answer; `frames` are the asked camera's, and end when its time is over."""
        found = Collected()
        if request.files:
            await self._from_files(request.files[:FILES], found)
        else:
            await self._from_camera(request.camera, frames, found)
        nearest = min(
            (alike for vector in found.vectors if (alike := self._alike(vector, request.person)) is not None),
            key=lambda candidate: candidate.distance,
            default=None,
        )
        return Enrolled(
            request=request.request,
            embeddings=tuple(vector.astype("<f4").tobytes() for vector in found.vectors),
            quality=tuple(min(1.0, max(0.0, score)) for score in found.scores),
            engine=self._engine.space,
            refused=tuple(found.refused),
            names=tuple(found.names),
            nearest=nearest,
        )

    def judge(self, frame: Frame) -> tuple[Embedded | None, str]:
        """The one face of a picture, or why it is no reference."""
        faces = self._engine.search(frame)
        if not faces:
            return None, quality.NO_FACE
        if len(faces) > 1:
            return None, quality.SEVERAL_FACES
        embedded = self._engine.embed(frame, faces[0])
        refusal = self._refusal(embedded)
        return (None, refusal) if refusal else (embedded, "")

    async def _from_files(self, files: Iterable[str], found: Collected) -> None:
        for name in files:
            try:
                embedded, reason = self.judge(self._load(Path(name)))
            except LoumenError as error:
                embedded, reason = None, error.what.format_map(error.facts)
            if embedded is None:
                found.refuse(Path(name).name, reason)
            else:
                self._keep(embedded, Path(name).name, found)
            await asyncio.sleep(0)  # the heartbeat between two pictures

    async def _from_camera(self, camera: str, frames: AsyncIterator[Frame], found: Collected) -> None:
        reason, last = N_("the camera gave no picture"), -math.inf
        clock = asyncio.get_running_loop().time
        async for frame in frames:
            embedded, why = self.judge(frame)
            if embedded is None:
                reason = why
            elif clock() - last >= APART:
                last = clock()
                self._keep(embedded, camera, found)
                if len(found.vectors) >= PICTURES:
                    break
        if not found.vectors and not found.refused:
            found.refuse(camera, reason)

    @staticmethod
    def _keep(embedded: Embedded, name: str, found: Collected) -> None:
        others = [float(((vector - embedded.vector) ** 2).sum()) ** 0.5 for vector in found.vectors]
        if others and max(others) > SAME:
            found.refuse(name, N_("this is not the person of the other pictures"))
            return
        found.vectors.append(embedded.vector)
        found.scores.append(embedded.quality.score)
