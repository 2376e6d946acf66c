"""A second look at what the first is sure of, cut out a little wider: what both say is believed.

The corners of a plate are never quite right. A reading that changes when the plate is cut out a little wider
hangs on the cut and not on what is written. Only what would be believed is looked at again, so a look costs
one plate more. The other way round, to believe what two unsure looks agree on, was tried and left: it
brings as many errors as right plates (docs/plates.md). Pure.
"""

from __future__ import annotations

from gateway.lanes.plates import Candidate, Reading

SURER = 2.0  # by how much (logarithm) the second look has to prefer another plate to speak against the first's
FLOOR = -12.0  # what a look gives a plate that is not among its candidates


def confirmed(first: Reading, second: Reading) -> Reading:
    """The first reading, or a doubtful one of both where the second speaks against it.

    Doubtful: the logarithms' mean, which is confident of no plate (either look gives it at most 1 in e squared).
    A first look that is not confident stays as it is.
    """
    if not first.confident:
        return first
    one, other = dict(first.candidates), dict(second.candidates)
    if not other or second.log_p - other.get(first.best, FLOOR) <= SURER:
        return first
    joined = {plate: (one.get(plate, FLOOR) + other.get(plate, FLOOR)) / 2 for plate in {**one, **other}}
    ordered = sorted(joined.items(), key=lambda each: (-each[1], each[0]))[: len(one)]
    return Reading(tuple(Candidate(plate, log_p) for plate, log_p in ordered))
