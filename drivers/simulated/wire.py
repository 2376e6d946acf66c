"""The physics of one line. Levels are electrical here: True is high.

What a wire shows is, strongest first: where it is stuck, what its owner drives, what is connected
outside, its pull; a wire that nothing pulls reads low. Every change is remembered with its time,
beginning with the level before anybody came (at 0.0).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass

from drivers.interfaces import Bias, Level


@dataclass(frozen=True, slots=True)
class Claim:
    """Who has a wire. `changed` hears its changes, `gone` that it is no more."""

    consumer: str
    active_low: bool
    output: bool
    changed: Callable[[float, bool], None]
    gone: Callable[[], None]


class Wire:
    """One line of the building."""

    def __init__(self, number: int, pull: Level | None, clock: Callable[[], float]) -> None:
        self.number = number
        self.claim: Claim | None = None
        self.active_low = False  # the last owner's view, kept for who presses a button
        self.busy = ""  # a foreign holder's name
        self.gone = False
        self.bounces = 0
        self.bounce_gap = 0.001
        self._clock = clock
        self._pull = pull
        self._driven: bool | None = None
        self._outside: bool | None = None
        self._stuck: bool | None = None
        self._waiters: list[asyncio.Future[None]] = []
        self.history: list[tuple[float, bool]] = [(0.0, self._shown())]

    @property
    def level(self) -> bool:
        """What a meter on the wire shows."""
        return self.history[-1][1]

    @property
    def active(self) -> bool:
        """The level as its owner (or the last one) sees it."""
        return self.level != self.active_low

    @property
    def changes(self) -> list[tuple[float, bool]]:
        """The history without the level before anybody came: the edges."""
        return self.history[1:]

    async def reaches(self, level: Level, since: float = 0.0) -> float:
        """The first moment from `since` on at which the wire shows `level`; waits for it."""
        while (at := self._first(level, since)) is None:
            waiter = asyncio.get_running_loop().create_future()
            self._waiters.append(waiter)
            await waiter
        return at

    def _first(self, level: Level, since: float) -> float | None:
        ends = [at for at, _ in self.history[1:]] + [float("inf")]
        for (at, shown), end in zip(self.history, ends, strict=True):
            if shown == level and end > since:
                return max(at, since)
        return None

    # --- what the owner does

    def pull(self, bias: Bias) -> None:
        """Set the pull; 'as-is' leaves it."""
        if bias is not Bias.AS_IS:
            self._pull = {Bias.UP: True, Bias.DOWN: False, Bias.NONE: None}[bias]
            self._settle()

    def drive(self, level: Level | None) -> None:
        """Drive the wire; None: let it go to its pull."""
        self._driven = level
        self._settle()

    # --- what the building does

    def set(self, level: Level | None) -> None:
        """Connect something outside: high, low, or None for an open circuit. Bounces where told to."""
        if self.bounces and level is not None:
            loop = asyncio.get_running_loop()
            for count in range(self.bounces):
                loop.call_later(self.bounce_gap * count, self._connect, level != bool(count % 2))
            loop.call_later(self.bounce_gap * self.bounces, self._connect, level)
        else:
            self._connect(level)

    def press(self) -> None:
        """Make it what the owner calls active: a pressed button, a closed contact."""
        self.set(not self.active_low)

    def let_go(self) -> None:
        """Make it what the owner calls inactive."""
        self.set(self.active_low)

    def stick(self, level: Level | None) -> None:
        """Weld the wire to a level; None heals it."""
        self._stuck = level
        self._settle()

    def vanish(self) -> None:
        """The line stops to exist: its board was pulled out, so nothing drives it any more."""
        self.gone = True
        claim, self.claim = self.claim, None
        self.drive(None)
        if claim is not None:
            claim.gone()

    def return_(self) -> None:
        """The line is there again; it may be claimed anew."""
        self.gone = False

    def _connect(self, level: Level | None) -> None:
        self._outside = level
        self._settle()

    def _shown(self) -> bool:
        return next(
            (level for level in (self._stuck, self._driven, self._outside, self._pull) if level is not None), False
        )

    def _settle(self) -> None:
        shown = self._shown()
        if shown == self.level:
            return
        at = self._clock()
        self.history.append((at, shown))
        if self.claim is not None:
            self.claim.changed(at, shown)
        waiters, self._waiters = self._waiters, []
        for waiter in waiters:
            if not waiter.done():
                waiter.set_result(None)
