"""From the frames of one camera to what the daemon is told: presence and candidates.

A frame is glanced at, given to the detector where that is due, its faces go to tracks, a good look at
a face is embedded and pooled, a full pool is compared with the gallery of each door that this camera
watches. Synchronous and without I/O: the worker's loop calls `see` with one frame after the other.
"""

from __future__ import annotations

import logging
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from drivers.errors import CameraGone, N_
from gateway.vision import gallery
from gateway.vision.frames import FROZEN, Watch
from gateway.vision.protocol import CameraHealth, Candidate, Candidates, Message, Presence
from gateway.vision.track import Track, Tracker

if TYPE_CHECKING:
    from drivers.interfaces import Frame
    from gateway.vision.engine import Engine, Face, Vector

FACES = 4  # the largest of a frame that are embedded; the door is for the people before it, not for the street
LINGER = 2.0  # seconds after the last movement or face until nobody is present
REMIND = 5.0  # seconds between two signs of presence while it goes on
REMIND_LOOKING = 1.0  # the same while a face is looked at
NEAR_ENOUGH = 40.0  # pixels a face is wide from which on somebody comes to the door: further away are passers-by
WELL_AFTER = 3.0  # seconds of new frames after which a camera's problem is over
AWAKE, IDLE = 0.1, 0.25  # seconds from one frame to the next
log = logging.getLogger("loumen.vision")


@dataclass(frozen=True, slots=True)
class Compared:
    """One door's gallery, ready: `nearest` gives at most two people, nearest first."""

    generation: int
    people: int
    threshold: float
    nearest: Callable[[Vector], Sequence[tuple[str, float]]]


class Health:
    """What the heartbeat says of one camera."""

    def __init__(self, camera: str, *, live: bool) -> None:
        self._camera, self._live = camera, live
        self._frames = 0
        self._seen: float | None = None
        self._problem: CameraGone | None = None
        self._problem_until = -math.inf

    def saw(self, now: float, frozen_for: float) -> None:
        """A frame came. From a live camera a picture that does not change any more is no new frame."""
        self._frames += 1
        if self._live and frozen_for >= FROZEN:
            self.failed(frozen(), now)
        else:
            self._seen = now
            self._problem_until = min(self._problem_until, now + WELL_AFTER)

    def failed(self, problem: CameraGone, now: float, *, shown_for: float = 10.0) -> None:
        if str(problem) != str(self._problem):
            log.warning("camera %s: %s", self._camera, in_a_line(problem))
        self._problem, self._problem_until = problem, now + shown_for

    def tell(self, now: float) -> CameraHealth:
        if self._problem is not None and now > self._problem_until:
            self._problem = None
        age = None if self._seen is None else max(0.0, now - self._seen)
        health = CameraHealth(camera=self._camera, frame_age=age, frames=self._frames)
        return health if self._problem is None else _with(health, self._problem)


def frozen() -> CameraGone:
    """A live camera whose picture stands still."""
    return CameraGone(
        N_("the picture is frozen: it does not change any more"),
        mend=N_("switch the camera off and on; look at its cable and its network"),
    )


def ended() -> CameraGone:
    """A recording that is not played again."""
    return CameraGone(N_("the recording has ended"), mend=N_("set loop = true to play it again and again"))


def in_a_line(problem: CameraGone) -> str:
    return problem.render().replace("\n", " ")


def _with(health: CameraHealth, problem: CameraGone) -> CameraHealth:
    facts = {name: fact if isinstance(fact, int | float) else str(fact) for name, fact in problem.facts.items()}
    if problem.where:
        facts.setdefault("where", problem.where)
    return msgspec.structs.replace(
        health, problem=in_a_line(problem), what=problem.what, mend=problem.mend, facts=facts
    )


class Observer:
    """One camera. `galleries` is the worker's own, door -> what is compared; `put` hands messages over."""

    def __init__(
        self,
        camera: str,
        doors: Sequence[str],
        engine: Engine,
        galleries: Mapping[str, Compared],
        put: Callable[[Message], None],
        numbers: Iterator[int],
        *,
        pool: int = 3,
    ) -> None:
        self._camera, self._doors, self._engine, self._galleries, self._put = camera, doors, engine, galleries, put
        self.watch = Watch()
        self._tracker = Tracker(numbers, pool=pool)
        self._present, self._somebody, self._told = False, -math.inf, -math.inf
        self._looking = self._looking_told = False

    def see(self, frame: Frame, now: float) -> None:
        """Look at the next frame."""
        glance = self.watch.glance(frame, now)
        if glance.stirred:
            self._somebody = now
        if self.watch.due(now):
            faces = sorted(self._engine.find(frame), key=lambda face: -face.box[2] * face.box[3])[:FACES]
            if faces:
                self.watch.saw_face(now)
                self._somebody = now
            self._follow(frame, faces, now)
        self._tell_presence(glance.brightness, now)

    def pause(self, now: float) -> float:
        """Seconds until the next frame is wanted."""
        return AWAKE if now < self.watch.awake_until else IDLE

    def _follow(self, frame: Frame, faces: Sequence[Face], now: float) -> None:
        tracks = self._tracker.see([face.box for face in faces], now)
        for face, track in zip(faces, tracks, strict=True):
            if not self._tracker.wants(track, now):
                continue
            embedded = self._engine.embed(frame, face)
            if embedded.quality.refusal:
                continue
            pooled = self._tracker.add(track, embedded.vector, embedded.quality.score, now)
            if self._tracker.ready(pooled, now):
                self._tell_candidates(pooled, now)
        self._looking = any(track.told == -math.inf and track.box[2] >= NEAR_ENOUGH for track in tracks)

    def _tell_candidates(self, track: Track, now: float) -> None:
        mean, quality = track.mean(), min(1.0, max(0.0, track.lowest_quality()))
        for door in self._doors:
            compared = self._galleries.get(door)
            if compared is None:
                continue  # no gallery yet: the daemon sends one as soon as it can
            best = tuple(
                Candidate(person=person, distance=float(distance)) for person, distance in compared.nearest(mean)[:2]
            )
            self._put(
                Candidates(
                    camera=self._camera,
                    door=door,
                    track=track.number,
                    generation=compared.generation,
                    frames=len(track.pool),
                    best=best,
                    threshold=compared.threshold,
                    at=now,
                    quality=quality,
                )
            )

    def _tell_presence(self, brightness: float, now: float) -> None:
        present, looking = now - self._somebody <= LINGER, self._looking
        again = REMIND_LOOKING if looking else REMIND
        if (present, looking) == (self._present, self._looking_told) and (not present or now - self._told < again):
            return
        self._present, self._looking_told, self._told = present, looking, now
        brightness = min(1.0, brightness)
        self._put(Presence(camera=self._camera, present=present, looking=looking, brightness=brightness, at=now))


class Galleries(dict[str, Compared]):
    """The galleries in use; a bad file is refused and the gallery before it kept."""

    def __init__(self, space: str, compare: Callable[[gallery.Sealed], Compared]) -> None:
        super().__init__()
        self._space, self._compare = space, compare
        self.problems: dict[str, str] = {}  # door -> why its newest gallery was refused

    def take(self, door: str, generation: int, path: str, sha256: str) -> None:
        """Map the door's new gallery and use it from now on."""
        try:
            sealed = gallery.read(Path(path), sha256)
            if (sealed.door, sealed.generation, sealed.space) != (door, generation, self._space):
                raise gallery.GalleryRefused(
                    f"{path} is generation {sealed.generation} of {sealed.door} for {sealed.space},"
                    f" not {generation} of {door} for {self._space}"
                )
        except gallery.GalleryRefused as refused:
            self.problems[door] = f"gallery of {door} refused: {refused}"
            log.warning("%s", self.problems[door])
            return
        self.problems.pop(door, None)
        self[door] = self._compare(sealed)

    def forget(self) -> None:
        """The daemon is gone; the next one begins its own generations."""
        self.clear()
        self.problems.clear()
