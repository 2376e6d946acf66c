"""High flow for half an hour: the rule that the best-known meters call 'burst'. Pure: no I/O, no clock.

Theory of operation
    CALM       the flow is below `flow`, or unknown.
    FLOWING    it is above, for less than `lasts`.
    SUSPECTED  it has been above for `lasts` without a pause. It clears as soon as the flow is seen below.

    Flow is judged over the last `window` seconds of readings, because a register of whole litres read
    once a minute says nothing finer. After a gap longer than `window` over which the register moved it is
    unknown until a window is full again: that begins no suspicion and ends none. Across a gap over which
    the register stood nothing ran, so there it is known.

    A register counts in steps, and two readings tell the water between them to one step only: 42 litres
    in five minutes are 504 L/h, give or take 12. A window may therefore lack one step, else a steady flow just above
    the limit breaks off at every window that caught one litre less, and is never found; the whole run since
    its beginning, where one step is next to nothing, must then reach the limit. A register so coarse that
    the limit moves it less than twice a window gets a longer one, so that a lacking step is never all the water.

Whose rule, and what it cannot do
    Kamstrup's flowIQ 3100 (technical description 5512-1242, 'Info code - BURST') offers 5, 10 or 20 % of Q3 for
    30 minutes, Axioma 60 minutes. 20 % of a flat's 2.5 m3/h are 500 L/h: the only one of the three that a single
    shower or tap (360 to 540 L/h by GB 50015's rated flows) seldom reaches. What fills a pool, a
    roof tank or an aquarium from a tap for an hour looks to the meter like a burst until it ends, and this
    rule tells it: somebody answers 'that is me'. Telling the two apart by waiting two hours would let a ton of water
    through a ceiling; a household's habits are another detector's business. What leaks below the limit is
    found by the still hour (continuous.py), within a day. `burst_share` and `burst_lasts` are settings of the site.
    What that costs, on 17 simulated dwelling-years with 16 bursts of 340 to 700 L/h (`loumen evaluate water`): 20 %
    finds 14 (the two others run at 340 and 355 L/h) with 9 false alarms, each a filling of 50 to 110 minutes;
    10 % finds 16 with 15; an hour instead of half of one spares none of the 9.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import NamedTuple

from gateway.metering.rules import ALWAYS, Cleared, Finding, Reading, Suspected

RULE = "burst"


class State(Enum):
    CALM = auto()
    FLOWING = auto()
    SUSPECTED = auto()


class Sign(Enum):
    """What a reading means."""

    LOW = auto()
    UNKNOWN = auto()  # too few readings since the start or a gap
    HIGH = auto()
    HIGH_LONG = auto()


class Act(Enum):
    BEGIN = auto()
    RAISE = auto()
    CLEAR = auto()


class Step(NamedTuple):
    state: State
    acts: tuple[Act, ...] = ()


TABLE: dict[State, dict[Sign, Step]] = {
    State.CALM: {
        Sign.LOW: Step(State.CALM),
        Sign.UNKNOWN: Step(State.CALM),
        Sign.HIGH: Step(State.FLOWING, (Act.BEGIN,)),
        Sign.HIGH_LONG: Step(State.FLOWING, (Act.BEGIN,)),
    },
    State.FLOWING: {
        Sign.LOW: Step(State.CALM),
        Sign.UNKNOWN: Step(State.CALM),
        Sign.HIGH: Step(State.FLOWING),
        Sign.HIGH_LONG: Step(State.SUSPECTED, (Act.RAISE,)),
    },
    State.SUSPECTED: {
        Sign.LOW: Step(State.CALM, (Act.CLEAR,)),
        Sign.UNKNOWN: Step(State.SUSPECTED),
        Sign.HIGH: Step(State.SUSPECTED),
        Sign.HIGH_LONG: Step(State.SUSPECTED),
    },
}


@dataclass(frozen=True, slots=True)
class Burst:
    """One meter's detector. `flow` in millilitres an hour: 20 % of Q3 of a DN15/DN20 meter (2.5 m3/h),
    the upper end of what makers set. `step` is what the register counts in, millilitres.
    """

    flow: int = 500_000
    lasts: float = 1800.0
    window: float = 300.0
    step: int = 1
    state: State = State.CALM
    recent: tuple[Reading, ...] = ()
    since: Reading | None = None

    @property
    def span(self) -> float:
        """Over how many seconds flow is judged: the window, or what `flow` needs to move the register twice."""
        return max(self.window, 2 * self.step * 3600 / self.flow)

    @property
    def deadline(self) -> float | None:
        """The first poll at or after it may find something although the register stands; None: none will."""
        if not self.recent:
            return None
        if self.state is not State.CALM:
            return self.recent[-1].at
        covered = self.recent[0].at + self.span
        return covered if covered > self.recent[-1].at else None

    def shifted(self, seconds: float, since: float = ALWAYS) -> Burst:
        """The same history on a clock that was set by so much."""
        recent = tuple(reading.shifted(seconds, since) for reading in self.recent)
        return replace(self, recent=recent, since=self.since and self.since.shifted(seconds, since))

    def paused(self) -> Burst:
        """Nobody knows for how long nobody looked."""
        return replace(self, recent=())

    def told(self, since: Reading | None) -> Burst:
        """The detector as the journal says that it was: suspecting since then, or (None) not suspecting."""
        return replace(self, state=State.CALM if since is None else State.SUSPECTED, since=since)

    def advance(self, given: Reading) -> tuple[Burst, tuple[Finding, ...]]:
        """The detector after a reading that is not older than the last, and what it found."""
        recent = (*self._within(given.at), given)
        if self.recent and self._is_gap(self.recent[-1], given):
            recent = (given,)
        sign = self._sign(recent)
        step = TABLE[self.state][sign]
        since = recent[0] if Act.BEGIN in step.acts else self.since
        findings = tuple(self._found(act, given) for act in step.acts if act is not Act.BEGIN)
        return replace(self, state=step.state, recent=recent, since=since), findings

    def _is_gap(self, before: Reading, given: Reading) -> bool:
        return given.at - before.at > self.span and given.register != before.register

    def _within(self, at: float) -> tuple[Reading, ...]:
        """The readings that the span still needs: the newest that is at least so old, and all after it."""
        kept = self.recent
        while len(kept) > 1 and at - kept[1].at >= self.span:
            kept = kept[1:]
        begin = at - self.span
        if len(kept) > 1 and kept[0].register == kept[1].register and kept[0].at < begin:
            return (Reading(begin, kept[0].register), *kept[1:])  # it stood from one to the other: also at `begin`
        return kept

    def _sign(self, recent: tuple[Reading, ...]) -> Sign:
        first, last = recent[0], recent[-1]
        if last.at - first.at < self.span:
            return Sign.UNKNOWN
        if not self._reaches(first, last):
            return Sign.LOW
        long = self.since is not None and last.at - self.since.at >= self.lasts and self._reaches(self.since, last)
        return Sign.HIGH_LONG if long and self.state is not State.CALM else Sign.HIGH

    def _reaches(self, first: Reading, last: Reading) -> bool:
        """Whether the flow between two readings may have been `flow`: both are known to one step."""
        return (last.register - first.register + self.step) * 3600 >= self.flow * (last.at - first.at)

    def _found(self, act: Act, given: Reading) -> Finding:
        assert self.since is not None
        if act is Act.RAISE:
            return Suspected(RULE, self.since.at, given.register - self.since.register)
        return Cleared(RULE, self.since.at, given.at)
