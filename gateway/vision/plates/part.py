"""A worker that reads plates at lanes: from the frames of one camera to what the daemon is told.

Theory of operation
    A frame is glanced at and, where that is due, looked at in one size; while nothing can be believed the
    next frame is looked at in the next size, so that no frame costs both. The plates of successive
    frames go to tracks by place. A track keeps the readings of its newest frames; they vote. It is told as
    soon as two of them agree, else when three were read, then again each second while it is seen: the
    daemon decides what two of three mean. Of several cars only the nearest is told (`reader.NEAR`). What a
    detector takes for a plate and no plate can be read from (a badge, a grille, a phone number) is never told.

    A live camera that is frozen gives the same picture again and again; it would vote for itself. So from a
    live camera a frame that is equal to the one before is no look. (A folder of pictures shows each eight times.)
"""

from __future__ import annotations

import zlib
from collections import deque
from collections.abc import Callable, Coroutine, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from gateway.config import schema
from gateway.lanes import plates
from gateway.lanes.plates import Reading
from gateway.vision.frames import Watch
from gateway.vision.observe import AWAKE, IDLE
from gateway.vision.plates.reader import DETECTOR, LANE_SIDES, NAME, READABLE, Reads, Seen
from gateway.vision.protocol import (
    CameraHealth,
    Enrol,
    Gallery,
    Garbage,
    Heartbeat,
    Message,
    PlateCandidate,
    PlateRead,
)
from gateway.vision.settings import Settings
from gateway.vision.track import Box, association

if TYPE_CHECKING:
    from drivers.interfaces import Frame
    from gateway.vision.part import Frames

FORGET = 1.5  # seconds after which a plate that was not seen is another's
STALE = 5.0  # seconds after which a frame's reading does not vote any more
AGAIN = 1.0  # seconds between two messages of one track


@dataclass(slots=True)
class Track:
    """One plate over time; of its readings the newest count."""

    number: int
    box: Box
    seen: float
    readings: deque[tuple[Reading, float]] = field(default_factory=lambda: deque(maxlen=plates.LOOKS))
    told: float | None = None

    def reading(self, now: float) -> Reading:
        return plates.vote([reading for reading, at in self.readings if now - at <= STALE])


class PlateObserver:
    """One camera and the lanes it watches."""

    def __init__(
        self,
        camera: str,
        lanes: Sequence[str],
        reader: Reads,
        put: Callable[[Message], None],
        numbers: Iterator[int],
        *,
        live: bool = True,
    ) -> None:
        self._live = live
        self._camera, self._lanes, self._reader, self._put, self._numbers = camera, lanes, reader, put, numbers
        self.watch = Watch()
        self._tracks: list[Track] = []
        self._side, self._picture = 0, 0

    def see(self, frame: Frame, now: float) -> None:
        """Look at the next frame."""
        self.watch.glance(frame, now)
        if not self.watch.due(now):
            return
        if self._live and not self._changed(frame):
            return
        sides = [side for side in LANE_SIDES if side <= max(*frame.shape[:2], LANE_SIDES[0])]
        seen = self._reader.look(frame, sides[self._side % len(sides)])
        if not any(one.believed for one in seen):
            self._side += 1
        readable = [one for one in seen if one.reading.log_p > READABLE and not one.behind]
        if readable:
            self.watch.saw_face(now)  # somebody is there: look at every frame for a while
        self._follow(readable, now)

    def _changed(self, frame: Frame) -> bool:
        before, self._picture = self._picture, zlib.crc32(frame.tobytes())
        return before != self._picture

    def pause(self, now: float) -> float:
        """Seconds from the last frame to the next one that is wanted."""
        return AWAKE if now < self.watch.awake_until else IDLE

    def _follow(self, seen: Sequence[Seen], now: float) -> None:
        self._tracks = [track for track in self._tracks if now - track.seen <= FORGET]
        free = list(self._tracks)
        for one in seen:
            track = max(free, key=lambda track: association(track.box, one.box), default=None)
            if track is None or not association(track.box, one.box):
                track = Track(next(self._numbers), one.box, now)
                self._tracks.append(track)
            else:
                free.remove(track)
            track.box, track.seen = one.box, now
            track.readings.append((one.reading, now))
            self._tell(track, now)

    def _tell(self, track: Track, now: float) -> None:
        if track.told is not None and now - track.told < AGAIN:
            return
        reading = track.reading(now)
        if not reading.agreed and reading.frames < plates.LOOKS:
            return
        track.told = now
        for lane in self._lanes:
            self._put(message(self._camera, lane, track.number, reading, now))


def message(camera: str, lane: str, track: int, reading: Reading, now: float) -> PlateRead:
    """A reading as it is told."""
    return PlateRead(
        camera=camera,
        lane=lane,
        track=track,
        readings=tuple(PlateCandidate(plate=plate, log_p=max(-1000.0, log_p)) for plate, log_p in reading.candidates),
        margin=reading.margin if len(reading.candidates) > 1 else None,
        frames=reading.frames,
        votes=reading.votes,
        at=now,
    )


class PlatePart:
    """Everything that a worker of lanes computes."""

    engine, detector = NAME, DETECTOR

    def __init__(self, settings: Settings, reader: Reads) -> None:
        self._settings, self._reader = settings, reader
        self.models: Mapping[str, str] = reader.models

    def eye(self, camera: str, put: Callable[[Message], None], numbers: Iterator[int]) -> PlateObserver:
        lanes = [lane for lane, its in self._settings.lanes.items() if its == camera]
        live = isinstance(self._settings.cameras.get(camera), schema.V4l2Camera | schema.RtspCamera)
        return PlateObserver(camera, lanes, self._reader, put, numbers, live=live)

    def hear(self, message: Gallery | Enrol, frames: Frames) -> Coroutine[None, None, Message] | None:  # noqa: ARG002
        raise Garbage(f"a {type(message).__name__} for a worker that reads plates")

    def forget(self) -> None:
        """Nothing was told that would have to be forgotten."""

    def heartbeat(self, cameras: tuple[CameraHealth, ...], resident_kb: int) -> Heartbeat:
        return Heartbeat(cameras=cameras, resident_kb=resident_kb, generations={})
