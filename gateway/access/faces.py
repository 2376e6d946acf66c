"""From what the vision process says to a grant, a refusal or nothing. Pure but for its memory of tracks.

One face that stands before the camera gives many messages: one grant a track (again after REPEAT,
for who did not pull the handle in time), and a refusal only PATIENCE seconds after the first message
without a match, so that a face seen badly at first is not turned away by its first frames. Who only
glanced at the camera is refused, and recorded, all the same: `overdue` is asked every second.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from gateway.access.decision import Match, Snapshot, may_pass_by_face
from gateway.access.rules.door import Grant, Refusal
from gateway.clock import Now
from gateway.vision.protocol import Candidates

REPEAT = 15.0  # seconds; longer than the default opening and the walk through it
PATIENCE = 1.0  # seconds; the worker's next pool of frames comes within it
TRACKS = 64  # tracks remembered a door; the oldest is forgotten


@dataclass(slots=True)
class _Track:
    waiting: Refusal | None = None  # not told yet: a better look may come
    since: float = 0.0
    refused: bool = False
    granted_at: float = float("-inf")


class FaceDesk:
    """One door's memory of the tracks it has judged."""

    def __init__(self, door: str, needed_frames: int) -> None:
        self._door, self._needed = door, needed_frames
        self._tracks: OrderedDict[tuple[str, int], _Track] = OrderedDict()

    def judge(self, seen: Candidates, snapshot: Snapshot, now: Now) -> Grant | Refusal | None:
        """What a message means for the door."""
        track = self._track((seen.camera, seen.track))
        nearest = seen.best[0] if seen.best else None
        match = Match(
            person=nearest.person if nearest else "",
            distance=nearest.distance if nearest else float("inf"),
            threshold=seen.threshold,
            frames=seen.frames,
            at=seen.at,
        )
        decision = may_pass_by_face(snapshot, match, self._door, self._needed, now)
        if decision.granted:
            return self._grant(track, match, seen, now)
        if decision.code in ("stale", "few_frames") or track.refused or track.granted_at > float("-inf"):
            return None
        refusal = Refusal(
            by="face",
            code=decision.code,
            person="" if decision.code == "no_match" else match.person,
            distance=nearest.distance if nearest else None,
            threshold=seen.threshold,
            track=seen.track,
        )
        if decision.code == "no_match":
            track.since = now.mono if track.waiting is None else track.since
            track.waiting = refusal
            return None
        track.refused = True
        return refusal

    def overdue(self, now: Now) -> list[Refusal]:
        """The refusals whose better look did not come."""
        due = [
            track
            for track in self._tracks.values()
            if track.waiting is not None and not track.refused and now.mono - track.since >= PATIENCE
        ]
        for track in due:
            track.refused = True
        return [track.waiting for track in due if track.waiting is not None]

    def _grant(self, track: _Track, match: Match, seen: Candidates, now: Now) -> Grant | None:
        if now.mono - track.granted_at < REPEAT:
            return None
        track.granted_at, track.waiting = now.mono, None
        second = seen.best[1] if len(seen.best) > 1 else None
        return Grant(
            by="face",
            person=match.person,
            distance=match.distance,
            threshold=match.threshold,
            second=second.person if second else "",
            second_distance=second.distance if second else None,
            generation=seen.generation,
            track=seen.track,
        )

    def _track(self, key: tuple[str, int]) -> _Track:
        track = self._tracks.setdefault(key, _Track())
        self._tracks.move_to_end(key)
        if len(self._tracks) > TRACKS:
            self._tracks.popitem(last=False)
        return track
