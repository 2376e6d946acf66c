"""Meters on simulated buses in virtual time, with a shelf for measurements and a book for the journal."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import msgspec

from gateway.clock import Clock, LoopClock, Now
from gateway.command import Actor, Role
from gateway.config import schema
from gateway.journal.event import Event
from gateway.journal.rows import Position, Row
from gateway.measurements import Hour, Sample
from gateway.metering import profile as p
from gateway.metering import profiles
from gateway.metering.service import Metering

START = datetime(2026, 3, 1, tzinfo=UTC)
ACTOR = Actor("uid:0", Role.ADMINISTRATOR, "cli")
USW, TUF = profiles.load("usw-dn15-dn40"), profiles.load("tuf-2000m")


@dataclass
class Shelf:
    """measurements.db, without a disk."""

    rows: list[tuple[str, float, datetime]] = field(default_factory=list)

    def add(self, series: str, value: float, at: datetime | None = None) -> None:
        assert at is not None
        self.rows.append((series, value, at))

    async def read(self, series: str, since: datetime, until: datetime, limit: int = 1000) -> list[Sample]:
        found = [Sample(n, *row[:1], row[2], row[1]) for n, row in enumerate(self.rows) if row[0] == series]
        return [sample for sample in found if since <= sample.at < until][:limit]

    async def hours(self, series: str, since: datetime, until: datetime, limit: int = 1000) -> list[Hour]:
        hours: dict[datetime, list[float]] = {}
        for sample in await self.read(series, since, until, 10**6):
            hours.setdefault(sample.at.replace(minute=0, second=0, microsecond=0), []).append(sample.value)
        return [
            Hour(series, at, len(found), min(found), max(found), 0.0, found[-1]) for at, found in sorted(hours.items())
        ][:limit]


class WrongClock(LoopClock):
    """A box without a clock chip: it starts `behind`, and after `until` seconds the network says the time."""

    def __init__(self, start: datetime, behind: timedelta, until: float) -> None:
        super().__init__(start - behind, trusted=False)
        self._behind, self._until = behind, until

    def now(self) -> Now:
        now = super().now()
        if now.mono < self._until:
            return now
        return replace(now, wall=now.wall + self._behind, trusted=True)


@dataclass
class Book:
    """The journal, without a disk: what is noted is durable."""

    events: list[Event] = field(default_factory=list)
    times: list[str] = field(default_factory=list)
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    @property
    def head(self) -> Position | None:
        return Position("epoch", len(self.events))

    def note(self, event: Event) -> None:
        self.events.append(event)
        self.times.append(self.now().isoformat())

    async def read(self, after: Position | None, limit: int = 200) -> list[Row]:
        begin = 0 if after is None else after.seq
        places = range(begin, min(len(self.events), begin + limit))
        return [_row(place + 1, self.times[place], self.events[place]) for place in places]


def _row(seq: int, at: str, event: Event) -> Row:
    body = msgspec.json.encode(event)
    return Row(
        epoch="epoch",
        seq=seq,
        type=event.type_name(),
        at=at,
        trusted=True,
        body=body,
        body_sha256="",
        previous="",
        head="",
    )


class Box:
    """Meters on simulated buses, and what they told."""

    def __init__(
        self, folder: Path, shelf: Shelf | None = None, book: Book | None = None, **meters: dict[str, object]
    ) -> None:
        self.folder, self.shelf, self.book = folder, shelf or Shelf(), book or Book()
        self._heard = len(self.book.events)
        buses = {str(meter.get("bus", "riser")) for meter in meters.values()}
        document = {
            "site": {"name": "Garden", "community": "garden-1"},
            "box": {"name": "unit-1"},
            "bus": {bus: {"driver": "simulated", "meters": str(folder / f"{bus}.json")} for bus in buses},
            "meter": {
                name: {"name": name, "bus": "riser", "profile": "usw-dn15-dn40", **meter}
                for name, meter in meters.items()
            },
        }
        self.config = msgspec.convert(document, schema.Gateway)
        self.units: dict[str, dict[str, dict[str, object]]] = {bus: {} for bus in buses}
        self.write()

    def write(self) -> None:
        for bus, units in self.units.items():
            (self.folder / f"{bus}.json").write_text(json.dumps(units))

    def shows(self, unit: int, millilitres: int, profile: p.Profile = USW, bus: str = "riser") -> None:
        self.units[bus][str(unit)] = {"3": {str(at): word for at, word in p.encode(profile, millilitres).items()}}
        self.write()

    @property
    def told(self) -> list[Event]:
        """What this life of the box told."""
        return self.book.events[self._heard :]

    def kinds(self) -> list[str]:
        return [event.type_name() for event in self.told]

    async def live(
        self,
        scenario: Callable[[Metering], object],
        start: datetime = START,
        *,
        kill: bool = False,
        clock: Clock | None = None,
    ) -> Metering:
        """Run the meters while `scenario` does; with `kill` nobody says goodbye."""
        clock = clock or LoopClock(start)
        self.book.now = lambda: clock.now().wall
        metering = Metering(self.config, self.folder, clock, self.book, self.shelf)
        tasks = [asyncio.create_task(metering.run())]
        tasks += [asyncio.create_task(metering.run_bus(bus)) for bus in metering.lines]
        await metering.ready.wait()
        done = scenario(metering)
        if asyncio.iscoroutine(done):
            await done
        for task in tasks:
            task.cancel()
        ended = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(one, asyncio.CancelledError) for one in ended), ended
        if not kill:
            await metering.close()
        return metering
