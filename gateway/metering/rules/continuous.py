"""No still hour in a day: the rule that the best-known meters call 'leak'. Pure: no I/O, no clock.

Theory of operation
    WATCHING   an hour without flow was seen in the last day, or the day is not over yet.
    SUSPECTED  for a whole day no hour was still (Kamstrup MULTICAL/flowIQ: 'leak' = no continuous
               hour without flow in 24 h). It clears after one still hour.

    A gap in the polls is never zero use, and never use either: a gap in which a still hour could hide
    starts the day anew and ends no suspicion, unless the register stands where it stood, which proves that
    the gap was still. (Polls closer than a quarter of `still` are no gap.)

    The smallest steady leak this can see is one tick of the register an hour: with whole litres
    1 L/h and more, and no meter counts a drip below its own start-up flow (DN15 R200: about 5 L/h).
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import NamedTuple

from gateway.metering.rules import ALWAYS, Cleared, Finding, Reading, Suspected, set_by

RULE = "no_still_hour"


class State(Enum):
    WATCHING = auto()
    SUSPECTED = auto()


class Sign(Enum):
    """What a reading means."""

    STILL_HOUR = auto()  # an hour without flow was seen
    MAYBE_STILL = auto()  # it may have passed unseen
    DAY_WITHOUT = auto()
    NOTHING = auto()


class Act(Enum):
    BEGIN = auto()  # the day without a still hour begins here
    RAISE = auto()
    CLEAR = auto()


class Step(NamedTuple):
    state: State
    acts: tuple[Act, ...] = ()


TABLE: dict[State, dict[Sign, Step]] = {
    State.WATCHING: {
        Sign.STILL_HOUR: Step(State.WATCHING, (Act.BEGIN,)),
        Sign.MAYBE_STILL: Step(State.WATCHING, (Act.BEGIN,)),
        Sign.DAY_WITHOUT: Step(State.SUSPECTED, (Act.RAISE,)),
        Sign.NOTHING: Step(State.WATCHING),
    },
    State.SUSPECTED: {
        Sign.STILL_HOUR: Step(State.WATCHING, (Act.CLEAR, Act.BEGIN)),
        Sign.MAYBE_STILL: Step(State.SUSPECTED),
        Sign.DAY_WITHOUT: Step(State.SUSPECTED),
        Sign.NOTHING: Step(State.SUSPECTED),
    },
}


@dataclass(frozen=True, slots=True)
class Continuous:
    """One meter's detector. Times are UTC epoch seconds, amounts millilitres."""

    still: float = 3600.0
    window: float = 86400.0
    state: State = State.WATCHING
    last: Reading | None = None
    moved_at: float = 0.0  # the last reading at which the register had moved
    since: Reading | None = None  # when the last still hour ended
    unknown_pause: bool = False  # between the last reading and the next

    @property
    def deadline(self) -> float | None:
        """The first poll at or after it may find something although the register stands; None: none will."""
        if self.last is None or self.since is None:
            return None
        times = [self.moved_at + self.still]
        if self.state is State.WATCHING:
            times.append(self.since.at + self.window)
        return min((at for at in times if at > self.last.at), default=None)

    def shifted(self, seconds: float, since: float = ALWAYS) -> Continuous:
        """The same history on a clock that was set by so much."""
        return replace(
            self,
            last=self.last and self.last.shifted(seconds, since),
            moved_at=set_by(self.moved_at, seconds, since),
            since=self.since and self.since.shifted(seconds, since),
        )

    def paused(self) -> Continuous:
        """Nobody knows for how long nobody looked."""
        return replace(self, unknown_pause=True)

    def told(self, since: Reading | None) -> Continuous:
        """The detector as the journal says that it was: suspecting since then, or (None) not suspecting."""
        if since is None:
            return replace(self, state=State.WATCHING, since=self.last)
        return replace(self, state=State.SUSPECTED, since=since)

    def advance(self, given: Reading) -> tuple[Continuous, tuple[Finding, ...]]:
        """The detector after a reading that is not older than the last, and what it found."""
        if self.last is None or self.since is None:
            return replace(self, last=given, moved_at=given.at, since=given), ()
        sign = self._sign(given)
        step = TABLE[self.state][sign]
        moved_at = given.at if given.register != self.last.register else self.moved_at
        after = replace(self, state=step.state, last=given, moved_at=moved_at, unknown_pause=False)
        if Act.BEGIN in step.acts:
            after = replace(after, since=given)
        findings = tuple(self._found(act, given, self.since) for act in step.acts if act is not Act.BEGIN)
        return after, findings

    def _sign(self, given: Reading) -> Sign:
        assert self.last is not None
        assert self.since is not None
        moved = given.register != self.last.register
        if not moved and given.at - self.moved_at >= self.still:
            return Sign.STILL_HOUR
        gap = given.at - self.last.at >= self.still / 4 and given.at - self.moved_at >= self.still
        if moved and (gap or self.unknown_pause):
            return Sign.MAYBE_STILL
        return Sign.DAY_WITHOUT if given.at - self.since.at >= self.window else Sign.NOTHING

    def _found(self, act: Act, given: Reading, since: Reading) -> Finding:
        if act is Act.RAISE:
            return Suspected(RULE, since.at, given.register - since.register)
        return Cleared(RULE, since.at, given.at)
