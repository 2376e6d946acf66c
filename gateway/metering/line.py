"""One bus, driven: opens it, asks whom `bus.py` says, hands what came to its meters. Each has a task of its own.

An adapter that is unplugged is looked for again, under whatever name it comes back; while it is away the
meters are not blamed. A command (read, scan) takes its turn between two requests of the polls.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple

from drivers import registry
from drivers.interfaces import RegisterBus, Span
from gateway.clock import Clock
from gateway.config import schema
from gateway.errors import BusGone, DriverError, LoumenError, N_
from gateway.journal.event import Event
from gateway.metering import events
from gateway.metering.bus import Schedule, spread
from gateway.metering.profile import Decoded, Profile, decode, is_absent, probe_span, proves, spans

REOPEN_FIRST, REOPEN_LONGEST = 1.0, 30.0  # seconds between looks for a bus that is gone

log = logging.getLogger("loumen.metering")


@dataclass(frozen=True, slots=True)
class Asked:
    """A meter on this bus."""

    unit: int
    profile: Profile
    interval: float


class Look(NamedTuple):
    """What a meter says, after how many seconds its slowest answer was there, and the bare registers."""

    says: Decoded
    seconds: float
    registers: Mapping[int, int]


class Line:
    """One bus."""

    def __init__(
        self,
        name: str,
        config: schema.Bus,
        meters: Mapping[str, Asked],
        longest_pause: float,
        clock: Clock,
        note: Callable[[Event], None],
        seen: Callable[[str, Decoded], None],
        unseen: Callable[[str, LoumenError], None],
    ) -> None:
        self.name, self.config, self.meters = name, config, meters
        self._spans = {name: spans(meter.profile) for name, meter in meters.items()}  # of a poll
        self._clock, self._note, self._seen, self._unseen = clock, note, seen, unseen
        self._bus: RegisterBus | None = None
        self._turn = asyncio.Lock()
        self._proved: set[str] = set()  # meters whose probe was right since they last fell silent
        self._schedule: Schedule = spread({}, 0.0, longest_pause)
        self._longest_pause = longest_pause
        self._gone_since: float | None = None
        self.problem: LoumenError | None = None
        self._lost = asyncio.Event()  # a request found the bus gone; it may be a command's, while no poll is due

    @property
    def driver(self) -> str:
        return str(self.config.__struct_config__.tag)

    @property
    def device(self) -> str:
        """Where the bus is open; empty while it is gone."""
        return str(getattr(self._bus, "device", "")) if self.problem is None else ""

    async def run(self) -> None:
        """Poll until cancelled."""
        intervals = {name: meter.interval for name, meter in self.meters.items()}
        self._schedule = spread(intervals, self._clock.now().mono, self._longest_pause)
        try:
            while True:
                await self._open()
                try:
                    await self._poll()
                except BusGone as error:
                    self._gone(error)
        finally:
            if self._bus is not None:
                self._bus.close()

    async def look(self, meter: str, *, everything: bool = False, within: float = 0.0) -> Look:
        """Ask one meter; it may take its profile's time, or `within` where that is longer.

        Raises NoAnswer, BadAnswer, UnitRefused, BusGone.
        """
        asked = self.meters[meter]
        within = max(within, asked.profile.answers_within)
        probe = probe_span(asked.profile)
        slowest = 0.0
        if probe is not None and meter not in self._proved:
            words, slowest = await self._exchange(asked.unit, probe, within)
            if not proves(asked.profile, _placed(probe, words)):
                code = "ffff" if is_absent(words) else "wrong_model"
                return Look(Decoded(None, code=code), slowest, _placed(probe, words))
            self._proved.add(meter)
        found: dict[int, int] = {}
        for span in spans(asked.profile, everything=True) if everything else self._spans[meter]:
            words, seconds = await self._exchange(asked.unit, span, within)
            found |= _placed(span, words)
            slowest = max(slowest, seconds)
        return Look(decode(asked.profile, found), slowest, found)

    async def ask(self, unit: int, span: Span, within: float) -> tuple[int, ...]:
        """One request, in its turn. Raises NoAnswer, BadAnswer, UnitRefused, BusGone."""
        return (await self._exchange(unit, span, within))[0]

    async def _exchange(self, unit: int, span: Span, within: float) -> tuple[tuple[int, ...], float]:
        async with self._turn:
            if self._bus is None or self.problem is not None:
                raise self.problem or BusGone(N_("the bus is not open"))
            began = self._clock.now().mono
            try:
                words = await self._bus.ask(unit, span, within)
            except BusGone as error:
                self.problem = error
                self._lost.set()
                raise
            return words, self._clock.now().mono - began

    async def _open(self) -> None:
        pause = REOPEN_FIRST
        while True:
            try:
                if self._bus is None:
                    self._bus = _make(self.config)
                async with self._turn:
                    await self._bus.open()
            except DriverError as error:
                self._gone(error)
                await asyncio.sleep(pause)
                pause = min(REOPEN_LONGEST, 2 * pause)
            else:
                self._back()
                return

    async def _poll(self) -> None:
        while True:
            now = self._clock.now().mono
            meter = self._schedule.next(now)
            if meter is None:
                due = self._schedule.deadline
                await self._idle(None if due is None else max(0.0, due - now))
                continue
            try:
                look = await self.look(meter)
            except BusGone:
                raise
            except DriverError as error:
                self._proved.discard(meter)
                self._schedule = self._schedule.failed(meter, self._clock.now().mono)
                self._unseen(meter, error)
            else:
                self._schedule = self._schedule.answered(meter, self._clock.now().mono)
                self._seen(meter, look.says)

    async def _idle(self, seconds: float | None) -> None:
        """Wait until a meter is due. Raises BusGone where a command finds the bus gone meanwhile."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                await self._lost.wait()
        if isinstance(self.problem, BusGone):
            raise self.problem

    def _gone(self, error: LoumenError) -> None:
        if self._bus is not None:
            self._bus.close()
        if self._gone_since is None:
            self._gone_since = self._clock.now().mono
            self._note(events.BusGone(bus=self.name, meters=len(self.meters)))
            log.warning("bus %s: %s", self.name, error)
        self.problem = error

    def _back(self) -> None:
        self.problem = None
        self._lost.clear()
        now = self._clock.now().mono
        self._schedule = self._schedule.reset(now)
        if self._gone_since is not None:
            away = round(now - self._gone_since, 1)
            self._note(events.BusBack(bus=self.name, device=self.device, away_seconds=away))
            self._gone_since = None


def _placed(span: Span, registers: tuple[int, ...]) -> dict[int, int]:
    return {span.address + place: word for place, word in enumerate(registers)}


def _make(config: schema.Bus) -> RegisterBus:
    bus: RegisterBus
    match config:
        case schema.SerialBus():
            bus = registry.bus("serial")(config.adapter, config.port, config.baud, config.parity, config.stop_bits)
        case schema.TcpBus():
            bus = registry.bus("tcp")(config.host, config.port)
        case schema.SimulatedBus():
            bus = registry.bus("simulated")(config.meters)
    return bus
