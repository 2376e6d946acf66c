"""Short tracks: which faces of successive frames are one person, and the mean of her embeddings.

Theory of operation
    A face belongs to the track whose last box it overlaps, or whose centre it is near; the best pairs
    are taken first, a face joins one track and a track takes one face a frame. A track that was not
    seen for `forget` seconds is over, and its number is never used again.

    Who is compared is the mean of the last `pool` embeddings of one track (measured: better than
    votes or a mean of scores). So a pool must hold one person only. An embedding farther than JUMP
    from the mean so far is odd: it is not pooled, and while it is the newest the track tells nobody.
    A second odd one that is like the first is somebody else's: two people crossed, or a second picture
    took the first's place. Then the track is over and a new one begins with both. One alone was a hand
    before the face, and is forgotten.

    A full pool is told at once, then again at most every `again` seconds while the person stays. What
    was pooled more than STALE seconds ago does not count any more.

    A slow engine on a slow box looks once in a second or two. There the times are stretched by the pace of the last two
    looks, for else every look would begin a new track, and no pool would ever be full.

Pure: boxes and embeddings in, tracks out. Times are monotonic seconds.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Vector = npt.NDArray[np.float32]

Box = tuple[float, float, float, float]  # x, y, width, height

OVERLAP = 0.3  # intersection over union from which two boxes are one face
NEAR = 0.6  # or their centres are nearer than this share of the box's width, and the sizes are alike
STALE = 3.0  # seconds after which a pooled embedding is too old to stand beside a new one
SLOWEST = 4.0  # seconds between two looks that still belong together
JUMP = 0.6  # distance of two embeddings beyond which they are hardly one person's


def association(a: Box, b: Box) -> float:
    """How well two boxes fit; 0 when they are not one face, more is better."""
    wide = max(0.0, min(a[0] + a[2], b[0] + b[2]) - max(a[0], b[0]))
    high = max(0.0, min(a[1] + a[3], b[1] + b[3]) - max(a[1], b[1]))
    union = a[2] * a[3] + b[2] * b[3] - wide * high
    overlap = wide * high / union if union > 0 else 0.0
    if overlap >= OVERLAP:
        return 1.0 + overlap
    size = max(a[2], b[2], 1e-6)
    apart = math.hypot(a[0] + a[2] / 2 - b[0] - b[2] / 2, a[1] + a[3] / 2 - b[1] - b[3] / 2) / size
    alike = min(a[2], b[2]) / size
    return 1.0 - apart if apart < NEAR and alike > 0.5 else 0.0


@dataclass(slots=True)
class Track:
    """One face over time."""

    number: int
    box: Box
    seen: float
    pool: deque[tuple[Vector, float, float]] = field(default_factory=deque)  # embedding, quality, time
    told: float = -math.inf
    odd: tuple[Vector, float, float] | None = None  # the newest embedding, where it does not fit the pool

    def mean(self) -> Vector:
        """The mean of the pooled embeddings; the pool must not be empty."""
        vectors = [vector for vector, _, _ in self.pool]
        total = vectors[0].copy()
        for vector in vectors[1:]:
            total += vector
        total /= len(vectors)
        return total

    def lowest_quality(self) -> float:
        return min((quality for _, quality, _ in self.pool), default=0.0)


class Tracker:
    """The tracks before one camera. `numbers` gives each new track its number."""

    def __init__(self, numbers: Iterator[int], *, pool: int = 3, forget: float = 1.0, again: float = 1.0) -> None:
        self._numbers, self._pool, self._forget, self._again = numbers, pool, forget, again
        self._looked, self._pace = -math.inf, 0.0
        self.tracks: list[Track] = []

    def see(self, boxes: Sequence[Box], now: float) -> list[Track]:
        """The track of each box, in the boxes' order; tracks not seen for long are forgotten."""
        self._looked, self._pace = now, now - self._looked if now - self._looked <= SLOWEST else 0.0
        forget = max(self._forget, 2.5 * self._pace)
        self.tracks = [track for track in self.tracks if now - track.seen <= forget]
        pairs = sorted(
            (
                (fit, place, track)
                for place, box in enumerate(boxes)
                for track in self.tracks
                if (fit := association(track.box, box)) > 0
            ),
            key=lambda pair: (-pair[0], pair[1], pair[2].number),
        )
        found: dict[int, Track] = {}
        taken: set[int] = set()
        for _, place, track in pairs:
            if place not in found and track.number not in taken:
                found[place] = track
                taken.add(track.number)
        for place, box in enumerate(boxes):
            if place not in found:
                found[place] = self._begin(box, now)
            found[place].box, found[place].seen = box, now
        return [found[place] for place in range(len(boxes))]

    def wants(self, track: Track, now: float) -> bool:
        """Whether another embedding of this track is worth its computing now."""
        return track.odd is not None or len(track.pool) < self._pool or now - track.told >= self._again

    def add(self, track: Track, vector: Vector, quality: float, now: float) -> Track:
        """Pool an embedding; returns the track it belongs to, a new one where the face is another's."""
        if track.pool and _apart(track.mean(), vector):
            if track.odd is None or _apart(track.odd[0], vector):
                track.odd = (vector, quality, now)
                return track
            first = track.odd
            self.tracks.remove(track)
            track = self._begin(track.box, now)
            track.pool.append(first)
        track.odd = None
        track.pool.append((vector, quality, now))
        stale = max(STALE, 1.5 * self._pool * self._pace)
        while len(track.pool) > self._pool or now - track.pool[0][2] > stale:
            track.pool.popleft()
        return track

    def ready(self, track: Track, now: float) -> bool:
        """Whether to compare and tell this track now; counts as told."""
        if track.odd is not None or len(track.pool) < self._pool or now - track.told < self._again:
            return False
        track.told = now
        return True

    def _begin(self, box: Box, now: float) -> Track:
        track = Track(next(self._numbers), box, now)
        self.tracks.append(track)
        return track


def _apart(a: Vector, b: Vector) -> bool:
    """Whether two embeddings are hardly one person's."""
    return float(((a - b) ** 2).sum()) > JUMP**2
