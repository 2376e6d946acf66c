"""What the threshold rule does to people whom nobody measured: fitted on half of them, judged on the others.

The shipped table comes from few people, and a figure over the same people flatters it. So the people are halved
many times; each time the tail is fitted on one half alone, and the other half is the door: half of it enrolled,
the rest strangers. The shipped table itself knows twice as many people, so this is the harder case.
"""

from __future__ import annotations

from dataclasses import dataclass, field

import numpy as np

from gateway.evaluate import door
from gateway.evaluate.door import Rule, Vectors
from gateway.evaluate.metrics import wilson
from gateway.evaluate.people import People
from gateway.evaluate.strangers import stranger_scores
from gateway.vision import threshold

HALVINGS = 20
SPLITS = 3  # doors a halving
LEAST_PEOPLE = 12  # of fewer no half has a tail


@dataclass(slots=True)
class Unseen:
    """What happened in all halvings. The intervals count people, as those of `door.py`."""

    people: int
    residents: int = 0
    accepted: int = 0
    strangers: int = 0
    let_in: int = 0
    thresholds: list[float] = field(default_factory=list)

    def document(self) -> dict[str, object]:
        return {
            "residents": self.residents,
            "accepted": self.accepted,
            "accepted_interval": self._interval(self.accepted, self.residents),
            "strangers": self.strangers,
            "let_in": self.let_in,
            "let_in_interval": self._interval(self.let_in, self.strangers),
            "halvings": len(self.thresholds),
            "thresholds": [round(float(each), 4) for each in np.quantile(self.thresholds, (0, 0.25, 0.5, 0.75, 1))],
        }

    def _interval(self, count: int, total: int) -> tuple[float, float] | None:
        return wilson(count / total * self.people, self.people) if total else None


def play(vectors: dict[int, Vectors], people: People, rule: Rule, seed: int = 5) -> Unseen | None:
    """All halvings; None of too few people. `vectors` as for `door.play`; every two people must be surely two."""
    able = [person for person, own in vectors.items() if len(own) > rule.enrolled_each]
    if len(able) < LEAST_PEOPLE:
        return None
    random, found = np.random.default_rng(seed), Unseen(len(able))
    for halving in range(HALVINGS):
        order = [able[place] for place in random.permutation(len(able))]
        teachers, judged = order[: len(order) // 2], order[len(order) // 2 :]
        fitted = threshold.fit(stranger_scores([vectors[one] for one in teachers], rule.pooled, rule.enrolled_each))

        def limit(persons: int, _gallery: object, fitted: threshold.Fitted = fitted) -> threshold.Threshold:
            return threshold.of_tail(fitted, rule.fpir, persons, threshold.BASIS_OWN, {})

        mine = {one: vectors[one] for one in judged}
        tally = door.play(mine, people, rule, halving, splits=SPLITS, limit_of=limit)
        found.residents += tally.residents
        found.accepted += int(tally.accepted)
        found.strangers += tally.strangers
        found.let_in += int(tally.let_in)
        found.thresholds.append(tally.thresholds[0].value)
    return found
