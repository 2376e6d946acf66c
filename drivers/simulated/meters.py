"""A bus of meters without hardware: registers in a JSON file, which a test or the demo rewrites as it likes.

    {"1": {"3": {"0": 17, "1": 0}}, "2": {"3": {...}, "slow": 2.0}, "3": {"refuses": 2}}

is unit, function, register, value. A unit that is not there does not answer, `slow` takes so many
seconds, `refuses` answers with that exception. A file that is not there is an unplugged adapter.
"""

from __future__ import annotations

import asyncio
import json
from pathlib import Path
from typing import Any

from drivers.errors import BusGone, N_, NoAnswer, UnitRefused
from drivers.interfaces import Span


class SimulatedBus:
    """The file is read at each request."""

    def __init__(self, meters: str) -> None:
        self._path = Path(meters)
        self.device = ""

    async def open(self) -> None:
        self._units()
        self.device = str(self._path)

    async def ask(self, unit: int, span: Span, within: float) -> tuple[int, ...]:
        meter = self._units().get(str(unit))
        slow = 0.0 if meter is None else float(meter.get("slow", 0.0))
        if meter is None or slow > within:
            await asyncio.sleep(within)
            raise NoAnswer(N_("unit {unit} does not answer"), unit=unit)
        await asyncio.sleep(slow)
        registers = meter.get(str(int(span.function)), {})
        wanted = [str(span.address + place) for place in range(span.count)]
        if "refuses" in meter or any(address not in registers for address in wanted):
            code = int(meter.get("refuses", 2))
            raise UnitRefused(N_("unit {unit} refuses to answer: exception {code}"), unit=unit, code=code)
        return tuple(int(registers[address]) & 0xFFFF for address in wanted)

    def close(self) -> None:
        self.device = ""

    def _units(self) -> dict[str, Any]:
        try:
            document = json.loads(self._path.read_text())
        except (OSError, ValueError) as error:
            raise BusGone(
                N_("the simulated bus {path} is gone: {problem}"), path=str(self._path), problem=str(error)
            ) from error
        return document if isinstance(document, dict) else {}
