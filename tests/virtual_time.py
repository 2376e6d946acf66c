"""An event loop whose clock jumps to the next timer: hours in milliseconds, and deterministic."""

from __future__ import annotations

import asyncio
import selectors
from collections.abc import Callable, Coroutine
from typing import Any, TypeVar

T = TypeVar("T")


class VirtualTime(asyncio.SelectorEventLoop):
    """Each turn of the loop costs `cost` seconds of its own clock."""

    def __init__(self, cost: float = 0.0001) -> None:
        self._elapsed, self._cost = 0.0, cost
        super().__init__(JumpingSelector(self._advance))

    def _advance(self, idle: float) -> None:
        self._elapsed += max(idle, self._cost)

    def time(self) -> float:
        return self._elapsed

    async def shutdown_default_executor(self, _timeout: float | None = None) -> None:
        """Without the 300 seconds of Python 3.12 and later: they fly while a thread ends."""
        await super().shutdown_default_executor()


class JumpingSelector(selectors.SelectSelector):
    """Tells how long the loop would have slept, and does not sleep."""

    def __init__(self, advance: Callable[[float], None]) -> None:
        super().__init__()
        self._advance = advance

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        self._advance(timeout or 0.0)
        return super().select(0)


def run(scenario: Coroutine[Any, Any, T], cost: float = 0.0001) -> T:
    """Run a coroutine to its end in virtual time."""
    with asyncio.Runner(loop_factory=lambda: VirtualTime(cost)) as runner:
        return runner.run(scenario)
