"""The directory's part under power cuts: who was added is there, who was suspended stays so, who was forgotten is gone.

Each person is added and then suspended or forgotten, or left; the change under way when the power went may have
happened or not, so the last person of a boot is the only one who may be further than was acknowledged.
"""

from __future__ import annotations

import contextlib
import random
from pathlib import Path
from typing import Any

from gateway.directory.people import Changes
from tests.directory.house import CLERK, NAMES, House, opened


class Writer:
    """`acknowledged` things: {"turn", "person", "is": "added" | "suspended" | "forgotten"}."""

    def __init__(self, folder: Path, turn: int, seed: int) -> None:
        self._folder, self._turn, self._random = folder, turn, random.Random(seed)
        self._stack = contextlib.AsyncExitStack()
        self._house: House | None = None
        self._last = ""

    async def open(self) -> None:
        self._house = await self._stack.enter_async_context(opened(self._folder))

    @property
    def house(self) -> House:
        assert self._house is not None
        return self._house

    async def check(self, acknowledged: list[dict[str, Any]]) -> str:
        health = self.house.directory.health()
        if health.state != "ok" or health.unreadable:
            return (
                f"{health.state}: {[problem.render() for problem in health.problems]}, {health.unreadable} unreadable"
            )
        last: dict[str, dict[str, Any]] = {ack["person"]: ack for ack in acknowledged}
        newest = {ack["turn"]: ack["person"] for ack in acknowledged}
        for person, ack in last.items():
            rights = self.house.directory.snapshot.person(person)
            found = "forgotten" if rights is None else "added" if rights.active else "suspended"
            under_way = newest[ack["turn"]] == person and ack["is"] == "added"
            if found != ack["is"] and not under_way:
                return f"{person} of boot {ack['turn']} was {ack['is']} and is {found}"
            if rights is not None and not (await self.house.people.get(person)).readable:
                return f"the key of {person} is lost"
        return ""

    async def write(self) -> dict[str, Any]:
        order = self._random.choice(["leave", "suspended", "forgotten"]) if self._last else "leave"
        person, self._last = self._last, ""
        if order == "suspended":
            await self.house.people.change(person, Changes(active=False), CLERK)
        elif order == "forgotten":
            await self.house.people.forget([person], CLERK)
        else:
            order = "added"
            person = self._last = await self.house.add(self._random.choice(NAMES))
        return {"turn": self._turn, "person": person, "is": order}

    async def close(self) -> None:
        await self._stack.aclose()
