"""The leak detectors of a meter. Each is a pure machine over believed readings; a new one is a new file here.

A reading says what the register shows at a moment. Two readings with the same register prove that no
water ran between them, also across a gap in the polls; a register that moved across a gap says only
that water ran at some time in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

ALWAYS = -math.inf


def set_by(at: float, seconds: float, since: float) -> float:
    """A time on a clock that was set by so much: what lies before `since` was told by a right one."""
    return at + seconds if at >= since else at


@dataclass(frozen=True, slots=True)
class Reading:
    """A believed reading: `at` in UTC epoch seconds, `register` in millilitres."""

    at: float
    register: int

    def shifted(self, seconds: float, since: float = ALWAYS) -> Reading:
        """The same on a clock that was set by so much; what lies before `since` stays."""
        return Reading(set_by(self.at, seconds, since), self.register)


@dataclass(frozen=True, slots=True)
class Suspected:
    """A leak is suspected: since when, how much ran since, and by which rule."""

    rule: str
    since: float
    millilitres: int


@dataclass(frozen=True, slots=True)
class Cleared:
    """It stopped."""

    rule: str
    since: float
    at: float


Finding = Suspected | Cleared
