"""A pushed list replaces the platform's records only; what it may not touch is refused and told."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.directory import events
from gateway.directory.people import Changes
from gateway.directory.platform import PlatformList, PlatformPerson, Pushed
from gateway.errors import BadRequest, Refused
from tests.directory.house import CLERK, NAMES, House, opened, run


def listed(*numbers: int, version: int = 1, **given: object) -> list[PlatformPerson]:
    return [
        PlatformPerson(id=f"P{number}", version=version, name=NAMES[number], doors=("main",), **given)  # type: ignore[arg-type]
        for number in numbers
    ]


async def pushed(house: House, people: list[PlatformPerson]) -> Pushed:
    return await PlatformList(house.directory, house.people).take(people, CLERK)


async def names(house: House) -> set[str]:
    return {person.name async for page in house.people.pages() for _, person in page}


def test_a_list_adds_changes_and_removes_the_platforms_people_only(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            own = await house.add("赵六")
            done = await pushed(house, listed(0, 1, 2))
            assert (done.added, done.changed, done.unchanged, done.forgotten, done.conflicts) == (3, 0, 0, 0, ())
            assert {event.external for event in house.events if isinstance(event, events.PersonAdded)} == {
                "",
                "P0",
                "P1",
                "P2",
            }
            done = await pushed(house, [*listed(0), *listed(1, version=2, active=False)])
            assert (done.added, done.changed, done.unchanged, done.forgotten) == (0, 1, 1, 1)
            assert await names(house) == {"赵六", NAMES[0], NAMES[1]}
            suspended = await house.people.find(NAMES[1])
            rights = house.directory.snapshot.person(suspended)
            assert rights is not None
            assert not rights.active
            assert house.directory.snapshot.person(own) is not None

    run(scenario())


def test_what_this_box_took_over_or_forgot_is_refused_and_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await pushed(house, listed(0, 1))
            taken = await house.people.find(NAMES[0])
            await house.people.change(taken, Changes(active=False), CLERK)
            await house.people.forget([await house.people.find(NAMES[1])], CLERK)
            for _ in range(2):
                done = await pushed(house, listed(0, 1, version=9))
                assert [conflict.id for conflict in done.conflicts] == ["P0", "P1"]
                assert (done.added, done.changed) == (0, 0)
            rights = house.directory.snapshot.person(taken)
            assert rights is not None
            assert not rights.active
        async with opened(tmp_path) as house:  # the box remembers whom it forgot
            done = await pushed(house, listed(0, 1, version=10))
            assert [conflict.id for conflict in done.conflicts] == ["P0", "P1"]

    run(scenario())


def test_whom_the_platform_took_off_its_list_it_may_send_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await pushed(house, listed(0, 1))
            first = await house.people.find(NAMES[1])
            await house.enrol(first, 1)
            await pushed(house, listed(0))
            assert house.directory.snapshot.person(first) is None
            done = await pushed(house, listed(0, 1))
            assert (done.added, done.conflicts) == (1, ())
            again = await house.people.find(NAMES[1])
            assert again != first
            assert await house.faces.lines(again) == []

    run(scenario())


def test_a_bad_list_changes_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await pushed(house, listed(0))
            with pytest.raises(Refused):
                await pushed(house, [])
            with pytest.raises(BadRequest):
                await pushed(house, [*listed(1), *listed(1)])
            with pytest.raises(BadRequest):
                await pushed(house, [*listed(1), *listed(2, valid_until="昨天")])
            assert await names(house) == {NAMES[0]}

    run(scenario())
