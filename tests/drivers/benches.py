"""Benches for the contract suite that need no kernel."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable

from drivers.interfaces import GpioDriver
from drivers.simulated import Building
from drivers.simulated.remote import Remote


class Local:
    """A building in this process, and drivers made by `make` on it."""

    grain = 0.03
    keeps = 1024

    def __init__(self, building: Building, make: Callable[[], GpioDriver], chip: str, lines: int) -> None:
        self.building, self._make, self.chip, self.lines = building, make, chip, lines
        self._drivers: list[GpioDriver] = []

    def driver(self) -> GpioDriver:
        self._drivers.append(self._make())
        return self._drivers[-1]

    def set(self, line: int, level: bool) -> None:
        self.building.line(line).set(level)

    def level(self, line: int) -> bool:
        return self.building.line(line).level

    def changes(self, line: int) -> list[tuple[float, bool]]:
        return self.building.line(line).changes

    def vanish(self, line: int) -> None:
        self.building.line(line).vanish()

    async def reaches(self, line: int, level: bool) -> float:
        async with asyncio.timeout(5):
            return await self.building.line(line).reaches(level, time.monotonic())

    def close(self) -> None:
        for driver in self._drivers:
            driver.close()


class FarAway(Local):
    """The same, for a building that is another process."""

    grain = 0.04
    keeps = 1_000_000  # the socket and the building hold what the reader has not taken

    def __init__(self, remote: Remote, make: Callable[[], GpioDriver], chip: str, lines: int) -> None:
        super().__init__(Building(), make, chip, lines)
        self.remote = remote

    def set(self, line: int, level: bool) -> None:
        self.remote.set(line, level)

    def level(self, line: int) -> bool:
        return self.remote.level(line)

    def changes(self, line: int) -> list[tuple[float, bool]]:
        return self.remote.changes(line)

    def vanish(self, line: int) -> None:
        self.remote.vanish(line)

    async def reaches(self, line: int, level: bool) -> float:
        since = time.monotonic()
        return await asyncio.to_thread(self.remote.reaches, line, level, since=since)
