"""What strangers score: every person's pooled pictures against every other one's templates, drawn several times."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from gateway.vision.threshold import Scores

DRAWS = 12


def stranger_scores(people: Sequence[npt.NDArray[np.float32]], pooled: int, templates: int, seed: int = 7) -> Scores:
    """`DRAWS` scores of each person against each other one."""
    random = np.random.default_rng(seed)
    scores = np.full((len(people), len(people), DRAWS), np.nan)
    for a, b in itertools.permutations(range(len(people)), 2):
        for draw in range(DRAWS):
            query = random.permutation(people[a])[:pooled].mean(axis=0)
            enrolled = random.permutation(people[b])[:templates]
            scores[a, b, draw] = np.sort(np.linalg.norm(enrolled - query, axis=1))[:2].mean()
    return scores
