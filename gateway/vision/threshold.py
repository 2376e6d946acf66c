"""How near is near enough: the distance that follows from a stated false-positive rate and a gallery's size.

Theory of operation
    A stranger stands before a door of N people. She is let in when her score against any one of them
    falls below the threshold t: with F the distribution of a stranger's score against one person, the
    chance is 1 - (1 - F(t))^N. So for a stated rate R the threshold solves F(t) = 1 - (1 - R)^(1/N).
    One in a thousand at 200 people is one in 200,000 for a single comparison: far beyond what
    a few dozen people show. So the tail is fitted: below the 10 % quantile u the excess x = u - t
    follows a generalised Pareto distribution, by its first two moments. Its shape is kept between
    -0.25 and 0: a shorter tail is not believed of so few people, a longer one is not seen in any data.

    The scores are those of `compare.py`: the mean of the pooled embeddings of one track against the two
    nearest templates. More templates bring everybody nearer, so does pooling; the table has an entry for
    each, and the next stricter one is taken.

    The interval is a bootstrap over people, not over pairs: a few look-alikes decide a tail.

    Two sources. The shipped table (`impostors.json`, statistics and no faces: its `origin` says whose) and,
    from OWN_PEOPLE people on, the door's own templates compared with each other, which know this
    camera and these people. The stricter of the two counts.

    Whatever is asked, no threshold is above CEILING. A tail that was fitted on few people may miss the look-alikes
    among the others: fitted on ten of twenty people, it ran up to 0.45 in a quarter of all halvings, and there it let
    in 1.4 to 1.7 in 10,000 of the ten others where 1 was asked for. Below 0.42 it let in none of 28,800, and lost no
    resident (`benchmarks/faces.py` prints this again: unseen people).
"""

from __future__ import annotations

import functools
import math
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import NamedTuple

import msgspec
import numpy as np
import numpy.typing as npt

from gateway.errors import ModelError, N_

TABLE = Path(__file__).with_name("impostors.json")
SHARE = 0.10  # of the scores belong to the fitted tail
SHAPES = (-0.25, 0.0)
CEILING = 0.42  # no door opens beyond, whatever rate is asked: no stranger of 40 people was nearer in three frames
OWN_PEOPLE = 30  # from so many people on a door's own templates are believed
DOUBLE = 0.30  # nearer than this are two ids of one person: kept out of the tail
RESAMPLED = 40
INTERVAL = (0.025, 0.975)

Scores = npt.NDArray[np.float64]

BASIS_SHIPPED = N_(
    "from impostor distances of {people} people, measured with the detector {detector}, the tail fitted;"
    " not measured: children, East Asian faces, masks"
)
BASIS_OWN = N_("from the door's own templates ({people} people), which are more alike than the shipped ones")
BASIS_CEILING = N_("the largest distance that is ever accepted; the stated rate alone would allow more")


class Tail(msgspec.Struct, frozen=True, omit_defaults=True):
    """The lower tail of a stranger's score against one person: below `edge` a generalised Pareto."""

    edge: float
    scale: float
    shape: float
    share: float = SHARE

    def distance(self, rate: float) -> float:
        """Where the share of strangers' scores below falls to `rate`."""
        if rate >= self.share:
            return self.edge
        if abs(self.shape) < 1e-9:
            return self.edge - self.scale * math.log(self.share / rate)
        return self.edge - self.scale / self.shape * (math.pow(rate / self.share, -self.shape) - 1)

    def rate(self, distance: float) -> float:
        """The share of strangers' scores below `distance`, at most `share`."""
        excess = max(0.0, self.edge - distance) / self.scale
        if abs(self.shape) < 1e-9:
            return self.share * math.exp(-excess)
        inside = 1 + self.shape * excess
        return self.share * inside ** (-1 / self.shape) if inside > 0 else 0.0


class Fitted(msgspec.Struct, frozen=True):
    """A tail, and the same from resampled people: how far it can be trusted."""

    tail: Tail
    resampled: tuple[Tail, ...]
    people: int

    def distance(self, rate: float) -> tuple[float, float, float]:
        """The threshold for a rate, and its 95 % interval."""
        return self.tail.distance(rate), *_interval([tail.distance(rate) for tail in self.resampled])

    def rate(self, distance: float) -> tuple[float, float, float]:
        """The rate at a threshold, and its 95 % interval."""
        return self.tail.rate(distance), *_interval([tail.rate(distance) for tail in self.resampled])


class Entry(msgspec.Struct, frozen=True):
    """One row of the shipped table."""

    detector: str
    pooled: int
    templates: int
    fitted: Fitted


class Table(msgspec.Struct, frozen=True):
    """The shipped table."""

    origin: str
    entries: tuple[Entry, ...]


@dataclass(frozen=True, slots=True)
class Threshold:
    """A score below `value` is that person. `low` and `high`: the 95 % interval of what the rate asks for.

    `rates` are the false-positive identification rate that `value` really gives, and its interval.
    """

    value: float
    low: float
    high: float
    rates: tuple[float, float, float]
    basis: str  # a message id
    facts: dict[str, object] = field(default_factory=dict)


class Setting(NamedTuple):
    """What the impostor distances depend on."""

    detector: str
    pooled: int
    templates: int


def single_rate(fpir: float, persons: int) -> float:
    """The false-accept rate of one comparison that makes `fpir` against so many people."""
    return -math.expm1(math.log1p(-fpir) / max(1, persons))


def identification_rate(single: float, persons: int) -> float:
    """The other way round: how often a stranger is taken for one of so many people."""
    return -math.expm1(persons * math.log1p(-min(single, 1 - 1e-12)))


def for_gallery(
    fpir: float,
    persons: int,
    pooled_frames: int,
    engine: str,
    detector: str,
    *,
    templates: int = 5,
    own: Scores | None = None,
) -> Threshold:
    """The threshold of a door. `own`: strangers x people scores of the door itself (`compare.Gallery.impostors`).

    `engine` is told for the day when one brings numbers of another space. Raises ModelError.
    """
    shipped = entry_for(Setting(detector if engine == "onnx" else "hog", pooled_frames, templates))
    facts: dict[str, object] = {"detector": shipped.detector}
    found = of_tail(shipped.fitted, fpir, persons, BASIS_SHIPPED, facts)
    if own is not None and len(own) >= OWN_PEOPLE:
        local, rate = fit(own), single_rate(fpir, persons)
        if local.tail.distance(rate) < shipped.fitted.tail.distance(rate):
            return of_tail(local, fpir, persons, BASIS_OWN, facts)
    return found


def of_tail(fitted: Fitted, fpir: float, persons: int, basis: str, facts: dict[str, object]) -> Threshold:
    """The threshold that a fitted tail gives a door."""
    value, low, high = fitted.distance(single_rate(fpir, persons))
    if value > CEILING:
        value, basis = CEILING, BASIS_CEILING
    rates = tuple(identification_rate(each, persons) for each in fitted.rate(value))
    return Threshold(value, low, high, (rates[0], rates[1], rates[2]), basis, facts | {"people": fitted.people})


@functools.cache
def table() -> Table:
    """The shipped table. Raises ModelError."""
    try:
        return msgspec.json.decode(TABLE.read_bytes(), type=Table)
    except (OSError, msgspec.DecodeError) as error:
        raise ModelError(
            N_("the table of impostor distances cannot be read: {error}"),
            where=str(TABLE),
            mend=N_("install Loumen again"),
            error=str(error),
        ) from error


def entry_for(setting: Setting) -> Entry:
    """The entry of the shipped table that is the next stricter one, of an unknown detector the strictest."""
    known = [entry for entry in table().entries if entry.detector == setting.detector] or list(table().entries)
    pooled = _at_least(setting.pooled, {entry.pooled for entry in known})
    templates = _at_least(setting.templates, {entry.templates for entry in known})
    fitting = [entry for entry in known if (entry.pooled, entry.templates) == (pooled, templates)]
    return min(fitting, key=lambda entry: entry.fitted.tail.distance(1e-5))


def _at_least(wanted: int, there: set[int]) -> int:
    return min((number for number in there if number >= wanted), default=max(there))


def fit(scores: Scores, shape: float | None = None, seed: int = 11) -> Fitted:
    """The tail of strangers' scores: `scores[a, b]` (and further axes) are a's against b; not-a-number = none.

    A `shape` that is known better than these scores tell it is given for the tail, not for the resampled ones.
    """
    people = len(scores)
    random = np.random.default_rng(seed)
    resampled = []
    for _ in range(RESAMPLED):
        rows = random.integers(0, people, people)
        part = scores[np.ix_(rows, rows)]
        part[rows[:, None] == rows[None, :]] = np.nan
        resampled.append(tail_of(part))
    return Fitted(tail_of(scores, shape), tuple(resampled), people)


def tail_of(scores: Scores, shape: float | None = None) -> Tail:
    """The lower tail by the first two moments of what lies below the 10 % quantile."""
    known = scores[np.isfinite(scores)]
    known = known[known >= DOUBLE] if (known >= DOUBLE).any() else known
    edge = float(np.quantile(known, SHARE))
    excess = edge - known[known < edge]
    mean = float(excess.mean()) if len(excess) else 0.02
    ratio = mean * mean / max(float(excess.var()) if len(excess) > 1 else mean * mean, 1e-12)
    if shape is None:
        shape = min(max(0.5 * (1 - ratio), SHAPES[0]), SHAPES[1])
    return Tail(round(edge, 5), round(mean * (1 - shape), 5), round(shape, 4))


def _interval(values: Sequence[float]) -> tuple[float, float]:
    low, high = np.quantile(np.asarray(values), INTERVAL).tolist()
    return low, high
