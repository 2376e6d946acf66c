"""From what the vision process reads to a grant, a refusal or nothing. Pure but for its memory of tracks.

One car before the camera gives many readings: one grant a vehicle in REPEAT seconds (a registered car that is
parked in view must not keep the arm up; one that has passed since and comes again, as another track, is a new
arrival), and one refusal a track. A plate that is not certain yet is refused only PATIENCE seconds after its first
reading: `overdue` is asked every second.
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass

from gateway.clock import Now
from gateway.lanes.decision import Owners, may_pass_by_plate, unowned
from gateway.lanes.plates import Reading
from gateway.lanes.register import Register, Vehicle
from gateway.lanes.rules.inputs import Grant, Refusal

STALE = 3.0  # seconds; an older reading is not of the car that stands there now
REPEAT = 60.0  # seconds
PATIENCE = 2.0  # seconds; several more frames come within it
TRACKS = 64  # tracks and vehicles remembered a lane; the oldest is forgotten


@dataclass(slots=True)
class _Track:
    waiting: Refusal | None = None  # not told yet: a better look may come
    since: float = 0.0
    done: bool = False


@dataclass(slots=True)
class _Granted:
    at: float
    track: int
    passed: bool = False  # a vehicle has passed since, and nobody else was granted between


class Looks:
    """One lane's memory of what it has judged."""

    def __init__(self, lane: str, owners: Owners = unowned) -> None:
        self._lane, self._owners = lane, owners
        self._tracks: OrderedDict[int, _Track] = OrderedDict()
        self._granted: OrderedDict[str, _Granted] = OrderedDict()

    def judge(self, reading: Reading, track: int, at: float, register: Register, now: Now) -> Grant | Refusal | None:
        """What a reading of `track`, newest frame at `at`, means for the lane."""
        if abs(now.mono - at) > STALE:
            return None
        known = self._track(track)
        decision = may_pass_by_plate(register, reading, self._lane, now, self._owners)
        if decision.granted and decision.vehicle is not None:
            known.done, known.waiting = True, None
            return self._grant(decision.vehicle, decision.how, reading, track, now)
        if known.done or decision.code == "few_frames":
            return None
        refusal = Refusal(
            by="plate",
            code=decision.code,
            vehicle=decision.vehicle.id if decision.vehicle else "",
            person=decision.vehicle.person if decision.vehicle else "",
            log_p=_finite(reading.log_p),
            votes=reading.votes,
            frames=reading.frames,
            track=track,
        )
        if decision.vehicle is None:  # not on the register, or not certain: the next frames may say otherwise
            known.since = now.mono if known.waiting is None else known.since
            known.waiting = refusal
            return None
        known.done = True
        return refusal

    def overdue(self, now: Now) -> list[Refusal]:
        """The refusals whose better look did not come."""
        due = [
            track
            for track in self._tracks.values()
            if track.waiting is not None and not track.done and now.mono - track.since >= PATIENCE
        ]
        for track in due:
            track.done = True
        return [track.waiting for track in due if track.waiting is not None]

    def passed(self) -> None:
        """A vehicle has passed: the one that was granted last."""
        if self._granted:
            next(reversed(self._granted.values())).passed = True

    def _grant(self, vehicle: Vehicle, how: str, reading: Reading, track: int, now: Now) -> Grant | None:
        known = self._granted.get(vehicle.id)
        if known is not None and now.mono - known.at < REPEAT and (not known.passed or known.track == track):
            return None
        self._granted[vehicle.id] = _Granted(now.mono, track)
        self._granted.move_to_end(vehicle.id)
        if len(self._granted) > TRACKS:
            self._granted.popitem(last=False)
        return Grant(
            by="plate",
            vehicle=vehicle.id,
            person=vehicle.person,
            how=how,
            log_p=_finite(reading.log_p),
            votes=reading.votes,
            frames=reading.frames,
            track=track,
        )

    def _track(self, track: int) -> _Track:
        known = self._tracks.setdefault(track, _Track())
        self._tracks.move_to_end(track)
        if len(self._tracks) > TRACKS:
            self._tracks.popitem(last=False)
        return known


def _finite(log_p: float) -> float | None:
    return round(log_p, 3) if log_p > float("-inf") else None
