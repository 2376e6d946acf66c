"""Error rates of a comparison, with counts and 95 % intervals. Pure numbers.

A pair is accepted when its distance is below the threshold. The intervals of rates over pairs are
bootstraps over people where people are known (one person who looks like another makes a hundred pairs
look alike), else over pairs.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Places = npt.NDArray[np.intp]

RESAMPLED = 200
LEVEL = 1.959964  # of the normal distribution, for 95 %


@dataclass(frozen=True, slots=True)
class Operating:
    """One false-accept rate: what is accepted there, and from which distance on not."""

    far: float
    tar: float
    threshold: float


@dataclass(frozen=True, slots=True)
class Weighted:
    """Distances of one kind of pair in rising order, with weights (1 each, or how often resampled)."""

    distances: Floats
    weights: Floats

    @staticmethod
    def of(distances: Floats, weights: Floats | None = None) -> Weighted:
        order = np.argsort(distances, kind="stable")
        given = np.ones(len(distances)) if weights is None else weights
        return Weighted(distances[order], given[order])

    def below(self, threshold: float) -> float:
        """The share that lies below."""
        total = self.weights.sum()
        count = np.searchsorted(self.distances, threshold, "left")
        return float(self.weights[:count].sum() / total) if total else math.nan


def equal_error(same: Weighted, different: Weighted) -> float:
    """Where as many strangers are accepted as owners refused: the mean of the two rates where they cross."""
    if not (same.weights.sum() and different.weights.sum()):
        return math.nan
    thresholds = np.unique(np.concatenate((same.distances, different.distances)))
    accepted = _cumulative(different, thresholds)
    refused = 1 - _cumulative(same, thresholds)
    nearest = int(np.argmin(np.abs(accepted - refused)))
    return float((accepted[nearest] + refused[nearest]) / 2)


def _cumulative(one: Weighted, thresholds: Floats) -> Floats:
    """The share at or below each threshold."""
    sums = np.concatenate(([0.0], np.cumsum(one.weights)))
    return np.asarray(sums[np.searchsorted(one.distances, thresholds, "right")] / sums[-1])


def operating(same: Weighted, different: Weighted, far: float) -> Operating:
    """The largest threshold at which at most `far` of the strangers are accepted."""
    total = different.weights.sum()
    if not (total and same.weights.sum()):
        return Operating(far, math.nan, math.nan)
    sums = np.cumsum(different.weights)
    first = int(np.searchsorted(sums, far * total + 1e-9, "right"))
    threshold = float(different.distances[min(first, len(sums) - 1)])
    return Operating(far, same.below(threshold), threshold)


@dataclass(frozen=True, slots=True)
class Pairs:
    """Every compared pair. `first` and `second` are people, or None where they are not known."""

    distances: Floats
    same: npt.NDArray[np.bool_]
    first: Places | None = None
    second: Places | None = None

    def split(self, weights: Floats | None = None) -> tuple[Weighted, Weighted]:
        """Pairs of one person, and of two."""
        given = np.ones(len(self.distances)) if weights is None else weights
        return (
            Weighted.of(self.distances[self.same], given[self.same]),
            Weighted.of(self.distances[~self.same], given[~self.same]),
        )

    def resampled(self, seed: int = 5) -> list[tuple[Weighted, Weighted]]:
        """The same with people (else pairs) drawn again, for intervals."""
        random = np.random.default_rng(seed)
        found = []
        for _ in range(RESAMPLED):
            if self.first is None or self.second is None:
                weights = random.poisson(1.0, len(self.distances)).astype(np.float64)
            else:
                people = int(max(self.first.max(), self.second.max())) + 1
                drawn = np.bincount(random.integers(0, people, people), minlength=people).astype(np.float64)
                weights = np.where(self.same, drawn[self.first], drawn[self.first] * drawn[self.second])
            found.append(self.split(weights))
        return found


def interval(values: list[float], share: float, trials: int) -> tuple[float, float] | None:
    """The middle 95 % of resampled values, never narrower than Wilson's for so many independent trials.

    Resampling alone would say that what never failed among few cannot fail.
    """
    known = [value for value in values if math.isfinite(value)]
    least = wilson(share * trials, trials) if math.isfinite(share) else None
    if not known or least is None:
        return None
    low, high = np.quantile(known, (0.025, 0.975)).tolist()
    return min(low, least[0]), max(high, least[1])


def wilson(count: float, total: float) -> tuple[float, float] | None:
    """Wilson's 95 % interval of a share; None of nothing."""
    if total <= 0:
        return None
    share, z2 = count / total, LEVEL * LEVEL
    middle = (share + z2 / (2 * total)) / (1 + z2 / total)
    half = LEVEL * math.sqrt(share * (1 - share) / total + z2 / (4 * total * total)) / (1 + z2 / total)
    return max(0.0, middle - half), min(1.0, middle + half)
