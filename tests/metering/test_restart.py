"""Killed in the middle of a leak: it is told once, keeps its since-time, and ends once."""

from __future__ import annotations

import asyncio
import json
import tempfile
from datetime import datetime, timedelta
from pathlib import Path
from typing import NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.clock import LoopClock
from gateway.metering import commands as c
from gateway.metering import events, memory
from gateway.metering.answers import Meters
from gateway.metering.service import FILE, Metering, unread_series
from gateway.metering.watch import utc
from tests.metering.box import ACTOR, START, Book, Box, Shelf, WrongClock
from tests.virtual_time import run


class Tap(NamedTuple):
    """A register that moves by the clock of the story, also while nobody looks."""

    box: Box
    litres_per_hour: float
    opened: datetime
    shut: datetime

    async def run(self, begin: datetime, minutes: int) -> None:
        for minute in range(minutes):
            at = begin + timedelta(minutes=minute)
            flowed = max(timedelta(), min(at, self.shut) - self.opened)
            self.box.shows(1, 10_000_000 + round(self.litres_per_hour * 1000 * flowed.total_seconds() / 3600))
            await asyncio.sleep(60)


NEVER = START + timedelta(days=365)


class Story:
    """The same house over several lives of its box."""

    def __init__(self, folder: Path, litres_per_hour: float, opened: datetime = START, shut: datetime = NEVER) -> None:
        self.folder, self.shelf, self.book = folder, Shelf(), Book()
        self._tap = litres_per_hour, opened, shut
        self.metering: Metering | None = None

    def life(
        self, begin: datetime, minutes: int, *, kill: bool = True, behind: timedelta | None = None, until: float = 0.0
    ) -> list[str]:
        """One life of the box; what it told of leaks. Its clock may be `behind` for its first `until` seconds."""
        box = Box(self.folder, self.shelf, self.book, flat={"unit": 1})
        box.shows(1, 10_000_000)

        async def scenario() -> None:
            tap = Tap(box, *self._tap)
            clock = None if behind is None else WrongClock(begin, behind, until)
            self.metering = await box.live(lambda _metering: tap.run(begin, minutes), begin, kill=kill, clock=clock)

        run(scenario())
        return [kind for kind in box.kinds() if kind.startswith("water.")]

    def findings(self) -> list[events.LeakSuspected | events.LeakCleared]:
        return [one for one in self.book.events if isinstance(one, events.LeakSuspected | events.LeakCleared)]

    def since(self) -> list[str]:
        assert self.metering is not None
        return [utc(leak.since) for leak in self.metering.watches["flat"].leaks]


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


@pytest.mark.parametrize("pause", [2, 4, 20, 400])
@pytest.mark.parametrize("lived", [33, 36, 44, 61])
def test_a_burst_is_told_once_however_the_box_dies(tmp_path: Path, lived: int, pause: int) -> None:
    """At the 33rd minute it was just told and no file knows; at the 44th one does."""
    story = Story(tmp_path, 900)
    first = story.life(START, lived)
    assert first == ["water.leak_suspected.v1"]
    again = START + minutes(lived + pause)
    assert story.life(again, 50) == []
    (told,) = story.findings()
    assert story.since() == [told.since]


@pytest.mark.parametrize(("lived", "pause"), [(1442, 3), (1442, 300), (1449, 50), (1500, 300)])
def test_a_leak_is_told_once_however_the_box_dies(tmp_path: Path, lived: int, pause: int) -> None:
    story = Story(tmp_path, 6)
    assert story.life(START, lived) == ["water.leak_suspected.v1"]
    assert story.life(START + minutes(lived + pause), 200) == []
    (told,) = story.findings()
    assert story.since() == [told.since]


def test_what_ends_after_the_kill_is_cleared_once_with_the_since_it_was_told_with(tmp_path: Path) -> None:
    story = Story(tmp_path, 900, shut=START + minutes(50))
    story.life(START, 34)
    assert story.life(START + minutes(40), 5) == []
    assert story.life(START + minutes(46), 40) == ["water.leak_cleared.v1"]
    raised, cleared = story.findings()
    assert raised.since == cleared.since
    assert isinstance(cleared, events.LeakCleared)
    assert cleared.litres == pytest.approx(900 * 50 / 60, abs=45)
    assert story.life(START + minutes(100), 60, kill=False) == []


def test_what_ended_in_the_gap_is_cleared_when_it_is_seen_to_have(tmp_path: Path) -> None:
    story = Story(tmp_path, 25, shut=START + minutes(1460))
    assert story.life(START, 1450) == ["water.leak_suspected.v1"]
    assert story.life(START + minutes(1900), 90) == ["water.leak_cleared.v1"]
    assert story.since() == []


def test_killed_again_and_again_while_it_runs(tmp_path: Path) -> None:
    """Lives of a few minutes: none of them sees half an hour of flow by itself, the memory of them does."""
    story = Story(tmp_path, 900)
    told = [kind for life in range(20) for kind in story.life(START + minutes(4 * life), 3, kill=life % 3 > 0)]
    assert len(told) <= 1, "it may be found late, never twice"
    assert story.life(START + minutes(90), 60) == ([] if told else ["water.leak_suspected.v1"])


def test_a_lost_memory_and_lost_readings_leave_the_journal_s_word(tmp_path: Path) -> None:
    story = Story(tmp_path, 6)
    assert story.life(START, 1500) == ["water.leak_suspected.v1"]
    (tmp_path / FILE).unlink()
    assert story.life(START + minutes(1503), 120) == []
    (told,) = story.findings()
    assert story.since() == [told.since]


def test_the_memory_of_the_release_before_is_read(tmp_path: Path) -> None:
    story = Story(tmp_path, 900)
    story.life(START, 40, kill=False)
    document = json.loads((tmp_path / FILE).read_text())
    del document["journal"], document["meters"]["flat"]["watch"]["burst"]["step"]
    document["layout"] = 1
    document["meters"]["flat"]["refused"] = [{"at": 1.0, "code": "ffff", "reason": "gone", "register": None}]
    (tmp_path / FILE).write_text(json.dumps(document))
    read = memory.load(tmp_path / FILE).meters["flat"]
    assert [leak.rule for leak in read.watch.leaks] == ["burst"]
    assert [one.code for one in read.refused] == ["ffff"]
    assert story.life(START + minutes(42), 20) == []


def test_a_filling_that_goes_on_after_the_kill_is_no_leak(tmp_path: Path) -> None:
    story = Story(tmp_path, 900, shut=START + minutes(38))
    assert story.life(START, 15) == []
    assert story.life(START + minutes(24), 60) == [], "nobody saw it flow for half an hour"


@pytest.mark.parametrize("behind", [timedelta(hours=2), timedelta(days=900)])
@pytest.mark.parametrize("until", [0, 20, 400, 3000])
def test_a_power_cut_on_a_box_without_a_clock(tmp_path: Path, behind: timedelta, until: float) -> None:
    """Two hours without power; the clock goes on where it stood, or years before, until the network is there."""
    story = Story(tmp_path, 900)
    assert story.life(START, 61, kill=False) == ["water.leak_suspected.v1"]
    assert story.life(START + minutes(181), 90, behind=behind, until=until) == []
    (told,) = story.findings()
    assert story.since() == [told.since]
    assert [kind for kind in _kinds(story) if kind.startswith("meter.re")] == [], "no meter was replaced, none refused"
    assert story.metering is not None
    watch = story.metering.watches["flat"]
    assert watch.last is not None
    assert watch.last.register == pytest.approx(10_000_000 + 900_000 * 271 / 60, abs=40_000), "the gap's water counts"
    assert watch.last.at == pytest.approx((START + minutes(271)).timestamp(), abs=70)
    gaps = [seconds for name, seconds, _at in story.shelf.rows if name == unread_series("flat")]
    assert len(gaps) == 1, "the power cut is a gap"
    if until < 600:
        assert gaps[0] == pytest.approx(7200, abs=200), "and as long as the network's time says"


def test_a_still_hour_may_hide_in_a_power_cut_of_unknown_length(tmp_path: Path) -> None:
    story = Story(tmp_path, 6)
    assert story.life(START, 1200, kill=False) == []
    later = START + minutes(1400)
    assert story.life(later, 400, behind=minutes(200), until=100) == [], "the day begins anew"


class Lives(Story):
    """A story whose water is a list of (minutes, litres an hour), over and over."""

    def __init__(self, folder: Path, flows: list[tuple[int, int]]) -> None:
        super().__init__(folder, 0)
        self._flows = flows

    def register(self, at: datetime) -> int:
        """What the meter shows, millilitres."""
        minute, shown = (at - START).total_seconds() / 60, 10_000_000.0
        while minute > 0:
            for lasts, flow in self._flows:
                spent = min(minute, lasts)
                shown += flow * 1000 * max(0.0, spent) / 60
                minute -= spent
        return int(shown)

    def live(self, begin: datetime, minutes: int, *, kill: bool, behind: timedelta | None) -> None:
        box = Box(self.folder, self.shelf, self.book, flat={"unit": 1})
        box.shows(1, self.register(begin))

        async def scenario() -> None:
            async def water(_metering: Metering) -> None:
                for minute in range(minutes):
                    box.shows(1, self.register(begin + timedelta(minutes=minute)))
                    await asyncio.sleep(60)

            clock = None if behind is None else WrongClock(begin, behind, 90)
            self.metering = await box.live(water, begin, kill=kill, clock=clock)

        run(scenario())


LIVES = st.lists(
    st.tuples(
        st.integers(3, 90), st.sampled_from([0, 1, 4, 7, 30, 200]), st.booleans(), st.sampled_from([None, 1, 300])
    ),
    min_size=2,
    max_size=5,
)
FLOWS = st.lists(
    st.tuples(st.integers(5, 90), st.sampled_from([0, 0, 12, 480, 520, 900, 2000])), min_size=1, max_size=5
)


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(LIVES, FLOWS)
@example([(3, 0, False, None), (3, 0, False, None), (27, 0, False, None), *[(3, 0, False, None)] * 2], [(5, 900)])
def test_however_it_lives_and_dies(
    lives: list[tuple[int, int, bool, int | None]], flows: list[tuple[int, int]]
) -> None:
    """Raised and cleared in turn, with one since-time; the water of every gap is in the total; no meter is accused."""
    with tempfile.TemporaryDirectory() as folder:
        story, at = Lives(Path(folder), flows), START
        for lasts, pause, kill, behind in lives:
            story.live(at, lasts, kill=kill, behind=None if behind is None else minutes(behind))
            at += minutes(lasts + pause)
        standing: dict[str, str] = {}
        for one in story.findings():
            if isinstance(one, events.LeakSuspected):
                assert one.rule not in standing, "told twice"
                standing[one.rule] = one.since
            else:
                assert standing.pop(one.rule) == one.since, "ended with another since-time"
        assert sorted(story.since()) == sorted(standing.values())
        assert not {"meter.replaced.v1", "meter.reading_refused.v1"} & set(_kinds(story))
        assert story.metering is not None
        last = story.metering.watches["flat"].last
        if last is not None:
            shown = story.register(at - minutes(lives[-1][1]))
            assert shown - 2000 * 1000 / 60 * 3 <= last.register <= shown


def _kinds(story: Story) -> list[str]:
    return [event.type_name() for event in story.book.events]


def test_the_use_of_the_gap_is_counted_and_has_no_hour(tmp_path: Path) -> None:
    story = Story(tmp_path, 60)
    story.life(START, 70, kill=False)  # until 01:10
    story.life(START + minutes(190), 110, kill=False)  # from 03:10 to 05:00
    assert story.metering is not None
    answers = Meters(story.metering, "", "Asia/Shanghai", LoopClock(START + timedelta(hours=5)))

    async def ask() -> c.History:
        return await answers.history(c.MeterHistory(meter="flat", hours=6), ACTOR)

    history = run(ask())
    rows = [(use.since[11:16], use.until[11:16], round(use.litres), use.gap) for use in history.use]
    assert rows == [
        ("00:00", "01:00", 57, False),
        ("01:00", "04:00", 180, True),
        ("04:00", "05:00", 60, False),
    ]
    assert sum(use.litres for use in history.use) == pytest.approx(60 * 5, abs=3)
