"""The door's own figure: half the people enrolled, the rest strangers, at the threshold the worker would use.

A presentation is a few pictures of one person, pooled as the worker pools the frames of a track. A
resident is accepted when she is the nearest and near enough; a stranger is let in when anybody is near
enough. Twenty splits with a fixed seed. The intervals count people, not presentations: the same face
shown sixty times is not sixty faces.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gateway.evaluate.metrics import wilson
from gateway.evaluate.people import People
from gateway.vision import threshold
from gateway.vision.compare import Gallery

SPLITS = 20
SHOWN = 3  # presentations of each person in a split
FRAMES = 3
TEMPLATES = 5
LEAST_PEOPLE = 10  # of fewer no tail is fitted

Vectors = npt.NDArray[np.float32]


class Rule(NamedTuple):
    """What decides."""

    fpir: float
    engine: str
    detector: str
    pooled: int
    enrolled_each: int

    def threshold(self, persons: int, gallery: Gallery | None = None) -> threshold.Threshold:
        """As the worker finds it: from the door's own templates as well where those are enough."""
        own = gallery.impostors(self.pooled) if gallery and len(gallery) >= threshold.OWN_PEOPLE else None
        return threshold.for_gallery(
            self.fpir, persons, self.pooled, self.engine, self.detector, templates=self.enrolled_each, own=own
        )


@dataclass(slots=True)
class Tally:
    """What happened in all splits."""

    residents: int = 0
    accepted: int = 0
    mistaken: int = 0  # residents taken for another one
    strangers: int = 0
    let_in: int = 0
    thresholds: list[threshold.Threshold] = field(default_factory=list)
    own: list[float] = field(default_factory=list)  # residents' scores against themselves
    others: list[tuple[int, int, float]] = field(default_factory=list)  # stranger, resident, score


def enrolled_each(counts: list[int]) -> int:
    """How many pictures to enrol of each, so that a typical person keeps some to show."""
    typical = sorted(counts)[len(counts) // 2] if counts else 0
    return min(TEMPLATES, max(1, typical - FRAMES))


Limit = Callable[[int, Gallery], threshold.Threshold]


def play(
    vectors: dict[int, Vectors],
    people: People,
    rule: Rule,
    seed: int = 3,
    *,
    splits: int = SPLITS,
    limit_of: Limit | None = None,
) -> Tally:
    """All splits. `vectors` are each person's, of those who were found at all; `limit_of` another rule's threshold."""
    random, tally = np.random.default_rng(seed), Tally()
    able = [person for person, own in vectors.items() if len(own) > rule.enrolled_each]
    half = min(len(vectors) // 2, len(able))
    if not half:
        return tally
    for _ in range(splits):
        enrolled = [able[place] for place in random.permutation(len(able))[:half]]
        left: dict[int, Vectors] = {person: own for person, own in vectors.items() if person not in enrolled}
        templates, owners = [], []
        for place, person in enumerate(enrolled):
            order = random.permutation(len(vectors[person]))
            templates.append(vectors[person][order[: rule.enrolled_each]])
            left[person] = vectors[person][order[rule.enrolled_each :]]
            owners += [place] * rule.enrolled_each
        gallery = Gallery([str(person) for person in enrolled], owners, np.concatenate(templates))
        limit = (limit_of or rule.threshold)(half, gallery)
        tally.thresholds.append(limit)
        for person, own in left.items():
            for _shown in range(SHOWN):
                pooled = own[random.permutation(len(own))[: rule.pooled]].mean(axis=0)
                _present(tally, people, person, gallery.scores(pooled), limit.value)
    return tally


def _present(tally: Tally, people: People, person: int, scores: dict[str, float], limit: float) -> None:
    known = {other: scores[str(other)] for other in map(int, scores) if people.different[person, other]}
    resident = str(person) in scores
    tally.others += [(person, other, score) for other, score in known.items()] if not resident else []
    nearest = min(known.values(), default=np.inf)
    if resident:
        own = scores[str(person)]
        tally.own.append(own)
        tally.residents += 1
        tally.accepted += own < limit and own <= nearest
        tally.mistaken += nearest < limit and nearest < own
    elif known:
        tally.strangers += 1
        tally.let_in += nearest < limit


def document(tally: Tally, rule: Rule, people: int) -> dict[str, object]:
    """The key `door` of the report."""
    limits = [limit.value for limit in tally.thresholds]
    return {
        "residents": tally.residents,
        "accepted": int(tally.accepted),
        "mistaken": int(tally.mistaken),
        "strangers": tally.strangers,
        "let_in": int(tally.let_in),
        "enrolled_each": rule.enrolled_each,
        "rule": f"mean of {rule.pooled} embeddings, mean distance to the 2 nearest of {rule.enrolled_each} templates",
        "enrolled": people // 2,
        "splits": len(tally.thresholds),
        "fpir": rule.fpir,
        "threshold": round(float(np.median(limits)), 4) if limits else None,
        "accepted_interval": _of_people(tally.accepted, tally.residents, people),
        "let_in_interval": _of_people(tally.let_in, tally.strangers, people),
    }


def _of_people(count: float, total: int, people: int) -> tuple[float, float] | None:
    """Wilson's interval with as many independent trials as there are people, not as presentations."""
    return wilson(count / total * min(people, total), min(people, total)) if total else None


def for_size(tally: Tally, rule: Rule, persons: int, people: int) -> dict[str, object]:
    """The key `gallery`: identification rates of a stated size, false positives by these people's fitted tail."""
    limit = rule.threshold(persons)
    shown, refused = len(tally.own), sum(score >= limit.value for score in tally.own)
    fpir: list[float] | None = None
    if len({person for person, _, _ in tally.others}) >= LEAST_PEOPLE:
        rates = threshold.fit(_square(tally.others)).rate(limit.value)
        fpir = [threshold.identification_rate(rate, persons) for rate in rates]
    return {
        "persons": persons,
        "fpir_stated": rule.fpir,
        "threshold": round(limit.value, 4),
        "threshold_interval": (round(limit.low, 4), round(limit.high, 4)),
        "presentations": shown,
        "refused": refused,
        "fnir": refused / shown if shown else None,
        "fnir_interval": _of_people(refused, shown, people),
        "fpir": fpir[0] if fpir else None,
        "fpir_interval": tuple(fpir[1:]) if fpir else None,
    }


def _square(scores: list[tuple[int, int, float]]) -> threshold.Scores:
    """Strangers x residents x presentations, with not-a-number where there is none."""
    kept: dict[tuple[int, int], list[float]] = {}
    for stranger, resident, score in scores:
        kept.setdefault((stranger, resident), []).append(score)
    places = {person: place for place, person in enumerate(sorted({person for pair in kept for person in pair}))}
    depth = max(map(len, kept.values()))
    square = np.full((len(places), len(places), depth), np.nan)
    for (stranger, resident), own in kept.items():
        square[places[stranger], places[resident], : len(own)] = own
    return square
