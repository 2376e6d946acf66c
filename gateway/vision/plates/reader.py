"""From a frame to readings: find, set upright, read; closer where nothing could be believed."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from gateway.lanes.plates import Reading
from gateway.vision.engine import Frame
from gateway.vision.plates.agreement import confirmed
from gateway.vision.plates.detector import Detector, Found
from gateway.vision.plates.recogniser import Recogniser
from gateway.vision.plates.upright import extent, in_one_row, straight, two_rows, wider
from gateway.vision.track import association

SIDES = (640, 960, 1600)  # pixels of the longer side, looked at in turn
LANE_SIDES = SIDES[:2]  # of a lane's camera, which stands near: 1600 costs 60 MB and four times the time
READABLE = -5.0  # below this logarithm what was read is no plate
#: A plate less wide than this share of the widest belongs to a car further away: behind, or passing by. The arm is
#: for the car that stands before it: it must not open for a resident who queues behind a stranger.
NEAR = 0.8
NAME, DETECTOR = "pp-ocrv4", "clp-det"


@dataclass(frozen=True, slots=True)
class Seen:
    """One plate of a frame: where, what it may be, and whether another car stands before it."""

    box: tuple[float, float, float, float]
    score: float
    reading: Reading
    behind: bool = False

    @property
    def believed(self) -> bool:
        """Whether an arm may move for it: read without doubt, and no other car is nearer."""
        return self.reading.confident and not self.behind


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
            if any(one.believed for one in made[-1]):
                break
        return made

    def read(self, picture: Frame, sides: Sequence[int] = SIDES) -> list[Seen]:
        """Every plate of a still picture once, as its surest look read it; the likeliest first."""
        seen: list[Seen] = []
        for look in self.looks(picture, sides):
            seen = _merged(seen, look)
        return sorted(seen, key=lambda one: -one.reading.log_p)

    def _read(self, frame: Frame, found: Sequence[Found]) -> list[Seen]:
        sure = [one for one in found if one.sure]
        read = list(zip(sure, self._recogniser.read([straight(frame, one.corners) for one in sure]), strict=True))
        read = [(one, self._again(frame, one, reading)) for one, reading in read]
        if not any(reading.confident for _, reading in read):
            high = [(one, self._rows(frame, one)) for one in found if not one.sure and two_rows(one.corners)]
            read += [(one, reading) for one, reading in high if reading.log_p > READABLE]
        widest = max((extent(one.corners)[0] for one, reading in read if reading.log_p > READABLE), default=0.0)
        return [Seen(one.box, one.score, reading, extent(one.corners)[0] < NEAR * widest) for one, reading in read]

    def _again(self, frame: Frame, one: Found, reading: Reading) -> Reading:
        """A second look: at what would be believed, whether it holds; at a high plate that is not, for two rows."""
        if reading.confident:
            return confirmed(reading, *self._recogniser.read([wider(frame, one.corners)]))
        return max(reading, self._rows(frame, one), key=_likely) if two_rows(one.corners) else reading

    def _rows(self, frame: Frame, one: Found) -> Reading:
        looks = sorted(self._recogniser.read(in_one_row(frame, one.corners)), key=_likely, reverse=True)
        return confirmed(*looks[:2])


def _likely(reading: Reading) -> float:
    return reading.log_p


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
