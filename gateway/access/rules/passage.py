"""The leaf of a door, as its contact tells. Pure: no I/O, no clock.

Theory of operation
    UNKNOWN    nothing sensed yet, no contact fitted, or its wire is gone. Commanded is not sensed:
               nobody is told 'closed' or 'open' in this state.
    CLOSED     the contact says closed.
    DOUBTFUL   the leaf opened and nobody was let through. The button's edge may come a moment
               after the contact's (two debounce times on two wires), so an explanation is
               accepted for EXPLAIN seconds; then it is a forced door.
    PASSING    open with a reason. After `held_open_after - pre_alarm` the buzzer warns,
    WARNING    and after `held_open_after` it is a
    HELD_OPEN  door held open.
    FORCED     opened without a reason. A later grant does not unsay it; closing ends it.
    OPEN_HOLD  open while the door is held by order or released by fire: no alarm, for as long as that lasts.

    'Let through' means: the lock is released, or was until at most GRACE seconds ago (a leaf may
    move just when the lock falls back).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import NamedTuple

EXPLAIN = 0.5  # seconds; twice the longest sum of two debounce times that `config check` allows without a warning
GRACE = 2.0  # seconds; measured on no door: long enough for a hand on the handle, shorter than a walk


class Leaf(Enum):
    UNKNOWN = auto()
    CLOSED = auto()
    DOUBTFUL = auto()
    PASSING = auto()
    WARNING = auto()
    HELD_OPEN = auto()
    FORCED = auto()
    OPEN_HOLD = auto()


class Sign(Enum):
    """What can happen to a leaf."""

    OPENED_WITH_REASON = auto()
    OPENED_WITHOUT = auto()
    OPENED_IN_HOLD = auto()
    CLOSED = auto()
    LOST = auto()
    REASON = auto()  # a grant or the exit button
    HOLD = auto()  # held by order, or fire
    HOLD_ENDED = auto()
    EXPIRED = auto()


class Tell(Enum):
    """What to record and sound."""

    PASSED = auto()
    FORCED = auto()
    FORCED_ENDED = auto()
    HELD_OPEN = auto()
    HELD_OPEN_ENDED = auto()
    WARN = auto()
    HUSH = auto()


class Step(NamedTuple):
    leaf: Leaf
    tells: tuple[Tell, ...] = ()


L, S, T = Leaf, Sign, Tell

#: What any open state does when the leaf opens 'again' (an edge was lost, or the contact chatters): nothing.
_AGAIN = (S.OPENED_WITH_REASON, S.OPENED_WITHOUT, S.OPENED_IN_HOLD)

TABLE: dict[Leaf, dict[Sign, Step]] = {
    L.UNKNOWN: {
        S.OPENED_WITH_REASON: Step(L.PASSING),
        S.OPENED_WITHOUT: Step(L.PASSING),  # nobody saw it open: not a forced door, but it may be held open
        S.OPENED_IN_HOLD: Step(L.OPEN_HOLD),
        S.CLOSED: Step(L.CLOSED),
        S.LOST: Step(L.UNKNOWN),
        S.REASON: Step(L.UNKNOWN),
        S.HOLD: Step(L.UNKNOWN),
        S.HOLD_ENDED: Step(L.UNKNOWN),
    },
    L.CLOSED: {
        S.OPENED_WITH_REASON: Step(L.PASSING),
        S.OPENED_WITHOUT: Step(L.DOUBTFUL),
        S.OPENED_IN_HOLD: Step(L.OPEN_HOLD),
        S.CLOSED: Step(L.CLOSED),
        S.LOST: Step(L.UNKNOWN),
        S.REASON: Step(L.CLOSED),
        S.HOLD: Step(L.CLOSED),
        S.HOLD_ENDED: Step(L.CLOSED),
    },
    L.DOUBTFUL: {
        **{again: Step(L.DOUBTFUL) for again in _AGAIN},
        S.CLOSED: Step(L.CLOSED, (T.FORCED, T.FORCED_ENDED)),  # open for a blink is open
        S.LOST: Step(L.UNKNOWN, (T.FORCED, T.HUSH)),
        S.REASON: Step(L.PASSING),
        S.HOLD: Step(L.OPEN_HOLD),
        S.HOLD_ENDED: Step(L.DOUBTFUL),
        S.EXPIRED: Step(L.FORCED, (T.FORCED,)),
    },
    L.PASSING: {
        **{again: Step(L.PASSING) for again in _AGAIN},
        S.CLOSED: Step(L.CLOSED, (T.PASSED,)),
        S.LOST: Step(L.UNKNOWN),
        S.REASON: Step(L.PASSING),
        S.HOLD: Step(L.OPEN_HOLD),
        S.HOLD_ENDED: Step(L.PASSING),
        S.EXPIRED: Step(L.WARNING, (T.WARN,)),
    },
    L.WARNING: {
        **{again: Step(L.WARNING) for again in _AGAIN},
        S.CLOSED: Step(L.CLOSED, (T.HUSH, T.PASSED)),
        S.LOST: Step(L.UNKNOWN, (T.HUSH,)),
        S.REASON: Step(L.WARNING),
        S.HOLD: Step(L.OPEN_HOLD, (T.HUSH,)),
        S.HOLD_ENDED: Step(L.WARNING),
        S.EXPIRED: Step(L.HELD_OPEN, (T.HELD_OPEN,)),
    },
    L.HELD_OPEN: {
        **{again: Step(L.HELD_OPEN) for again in _AGAIN},
        S.CLOSED: Step(L.CLOSED, (T.HUSH, T.HELD_OPEN_ENDED)),
        S.LOST: Step(L.UNKNOWN, (T.HUSH,)),
        S.REASON: Step(L.HELD_OPEN),
        S.HOLD: Step(L.OPEN_HOLD, (T.HUSH, T.HELD_OPEN_ENDED)),
        S.HOLD_ENDED: Step(L.HELD_OPEN),
    },
    L.FORCED: {
        **{again: Step(L.FORCED) for again in _AGAIN},
        S.CLOSED: Step(L.CLOSED, (T.FORCED_ENDED,)),
        S.LOST: Step(L.UNKNOWN, (T.HUSH,)),
        S.REASON: Step(L.FORCED),
        S.HOLD: Step(L.OPEN_HOLD, (T.FORCED_ENDED,)),
        S.HOLD_ENDED: Step(L.FORCED),
    },
    L.OPEN_HOLD: {
        **{again: Step(L.OPEN_HOLD) for again in _AGAIN},
        S.CLOSED: Step(L.CLOSED),
        S.LOST: Step(L.UNKNOWN),
        S.REASON: Step(L.OPEN_HOLD),
        S.HOLD: Step(L.OPEN_HOLD),
        S.HOLD_ENDED: Step(L.PASSING),
    },
}

OPEN = frozenset({L.DOUBTFUL, L.PASSING, L.WARNING, L.HELD_OPEN, L.FORCED, L.OPEN_HOLD})


@dataclass(frozen=True, slots=True)
class Settings:
    """Seconds; `pre_alarm` is shorter than `held_open_after`."""

    held_open_after: float = 30.0
    pre_alarm: float = 10.0


@dataclass(frozen=True, slots=True)
class Passage:
    """One leaf. Times are monotonic seconds."""

    settings: Settings
    leaf: Leaf = Leaf.UNKNOWN
    since: float = 0.0  # when the leaf opened
    deadline: float | None = None

    @property
    def sensed(self) -> bool | None:
        """True open, False closed, None unknown."""
        if self.leaf is Leaf.UNKNOWN:
            return None
        return self.leaf in OPEN

    def advance(self, sign: Sign, now: float) -> tuple[Passage, tuple[Tell, ...]]:
        """The leaf after `sign` at `now`, and what to tell. Raises KeyError for an input its state does not list."""
        step = TABLE[self.leaf][sign]
        opened_now = step.leaf in OPEN and self.leaf not in OPEN
        after = replace(self, leaf=step.leaf, since=now if opened_now else self.since)
        if step.leaf is not self.leaf:
            after = replace(after, deadline=after._deadline(now))
        return after, step.tells

    def _deadline(self, now: float) -> float | None:
        quiet = max(0.0, self.settings.held_open_after - self.settings.pre_alarm)
        waits = {Leaf.DOUBTFUL: EXPLAIN, Leaf.PASSING: quiet, Leaf.WARNING: self.settings.pre_alarm}
        wait = waits.get(self.leaf)
        return None if wait is None else now + wait
