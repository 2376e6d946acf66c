"""From a wire to inputs of a machine: edges, levels sensed again, and a line that is gone and comes back.

Doors and lanes hear their wires through this; what a level means is theirs to say.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from drivers.interfaces import InputLine
from gateway.config import schema
from gateway.errors import DriverError
from gateway.lines import Lines

RETRY = 5.0  # seconds between attempts to claim a line that is gone
GivenT = TypeVar("GivenT")


@dataclass(frozen=True, slots=True)
class Meaning(Generic[GivenT]):
    """What an input line says: its queue, what a level means, what its loss means."""

    source: str
    given: Callable[[bool], GivenT]
    lost: GivenT | None = None


class Wire(Generic[GivenT]):
    """One input line. `put` gives the machine an input by its queue.

    `fault(name, problem, gone)` makes the input for the queue "line" that says that the line is gone, or back.
    """

    def __init__(
        self,
        owner: str,
        name: str,
        conf: schema.Input,
        lines: Lines,
        meaning: Meaning[GivenT],
        put: Callable[[str, GivenT], bool],
        fault: Callable[[str, str, bool], GivenT],
    ) -> None:
        self.name, self._meaning, self._put, self._fault = name, meaning, put, fault
        self._full_name, self._conf, self._lines = f"{owner}.{name}", conf, lines
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
            self._put("line", self._fault(self.name, "", False))
            self._tell(active=self.level)

    async def _follow(self, line: InputLine) -> None:
        try:
            await line.hand_over(lambda edge: self._tell(active=edge.active))
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

    def now(self) -> GivenT | None:
        """What the line said last, as an input; None when nothing is to be said."""
        return self._meaning.lost if self.level is None else self._meaning.given(self.level)

    def _tell(self, *, active: bool) -> None:
        self.level = active
        self._put(self._meaning.source, self._meaning.given(active))

    def _lost(self, error: DriverError) -> None:
        self._line, self.level = None, None
        self._lines.lost(self._full_name, error)
        self._put("line", self._fault(self.name, error.code, True))
        if self._meaning.lost is not None:
            self._put(self._meaning.source, self._meaning.lost)
