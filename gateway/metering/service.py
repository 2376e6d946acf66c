"""All meters of a box, wired: buses, what is believed, detectors, measurements, memory; answers the commands.

Everything but the buses is called from the loop and returns at once. Each bus is a supervised task of its
own, so a bus that is gone, or a meter that takes its time, delays nobody else.
"""

from __future__ import annotations

import asyncio
import logging
import math
import sqlite3
from collections import deque
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Protocol

from gateway.clock import Clock
from gateway.config import schema
from gateway.config.mistakes import ConfigMistakes
from gateway.errors import LoumenError, N_, NoAnswer
from gateway.measurements import Hour, Sample
from gateway.metering import commands as c
from gateway.metering import events, memory, profiles, told
from gateway.metering.line import Asked, Line
from gateway.metering.profile import Decoded, Profile, rolls_over_at
from gateway.metering.reading import Belief
from gateway.metering.rules import ALWAYS, Reading
from gateway.metering.rules.burst import Burst
from gateway.metering.rules.continuous import Continuous
from gateway.metering.watch import Effect, Keep, Refusal, Unread, Watch, Who, utc
from gateway.uninterrupted import uninterrupted

FILE = "meters.json"
HAND_OVER = 300.0  # seconds between batches for measurements.db: fewer pages are written twice
SAVE_EVERY, SAVE_AFTER_FINDING = 7200.0, 15.0  # what is not saved is replayed; sixty meters are 60 KB each time
HOLD = 600.0  # seconds that readings wait for a trusted clock, so that none is filed under a wrong day
DRIFT = 2.0  # seconds between the wall clock and ours; more, and the clock was set
LITRE = 1000  # millilitres
OVERLOAD = 2.0  # times Q3: what a pipe cannot give
GAP, MINUTE = 3.0, 60.0  # intervals between two looks, and more, is a gap; a pause of a minute never
REPLAY = timedelta(hours=26)
WORTH_SAVING = (events.LeakSuspected, events.LeakCleared, events.MeterReplaced, events.MeterRolledOver)

SILENT = N_("meter {meter} (unit {unit}) gives no believable answer")
SILENT_MEND = N_("'loumen meter read {meter}' says what comes; check its supply, wires and unit number")
LEAK = N_("a leak is suspected behind meter {meter} since {since}")
LEAK_MEND = N_("look for running water; 'loumen meter history {meter}' shows the hours")
COARSE = N_("the register of meter {meter} counts in steps of {litres} L by now: smaller leaks are not seen")
COARSE_MEND = N_("its total is a 32-bit float: read another register, have the total set to zero, or change the meter")

log = logging.getLogger("loumen.metering")


class Series(Protocol):
    """What metering needs of measurements.db."""

    def add(self, series: str, value: float, at: datetime | None = None) -> None: ...

    async def read(self, series: str, since: datetime, until: datetime, limit: int = 1000) -> list[Sample]: ...

    async def hours(self, series: str, since: datetime, until: datetime, limit: int = 1000) -> list[Hour]: ...


def _loaded(profile: str, own: str) -> Profile | LoumenError:
    """A profile, or why it cannot be used."""
    try:
        return profiles.load(profile, own)
    except ConfigMistakes as error:
        return _spoiled(profile, own, error)
    except LoumenError as error:
        return error


def _spoiled(profile: str, own: str, mistakes: ConfigMistakes) -> LoumenError:
    """A profile that is wrong, in a form that a socket carries: the first mistake, and how to see them all."""
    first = mistakes.mistakes[0]
    return LoumenError(
        N_("the profile {profile} cannot be used; mistakes: {count}"),
        where=f"{first.file}:{first.line}: {first.key}".removesuffix(": "),
        mend=N_("'loumen meter profile check {path}' tells every mistake with its line; then restart loumen"),
        profile=profile,
        count=len(mistakes.mistakes),
        path=str(profiles.known(own)[profile]),
    )


def series(meter: str) -> str:
    """The series of a meter's total, in litres."""
    return f"meter.{meter}.litres"


def unread_series(meter: str) -> str:
    """The series of a meter's gaps in which water ran: at each end the seconds since its beginning."""
    return f"meter.{meter}.unread_seconds"


class Metering:
    """Touches no wire and no disk before `run`."""

    def __init__(
        self,
        config: schema.Gateway,
        state: Path,
        clock: Clock,
        journal: told.Journal,
        measurements: Series,
    ) -> None:
        self._config, self._clock, self._journal, self.measurements = config, clock, journal, measurements
        self._path = state / FILE
        now = clock.now()
        self._wall, self._boot = now.wall.timestamp(), now.boot
        self._began = ALWAYS
        self.profiles: dict[str, Profile] = {}
        self.unusable: dict[str, LoumenError] = {}  # meters whose profile cannot be used
        self._load_profiles()
        self.watches = {name: self._fresh(name) for name in self.profiles}
        self.refused: dict[str, deque[Refusal]] = {name: deque(maxlen=memory.REFUSALS) for name in self.profiles}
        self._samples: list[tuple[str, Reading]] = []
        self._unread_gaps: list[tuple[str, Unread]] = []
        self.lines = {name: self._line(name, bus) for name, bus in config.bus.items()}
        self.ready = asyncio.Event()
        self._found = asyncio.Event()

    def _load_profiles(self) -> None:
        """Each once, however many meters have it: the doors' loop waits meanwhile."""
        own = self._config.metering.profiles
        loaded = {name: _loaded(name, own) for name in {meter.profile for meter in self._config.meter.values()}}
        for name, meter in self._config.meter.items():
            profile = loaded[meter.profile]
            if isinstance(profile, LoumenError):
                self.unusable[name] = profile
                log.error("meter %s: %s", name, profile)
            else:
                self.profiles[name] = profile

    def _line(self, name: str, bus: schema.Bus) -> Line:
        asked = {
            meter: Asked(config.unit, self.profiles[meter], config.interval)
            for meter, config in self._config.meter.items()
            if config.bus == name and meter in self.profiles
        }
        pause = self._config.metering.longest_pause
        return Line(name, bus, asked, pause, self._clock, self._journal.note, self._seen, self._unseen)

    def _fresh(self, name: str) -> Watch:
        meter, rules, profile = self._config.meter[name], self._config.metering, self.profiles[name]
        hourly = meter.q3 * 1_000_000
        return Watch(
            Who(name, meter.bus, meter.unit, rules.silent_after, gap=GAP * max(meter.interval, MINUTE)),
            Belief(most=round(OVERLOAD * hourly), rolls_over_at=rolls_over_at(profile)),
            Continuous(still=rules.still, window=rules.still_within),
            Burst(flow=round(rules.burst_share * hourly), lasts=rules.burst_lasts, window=rules.burst_window),
        )

    # --- what is supervised

    async def run(self) -> None:
        """Remember, then write what must be kept, until cancelled."""
        if not self.ready.is_set():
            await self._remember()
            self.ready.set()
        saved = self._clock.now().mono
        while True:
            found = await self._finding_within(HAND_OVER)
            self.hand_over()
            if found:
                await asyncio.sleep(SAVE_AFTER_FINDING)  # others may be found; until then the journal has the last word
            now = self._clock.now().mono
            if found or now - saved >= SAVE_EVERY:
                await uninterrupted(asyncio.to_thread(self._save, self._memory()))
                saved = now

    async def run_bus(self, name: str) -> None:
        """Poll one bus until cancelled."""
        await self.ready.wait()
        await self.lines[name].run()

    async def close(self) -> None:
        """At the daemon's end, before measurements.db is closed."""
        if self.ready.is_set():
            self.hand_over(at_end=True)
            await uninterrupted(asyncio.to_thread(self._save, self._memory()))

    async def _finding_within(self, seconds: float) -> bool:
        try:
            async with asyncio.timeout(seconds):
                await self._found.wait()
        except TimeoutError:
            return False
        self._found.clear()
        return True

    # --- memory

    async def _remember(self) -> None:
        stored = await asyncio.to_thread(memory.load, self._path)
        newer = await told.findings(self._journal, stored.journal)
        now, known = self.at(), self._clock.now().trusted
        lasts = [one.watch.last.at for one in stored.meters.values() if one.watch.last is not None]
        if not known and max(lasts, default=now) > now:  # the clock of a box without one begins before its own past
            self._wall += max(lasts) - now
            now = max(lasts)
        self._began = math.nextafter(now, math.inf)  # what was timed at `now` belongs to the life before
        for name, fresh in self.watches.items():
            if name in stored.meters:
                self.watches[name] = fresh.restored(stored.meters[name].watch, now)
                self.refused[name].extend(stored.meters[name].refused)
            last_words = {rule: word for (meter, rule), word in newer.items() if meter == name}
            await self._replay(name, now, set(last_words))
            for word in sorted(last_words.values(), key=lambda word: word.at):
                self.watches[name] = self.watches[name].recalled(word.finding, min(word.at, now))
            if not known:
                self.watches[name] = self.watches[name].paused()

    async def _replay(self, name: str, now: float, told_of: set[str]) -> None:
        """Feed the detectors with what was kept after the memory was written; tell what the journal does not know."""
        last = self.watches[name].last
        until = datetime.fromtimestamp(now, UTC)
        since = until - REPLAY if last is None else datetime.fromtimestamp(last.at, UTC)
        try:
            samples = await self.measurements.read(series(name), since, until + timedelta(seconds=1), 20_000)
        except (OSError, sqlite3.Error) as error:
            log.warning("the readings of %s are not replayed: %s", name, error)
            return
        if last is not None and all(sample.at.timestamp() != last.at for sample in samples):
            self._samples.append((name, last))  # the memory may know what the measurements lost
        for sample in samples:
            reading = Reading(sample.at.timestamp(), round(sample.value * 1000))
            self.watches[name], effects = self.watches[name].replayed(reading)
            self._perform(name, tuple(one for one in effects if getattr(one, "rule", "") not in told_of))

    def _memory(self) -> bytes:
        meters = {name: memory.Remembered(watch, tuple(self.refused[name])) for name, watch in self.watches.items()}
        return memory.encode(meters, self._journal.head)

    def _save(self, content: bytes) -> None:
        try:
            memory.save(self._path, content)
        except OSError as error:
            log.warning("the meters' memory is not written: %s", error)

    def hand_over(self, *, at_end: bool = False) -> None:
        """Give what was kept to measurements.db; for ten minutes it waits for a clock to believe."""
        now = self._clock.now()
        if not now.trusted and now.boot - self._boot < HOLD and not at_end:
            return
        for name, reading in self._samples:
            self.measurements.add(series(name), reading.register / 1000, datetime.fromtimestamp(reading.at, UTC))
        for name, gap in self._unread_gaps:
            self.measurements.add(unread_series(name), gap.until - gap.since, datetime.fromtimestamp(gap.until, UTC))
        self._samples.clear()
        self._unread_gaps.clear()

    def waiting(self, meter: str) -> int:
        """Readings of a meter that were not handed over yet."""
        return sum(name == meter for name, _reading in self._samples)

    # --- what the buses bring

    def at(self) -> float:
        """UTC seconds that never jump: when the clock is set, what it timed since the start moves with it.

        What is older was timed by a clock that was right, unless this one, trusted now, is behind it. A clock that
        is not trusted moves nothing back.
        """
        now = self._clock.now()
        at = self._wall + now.boot - self._boot
        by = now.wall.timestamp() - at
        if by > DRIFT or (by < -DRIFT and now.trusted):
            self._wall += by
            at += by
            since = self._began if at >= self._began else ALWAYS
            self.watches = {name: watch.shifted(by, since) for name, watch in self.watches.items()}
            self._samples = [(name, reading.shifted(by, since)) for name, reading in self._samples]
            self._unread_gaps = [(name, gap.shifted(by, since)) for name, gap in self._unread_gaps]
        return at

    def _seen(self, name: str, look: Decoded) -> None:
        at = self.at()
        self.watches[name], effects = self.watches[name].seen(look, at)
        self._perform(name, effects)

    def _unseen(self, name: str, error: LoumenError) -> None:
        self.watches[name], effects = self.watches[name].unseen(error.code, self.at())
        self._perform(name, effects)

    def _perform(self, name: str, effects: tuple[Effect, ...]) -> None:
        for effect in effects:
            match effect:
                case Keep(reading):
                    self._samples.append((name, reading))
                case Unread():
                    self._unread_gaps.append((name, effect))
                case Refusal():
                    self._refuse(name, effect)
                case _:
                    self._journal.note(effect)
                    if isinstance(effect, WORTH_SAVING):
                        self._found.set()

    def _refuse(self, name: str, refusal: Refusal) -> None:
        kept = self.refused[name]
        if kept and kept[-1].same_again(refusal):
            before = kept.pop()
            refusal = replace(before, until=refusal.until, times=before.times + 1)
        kept.append(refusal)

    # --- how they are

    def view(self, name: str) -> c.MeterView:
        """One meter."""
        config = self._config.meter[name]
        if name in self.unusable:
            return c.MeterView(
                id=name,
                name=config.name,
                bus=config.bus,
                unit=config.unit,
                profile=config.profile,
                state="unusable",
                problem=self.unusable[name].what,
                facts={key: str(fact) for key, fact in self.unusable[name].facts.items()},
            )
        watch = self.watches[name]
        at, last = self.at(), watch.last
        state = "silent" if watch.silent else "waiting" if last is None else "ok"
        return c.MeterView(
            id=name,
            name=config.name,
            bus=config.bus,
            unit=config.unit,
            profile=config.profile,
            state=state,
            register=None if watch.belief.register is None else watch.belief.register / 1000,
            step=watch.burst.step / 1000,
            total=None if last is None else last.register / 1000,
            read_at="" if last is None else utc(last.at),
            age=None if last is None else round(max(0.0, at - last.at), 1),
            problem="bus.gone" if self.lines[watch.who.bus].problem is not None else watch.problem,
            flags=watch.flags,
            leaks=tuple(
                c.LeakView(
                    rule=leak.rule,
                    since=utc(leak.since),
                    litres=0.0 if last is None else (last.register - leak.total) / 1000,
                )
                for leak in watch.leaks
            ),
        )

    def views(self) -> c.Meters:
        """Every meter and bus."""
        buses = tuple(
            c.BusView(
                id=name,
                driver=line.driver,
                device=line.device,
                problem="" if line.problem is None else line.problem.what,
                facts={} if line.problem is None else {key: str(fact) for key, fact in line.problem.facts.items()},
                meters=len(line.meters),
            )
            for name, line in self.lines.items()
        )
        return c.Meters(meters=tuple(self.view(name) for name in self._config.meter), buses=buses)

    def problems(self) -> Iterator[tuple[str, LoumenError]]:
        """What a person should know, for `status`: part and error."""
        for name, error in self.unusable.items():
            yield f"meter.{name}", error
        for name, line in self.lines.items():
            if line.problem is not None:
                yield f"bus.{name}", line.problem
        for name, watch in self.watches.items():
            gone = self.lines[watch.who.bus].problem is not None
            if watch.silent and not gone:
                yield f"meter.{name}", NoAnswer(SILENT, mend=SILENT_MEND, meter=name, unit=watch.who.unit)
            if watch.burst.step > LITRE:
                litres = f"{watch.burst.step / LITRE:.1f}"
                yield f"meter.{name}", LoumenError(COARSE, mend=COARSE_MEND, meter=name, litres=litres)
            for leak in watch.leaks:
                yield f"meter.{name}", LoumenError(LEAK, mend=LEAK_MEND, meter=name, since=utc(leak.since))
