"""Whom to ask next on one bus. Pure: no I/O, no clock; times are monotonic seconds.

Theory of operation
    Each meter is due once an interval. Among those that are due the one that waits longest is asked,
    so a bus that is slower than its meters' intervals goes round evenly. A meter that does not answer
    costs its time-out and is therefore asked ever more rarely: each failure in a row doubles its pause,
    from `FIRST_PAUSE` to `longest`; one answer ends that. So a dead meter takes a small, falling
    share of the bus, and none is forgotten.

    When the bus itself was away nobody is to blame: `reset` makes everybody due at once.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace

FIRST_PAUSE = 5.0


@dataclass(frozen=True, slots=True)
class Slot:
    """One meter's place in the order."""

    interval: float
    due: float
    failures: int = 0


@dataclass(frozen=True, slots=True)
class Schedule:
    """One bus."""

    slots: Mapping[str, Slot]
    longest: float = 600.0

    def next(self, now: float) -> str | None:
        """The meter to ask now; None while nobody is due."""
        name = min(self.slots, key=lambda meter: self.slots[meter].due, default=None)
        return name if name is not None and self.slots[name].due <= now else None

    @property
    def deadline(self) -> float | None:
        """When somebody is due; None without meters."""
        return min((slot.due for slot in self.slots.values()), default=None)

    def answered(self, name: str, now: float) -> Schedule:
        """The meter answered at `now`: due an interval after it was due, so that polls keep their phase."""
        slot = self.slots[name]
        due = now + slot.interval if slot.failures else max(slot.due + slot.interval, now)
        return self._with(name, replace(slot, due=due, failures=0))

    def failed(self, name: str, now: float) -> Schedule:
        """The meter did not answer."""
        slot = self.slots[name]
        doubled = max(slot.interval, FIRST_PAUSE) * 2.0 ** min(slot.failures, 20)
        pause = min(max(self.longest, slot.interval), doubled)
        return self._with(name, replace(slot, due=now + pause, failures=slot.failures + 1))

    def reset(self, now: float) -> Schedule:
        """The bus is back."""
        slots = {name: replace(slot, due=min(slot.due, now)) for name, slot in self.slots.items()}
        return replace(self, slots=slots)

    def _with(self, name: str, slot: Slot) -> Schedule:
        return replace(self, slots={**self.slots, name: slot})


def spread(intervals: Mapping[str, float], now: float, longest: float) -> Schedule:
    """A fresh order: everybody once at the start, in turn."""
    slots = {name: Slot(interval, now + place * 1e-6) for place, (name, interval) in enumerate(intervals.items())}
    return Schedule(slots, longest)
