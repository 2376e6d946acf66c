"""The lock of a door. Pure: no I/O, no clock.

Theory of operation
    RESTING   the output is de-energised: locked, for a fail-secure strike and for a fail-safe
              magnet alike (a magnet hangs on the relay's normally closed contact).
    OPENING   a grant energises the output for `open_for` seconds. A further grant prolongs it,
              but one opening never lasts longer than `max_on` from its beginning: no flood of
              grants holds a door open. A momentary lock is locked again as soon as the leaf
              opens (`relock_on_open`); a maintained one when the leaf has opened and closed.
    HELD      a recorded order (`door hold`) keeps it released until another order.
    BLOCKED   a recorded order (`door lock`) refuses every grant but the exit button: nobody may
              be locked in (EN 13637, 4.2: the exit request has precedence).
    BLOCKED_OPENING  the exit button opened a blocked door; afterwards it is BLOCKED again.
    FIRE, FIRE_HELD, FIRE_BLOCKED  the fire input is active: released without any credential
              (GB 55024-2022, 5.3.6), until it clears; the mode in force comes back then.
              Orders given meanwhile are remembered, not lost.

    A grant that a state refuses is answered and recorded; it never moves the output. The exit
    button counts when it had rested for EXIT_REST before, or is held for as long: a chattering contact
    opens once, not for ever, and a thumb is always heard. The second pole of the button cuts the
    lock's supply in copper anyway.

The tables below are the whole behaviour; an input that a state does not list is a programming
error, not a silent no-op.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, StrEnum, auto
from typing import NamedTuple

EXIT_REST = 0.3  # seconds; debounce of a good button ends within 0.05, a thumb repeats at 0.2 at best


class Phase(Enum):
    RESTING = auto()
    OPENING = auto()
    HELD = auto()
    BLOCKED = auto()
    BLOCKED_OPENING = auto()
    FIRE = auto()
    FIRE_HELD = auto()
    FIRE_BLOCKED = auto()


class Turn(Enum):
    """What can happen to a lock."""

    GRANT = auto()
    EXIT = auto()
    HOLD = auto()
    BLOCK = auto()
    NORMAL = auto()
    FIRE = auto()
    FIRE_CLEAR = auto()
    LEAF_OPENED = auto()
    LEAF_CLOSED = auto()
    EXPIRED = auto()


class Act(Enum):
    """What the output is told."""

    OPEN = auto()  # energise until the deadline
    PROLONG = auto()  # the same, in an opening that is under way
    HOLD = auto()
    REST = auto()
    REFUSE = auto()  # say no


class Mode(StrEnum):
    """The standing order."""

    NORMAL = "normal"
    HELD = "held"
    BLOCKED = "blocked"


class Step(NamedTuple):
    phase: Phase
    acts: tuple[Act, ...] = ()


P, T, A = Phase, Turn, Act

TABLE: dict[Phase, dict[Turn, Step]] = {
    P.RESTING: {
        T.GRANT: Step(P.OPENING, (A.OPEN,)),
        T.EXIT: Step(P.OPENING, (A.OPEN,)),
        T.HOLD: Step(P.HELD, (A.HOLD,)),
        T.BLOCK: Step(P.BLOCKED),
        T.NORMAL: Step(P.RESTING),
        T.FIRE: Step(P.FIRE, (A.HOLD,)),
        T.FIRE_CLEAR: Step(P.RESTING),
        T.LEAF_OPENED: Step(P.RESTING),
        T.LEAF_CLOSED: Step(P.RESTING),
    },
    P.OPENING: {
        T.GRANT: Step(P.OPENING, (A.PROLONG,)),
        T.EXIT: Step(P.OPENING, (A.PROLONG,)),
        T.HOLD: Step(P.HELD, (A.HOLD,)),
        T.BLOCK: Step(P.BLOCKED, (A.REST,)),
        T.NORMAL: Step(P.RESTING, (A.REST,)),
        T.FIRE: Step(P.FIRE, (A.HOLD,)),
        T.FIRE_CLEAR: Step(P.OPENING),
        T.LEAF_OPENED: Step(P.OPENING),  # relocking is a guard: `Lock._relocks`
        T.LEAF_CLOSED: Step(P.OPENING),
        T.EXPIRED: Step(P.RESTING, (A.REST,)),
    },
    P.HELD: {
        T.GRANT: Step(P.HELD),  # already open: granted, nothing to move
        T.EXIT: Step(P.HELD),
        T.HOLD: Step(P.HELD),
        T.BLOCK: Step(P.BLOCKED, (A.REST,)),
        T.NORMAL: Step(P.RESTING, (A.REST,)),
        T.FIRE: Step(P.FIRE_HELD, (A.HOLD,)),
        T.FIRE_CLEAR: Step(P.HELD),
        T.LEAF_OPENED: Step(P.HELD),
        T.LEAF_CLOSED: Step(P.HELD),
    },
    P.BLOCKED: {
        T.GRANT: Step(P.BLOCKED, (A.REFUSE,)),
        T.EXIT: Step(P.BLOCKED_OPENING, (A.OPEN,)),
        T.HOLD: Step(P.HELD, (A.HOLD,)),
        T.BLOCK: Step(P.BLOCKED),
        T.NORMAL: Step(P.RESTING),
        T.FIRE: Step(P.FIRE_BLOCKED, (A.HOLD,)),
        T.FIRE_CLEAR: Step(P.BLOCKED),
        T.LEAF_OPENED: Step(P.BLOCKED),
        T.LEAF_CLOSED: Step(P.BLOCKED),
    },
    P.BLOCKED_OPENING: {
        T.GRANT: Step(P.BLOCKED_OPENING, (A.REFUSE,)),
        T.EXIT: Step(P.BLOCKED_OPENING, (A.PROLONG,)),
        T.HOLD: Step(P.HELD, (A.HOLD,)),
        T.BLOCK: Step(P.BLOCKED_OPENING),  # who is on the way out gets out
        T.NORMAL: Step(P.RESTING, (A.REST,)),
        T.FIRE: Step(P.FIRE_BLOCKED, (A.HOLD,)),
        T.FIRE_CLEAR: Step(P.BLOCKED_OPENING),
        T.LEAF_OPENED: Step(P.BLOCKED_OPENING),
        T.LEAF_CLOSED: Step(P.BLOCKED_OPENING),
        T.EXPIRED: Step(P.BLOCKED, (A.REST,)),
    },
    P.FIRE: {
        T.GRANT: Step(P.FIRE),
        T.EXIT: Step(P.FIRE),
        T.HOLD: Step(P.FIRE_HELD),
        T.BLOCK: Step(P.FIRE_BLOCKED),
        T.NORMAL: Step(P.FIRE),
        T.FIRE: Step(P.FIRE, (A.HOLD,)),
        T.FIRE_CLEAR: Step(P.RESTING, (A.REST,)),
        T.LEAF_OPENED: Step(P.FIRE),
        T.LEAF_CLOSED: Step(P.FIRE),
    },
    P.FIRE_HELD: {
        T.GRANT: Step(P.FIRE_HELD),
        T.EXIT: Step(P.FIRE_HELD),
        T.HOLD: Step(P.FIRE_HELD),
        T.BLOCK: Step(P.FIRE_BLOCKED),
        T.NORMAL: Step(P.FIRE),
        T.FIRE: Step(P.FIRE_HELD, (A.HOLD,)),
        T.FIRE_CLEAR: Step(P.HELD),
        T.LEAF_OPENED: Step(P.FIRE_HELD),
        T.LEAF_CLOSED: Step(P.FIRE_HELD),
    },
    P.FIRE_BLOCKED: {
        T.GRANT: Step(P.FIRE_BLOCKED),
        T.EXIT: Step(P.FIRE_BLOCKED),
        T.HOLD: Step(P.FIRE_HELD),
        T.BLOCK: Step(P.FIRE_BLOCKED),
        T.NORMAL: Step(P.FIRE),
        T.FIRE: Step(P.FIRE_BLOCKED, (A.HOLD,)),
        T.FIRE_CLEAR: Step(P.BLOCKED, (A.REST,)),
        T.LEAF_OPENED: Step(P.FIRE_BLOCKED),
        T.LEAF_CLOSED: Step(P.FIRE_BLOCKED),
    },
}

OPENINGS = frozenset({P.OPENING, P.BLOCKED_OPENING})
FIRES = frozenset({P.FIRE, P.FIRE_HELD, P.FIRE_BLOCKED})
RELEASED = OPENINGS | FIRES | {P.HELD}
AFTER_OPENING = {P.OPENING: P.RESTING, P.BLOCKED_OPENING: P.BLOCKED}
MODES = {
    P.HELD: Mode.HELD,
    P.FIRE_HELD: Mode.HELD,
    P.BLOCKED: Mode.BLOCKED,
    P.BLOCKED_OPENING: Mode.BLOCKED,
    P.FIRE_BLOCKED: Mode.BLOCKED,
}


@dataclass(frozen=True, slots=True)
class Settings:
    """How one lock is built and configured. Times are seconds."""

    open_for: float = 5.0
    max_on: float = 10.0
    maintained: bool = False
    relock_on_open: bool = True


@dataclass(frozen=True, slots=True)
class Lock:
    """One lock. Times are monotonic seconds."""

    settings: Settings
    phase: Phase = Phase.RESTING
    began: float = 0.0  # when the opening under way began
    deadline: float | None = None
    leaf_opened: bool = False  # since the opening under way began
    exit_edge: float = float("-inf")  # the exit button's last movement

    @property
    def released(self) -> bool:
        """Whether the output is energised by order of this lock."""
        return self.phase in RELEASED

    @property
    def mode(self) -> Mode:
        """The standing order, whatever fire or a grant does meanwhile."""
        return MODES.get(self.phase, Mode.NORMAL)

    def advance(self, turn: Turn, now: float) -> tuple[Lock, tuple[Act, ...]]:
        """The lock after `turn` at `now`, and what to do. Raises KeyError for an input its phase does not list."""
        step = TABLE[self.phase][turn]
        after = replace(self, phase=step.phase, exit_edge=now if turn is Turn.EXIT else self.exit_edge)
        if self._relocks(turn):
            return replace(after, phase=AFTER_OPENING[self.phase], deadline=None), (Act.REST,)
        if after.phase not in OPENINGS:
            return replace(after, deadline=None, leaf_opened=False), step.acts
        if Act.OPEN in step.acts:
            length = min(self.settings.open_for, self.settings.max_on)
            return replace(after, began=now, deadline=now + length, leaf_opened=False), step.acts
        if turn is Turn.LEAF_OPENED:
            return after._leaf_opened()
        if Act.PROLONG in step.acts:
            longer = max(self.deadline or now, now + self.settings.open_for)
            return replace(after, deadline=min(longer, self.began + self.settings.max_on)), step.acts
        return after, step.acts

    def exit_rested(self, now: float) -> bool:
        """Whether a press of the exit button counts at `now`."""
        return now - self.exit_edge >= EXIT_REST

    def exit_moved(self, now: float) -> Lock:
        """The exit button moved without a press that counts."""
        return replace(self, exit_edge=now)

    def _relocks(self, turn: Turn) -> bool:
        """Whether the leaf's movement ends the opening under way."""
        if self.phase not in OPENINGS:
            return False
        if self.settings.maintained:
            return turn is Turn.LEAF_CLOSED and self.leaf_opened
        return turn is Turn.LEAF_OPENED and self.settings.relock_on_open

    def _leaf_opened(self) -> tuple[Lock, tuple[Act, ...]]:
        """A maintained lock then waits for the leaf to close, as long as `max_on` allows."""
        if not self.settings.maintained:
            return replace(self, leaf_opened=True), ()
        return replace(self, leaf_opened=True, deadline=self.began + self.settings.max_on), (Act.PROLONG,)


def restored(settings: Settings, mode: Mode, *, fire: bool) -> Lock:
    """The lock after a start or a fault: from the sensed fire input and the stored mode, never a default."""
    calm = {Mode.NORMAL: P.RESTING, Mode.HELD: P.HELD, Mode.BLOCKED: P.BLOCKED}[mode]
    burning = {Mode.NORMAL: P.FIRE, Mode.HELD: P.FIRE_HELD, Mode.BLOCKED: P.FIRE_BLOCKED}[mode]
    return Lock(settings, phase=burning if fire else calm)
