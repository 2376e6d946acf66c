"""A month of sixty meters in seconds: what is filed agrees with the raw registers, whatever happened in it.

The daemon's own parts in virtual time (buses, beliefs, detectors, memory, measurements.db on a disk), polled every
hour or half hour. In the month: a clock that is not trusted at first, a bus that goes away, a dead meter, FFFF, a kill,
a restart, a register that begins again, a replaced meter, a leak.
"""

from __future__ import annotations

import asyncio
import random
import time
from bisect import bisect_right
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import ZoneInfo

import msgspec
import pytest

from drivers.errors import BusGone, NoAnswer
from drivers.interfaces import Span
from gateway import measurements as stored
from gateway.clock import Clock, LoopClock
from gateway.config import schema
from gateway.measurements import Hour, Measurements
from gateway.metering import events, line, profiles, service
from gateway.metering import profile as p
from gateway.metering.service import Metering, series, unread_series
from gateway.metering.use import Gap, by_day, by_hour
from tests.box_time import run
from tests.metering.box import Book, WrongClock

START = datetime(2026, 3, 1, 16, tzinfo=UTC)  # a midnight in Shanghai
SHANGHAI = ZoneInfo("Asia/Shanghai")
DAY, HOUR = 86400.0, 3600.0
DAYS, METERS = 30, 60
NAMES = ("usw-dn15-dn40", "tuf-2000m", "dynaflox-ultrad")
MAPS = {name: profiles.load(name) for name in NAMES}
REPLACED, ROLLS, LEAKS, DEAD, FFFF = "m07", "m08", "m09", "m10", "m13"
KILLED, BACK, RESTARTED = 9.5 * DAY, 9.5 * DAY + 2400, 12 * DAY
AWAY = (3 * DAY + 10 * HOUR, 3 * DAY + 17 * HOUR)
LEAK = (20 * DAY, 22.5 * DAY)
FLUSH = 6 * HOUR  # virtual seconds between two visits of the disk


def profile_of(place: int) -> str:
    return NAMES[place % 3]


def interval_of(place: int) -> float:
    """Once an hour; every half hour where something happens."""
    return HOUR / 2 if f"m{place:02}" in {REPLACED, ROLLS, LEAKS, DEAD, FFFF} else HOUR


@dataclass
class Home:
    """A household's register: millilitres by the second of the month."""

    begins: int
    at: list[float] = field(default_factory=list)
    total: list[int] = field(default_factory=list)

    @classmethod
    def living(cls, seed: int, begins: int) -> Home:
        dice, home = random.Random(seed), cls(begins)
        moments = sorted(day * DAY + dice.gauss(14, 4) % 24 * HOUR for day in range(DAYS) for _ in range(25))
        used = 0
        for moment in moments:
            used += dice.choice([500, 3000, 6000, 9000, 60_000])
            home.at.append(moment)
            home.total.append(used)
        return home

    def used(self, second: float) -> int:
        place = bisect_right(self.at, second)
        return self.total[place - 1] if place else 0


class Pipes:
    """Both buses: what a meter's registers say at this second of the month, and a log of every answer."""

    def __init__(self) -> None:
        end = p.rolls_over_at(MAPS[profile_of(8)])
        self.homes = {
            f"m{place:02}": Home.living(place, end - 2_500_000 if f"m{place:02}" == ROLLS else 10**7 * (place + 1))
            for place in range(METERS)
        }
        self.raw: dict[str, list[tuple[float, int]]] = {name: [] for name in self.homes}
        self.began = 0.0

    def second(self) -> float:
        return self.began + asyncio.get_running_loop().time()

    def register(self, name: str, second: float) -> int:
        home = self.homes[name]
        used = home.used(second)
        if name == LEAKS:
            used += round(60_000 * max(0.0, min(second, LEAK[1]) - LEAK[0]) / HOUR)
        if name == REPLACED and second >= 15 * DAY:
            return used - home.used(15 * DAY) + 123
        shown = home.begins + used
        return shown % p.rolls_over_at(MAPS[profile_of(8)]) if name == ROLLS else shown

    def answer(self, bus: str, unit: int, span: Span) -> tuple[int, ...]:
        name, second = f"m{(unit - 1) * 2 + (bus == 'b'):02}", self.second()
        if bus == "a" and AWAY[0] <= second < AWAY[1]:
            raise BusGone("gone")
        if name == DEAD and 6 * DAY <= second < 6 * DAY + 5 * HOUR:
            raise NoAnswer("dead")
        if name == FFFF and 22 * DAY <= second < 22 * DAY + 3 * HOUR:
            return (0xFFFF,) * span.count
        shown = self.register(name, second)
        profile = MAPS[profile_of(int(name[1:]))]
        words = p.encode(profile, shown, running=second)
        if span != p.probe_span(profile):
            self.raw[name].append((second, shown))
        return tuple(words.get(span.address + place, 0) for place in range(span.count))


class Wire:
    def __init__(self, pipes: Pipes, bus: str) -> None:
        self._pipes, self._bus, self.device = pipes, bus, bus

    async def open(self) -> None:
        if self._bus == "a" and AWAY[0] <= self._pipes.second() < AWAY[1]:
            raise BusGone("gone")

    async def ask(self, unit: int, span: Span, _within: float) -> tuple[int, ...]:
        await asyncio.sleep(0)  # others may run, as while a wire speaks
        return self._pipes.answer(self._bus, unit, span)

    def close(self) -> None:
        return


CONFIG = msgspec.convert(
    {
        "site": {"name": "Garden", "community": "garden-1"},
        "box": {"name": "unit-1"},
        "bus": {bus: {"driver": "simulated", "meters": bus} for bus in "ab"},
        "meter": {
            f"m{place:02}": {
                "name": f"1-{place}",
                "bus": "ab"[place % 2],
                "unit": place // 2 + 1,
                "profile": profile_of(place),
                "interval": interval_of(place),
            }
            for place in range(METERS)
        },
    },
    schema.Gateway,
)


class Month:
    """Three lives of one box."""

    def __init__(self, folder: Path) -> None:
        self.folder, self.pipes, self.book = folder, Pipes(), Book()
        self.hours: dict[str, list[Hour]] = {}
        self.gaps: dict[str, list[Gap]] = {}
        self.registers: dict[str, int] = {}
        self.seconds = 0.0

    def live(self) -> None:
        began = time.process_time()
        run(self._life(0.0, KILLED, WrongClock(START, timedelta(days=400), 300.0), kill=True))
        run(self._life(BACK, RESTARTED, LoopClock(START + timedelta(seconds=BACK))))
        run(self._life(RESTARTED + 5, DAYS * DAY, LoopClock(START + timedelta(seconds=RESTARTED + 5))))
        self.seconds = time.process_time() - began

    async def _life(self, begin: float, end: float, clock: Clock, *, kill: bool = False) -> None:
        self.pipes.began = begin
        self.book.now = lambda: clock.now().wall
        shelf = Measurements(self.folder / "measurements.db", clock)
        metering = Metering(CONFIG, self.folder, clock, self.book, shelf)
        tasks = [asyncio.create_task(metering.run())]
        tasks += [asyncio.create_task(metering.run_bus(bus)) for bus in metering.lines]
        await metering.ready.wait()
        await shelf.start()
        await asyncio.sleep(end - self.pipes.second())
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended
        if kill:  # what was to reach the disk with the next flush is lost
            flushed = (START + timedelta(seconds=KILLED - FLUSH)).timestamp() * 1000
            shelf._waiting = deque(value for value in shelf._waiting if value[1] < flushed)
        else:
            await metering.close()
        await shelf.flush()
        for name in self.pipes.homes:
            since, until = START - timedelta(days=500), START + timedelta(days=DAYS + 1)
            self.hours[name] = await shelf.hours(series(name), since, until, 10_000)
            ends = await shelf.read(unread_series(name), since, until, 1000)
            self.gaps[name] = [(one.at - timedelta(seconds=one.value), one.at) for one in ends]
            self.registers[name] = metering.watches[name].belief.register or 0
        await shelf.close()


@pytest.fixture(scope="module")
def month(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Month]:
    patch = pytest.MonkeyPatch()
    lived = Month(tmp_path_factory.mktemp("month"))
    patch.setattr(line, "_make", lambda config: Wire(lived.pipes, config.meters))
    patch.setattr(stored, "FLUSH_SECONDS", FLUSH)
    patch.setattr(service, "SAVE_EVERY", FLUSH)
    lived.live()
    yield lived
    patch.undo()


def consumed(month: Month, name: str) -> float:
    """Litres by the raw registers from the first answer to the last, over what began again or was replaced."""
    raw = [register for _at, register in month.pipes.raw[name]]
    grown = sum(max(0, after - before) for before, after in pairwise(raw))
    if name == ROLLS:
        grown += sum(after + p.rolls_over_at(MAPS[profile_of(8)]) - before for before, after in _falls(raw))
    return grown / 1000


def _falls(raw: list[int]) -> list[tuple[int, int]]:
    return [(before, after) for before, after in pairwise(raw) if after < before]


def test_every_hour_that_is_filed_ends_at_the_register_that_was_read_last(month: Month) -> None:
    """To the millilitre, hour by hour, but for the hours whose readings the kill cost."""
    plain = [name for name in month.pipes.homes if name not in {REPLACED, ROLLS, FFFF}]
    compared = 0
    for name in plain:
        last = {int(at // HOUR): register for at, register in month.pipes.raw[name]}
        for hour in month.hours[name]:
            place = int((hour.at - START).total_seconds() // HOUR)
            if KILLED - 7 * HOUR <= place * HOUR <= KILLED:
                continue
            assert round(hour.last * 1000) == last[place], (name, hour)
            compared += 1
    assert compared > 0.958 * len(plain) * DAYS * 24  # seven hours and forty minutes of bus a and some of single meters


def test_nothing_is_lost_over_gaps_restarts_and_what_begins_again(month: Month) -> None:
    for name in month.pipes.homes:
        use = by_hour(month.hours[name], month.gaps[name])
        slack = 70.0 if name == REPLACED else 0.002  # of a replaced meter two readings wait for a third
        first = month.hours[name][0].low * 1000 - month.pipes.raw[name][0][1]
        assert sum(one.litres for one in use) == pytest.approx(consumed(month, name) - first / 1000, abs=slack)
    assert [event.meter for event in month.book.events if isinstance(event, events.MeterRolledOver)] == [ROLLS]
    assert [event.meter for event in month.book.events if isinstance(event, events.MeterReplaced)] == [REPLACED]
    assert month.registers[REPLACED] == month.pipes.raw[REPLACED][-1][1]


def test_a_gap_is_never_zero_use(month: Month) -> None:
    away = [START + timedelta(seconds=at) for at in AWAY]
    for name in sorted(month.pipes.homes)[::2]:
        if month.pipes.register(name, AWAY[0] - HOUR) == month.pipes.register(name, AWAY[1] + HOUR):
            continue
        touched = [
            one
            for one in by_hour(month.hours[name], month.gaps[name])
            if one.until > away[0] + timedelta(hours=1) and one.since < away[1] - timedelta(hours=1)
        ]
        assert all(one.gap for one in touched), (name, touched)
        assert sum(one.litres for one in touched) > 0


def test_the_days_are_the_site_s_days(month: Month) -> None:
    for name in ("m01", "m05", "m21"):
        days = by_day(by_hour(month.hours[name], month.gaps[name]), SHANGHAI)
        assert sum(day.litres for day in days) == pytest.approx(
            sum(one.litres for one in by_hour(month.hours[name], month.gaps[name]))
        )
        plain = [day for day in days if not day.gap]
        assert len(plain) >= DAYS - 3
        assert {day.since.astimezone(SHANGHAI).hour for day in plain[1:]} == {0}


def test_the_clock_that_was_wrong_filed_nothing_under_a_wrong_day(month: Month) -> None:
    for hours in month.hours.values():
        assert hours[0].at >= START
        assert hours[-1].at < START + timedelta(days=DAYS)


def test_what_happened_was_told_once(month: Month) -> None:
    found = [(type(one).__name__, one.meter) for one in month.book.events if isinstance(one, events.LeakSuspected)]
    assert found == [("LeakSuspected", LEAKS)]
    assert [one.meter for one in month.book.events if isinstance(one, events.LeakCleared)] == [LEAKS]
    assert [one.bus for one in month.book.events if isinstance(one, events.BusGone)] == ["a"]
    assert {one.meter for one in month.book.events if isinstance(one, events.MeterSilent)} == {DEAD, FFFF}


def test_it_took_seconds(month: Month, capsys: pytest.CaptureFixture[str]) -> None:
    polls = sum(len(raw) for raw in month.pipes.raw.values())
    with capsys.disabled():
        print(f"\n{DAYS} days of {METERS} meters, {polls} polls: {month.seconds:.1f} s of a processor")
    assert polls > 0.95 * sum(DAYS * DAY / interval_of(place) for place in range(METERS))
