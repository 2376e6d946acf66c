"""One door on simulated lines in virtual time: what the wire shows, whatever arrives."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.registry import Drivers
from drivers.simulated.building import Building
from drivers.simulated.driver import SimulatedGpio
from gateway import standing
from gateway.access.answers import Doors
from gateway.access.commands import ExplainDoor, HoldDoor, IdentifyDoor, LockDoor, OpenDoor, ReleaseDoor
from gateway.access.rules.door import HoldReleased, Refusal
from gateway.access.rules.lock import Mode
from gateway.access.service import DoorService
from gateway.clock import LoopClock
from gateway.command import Actor, Role
from gateway.config import schema
from gateway.errors import NotFound, Refused
from gateway.journal.event import Event
from gateway.lines import Lines
from gateway.vision.protocol import Candidate, Candidates, Presence
from tests.virtual_time import run

LOCK, CONTACT, EXIT, FIRE, DENIED, LIGHT, WAIT = 1, 2, 3, 4, 5, 6, 7
CLERK = Actor("uid:1000", Role.CLERK, "cli", command_id="c1")


def config(**changes: object) -> schema.Door:
    parts: dict[str, object] = {
        "name": "Unit 1",
        "lock": schema.Lock(output=schema.SimulatedOutput(line=LOCK), open_for=3, max_on=8),
        "contact": schema.SimulatedInput(line=CONTACT),
        "exit_button": schema.SimulatedInput(line=EXIT),
        "fire": schema.SimulatedInput(line=FIRE),
        "indicators": schema.Indicators(
            denied=schema.SimulatedOutput(line=DENIED), wait=schema.SimulatedOutput(line=WAIT)
        ),
        "light": schema.Light(output=schema.SimulatedOutput(line=LIGHT), linger=20, below_brightness=0.3),
        "camera": "front",
    }
    return schema.Door(**{**parts, **changes})  # type: ignore[arg-type]


@dataclass(frozen=True)
class Person:
    active: bool = True
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    doors: frozenset[str] = frozenset({"main"})
    face: bool = True


@dataclass
class People:
    known: dict[str, Person] = field(default_factory=dict)

    def person(self, person: str) -> Person | None:
        return self.known.get(person)


@dataclass
class Rig:
    """A door, its building, and what was noted."""

    door: DoorService
    building: Building
    notes: list[Event]
    people: People

    def energised(self) -> bool:
        return self.building.line(LOCK).level

    def types(self) -> list[str]:
        return [event.type_name() for event in self.notes]

    def see(self, person: str, distance: float = 0.3, track: int = 1, frames: int = 3) -> None:
        best = (Candidate(person=person, distance=distance),) if person else ()
        self.door.candidates(
            Candidates(
                camera="front",
                door="main",
                track=track,
                generation=1,
                frames=frames,
                best=best,
                threshold=0.42,
                at=asyncio.get_running_loop().time(),
                quality=0.8,
            )
        )


@asynccontextmanager
async def rig(mode: Mode = Mode.NORMAL, *, running: bool = True, **changes: object) -> AsyncIterator[Rig]:
    building = Building()
    building.line(CONTACT).set(True)  # closed
    notes: list[Event] = []
    people = People({"p1": Person()})
    clock = LoopClock(datetime(2026, 11, 24, tzinfo=UTC))
    lines = Lines(Drivers({"simulated": SimulatedGpio(building)}))
    door = DoorService("main", config(**changes), lines, notes.append, clock, lambda: people, mode, 3)
    door.start()
    task = asyncio.create_task(door.run() if running else asyncio.sleep(0))
    await asyncio.sleep(0.01)
    try:
        yield Rig(door, building, notes, people)
    finally:
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)


def test_a_face_opens_and_the_lock_falls_back() -> None:
    async def scenario() -> None:
        async with rig() as r:
            r.see("p1")
            await asyncio.sleep(0.01)
            assert r.energised()
            await asyncio.sleep(3.1)
            assert not r.energised()
            assert r.types() == ["door.opened.v1"]

    run(scenario())


@pytest.mark.parametrize(
    ("person", "distance", "frames"), [("stranger", 0.3, 3), ("p1", 0.5, 3), ("p1", 0.3, 2), ("", 1.0, 3)]
)
def test_who_may_not_pass_moves_nothing(person: str, distance: float, frames: int) -> None:
    async def scenario() -> None:
        async with rig() as r:
            for _ in range(10):
                r.see(person, distance, frames=frames)
                await asyncio.sleep(0.2)
            assert r.building.line(LOCK).changes == []
            assert r.types().count("door.refused.v1") == (0 if frames == 2 else 1), "one refusal a track"

    run(scenario())


def test_a_person_who_stays_before_the_camera_opens_once_in_a_while_not_for_ever() -> None:
    async def scenario() -> None:
        async with rig() as r:
            for _ in range(100):
                r.see("p1")
                await asyncio.sleep(0.1)
            assert r.types().count("door.opened.v1") == 1

    run(scenario())


def test_the_exit_button_opens_while_everything_else_is_silent() -> None:
    async def scenario() -> None:
        async with rig() as r:
            r.building.line(EXIT).press()
            await asyncio.sleep(0.1)
            assert r.energised()
            r.building.line(EXIT).let_go()
            r.building.line(CONTACT).set(False)
            await asyncio.sleep(0.1)
            assert not r.energised()
            r.building.line(CONTACT).set(True)
            await asyncio.sleep(0.1)
            assert r.types() == ["door.opened.v1", "door.passed.v1"]

    run(scenario())


def test_a_start_during_a_fire_releases_at_once() -> None:
    async def scenario() -> None:
        async with rig() as r:
            r.building.line(FIRE).press()
            await asyncio.sleep(0.1)
            assert r.energised()
            restarted = asyncio.create_task(r.door.run())
            await asyncio.sleep(0.1)
            assert r.energised()
            restarted.cancel()
            await asyncio.gather(restarted, return_exceptions=True)

    run(scenario())


def test_a_stop_rests_everything_and_refuses_grants() -> None:
    async def scenario() -> None:
        async with rig(mode=Mode.HELD) as r:
            assert r.energised()
            r.door.stop()
            assert not r.energised()
            r.see("p1")
            await asyncio.sleep(0.1)
            assert not r.energised()

    run(scenario())


def test_a_lock_line_that_goes_comes_back_as_it_should_be() -> None:
    async def scenario() -> None:
        async with rig(mode=Mode.HELD) as r:
            r.building.line(LOCK).vanish()
            r.see("p1")
            await asyncio.sleep(0.1)
            r.door.outputs.perform(HoldReleased())
            await asyncio.sleep(0.1)
            assert "lock" in r.door.door.faults
            r.building.line(LOCK).return_()
            await asyncio.sleep(8)
            assert r.energised(), "held, as ordered"
            assert r.door.door.faults == frozenset()

    run(scenario())


def test_a_contact_whose_wire_is_gone_is_unknown_and_the_door_still_opens() -> None:
    async def scenario() -> None:
        async with rig() as r:
            r.building.line(CONTACT).vanish()
            await asyncio.sleep(1.5)
            assert r.door.view(0).sensed == "unknown"
            r.see("p1")
            await asyncio.sleep(0.1)
            assert r.energised()
            r.building.line(CONTACT).return_()
            await asyncio.sleep(8)
            assert r.door.view(0).sensed == "closed"

    run(scenario())


def test_a_line_that_is_missing_at_the_start_takes_no_other_with_it() -> None:
    async def scenario() -> None:
        missing = schema.SimulatedInput(line=1023)
        async with rig(contact=missing) as r:
            r.building.line(1023).vanish()
            r.building.line(EXIT).press()
            await asyncio.sleep(0.1)
            assert r.energised()

    run(scenario())


def test_wait_is_shown_while_a_face_is_looked_at_and_not_for_who_passes_by() -> None:
    async def scenario() -> None:
        async with rig() as r:
            r.door.presence(Presence(camera="front", present=True, brightness=0.5, at=0))
            await asyncio.sleep(0.1)
            assert not r.building.line(WAIT).level
            r.door.presence(Presence(camera="front", present=True, looking=True, brightness=0.5, at=0))
            await asyncio.sleep(1)
            assert r.building.line(WAIT).level
            r.door.presence(Presence(camera="front", present=True, looking=True, brightness=0.5, at=1))
            await asyncio.sleep(1)
            assert r.building.line(WAIT).level
            await asyncio.sleep(2)
            assert not r.building.line(WAIT).level

    run(scenario())


def test_the_light_comes_on_in_the_dark_and_lingers() -> None:
    async def scenario() -> None:
        async with rig() as r:
            r.door.presence(Presence(camera="front", present=True, brightness=0.1, at=0))
            await asyncio.sleep(0.1)
            assert r.building.line(LIGHT).level
            r.door.presence(Presence(camera="front", present=False, brightness=0.9, at=0))
            await asyncio.sleep(19)
            assert r.building.line(LIGHT).level
            await asyncio.sleep(2)
            assert not r.building.line(LIGHT).level
            r.door.presence(Presence(camera="front", present=True, brightness=0.9, at=0))
            await asyncio.sleep(0.1)
            assert not r.building.line(LIGHT).level

    run(scenario())


def test_commands(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with rig() as r:
            clock = LoopClock(datetime(2026, 11, 24, tzinfo=UTC))
            doors = Doors({"main": r.door}, tmp_path / "doors.json", clock, {})
            opened = await doors.open(OpenDoor(door="main", reason="parcel"), CLERK)
            assert opened.opened_for == pytest.approx(3.0, abs=0.1)
            assert r.energised()
            await doors.lock(LockDoor(door="main"), CLERK)
            assert not r.energised()
            assert standing.load(tmp_path / "doors.json", Mode) == {"main": Mode.BLOCKED}
            with pytest.raises(Refused, match="locked down"):
                await doors.open(OpenDoor(door="main"), CLERK)
            assert (await doors.explain(ExplainDoor(door="main", person="p1"), CLERK)).code == "blocked"
            await doors.hold(HoldDoor(door="main"), CLERK)
            assert r.energised()
            with pytest.raises(Refused, match="not at rest"):
                await doors.identify(IdentifyDoor(door="main"), CLERK)
            await doors.release(ReleaseDoor(door="main"), CLERK)
            assert not r.energised()
            before = len(r.building.line(LOCK).changes)
            await doors.identify(IdentifyDoor(door="main"), CLERK)
            assert len(r.building.line(LOCK).changes) - before == 6, "three clicks"
            with pytest.raises(NotFound, match="main"):
                await doors.open(OpenDoor(door="side"), CLERK)

    run(scenario())


def test_a_reason_is_a_line_and_no_book(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with rig() as r:
            doors = Doors({"main": r.door}, tmp_path / "doors.json", LoopClock(datetime(2026, 11, 24, tzinfo=UTC)), {})
            reason = "搬家\x1b[31m\n" + "x" * 10_000
            await doors.open(OpenDoor(door="main", reason=reason), CLERK)
            await doors.hold(HoldDoor(door="main", reason=reason), CLERK)
            said = [event.reason for event in r.notes if hasattr(event, "reason")]
            assert said == ["搬家 [31m " + "x" * 192] * 2

    run(scenario())


def test_two_orders_at_once_both_stand(tmp_path: Path) -> None:
    """The second is written while the first door's machine has not got its order yet."""

    async def scenario() -> None:
        clock = LoopClock(datetime(2026, 11, 24, tzinfo=UTC))
        async with rig() as front, rig() as back:
            doors = Doors({"front": front.door, "back": back.door}, tmp_path / "doors.json", clock, {})
            await asyncio.gather(doors.lock(LockDoor(door="front"), CLERK), doors.hold(HoldDoor(door="back"), CLERK))
            assert standing.load(tmp_path / "doors.json", Mode) == {"front": Mode.BLOCKED, "back": Mode.HELD}

    run(scenario())


@settings(max_examples=25, deadline=None)
@given(st.integers(50, 2000), st.sampled_from(["refused", "exit", "contact", "lines"]), st.floats(0.0002, 0.004))
def test_a_flood_never_holds_the_lock_open(per_second: int, what: str, cost: float) -> None:
    """Locked again at most 50 ms after the deadline, whatever arrives and however slow each turn is."""

    async def scenario() -> None:
        async with rig(lock=schema.Lock(output=schema.SimulatedOutput(line=LOCK), open_for=3, max_on=8)) as r:
            r.see("p1")
            await asyncio.sleep(0.05)
            assert r.energised()
            began = r.building.line(LOCK).changes[0][0]

            async def flood() -> None:
                level = False
                while True:
                    level = not level
                    if what == "refused":
                        r.door.put("vision", Refusal("face", "no_match"))
                    elif what == "exit":
                        r.building.line(EXIT).set(level)
                    elif what == "contact":
                        r.building.line(CONTACT).set(True if r.energised() else level)
                    else:
                        r.door.put("vision", "noise")  # type: ignore[arg-type]
                        r.see("stranger", track=int(level))
                    await asyncio.sleep(1 / per_second)

            task = asyncio.create_task(flood())
            await asyncio.sleep(12)
            task.cancel()
            fell = next(at for at, level in r.building.line(LOCK).changes if not level)
            limit = 8 if what == "exit" else 3
            assert fell - began <= limit + 0.05

    run(scenario(), cost)
