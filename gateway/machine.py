"""Runs pure machines: the one place where rules meet time and wires."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, Protocol, Self, TypeVar

from gateway.clock import Clock, Now
from gateway.journal.event import Event

InputT = TypeVar("InputT")
EffectT = TypeVar("EffectT")
InputT_contra = TypeVar("InputT_contra", contravariant=True)
EffectT_co = TypeVar("EffectT_co", covariant=True)


class UnknownInput(Exception):  # noqa: N818  (named for what it says)
    """A state was given an input that its row of the table does not list."""


# --- what every machine with wires can be given, and can want


@dataclass(frozen=True, slots=True)
class LineFault:
    """A line is gone (or, with `gone` false, back)."""

    line: str
    problem: str = ""
    gone: bool = True


@dataclass(frozen=True, slots=True)
class Tick:
    """Nothing happened: the machine shows that it turns."""


@dataclass(frozen=True, slots=True)
class Expired:
    """The deadline has passed."""


@dataclass(frozen=True, slots=True)
class Note:
    """Record an event."""

    event: Event


@dataclass(frozen=True, slots=True)
class Answer:
    """Tell who waits under `token`; where it is not done, `code` says why."""

    token: int
    done: bool = True
    code: str = ""


class Machine(Protocol[InputT_contra, EffectT_co]):
    """A state machine without I/O. `deadline` is `Now.mono` seconds, or None to wait for ever.

    `advance` raises UnknownInput, and nothing else.
    """

    @property
    def deadline(self) -> float | None: ...

    def advance(self, given: InputT_contra, now: Now) -> tuple[Self, tuple[EffectT_co, ...]]: ...


class Inbox(Generic[InputT]):
    """Bounded, one queue a source, urgent sources first: a flood on one wire delays no other.

    `sources` maps each source's name to how many inputs it may have waiting, the most urgent first.
    """

    def __init__(self, sources: dict[str, int]) -> None:
        self._queues = {name: deque[InputT](maxlen=size) for name, size in sources.items()}
        self._waiter: asyncio.Future[None] | None = None

    def put(self, source: str, given: InputT) -> bool:
        """Add an input; False when the source's queue was full and its oldest input gave way."""
        queue = self._queues[source]
        kept = len(queue) < (queue.maxlen or 0)
        queue.append(given)
        self._wake()
        return kept

    def forget(self, *sources: str) -> None:
        """Drop what waits in these queues: after a fault an order of a minute ago must not act any more."""
        for source in sources:
            self._queues[source].clear()

    def take(self) -> InputT | None:
        """The next input, most urgent source first, or None."""
        for queue in self._queues.values():
            if queue:
                return queue.popleft()
        return None

    async def filled(self, until: float | None) -> None:
        """Return when something waits, or at `until` (the loop's time). One waiter an inbox."""
        if any(self._queues.values()):
            return
        loop = asyncio.get_running_loop()
        self._waiter = loop.create_future()
        timer = None if until is None else loop.call_at(until, self._wake)
        try:
            await self._waiter
        finally:
            self._waiter = None
            if timer is not None:
                timer.cancel()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


async def drive(
    machine: Machine[InputT, EffectT],
    inbox: Inbox[InputT],
    expired: InputT,
    clock: Clock,
    perform: Callable[[EffectT], None],
    fault: Callable[[InputT, UnknownInput, Now], Machine[InputT, EffectT]],
    turned: Callable[[Machine[InputT, EffectT]], None] = lambda _machine: None,
) -> None:
    """Feed `machine` until cancelled.

    A deadline that has passed comes before any waiting input, so no flood can keep a lock open.
    `perform` moves outputs and notes events. It never waits, so neither disk nor network delays
    the next input, and never raises: a line that is gone comes back as an input of its own.
    An input that the table does not know is handed to `fault`, which records it, makes the
    outputs safe and returns the machine to go on with, started from what is sensed now.
    `turned` sees the machine after each turn (status, the watchdog's proof of life).
    A bug still ends the task: its supervisor rests the outputs and starts it again.
    """
    turned(machine)
    while True:
        now = clock.now()
        if machine.deadline is not None and machine.deadline <= now.mono:
            given: InputT | None = expired
        else:
            given = inbox.take()
        if given is None:
            await inbox.filled(until=machine.deadline)
            continue
        try:
            machine, effects = machine.advance(given, now)
        except UnknownInput as unknown:
            machine, effects = fault(given, unknown, now), ()
        for effect in effects:
            perform(effect)
        turned(machine)
        await asyncio.sleep(0)  # a flood of inputs must not hold the loop that other doors run on
