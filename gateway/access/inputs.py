"""From wires to inputs: edges, levels sensed again, and lines that are gone and come back."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from drivers.interfaces import InputLine
from gateway.access.rules.door import Contact, ExitButton, Fire, Given, LineFault
from gateway.config import schema
from gateway.errors import DriverError
from gateway.lines import Lines

RETRY = 5.0  # seconds between attempts to claim a line that is gone
#: The door's queues, the most urgent first: how many inputs each may have waiting.
SOURCES = {"fire": 8, "exit": 8, "contact": 16, "line": 8, "command": 16, "vision": 4, "tick": 1}


@dataclass(frozen=True, slots=True)
class Meaning:
    """What an input line says: its queue, what a level means, what its loss means."""

    source: str
    given: Callable[[bool], Given]
    lost: Given | None = None


MEANINGS = {
    "fire": Meaning("fire", Fire),
    "exit_button": Meaning("exit", ExitButton),
    "contact": Meaning("contact", lambda closed: Contact(not closed), Contact(None)),
}


class Wire:
    """One input line of a door. `put` gives the machine an input by its queue."""

    def __init__(
        self, door: str, name: str, conf: schema.Input, lines: Lines, put: Callable[[str, Given], bool]
    ) -> None:
        self.name, self._meaning = name, MEANINGS[name]
        self._full_name, self._conf, self._lines, self._put = f"{door}.{name}", conf, lines, put
        self._line: InputLine | None = None
        self.level: bool | None = None  # as sensed last; None while the line is gone

    def claim(self) -> None:
        """Claim the line and sense it; a line that cannot be had is reported, not raised."""
        try:
            self._line = self._lines.input(self._full_name, self._conf)
            self.level = self._line.read()
        except DriverError as error:
            self._lost(error)

    async def listen(self) -> None:
        """Turn edges into inputs until cancelled; claim the line again when it is gone."""
        while True:
            if self._line is None:
                await asyncio.sleep(RETRY)
                self._claim_again()
            else:
                await self._follow(self._line)

    def _claim_again(self) -> None:
        self.claim()
        if self.level is not None:
            self._put("line", LineFault(self.name, gone=False))
            self._tell(active=self.level)

    async def _follow(self, line: InputLine) -> None:
        try:
            async for edge in line.edges():
                self._tell(active=edge.active)
        except DriverError as error:
            self._lost(error)

    def sense_again(self) -> None:
        """Read the level and tell the machine if an edge was lost on the way."""
        if self._line is None:
            return
        try:
            level = self._line.read()
        except DriverError as error:
            self._lost(error)
            return
        if level is not self.level:
            self._tell(active=level)

    def now(self) -> Given | None:
        """What the line says at this moment, as an input; None when nothing is to be said."""
        return self._meaning.lost if self.level is None else self._meaning.given(self.level)

    def _tell(self, *, active: bool) -> None:
        self.level = active
        self._put(self._meaning.source, self._meaning.given(active))

    def _lost(self, error: DriverError) -> None:
        self._line, self.level = None, None
        self._put("line", LineFault(self.name, problem=error.code))
        if self._meaning.lost is not None:
            self._put(self._meaning.source, self._meaning.lost)
