"""A line that cannot be used says why, everywhere the technician looks: status, io, doctor, door show."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from pathlib import Path

import msgspec
import pytest

from drivers.registry import Drivers
from drivers.simulated.building import Building
from drivers.simulated.driver import SimulatedGpio
from gateway import locale
from gateway.access.answers import Doors
from gateway.access.commands import IdentifyDoor, OpenDoor
from gateway.access.rules.lock import Mode
from gateway.access.service import DoorService
from gateway.cli import words
from gateway.cli.io import _table
from gateway.cli.shell import Options, Shell
from gateway.clock import LoopClock
from gateway.command import Actor, Role
from gateway.config import schema
from gateway.control.status import DoorStatus
from gateway.doctor.checks.devices import _lines_of_the_daemon
from gateway.errors import LineBusy, LineGone
from gateway.io.service import IoService
from gateway.lines import Lines
from gateway.report import _line_problems
from tests.virtual_time import run

LOCK, CONTACT, DENIED = 1, 2, 3
CONFIG = schema.Door(
    name="Unit 1",
    lock=schema.Lock(output=schema.SimulatedOutput(line=LOCK)),
    contact=schema.SimulatedInput(line=CONTACT),
    indicators=schema.Indicators(denied=schema.SimulatedOutput(line=DENIED)),
)


@asynccontextmanager
async def a_door(building: Building) -> AsyncIterator[tuple[DoorService, Lines]]:
    lines = Lines(Drivers({"simulated": SimulatedGpio(building)}))
    clock = LoopClock(datetime(2026, 11, 24, tzinfo=UTC))
    door = DoorService("main", CONFIG, lines, lambda _event: None, clock, lambda: None, Mode.NORMAL, 3)  # type: ignore[arg-type,return-value]
    door.start()
    task = asyncio.create_task(door.run())
    await asyncio.sleep(0.1)
    try:
        yield door, lines
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def status_of(door: DoorService) -> DoorStatus:
    return msgspec.convert(msgspec.to_builtins(door.view(0)), DoorStatus)


def test_a_busy_line_names_its_holder_until_it_is_free(capsys: pytest.CaptureFixture[str]) -> None:
    async def scenario() -> None:
        building = Building()
        building.line(LOCK).busy = building.line(DENIED).busy = "pigpiod"
        async with a_door(building) as (door, lines):
            status = status_of(door)
            assert status.faults == ("indicators.denied", "lock")
            lamp, lock = _line_problems("door", [status])
            assert (lock.part, lock.facts["holder"], lock.where) == ("door.main.lock", "pigpiod", "simulated:1")
            assert lock.mend == "Stop that program, or give this line's wire another line."
            assert lamp.facts["holder"] == "pigpiod"

            document = msgspec.to_builtins(IoService(lines).document())
            _table(Shell(Options()), document)
            told = capsys.readouterr().out
            assert "main.lock: Line 1 of simulated is held by 'pigpiod'." in told
            assert told.count("UNUSABLE") == 2
            outcome = _lines_of_the_daemon(["main.lock", "main.contact"], document["lines"])
            assert outcome.facts["lines"] == "main.lock"
            assert outcome.details[0].facts["holder"] == "pigpiod"

            building.line(LOCK).busy = building.line(DENIED).busy = ""
            await asyncio.sleep(6)
            assert status_of(door).faults == ()
            assert lines.missing == {}
            assert [view.active for view in IoService(lines).views()] == [False, False, False]

    run(scenario())


def test_a_door_whose_lock_cannot_be_moved_is_not_said_to_be_open(tmp_path: Path) -> None:
    async def scenario() -> None:
        building = Building()
        building.line(LOCK).busy = "pigpiod"
        async with a_door(building) as (door, _lines):
            doors = Doors({"main": door}, tmp_path / "doors.json", LoopClock(datetime(2026, 11, 24, tzinfo=UTC)), {})
            actor = Actor("uid:0", Role.TECHNICIAN, "cli", command_id="c1")
            for order in (doors.open(OpenDoor(door="main"), actor), doors.identify(IdentifyDoor(door="main"), actor)):
                with pytest.raises(LineBusy) as refused:
                    await order
                assert refused.value.facts["holder"] == "pigpiod"
            building.line(LOCK).busy = ""
            await asyncio.sleep(6)
            assert (await doors.open(OpenDoor(door="main"), actor)).opened_for > 0
            building.line(LOCK).vanish()
            await asyncio.sleep(1)
            with pytest.raises(LineGone):
                await doors.open(OpenDoor(door="main"), actor)

    run(scenario())


def test_a_line_that_does_not_exist_and_one_that_goes() -> None:
    async def scenario() -> None:
        building = Building(lines=LOCK + 2)  # there is no line 3
        async with a_door(building) as (door, lines):
            assert _line_problems("door", [status_of(door)]).__next__().facts["last"] == 2
            building.line(CONTACT).vanish()
            await asyncio.sleep(2)
            assert isinstance(lines.trouble("main.contact"), LineGone)
            problem = next(one for one in _line_problems("door", [status_of(door)]) if "contact" in one.part)
            assert (problem.what, problem.mend) != ("", "")

    run(scenario())


def test_an_output_that_comes_late_is_told_of() -> None:
    async def scenario() -> None:
        building = Building()
        building.line(LOCK).busy = "pigpiod"
        async with a_door(building) as (_door, lines):
            told = list[set[str]]()
            lines.claimed = lambda: told.append(set(lines.outputs))
            building.line(LOCK).busy = ""
            await asyncio.sleep(6)
            assert told == [{"main.lock", "main.indicators.denied"}]

    run(scenario())


def test_a_line_of_which_nothing_is_known_has_a_mend_too() -> None:
    (problem,) = _line_problems("door", [DoorStatus(id="main", faults=("lock",))])
    assert problem.mend


def test_the_trouble_of_a_line_that_is_tried_again_is_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    building = Building()
    building.line(LOCK).busy = "pigpiod"
    lines = Lines(Drivers({"simulated": SimulatedGpio(building)}))
    for _ in range(3):
        with pytest.raises(LineBusy):
            lines.output("main.lock", CONFIG.lock.output, "lock", 5)
    assert len(caplog.records) == 1


def test_parts_are_called_by_their_names() -> None:
    assert words.part_name("door.main.indicators.denied") == "door main · denied lamp"
    assert words.part_name("meter.m1") == "meter m1"
    assert words.part_name("something") == "something"
    locale.speak("zh")
    assert words.part_name("door.main.lock") == "门 main · 门锁"
    locale.speak("en")
