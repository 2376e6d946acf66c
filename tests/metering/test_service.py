"""The meters of a box in virtual time: polled, believed, found, kept, remembered."""

from __future__ import annotations

import asyncio
from datetime import datetime, timedelta
from pathlib import Path

import msgspec
import pytest

from drivers.interfaces import Span
from gateway.clock import LoopClock
from gateway.errors import BusGone, NotFound
from gateway.metering import commands as c
from gateway.metering import events, profiles
from gateway.metering.answers import Meters
from gateway.metering.profile import Profile
from gateway.metering.service import FILE, Metering, series, unread_series
from tests.metering.box import ACTOR, START, TUF, Box
from tests.virtual_time import run


def test_a_night_with_a_burst(tmp_path: Path) -> None:
    box = Box(tmp_path, flat={"unit": 1}, other={"unit": 2, "profile": "tuf-2000m"})
    box.shows(1, 10_000_000)
    box.shows(2, 7_000_000, TUF)

    async def night(_metering: Metering) -> None:
        register = 10_000_000
        for minute in range(8 * 60):
            register += 15_000 if minute >= 180 else 0
            box.shows(1, register)
            await asyncio.sleep(60)

    async def scenario() -> None:
        metering = await box.live(night)
        (leak,) = [event for event in box.told if isinstance(event, events.LeakSuspected)]
        assert (leak.meter, leak.rule) == ("flat", "burst")
        since = datetime.fromisoformat(leak.since)
        assert abs(since - (START + timedelta(minutes=180))) <= timedelta(minutes=6)
        assert 800 <= leak.litres_per_hour <= 900
        assert box.kinds() == ["water.leak_suspected.v1"]
        views = {view.id: view for view in metering.views().meters}
        assert views["flat"].leaks[0].rule == "burst"
        assert (views["other"].state, views["other"].register) == ("ok", 7000.0)
        assert len([row for row in box.shelf.rows if row[0] == series("other")]) <= 10, "what stands is not written"
        history = await Meters(metering, "", "Asia/Shanghai", LoopClock(START)).history(
            c.MeterHistory(meter="flat", hours=12), ACTOR
        )
        assert sum(use.litres for use in history.use) == pytest.approx(15 * 299, abs=31)
        assert not any(use.gap for use in history.use)

    run(scenario())


def test_a_bus_that_is_gone_delays_no_other_and_blames_no_meter(tmp_path: Path) -> None:
    box = Box(tmp_path, near={"unit": 1}, far={"unit": 1, "bus": "attic"})
    box.shows(1, 1_000_000)
    box.shows(1, 2_000_000, bus="attic")

    async def scenario() -> None:
        async def story(metering: Metering) -> None:
            await asyncio.sleep(200)
            (tmp_path / "attic.json").unlink()
            await asyncio.sleep(3600)
            assert metering.views().buses[1 - [bus.id for bus in metering.views().buses].index("riser")].problem
            assert metering.view("near").age is not None
            assert (metering.view("near").age or 0) <= 61
            assert metering.view("far").state == "ok", "nobody knows anything bad of the meter"
            box.shows(1, 2_400_000, bus="attic")
            await asyncio.sleep(120)
            assert metering.view("far").register == 2400.0

        await box.live(story)
        assert box.kinds() == ["meter.bus_gone.v1", "meter.bus_back.v1"]
        away = box.told[1]
        assert isinstance(away, events.BusBack)
        assert away.away_seconds >= 3500

    run(scenario())


def test_a_restart_goes_on_and_tells_nothing_twice(tmp_path: Path) -> None:
    box = Box(tmp_path, flat={"unit": 1})

    async def dripping(_metering: Metering, hours: int, begin: int) -> None:
        for minute in range(hours * 60):
            box.shows(1, begin + minute * 100)
            await asyncio.sleep(60)

    async def first() -> None:
        await box.live(lambda metering: dripping(metering, 30, 10_000_000))

    run(first())
    assert box.kinds() == ["water.leak_suspected.v1"]
    again = Box(tmp_path, box.shelf, flat={"unit": 1})

    async def second() -> None:
        start = START + timedelta(hours=30, minutes=20)
        metering = await again.live(lambda metering: dripping(metering, 3, 10_182_000), start)
        (leak,) = metering.view("flat").leaks
        assert leak.litres == pytest.approx(200, abs=3)
        (tmp_path / FILE).unlink()

    run(second())
    assert again.kinds() == [], "it still runs: nothing new"
    third = Box(tmp_path, box.shelf, flat={"unit": 1})

    async def last() -> None:
        metering = await third.live(lambda metering: dripping(metering, 1, 10_201_000), START + timedelta(hours=34))
        assert [leak.rule for leak in metering.view("flat").leaks] == ["no_still_hour"]

    run(last())
    assert third.kinds() == ["water.leak_suspected.v1"], "without a memory it is found again from the readings"


def test_a_damaged_memory_keeps_nobody_from_starting(tmp_path: Path) -> None:
    (tmp_path / FILE).write_bytes(b'{"layout": 1, "meters": {"flat": {"watch": 7}}}')
    box = Box(tmp_path, flat={"unit": 1})
    box.shows(1, 1_000_000)

    async def scenario() -> None:
        metering = await box.live(lambda _metering: asyncio.sleep(180))
        assert metering.view("flat").register == 1000.0

    run(scenario())


def test_a_profile_that_cannot_be_used_takes_no_other_meter_with_it(tmp_path: Path) -> None:
    box = Box(tmp_path, flat={"unit": 1}, lost={"unit": 2, "profile": "usw-dn15"})
    box.shows(1, 1_000_000)

    async def scenario() -> None:
        metering = await box.live(lambda _metering: asyncio.sleep(180))
        assert metering.view("flat").state == "ok"
        assert metering.view("lost").state == "unusable"
        part, error = next(metering.problems())
        assert part == "meter.lost"
        assert "usw-dn15-dn40" in str(error)

    run(scenario())


def test_a_profile_is_read_once_for_all_its_meters(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    read: list[str] = []
    load = profiles.load_file

    def counted(path: Path) -> Profile:
        read.append(path.stem)
        return load(path)

    monkeypatch.setattr(profiles, "load_file", counted)
    meters: dict[str, dict[str, object]] = {f"flat-{unit}": {"unit": unit} for unit in range(1, 61)}
    box = Box(tmp_path, None, None, **meters)

    async def scenario() -> None:
        metering = Metering(box.config, tmp_path, LoopClock(START), box.book, box.shelf)
        assert (len(metering.profiles), read) == (60, ["usw-dn15-dn40"])

    run(scenario())


def test_every_gap_of_a_history_is_seen_however_many_there_are(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.metering.answers.AT_ONCE", 2)
    box = Box(tmp_path, flat={"unit": 1})
    for hour in range(12):
        box.shelf.add(series("flat"), hour, START + timedelta(hours=hour, minutes=30))
        if hour % 2:
            box.shelf.add(unread_series("flat"), 1200, START + timedelta(hours=hour, minutes=10))

    async def scenario() -> None:
        clock = LoopClock(START + timedelta(hours=12))
        answers = Meters(Metering(box.config, tmp_path, clock, box.book, box.shelf), "", "Asia/Shanghai", clock)
        use = (await answers.history(c.MeterHistory(meter="flat", hours=12), ACTOR)).use
        assert [stretch.gap for stretch in use] == [True] * 6

    run(scenario())


class Plugged:
    """A bus whose adapter was pulled out and put back: it must be opened again before it answers."""

    def __init__(self) -> None:
        self.opened, self.pulled, self.device = 0, False, "/dev/ttyUSB0"

    async def open(self) -> None:
        self.opened += 1
        self.pulled = False

    async def ask(self, unit: int, span: Span, within: float) -> tuple[int, ...]:
        if self.pulled:
            raise BusGone("the port is gone")
        return (0,) * span.count

    def close(self) -> None:
        pass


def test_a_bus_that_a_command_finds_gone_is_opened_again_though_nobody_is_polled(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A technician scans a bus that has no meter yet, and changes the adapter in between."""
    bus = Plugged()
    monkeypatch.setattr("gateway.metering.line._make", lambda _config: bus)
    box = Box(tmp_path, flat={"unit": 1})
    box.config = msgspec.structs.replace(box.config, meter={})

    async def scenario() -> None:
        async def story(metering: Metering) -> None:
            answers, scan = Meters(metering, "", "Asia/Shanghai", LoopClock(START)), c.ScanMeters(bus="riser", last=1)
            await asyncio.sleep(10)
            assert len((await answers.scan(scan, ACTOR)).found) == 1
            bus.pulled = True
            with pytest.raises(BusGone):
                await answers.scan(scan, ACTOR)
            await asyncio.sleep(1)
            assert bus.opened == 2
            assert len((await answers.scan(scan, ACTOR)).found) == 1

        await box.live(story)
        assert box.kinds() == ["meter.bus_gone.v1", "meter.bus_back.v1"]

    run(scenario())


def test_commands_beside_the_polls(tmp_path: Path) -> None:
    box = Box(tmp_path, flat={"unit": 1}, split={"unit": 2, "profile": "tuf-2000m"})
    box.shows(1, 1_000_000)
    box.shows(2, 5_000_250, TUF)

    async def scenario() -> None:
        async def story(metering: Metering) -> None:
            await asyncio.sleep(180)
            answers = Meters(metering, "", "Asia/Shanghai", LoopClock(START))
            read = await answers.read(c.ReadMeter(meter="split"), ACTOR)
            assert (read.register, read.believed, read.units["flow"]) == (5000.25, True, "m3/h")
            scan = await answers.scan(c.ScanMeters(bus="riser", last=5), ACTOR)
            assert [(found.unit, found.meter, found.profile) for found in scan.found] == [
                (1, "flat", ""),
                (2, "split", "tuf-2000m"),
            ]
            with pytest.raises(NotFound, match="there is no bus attic"):
                await answers.scan(c.ScanMeters(bus="attic"), ACTOR)
            with pytest.raises(NotFound, match="there is no meter x"):
                await answers.read(c.ReadMeter(meter="x"), ACTOR)
            box.shows(2, 900_000_000, TUF)
            read = await answers.read(c.ReadMeter(meter="split"), ACTOR)
            assert (read.believed, read.reason) == (False, "more than the pipe gives")

        await box.live(story)

    run(scenario())
