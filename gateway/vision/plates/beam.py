"""The likeliest plates of a recogniser's output: a prefix beam search that only walks where a plate can go.

The recogniser says, step by step along the plate, how likely each character (or nothing) is. Summing
over all ways to spell the same plate is what a prefix beam does (connectionist temporal classification);
here a prefix is only prolonged by what the grammar of plates allows, so no probability is ever spent on
what cannot be on a car. Pure.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

from gateway.lanes import plates
from gateway.lanes.plates import Candidate, Reading

WIDTH = 12
FAINT = 1e-6  # a character less likely than that at a step does not prolong a prefix there
KEPT = 8  # candidates of a reading


def search(steps: Sequence[tuple[float, Mapping[str, float]]], width: int = WIDTH) -> Reading:
    """`steps`: at each, how likely nothing is, and how likely each sign that is likely at all.

    O counts as O in the second place and as 0 behind it.
    """
    beam: dict[str, tuple[float, float]] = {"": (1.0, 0.0)}  # prefix -> probability that it ends in nothing, in a sign
    for blank, signs in steps:
        late = _late(signs)
        grown: dict[str, tuple[float, float]] = {}
        for prefix, (silent, spoken) in beam.items():
            likely = late if len(prefix) > 2 else signs
            again = likely.get(prefix[-1], 0.0) if prefix else 0.0
            _add(grown, prefix, (silent + spoken) * blank, spoken * again)
            allowed = plates.following(prefix)
            for sign, p in (late if len(prefix) >= 2 else signs).items():
                if sign in allowed:
                    before = silent if prefix and sign == prefix[-1] else silent + spoken
                    _add(grown, prefix + sign, 0.0, before * p)
        best = sorted(grown.items(), key=lambda one: -sum(one[1]))[:width]
        beam = dict(best)
    whole = [(plate, sum(p)) for plate, p in beam.items() if len(plate) >= 7 and plates.complete(plate) and sum(p) > 0]
    whole.sort(key=lambda one: (-one[1], one[0]))
    return Reading(tuple(Candidate(plate, math.log(p)) for plate, p in whole[:KEPT]))


def _late(signs: Mapping[str, float]) -> Mapping[str, float]:
    """From the third place on an O is a zero."""
    if "O" not in signs:
        return signs
    return {sign: p for sign, p in signs.items() if sign != "O"} | {"0": signs.get("0", 0.0) + signs["O"]}


def _add(grown: dict[str, tuple[float, float]], prefix: str, silent: float, spoken: float) -> None:
    if silent or spoken:
        known = grown.get(prefix, (0.0, 0.0))
        grown[prefix] = known[0] + silent, known[1] + spoken
