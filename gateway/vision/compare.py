"""Who of a door's gallery is nearest to a face: the best person and the second best.

A person's score is the mean distance to the two nearest of her templates (one template: the distance to
it). Measured, it beats the nearest alone, which one odd reference picture spoils, and the mean of all,
which punishes who enrolled with and without glasses.

    |t - q|^2 = |t|^2 + |q|^2 - 2 t.q    one matrix-vector product in float32 for the whole gallery

Rows are kept by rank: first everybody's first template, then the second of all who have two, and so on,
people with the most templates in front. Then the two smallest a person are a few minima over
contiguous prefixes, and no person costs a Python step. The winners' distances are computed once more
exactly, for the trick loses digits where a distance is near zero.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gateway.vision.gallery import DIMS, Sealed

Vector = npt.NDArray[np.float32]


class Near(NamedTuple):
    """A person and her score: smaller is more alike."""

    person: str
    distance: float


class Gallery:
    """Everybody who may pass a door, ready to be compared with. `index[row]` is whose template a row is."""

    def __init__(self, people: Sequence[str], index: npt.ArrayLike, matrix: npt.ArrayLike) -> None:
        owners = np.asarray(index, np.intp)
        templates = np.asarray(matrix, np.float32).reshape(-1, DIMS)
        if len(owners) != len(templates):
            raise ValueError(f"{len(templates)} templates of {len(owners)} owners")
        counts = np.bincount(owners, minlength=len(people))
        order = np.argsort(-counts, kind="stable")
        order = order[counts[order] > 0]
        place = np.empty(len(people), np.intp)
        place[order] = np.arange(len(order))
        ranks = _ranks(owners)
        rows = np.lexsort((place[owners], ranks))
        self._people = [people[person] for person in order]
        self._matrix = np.ascontiguousarray(templates[rows])
        self._squares = np.einsum("ij,ij->i", self._matrix, self._matrix)
        self._layers = [int(np.count_nonzero(counts > rank)) for rank in range(int(counts.max(initial=0)))]

    @classmethod
    def of(cls, sealed: Sealed) -> Gallery:
        """The gallery of a sealed file."""
        return cls(sealed.people, np.asarray(sealed.index), np.asarray(sealed.matrix))

    def __len__(self) -> int:
        """How many people have a template."""
        return len(self._people)

    def nearest(self, vector: npt.ArrayLike) -> list[Near]:
        """At most two people, the nearest first."""
        if not self._people:
            return []
        query = np.asarray(vector, np.float32).reshape(DIMS)
        scores = self._all(query)
        few = min(2, len(scores))
        best = np.argpartition(scores, few - 1)[:few]
        found = [Near(self._people[place], self._exact(int(place), query)) for place in best]
        return sorted(found, key=lambda near: near.distance)

    @property
    def templates(self) -> int:
        """How many templates the person has who has most."""
        return len(self._layers)

    def impostors(self, pooled: int, most: int = 300) -> npt.NDArray[np.float64]:
        """What strangers would score here: people x people, each one's pooled templates against the others.

        For `threshold.for_gallery`. Of more than `most` people an even selection is taken.
        """
        chosen = np.unique(np.linspace(0, max(0, len(self) - 1), min(most, len(self))).astype(np.intp))
        starts = np.cumsum([0, *self._layers[:-1]])
        found = np.full((len(chosen), len(chosen)), np.nan)
        for row, place in enumerate(chosen):
            rows = [start + place for start, count in zip(starts, self._layers, strict=True) if place < count]
            query = self._matrix[rows[:pooled]].mean(axis=0)
            found[row] = self._all(query)[chosen]
            found[row, row] = np.nan
        return found

    def scores(self, vector: npt.ArrayLike) -> dict[str, float]:
        """Everybody's score."""
        query = np.asarray(vector, np.float32).reshape(DIMS)
        return dict(zip(self._people, self._all(query).tolist(), strict=True)) if self._people else {}

    def _all(self, query: Vector) -> Vector:
        squares = self._matrix @ (-2 * query)
        squares += self._squares
        return self._scores(squares, float(query @ query))

    def _scores(self, squares: Vector, query: float) -> Vector:
        """The mean of the two smallest distances a person; `squares` are all short of the query's own."""
        first = squares[: self._layers[0]].copy()
        second = np.full_like(first, np.inf)
        start = self._layers[0]
        for count in self._layers[1:]:
            layer = squares[start : start + count]
            np.minimum(second[:count], np.maximum(first[:count], layer), out=second[:count])
            np.minimum(first[:count], layer, out=first[:count])
            start += count
        first, second = np.maximum(first + np.float32(query), 0), np.maximum(second + np.float32(query), 0)
        nearest = np.sqrt(first, out=first)
        return np.asarray(np.where(np.isinf(second), nearest, (nearest + np.sqrt(second)) / 2), np.float32)

    def _exact(self, place: int, query: Vector) -> float:
        """One person's score without the trick."""
        starts = np.cumsum([0, *self._layers[:-1]])
        rows = [start + place for start, count in zip(starts, self._layers, strict=True) if place < count]
        return pooled_distance(np.linalg.norm(self._matrix[rows].astype(np.float64) - query, axis=1).tolist())


def pooled_distance(distances: Sequence[float]) -> float:
    """A person's score from the distances to her templates: the mean of the two smallest."""
    nearest = sorted(distances)[:2]
    return math.fsum(nearest) / len(nearest)


def _ranks(owners: npt.NDArray[np.intp]) -> npt.NDArray[np.intp]:
    """Of each row, how many rows of the same owner stand before it."""
    order = np.argsort(owners, kind="stable")
    ordered = owners[order]
    starts = np.flatnonzero(np.concatenate(([True], ordered[1:] != ordered[:-1]))) if len(ordered) else ordered
    run = np.repeat(starts, np.diff(np.append(starts, len(ordered))))
    ranks = np.empty(len(owners), np.intp)
    ranks[order] = np.arange(len(ordered)) - run
    return ranks
