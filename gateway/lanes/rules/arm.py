"""The arm of a barrier. Pure: no I/O, no clock.

Theory of operation
    DOWN      the way is barred.
    RISING    an opening pulse was given; it has `travel` seconds to arrive.
    UP        the way is free; the arm comes down `close_after` seconds after the vehicle has left the
              loop, or `stay_open` seconds after the opening if none came. It waits as long as anything
              is, or may be, under it.
    LOWERING  a closing pulse was given. Whatever is then seen under the arm stops it and raises it in
              the same turn (EN 12453, 5.1.1; the boom's own force limit is the second line, not ours).
    ADRIFT    it left its upper limit without an order of ours (the drive's own remote control, force), or was
              between its limits at a start: the daemon may have died while it fell. For `travel` seconds it
              is watched as a falling one: whatever comes under it stops and raises it. Then it is LOST.
    LOST      nobody knows where it is. It stays where it is until somebody may pass: then it is raised.
    FAULT     it did not arrive in time, or its limits contradict each other. The declared safe state:
              stopped, no closing by itself; raising is still tried, for a grant and for fire.

    A closing pulse is given in UP only, by the deadline only, and only while `free`: that is the one
    row of this table that can hurt somebody. `keep_up` (fire, or an order to hold) forbids it too.
    Who gives the pulse looks once more at the wires; where they say otherwise the pulse is WITHHELD,
    and the arm is as it was: up, waiting until it is free.

    An arm that is seen at the top after a FAULT stays there until it was used once: what failed is not
    closed by the clock.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import NamedTuple


class Motion(Enum):
    DOWN = auto()
    RISING = auto()
    UP = auto()
    LOWERING = auto()
    ADRIFT = auto()
    LOST = auto()
    FAULT = auto()


class Turn(Enum):
    """What can happen to an arm."""

    RAISE = auto()  # a grant, fire, an order to hold
    LET_DOWN = auto()  # fire or hold ended
    OCCUPIED = auto()  # something is, or may be, under the arm
    FREED = auto()
    AT_TOP = auto()
    AT_BOTTOM = auto()
    BETWEEN = auto()
    CONTRADICTION = auto()
    WITHHELD = auto()  # the closing pulse was not given after all
    EXPIRED = auto()


class Act(Enum):
    """What the drive is told, and what is recorded."""

    OPEN = auto()
    CLOSE = auto()
    STOP = auto()
    TELL_RAISED = auto()
    TELL_LOWERED = auto()
    TELL_REVERSED = auto()
    TELL_LATE = auto()  # did not arrive in time
    TELL_MOVED = auto()  # moved without an order


class Step(NamedTuple):
    motion: Motion
    acts: tuple[Act, ...] = ()


M, T, A = Motion, Turn, Act

TABLE: dict[Motion, dict[Turn, Step]] = {
    M.DOWN: {
        T.RAISE: Step(M.RISING, (A.OPEN,)),
        T.LET_DOWN: Step(M.DOWN),
        T.OCCUPIED: Step(M.DOWN),
        T.FREED: Step(M.DOWN),
        T.AT_TOP: Step(M.UP, (A.TELL_MOVED,)),
        T.AT_BOTTOM: Step(M.DOWN),
        T.BETWEEN: Step(M.LOST, (A.TELL_MOVED,)),
        T.CONTRADICTION: Step(M.FAULT),
        T.WITHHELD: Step(M.DOWN),
    },
    M.RISING: {
        T.RAISE: Step(M.RISING),
        T.LET_DOWN: Step(M.RISING),
        T.OCCUPIED: Step(M.RISING),
        T.FREED: Step(M.RISING),
        T.AT_TOP: Step(M.UP, (A.TELL_RAISED,)),
        T.AT_BOTTOM: Step(M.RISING),
        T.BETWEEN: Step(M.RISING),
        T.CONTRADICTION: Step(M.FAULT),
        T.WITHHELD: Step(M.RISING),
        T.EXPIRED: Step(M.FAULT, (A.STOP, A.TELL_LATE)),  # without limit switches: `Arm._arrived_by_time`
    },
    M.UP: {
        T.RAISE: Step(M.UP),
        T.LET_DOWN: Step(M.UP),
        T.OCCUPIED: Step(M.UP),
        T.FREED: Step(M.UP),
        T.AT_TOP: Step(M.UP),
        T.AT_BOTTOM: Step(M.DOWN, (A.TELL_MOVED,)),
        T.BETWEEN: Step(M.ADRIFT, (A.TELL_MOVED,)),
        T.CONTRADICTION: Step(M.FAULT),
        T.WITHHELD: Step(M.UP),
        T.EXPIRED: Step(M.LOWERING, (A.CLOSE,)),  # only while free: `Arm._may_close`
    },
    M.LOWERING: {
        T.RAISE: Step(M.RISING, (A.STOP, A.OPEN)),
        T.LET_DOWN: Step(M.LOWERING),
        T.OCCUPIED: Step(M.RISING, (A.STOP, A.OPEN, A.TELL_REVERSED)),
        T.FREED: Step(M.LOWERING),
        T.AT_TOP: Step(M.LOWERING),
        T.AT_BOTTOM: Step(M.DOWN, (A.TELL_LOWERED,)),
        T.BETWEEN: Step(M.LOWERING),
        T.CONTRADICTION: Step(M.FAULT, (A.STOP,)),
        T.WITHHELD: Step(M.UP),
        T.EXPIRED: Step(M.FAULT, (A.STOP, A.TELL_LATE)),
    },
    M.ADRIFT: {
        T.RAISE: Step(M.RISING, (A.OPEN,)),
        T.LET_DOWN: Step(M.ADRIFT),
        T.OCCUPIED: Step(M.RISING, (A.STOP, A.OPEN, A.TELL_REVERSED)),
        T.FREED: Step(M.ADRIFT),
        T.AT_TOP: Step(M.UP),
        T.AT_BOTTOM: Step(M.DOWN),
        T.BETWEEN: Step(M.ADRIFT),
        T.CONTRADICTION: Step(M.FAULT),
        T.WITHHELD: Step(M.ADRIFT),
        T.EXPIRED: Step(M.LOST),
    },
    M.LOST: {
        T.RAISE: Step(M.RISING, (A.OPEN,)),
        T.LET_DOWN: Step(M.LOST),
        T.OCCUPIED: Step(M.LOST),
        T.FREED: Step(M.LOST),
        T.AT_TOP: Step(M.UP),
        T.AT_BOTTOM: Step(M.DOWN),
        T.BETWEEN: Step(M.LOST),
        T.CONTRADICTION: Step(M.FAULT),
        T.WITHHELD: Step(M.LOST),
    },
    M.FAULT: {
        T.RAISE: Step(M.RISING, (A.OPEN,)),
        T.LET_DOWN: Step(M.FAULT),
        T.OCCUPIED: Step(M.FAULT),
        T.FREED: Step(M.FAULT),
        T.AT_TOP: Step(M.UP),
        T.AT_BOTTOM: Step(M.DOWN),
        T.BETWEEN: Step(M.FAULT),
        T.CONTRADICTION: Step(M.FAULT),
        T.WITHHELD: Step(M.FAULT),
    },
}

TIMED = frozenset({M.RISING, M.UP, M.LOWERING, M.ADRIFT})


@dataclass(frozen=True, slots=True)
class Settings:
    """How one barrier is built and configured. Times are seconds."""

    travel: float = 6.0
    close_after: float = 1.0
    stay_open: float = 15.0
    limits: bool = True  # limit switches are fitted


@dataclass(frozen=True, slots=True)
class Arm:
    """One arm. Times are monotonic seconds."""

    settings: Settings
    motion: Motion = Motion.LOST
    deadline: float | None = None
    free: bool = False  # nothing can be under the arm
    keep_up: bool = False  # fire, or an order to hold
    passed: bool = False  # a vehicle was under the arm since it was told to go up

    def advance(self, turn: Turn, now: float) -> tuple[Arm, tuple[Act, ...]]:
        """The arm after `turn` at `now`, and what to do. Raises KeyError for an input its row does not list."""
        if turn is Turn.EXPIRED:
            return self._expired(now)
        step = TABLE[self.motion][turn]
        after = replace(self, motion=step.motion, free=self._free_after(turn))
        return after._timed(self, turn, now), step.acts

    def _free_after(self, turn: Turn) -> bool:
        if turn in (Turn.OCCUPIED, Turn.WITHHELD):
            return False
        return True if turn is Turn.FREED else self.free

    def _expired(self, now: float) -> tuple[Arm, tuple[Act, ...]]:
        step = TABLE[self.motion][Turn.EXPIRED]
        if self.motion is Motion.UP and not self._may_close():
            return replace(self, deadline=None), ()  # `FREED` or `LET_DOWN` sets it again
        if not self.settings.limits and self.motion in (Motion.RISING, Motion.LOWERING):
            return self._arrived_by_time(now)
        return replace(self, motion=step.motion)._timed(self, Turn.EXPIRED, now), step.acts

    def _may_close(self) -> bool:
        return self.free and not self.keep_up

    def _arrived_by_time(self, now: float) -> tuple[Arm, tuple[Act, ...]]:
        """Without limit switches: it is taken to be where it was sent."""
        if self.motion is Motion.RISING:
            up = replace(self, motion=Motion.UP)
            return up._timed(self, Turn.EXPIRED, now), (Act.TELL_RAISED,)
        return replace(self, motion=Motion.DOWN, deadline=None), (Act.TELL_LOWERED,)

    def _timed(self, before: Arm, turn: Turn, now: float) -> Arm:
        """With the deadline of the state that `self` is in now."""
        if self.motion not in TIMED:
            return replace(self, deadline=None, passed=False)
        if self.motion is not Motion.UP:
            began = self.motion is not before.motion
            deadline = now + self.settings.travel if began else before.deadline
            came = turn is Turn.OCCUPIED or (before.passed and not began and turn is not Turn.RAISE)
            return replace(self, deadline=deadline, passed=came and self.motion is Motion.RISING)
        if before.motion is not Motion.UP:
            waits = self.free and before.motion is not Motion.FAULT
            wait = self.settings.close_after if before.passed else self.settings.stay_open
            return replace(self, deadline=now + wait if waits else None, passed=before.passed or not self.free)
        if turn in (Turn.RAISE, Turn.LET_DOWN):  # another vehicle may come after the one that is under it
            return replace(self, deadline=now + self.settings.stay_open if self.free else None, passed=False)
        if turn is Turn.OCCUPIED:
            return replace(self, deadline=None, passed=True)
        if turn is Turn.FREED and not before.free:
            wait = self.settings.close_after if before.passed else self.settings.stay_open
            return replace(self, deadline=now + wait)
        return replace(self, deadline=before.deadline)
