"""One meter, watched: what a look at it means. Pure: no I/O, no clock; times are UTC seconds that never jump.

It puts together the belief (reading.py), the detectors (rules/) and whether the meter is there at all,
and says what to keep and what to tell. Its state is plain data: it is stored, and goes on after a restart.

What is kept
    A register that stands is not written again and again: kept are the reading before each change and
    the one after it, and the first of each hour. So what is kept tells exactly when water may have run, a gap
    (no readings, then another register) stays visible as one, and the detectors can be fed with it.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime

from gateway.journal.event import Event
from gateway.metering import events
from gateway.metering.profile import Decoded
from gateway.metering.reading import Belief, Believed, Refused
from gateway.metering.rules import ALWAYS, Finding, Reading, Suspected, set_by
from gateway.metering.rules.burst import RULE as BURST
from gateway.metering.rules.burst import Burst
from gateway.metering.rules.continuous import RULE as NO_STILL_HOUR
from gateway.metering.rules.continuous import Continuous

HOUR = 3600.0
SLIP = 60.0  # seconds that a good clock is corrected by, and no more


@dataclass(frozen=True, slots=True)
class Keep:
    """A believed reading for measurements.db."""

    reading: Reading


@dataclass(frozen=True, slots=True)
class Unread:
    """Between two looks that came, longer than usual, water ran: how much is known, when is not."""

    since: float
    until: float

    def shifted(self, seconds: float, since: float = ALWAYS) -> Unread:
        """The same on a clock that was set by so much."""
        return Unread(set_by(self.since, seconds, since), set_by(self.until, seconds, since))


@dataclass(frozen=True, slots=True)
class Refusal:
    """What was not believed, or did not come, kept with its reason (reasons.py); `times` the same in a row."""

    at: float
    code: str
    register: int | None
    until: float = 0.0  # the last of them
    times: int = 1

    def same_again(self, other: Refusal) -> bool:
        return (self.code, self.register) == (other.code, other.register)


Effect = Keep | Unread | Refusal | Event


@dataclass(frozen=True, slots=True)
class Who:
    """Which meter this is, from when on it counts as silent, and which pause between two looks is a gap."""

    meter: str
    bus: str
    unit: int
    silent_after: int = 3
    gap: float = 180.0


@dataclass(frozen=True, slots=True)
class Leak:
    """A suspicion that stands: `total` is what the meter showed at `since`."""

    rule: str
    since: float
    total: int


@dataclass(frozen=True, slots=True)
class Told:
    """When a refusal was told last, and how many came since."""

    at: float
    untold: int


@dataclass(frozen=True, slots=True)
class Watch:
    """One meter."""

    who: Who
    belief: Belief
    continuous: Continuous
    burst: Burst
    last: Reading | None = None  # believed; `register` is the total
    kept: Reading | None = None
    failures: int = 0  # looks in a row without a believable answer
    problem: str = ""  # the code of the last of them
    flags: tuple[str, ...] = ()
    leaks: tuple[Leak, ...] = ()
    told: Mapping[str, Told] = field(default_factory=dict)

    @property
    def silent(self) -> bool:
        return self.failures >= self.who.silent_after

    def seen(self, look: Decoded, at: float) -> tuple[Watch, tuple[Effect, ...]]:
        """The meter answered."""
        belief, verdict = self.belief.judge(look, at)
        burst = self.burst if look.step == self.burst.step else replace(self.burst, step=look.step)
        after = replace(self, belief=belief, burst=burst)
        if isinstance(verdict, Refused):
            return after._refused(verdict, at)
        effects: list[Effect] = []
        if self.silent and self.last is not None:
            litres = (verdict.total - self.last.register) / 1000
            back = events.MeterBack(
                meter=self.who.meter, silent_seconds=round(at - self.last.at, 1), litres=max(0.0, litres)
            )
            effects.append(back)
        effects += self._changes(verdict)
        if self.last is not None and verdict.total != self.last.register and self._is_gap(at):
            effects.append(Unread(self.last.at, at))
        flags = tuple(sorted(look.flags))
        if flags != self.flags:
            effects.append(events.MeterFlags(meter=self.who.meter, flags=flags))
        after = replace(after, failures=0, problem="", flags=flags)
        after, found = after._read(Reading(at, verdict.total))
        return after, (*effects, *found)

    def unseen(self, code: str, at: float) -> tuple[Watch, tuple[Effect, ...]]:
        """The meter did not answer; `code` is the error's."""
        after, silence = replace(self, failures=self.failures + 1, problem=code)._silence(self)
        return after, (Refusal(at, code, None, at), *silence)

    def replayed(self, reading: Reading) -> tuple[Watch, tuple[Effect, ...]]:
        """A reading that was kept before a restart and is newer than the stored state."""
        if self.last is not None and reading.at <= self.last.at:
            return self, ()
        belief = replace(self.belief, register=reading.register - self.belief.offset, at=reading.at)
        after, effects = replace(self, belief=belief)._read(reading)
        return replace(after, kept=reading), tuple(effect for effect in effects if not isinstance(effect, Keep))

    def recalled(self, told: events.LeakSuspected | events.LeakCleared, at: float) -> Watch:
        """As the last word in the journal says, written at `at`: it was told, so it stands, or stands no longer.

        The since-time is the one that it was told with: by it everybody else knows the leak.
        """
        others = tuple(leak for leak in self.leaks if leak.rule != told.rule)
        if isinstance(told, events.LeakCleared):
            return self._detecting(told.rule, None) if len(others) < len(self.leaks) else self
        after, shown = self, Reading(at, round(told.total_litres * 1000))
        if self.last is None or (shown.at > self.last.at and shown.register >= self.last.register):
            after, _known = self.replayed(shown)  # what the memory and the measurements lost
        last = after.last or shown
        since = min(datetime.fromisoformat(told.since).timestamp(), last.at)
        total = min(shown.register - round(told.litres * 1000), last.register)
        leak = Leak(told.rule, since, total)
        return replace(after._detecting(told.rule, Reading(since, total)), leaks=(*others, leak))

    def _is_gap(self, at: float) -> bool:
        return self.last is not None and (at - self.last.at > self.who.gap or self.continuous.unknown_pause)

    def _detecting(self, rule: str, since: Reading | None) -> Watch:
        """With this rule's detector suspecting since then, or not suspecting."""
        after = replace(self, leaks=tuple(leak for leak in self.leaks if leak.rule != rule))
        if rule == BURST:
            return replace(after, burst=self.burst.told(since))
        if rule == NO_STILL_HOUR:
            return replace(after, continuous=self.continuous.told(since))
        return after

    def shifted(self, seconds: float, since: float = ALWAYS) -> Watch:
        """The same history on a clock that was set by so much; what lies before `since` stays."""
        return replace(
            self,
            belief=self.belief.shifted(seconds, since),
            continuous=self.continuous.shifted(seconds, since),
            burst=self.burst.shifted(seconds, since),
            last=self.last and self.last.shifted(seconds, since),
            kept=self.kept and self.kept.shifted(seconds, since),
            leaks=tuple(replace(leak, since=set_by(leak.since, seconds, since)) for leak in self.leaks),
            told={code: replace(told, at=set_by(told.at, seconds, since)) for code, told in self.told.items()},
        )

    def paused(self) -> Watch:
        """The same after a pause of unknown length: the box was off, and its clock is not to be believed yet."""
        belief, burst = self.belief.paused(), self.burst.paused()
        return replace(self, belief=belief, burst=burst, continuous=self.continuous.paused())

    def restored(self, stored: Watch, at: float) -> Watch:
        """This meter's settings with the stored history, `at` now. A clock that went back counts as no time.

        Where it went back by less than `SLIP`, a leak keeps the since-time that it was told with.
        """
        if stored.last is not None and stored.last.at > at:
            back = stored.last.at - at
            leaks = stored.leaks if back < SLIP else None
            stored = stored.shifted(-back)
            stored = stored if leaks is None else replace(stored, leaks=leaks)
        continuous = replace(stored.continuous, still=self.continuous.still, window=self.continuous.window)
        burst = replace(stored.burst, flow=self.burst.flow, lasts=self.burst.lasts, window=self.burst.window)
        belief = replace(stored.belief, most=self.belief.most, rolls_over_at=self.belief.rolls_over_at)
        return replace(stored, who=self.who, belief=belief, continuous=continuous, burst=burst)

    def _read(self, reading: Reading) -> tuple[Watch, tuple[Effect, ...]]:
        continuous, leaking = self.continuous.advance(reading)
        burst, bursting = self.burst.advance(reading)
        after = replace(self, continuous=continuous, burst=burst, last=reading)
        effects: list[Effect] = []
        for finding in (*leaking, *bursting):
            after, told = after._found(finding, reading)
            effects.append(told)
        kept = self._to_keep(reading)
        return replace(after, kept=kept[-1] if kept else self.kept), (*map(Keep, kept), *effects)

    def _to_keep(self, reading: Reading) -> tuple[Reading, ...]:
        if self.kept is None or self.last is None:
            return (reading,)
        if reading.register != self.last.register:
            return (self.last, reading) if self.last.at > self.kept.at else (reading,)
        return (reading,) if reading.at // HOUR > self.kept.at // HOUR else ()

    def _found(self, finding: Finding, reading: Reading) -> tuple[Watch, Event]:
        others = tuple(leak for leak in self.leaks if leak.rule != finding.rule)
        if isinstance(finding, Suspected):
            leak = Leak(finding.rule, finding.since, reading.register - finding.millilitres)
            hours = (reading.at - finding.since) / 3600
            told: Event = events.LeakSuspected(
                meter=self.who.meter,
                rule=finding.rule,
                since=utc(finding.since),
                litres=finding.millilitres / 1000,
                litres_per_hour=round(finding.millilitres / 1000 / hours, 2) if hours > 0 else 0.0,
                total_litres=reading.register / 1000,
            )
            return replace(self, leaks=(*others, leak)), told
        stood = next((leak for leak in self.leaks if leak.rule == finding.rule), None)
        cleared = events.LeakCleared(
            meter=self.who.meter,
            rule=finding.rule,
            since=utc(finding.since if stood is None else stood.since),
            litres=None if stood is None else (reading.register - stood.total) / 1000,
        )
        return replace(self, leaks=others), cleared

    def _refused(self, verdict: Refused, at: float) -> tuple[Watch, tuple[Effect, ...]]:
        if verdict.code == "first":
            return self, ()
        refusal = Refusal(at, verdict.code, verdict.register, at)
        told = self.told.get(verdict.code)
        quiet = told is not None and at - told.at < HOUR
        untold = told.untold + 1 if told is not None else 1
        after = replace(self, failures=self.failures + 1, problem=verdict.code)
        after = replace(
            after, told={**self.told, verdict.code: Told(told.at, untold) if quiet and told else Told(at, 0)}
        )
        after, silence = after._silence(self)
        if quiet:
            return after, (refusal, *silence)
        register = None if verdict.register is None else verdict.register / 1000
        event = events.MeterReadingRefused(meter=self.who.meter, reason=verdict.code, times=untold, register=register)
        return after, (refusal, event, *silence)

    def _silence(self, before: Watch) -> tuple[Watch, tuple[Effect, ...]]:
        if before.silent or not self.silent:
            return self, ()
        event = events.MeterSilent(
            meter=self.who.meter,
            bus=self.who.bus,
            unit=self.who.unit,
            problem=self.problem,
            since="" if self.last is None else utc(self.last.at),
        )
        return self, (event,)

    def _changes(self, verdict: Believed) -> list[Effect]:
        kind = events.MeterReplaced if verdict.replaced else events.MeterRolledOver
        if not (verdict.replaced or verdict.rolled_over):
            return []
        return [
            kind(meter=self.who.meter, register_before=verdict.before / 1000, register_after=verdict.register / 1000)
        ]


def utc(at: float) -> str:
    """UTC with offset, as events carry it."""
    return datetime.fromtimestamp(at, UTC).isoformat(timespec="seconds")
