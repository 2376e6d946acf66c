"""An output whose pulses end by themselves: what every GPIO driver shares, whatever moves its wire.

    rest ──pulse──> pulsing ──timer, rest──> rest
    rest, pulsing ──hold──> held ──rest──> rest

A pulse under way is prolonged and never shortened, and never beyond `max_on` after the wire was
energised, however many callers ask. A hold has no bound: it is for fire and a recorded door hold.
A wire that already has the level is not written again. A wire that could not be brought to rest is
tried again every `RETRY` seconds: a bus that failed once must not leave a door open.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from drivers.errors import LineGone
from drivers.interfaces import OutputSpec

RETRY = 0.5  # seconds


class Momentary:
    """One output; `write` moves the wire to energised (True) or resting, or raises LineGone."""

    def __init__(self, spec: OutputSpec, write: Callable[[bool], None]) -> None:
        self.spec = spec
        self._write = write
        self._commanded = False
        self._on_wire = False
        self._held = False
        self._began = 0.0
        self._ends = 0.0
        self._timer: asyncio.TimerHandle | None = None
        self._gone: LineGone | None = None

    @property
    def energised(self) -> bool:
        return self._commanded

    def pulse(self, seconds: float) -> None:
        self._check()
        if self._held or not seconds > 0:
            return
        loop = asyncio.get_running_loop()
        first = not self._on_wire
        if first:
            self._energise()  # before anything else is asked or reckoned
        now = loop.time()
        began = now if first else self._began
        ends = min(now + seconds, began + self.spec.max_on)
        if not first:
            if self._commanded and ends <= self._ends:
                return
            self._energise()
        self._began, self._ends = began, ends
        self._timer = loop.call_at(ends, self._end)

    def hold(self) -> None:
        self._check()
        self._energise()
        self._held = True

    def rest(self) -> None:
        self._stop_timer()
        self._commanded = self._held = False
        self._check()
        if not self._on_wire:
            return
        try:
            self._write(False)
        except LineGone:
            self._try_again()
            raise
        self._on_wire = False

    def end(self, error: LineGone) -> None:
        """The line is gone for good: every call from now on raises `error`."""
        self._gone = error
        self.abandon()

    def abandon(self) -> None:
        """Forget the timer and the wire: somebody else has it now, or nobody."""
        self._stop_timer()
        self._commanded = self._held = self._on_wire = False

    def _check(self) -> None:
        if self._gone is not None:
            raise self._gone

    def _energise(self) -> None:
        if not self._on_wire:
            self._write(True)
        self._on_wire = self._commanded = True
        self._stop_timer()

    def _end(self) -> None:
        try:
            self.rest()
        except LineGone:
            return  # rest() has armed the next attempt; the caller hears of it with its next call

    def _try_again(self) -> None:
        try:
            loop = asyncio.get_running_loop()
        except RuntimeError:
            return  # closing after the loop has ended: nobody is left to try
        self._timer = loop.call_later(RETRY, self._end)

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
