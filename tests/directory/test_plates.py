"""Who is forgotten takes her plates along: what else holds something of her is asked first, and may fail."""

from __future__ import annotations

from collections.abc import Collection
from pathlib import Path

import pytest

from gateway.command import Actor
from gateway.directory.people import People
from gateway.errors import RegisterDown
from tests.directory.house import CLERK, opened, run


def test_who_is_forgotten_takes_her_plates_along_or_is_not_forgotten_yet(tmp_path: Path) -> None:
    """The real directory; the register of plates is played by the test, because capabilities do not know each other."""

    async def scenario() -> None:
        asked: list[list[str]] = []
        full = True

        async def leaves(people: Collection[str], actor: Actor) -> None:
            assert actor is CLERK
            asked.append(list(people))
            if full:
                raise RegisterDown("the disk is full")

        async with opened(tmp_path) as house:
            person, other = await house.add("林"), await house.add("王")
            people = People(house.directory)
            house.directory.before_forgetting = leaves
            with pytest.raises(RegisterDown):
                await people.forget([person], CLERK)
            rights = house.directory.snapshot.person(person)
            assert rights is not None
            assert not rights.active, "what was ordered acts at once, and nothing of it is acknowledged"
            assert person not in house.directory.keys.forgotten
            full = False
            assert await people.forget([person], CLERK) == [person]
            assert asked == [[person], [person]]
            assert person in house.directory.keys.forgotten
            assert house.directory.snapshot.person(other) is not None

    run(scenario())


def test_who_is_meant_is_found_in_one_pass(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            lin, one, two = await house.add("林"), await house.add("王"), await house.add("王")
            people = People(house.directory)
            found = await people.find_each(["林", "王", "张", one, two[:8], ""])
            assert found == {"林": [lin], "王": [one, two], "张": [], one: [one], two[:8]: [two], "": []}

    run(scenario())
