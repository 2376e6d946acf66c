"""From a frame to readings: find, set upright, read; closer where nothing could be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.lanes.plates import Reading
from gateway.vision.engine import Frame
from gateway.vision.plates.detector import Detector, Found
from gateway.vision.plates.recogniser import Recogniser, in_one_row, straight, two_rows
from gateway.vision.track import association

SIDES = (640, 960, 1600)  # pixels of the longer side, looked at in turn
LANE_SIDES = SIDES[:2]  # of a lane's camera, which stands near: 1600 costs 60 MB and four times the time
NAME, DETECTOR = "pp-ocrv4", "clp-det"


@dataclass(frozen=True, slots=True)
class Seen:
    """One plate of a frame: where, and what it may be."""

    box: tuple[float, float, float, float]
    score: float
    reading: Reading


class Reads(Protocol):
    """What an observer needs of a reader."""

    @property
    def models(self) -> Mapping[str, str]: ...

    def look(self, frame: Frame, side: int) -> list[Seen]: ...


class PlateReader:
    """`look` at one size, `read` a still picture at all sizes until something can be believed."""

    def __init__(self, detector: Detector, recogniser: Recogniser, models: Mapping[str, str]) -> None:
        self._detector, self._recogniser, self.models = detector, recogniser, dict(models)

    def look(self, frame: Frame, side: int) -> list[Seen]:
        return self._read(frame, self._detector.find(frame, side))

    def looks(self, picture: Frame, sides: Sequence[int] = SIDES) -> list[list[Seen]]:
        """One look a size, until something can be believed."""
        made: list[list[Seen]] = []
        for side in sides:
            made.append(self.look(picture, side))
            if any(one.reading.confident for one in made[-1]):
                break
        return made

    def read(self, picture: Frame, sides: Sequence[int] = SIDES) -> list[Seen]:
        """Every plate of a still picture once, as its surest look read it; the likeliest first."""
        seen: list[Seen] = []
        for look in self.looks(picture, sides):
            seen = _merged(seen, look)
        return sorted(seen, key=lambda one: -one.reading.log_p)

    def _read(self, frame: Frame, found: Sequence[Found]) -> list[Seen]:
        readings = self._recogniser.read([straight(frame, one.corners) for one in found])
        high = [at for at, one in enumerate(found) if two_rows(one.corners)]
        again = self._recogniser.read([in_one_row(frame, found[at].corners) for at in high])
        for at, reading in zip(high, again, strict=True):
            readings[at] = max(readings[at], reading, key=lambda each: each.log_p)
        return [Seen(one.box, one.score, reading) for one, reading in zip(found, readings, strict=True)]


def _merged(before: Sequence[Seen], now: Sequence[Seen]) -> list[Seen]:
    """What both looks saw counts once, by the likelier reading."""
    kept = list(before)
    for one in now:
        same = [at for at, other in enumerate(kept) if association(other.box, one.box) > 0]
        if not same:
            kept.append(one)
        elif one.reading.log_p > kept[same[0]].reading.log_p:
            kept[same[0]] = one
    return kept
