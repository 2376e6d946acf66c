"""Whether a register's value is believed. Pure: no I/O, no clock.

Theory of operation
    A register only grows, and not faster than a pipe gives. What fits is believed and added to the
    meter's total, which goes on where a register rolls over or a meter is replaced: the total is what
    the detectors and the measurements see. What does not fit is refused and kept with its reason.

    Fits            not below the last one (a float's last digit may wobble), and not above it by more
                    than twice the meter's permanent flow Q3 would give in the time since (R and Q4 of
                    ISO 4064: a meter that runs above 1.25 Q3 is not long a meter), plus one minute of
                    it, because many meters renew their register in steps.
    Rolled over     the last one stood in the top tenth of the register, and over its end it fits.
    Replaced        CONFIRM readings in a row do not fit the last one, but fit each other. The water
                    between is unknown and counts as none; from the first of them on it counts.
    First           a meter's first reading waits for a second one that fits it.
    Stale           the meter's own run time stands still for STALE seconds: an old answer is repeated.
"""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.metering.profile import Decoded
from gateway.metering.rules import ALWAYS, set_by

CONFIRM = 3
STALE = 300.0
MINUTE = 60.0
UNKNOWN = 30 * 86_400.0


@dataclass(frozen=True, slots=True)
class Believed:
    """`total` goes on over roll-overs and replaced meters; `before` is set where it did now."""

    register: int
    total: int
    rolled_over: bool = False
    replaced: bool = False
    before: int = 0  # the last register of the time before


@dataclass(frozen=True, slots=True)
class Refused:
    """Not believed; `code` says why (reasons.py)."""

    code: str
    register: int | None


Verdict = Believed | Refused


@dataclass(frozen=True, slots=True)
class Candidate:
    """Readings that fit each other but not the meter as it was."""

    first: int
    register: int
    at: float
    count: int


@dataclass(frozen=True, slots=True)
class Belief:
    """One meter. `most` is millilitres an hour, `rolls_over_at` millilitres or 0; times are seconds that never jump."""

    most: int
    rolls_over_at: int = 0
    register: int | None = None
    at: float = 0.0
    offset: int = 0  # total = offset + register
    candidate: Candidate | None = None
    running: float | None = None
    running_at: float = 0.0

    def judge(self, seen: Decoded, at: float) -> tuple[Belief, Verdict]:
        """The belief after a look at the meter at `at`, and what came of it."""
        if seen.register is None:
            return self, Refused(seen.code, None)
        if self._is_stale(seen, at):
            return self, Refused("stale", seen.register)
        after = self
        if seen.running is not None and seen.running != self.running:
            after = replace(self, running=seen.running, running_at=at)
        return after._judged(seen.register, seen.step, at)

    def shifted(self, seconds: float, since: float = ALWAYS) -> Belief:
        """The same on a clock that was set by so much."""
        candidate = self.candidate and replace(self.candidate, at=set_by(self.candidate.at, seconds, since))
        running_at = set_by(self.running_at, seconds, since)
        return replace(self, at=set_by(self.at, seconds, since), candidate=candidate, running_at=running_at)

    def paused(self) -> Belief:
        """Nobody knows for how long nobody looked: whatever a pipe may give in `UNKNOWN` fits."""
        return replace(self, at=self.at - UNKNOWN, candidate=None)

    def _judged(self, register: int, step: int, at: float) -> tuple[Belief, Verdict]:
        if self.register is None:
            return self._first(register, step, at)
        if self.register - step <= register <= self.register:
            return self._believe(self.register, at), Believed(self.register, self.offset + self.register)
        if self._fits(self.register, self.at, register, at, step):
            return self._believe(register, at), Believed(register, self.offset + register)
        if self._rolled(register, at, step):
            after = replace(self._believe(register, at), offset=self.offset + self.rolls_over_at)
            return after, Believed(register, after.offset + register, rolled_over=True, before=self.register)
        candidate = self._candidate(register, step, at)
        if candidate.count >= CONFIRM:
            offset = self.offset + self.register - candidate.first
            after = replace(self._believe(register, at), offset=offset)
            return after, Believed(register, offset + register, replaced=True, before=self.register)
        code = "backwards" if register < self.register else "impossible"
        return replace(self, candidate=candidate), Refused(code, register)

    def _first(self, register: int, step: int, at: float) -> tuple[Belief, Verdict]:
        candidate = self._candidate(register, step, at)
        if candidate.count >= 2:
            return self._believe(register, at), Believed(register, self.offset + register)
        return replace(self, candidate=candidate), Refused("first", register)

    def _candidate(self, register: int, step: int, at: float) -> Candidate:
        before = self.candidate
        if before is not None and self._fits(before.register, before.at, register, at, step):
            return Candidate(before.first, register, at, before.count + 1)
        return Candidate(register, register, at, 1)

    def _believe(self, register: int, at: float) -> Belief:
        return replace(self, register=register, at=at, candidate=None)

    def _fits(self, before: int, before_at: float, register: int, at: float, step: int) -> bool:
        return 0 <= register - before <= self._possible(at - before_at, step)

    def _rolled(self, register: int, at: float, step: int) -> bool:
        assert self.register is not None
        if not self.rolls_over_at or self.register < 0.9 * self.rolls_over_at:
            return False
        return 0 <= self.rolls_over_at - self.register + register <= self._possible(at - self.at, step)

    def _possible(self, seconds: float, step: int) -> float:
        return self.most * (max(0.0, seconds) + MINUTE) / 3600 + 2 * step

    def _is_stale(self, seen: Decoded, at: float) -> bool:
        same = seen.running is not None and seen.running == self.running
        return same and at - self.running_at >= STALE
