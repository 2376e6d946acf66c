"""Answers the commands of `commands.py` for all meters of the box."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from zoneinfo import ZoneInfo

from drivers.interfaces import Function, Span
from gateway.clock import Clock
from gateway.command import Actor, Command, Handler
from gateway.errors import BadAnswer, BusGone, LoumenError, N_, NoAnswer, NotFound, OtherAnswered, Refused, UnitRefused
from gateway.measurements import Hour
from gateway.metering import commands as c
from gateway.metering import profiles
from gateway.metering.line import Line
from gateway.metering.profile import Profile, probe_span, proves
from gateway.metering.reading import Believed
from gateway.metering.reasons import REASONS
from gateway.metering.service import Metering, series, unread_series
from gateway.metering.use import HOUR, Gap, Stretch, by_day, by_hour
from gateway.metering.watch import Refusal, utc

PATIENCE = 3.0  # seconds for one answer when a person asks: so she learns that a meter is slow, and how slow
AT_ONCE = 1000  # rows of measurements.db


class Meters:
    """All meters of the box."""

    def __init__(self, metering: Metering, own_profiles: str, zone: str, clock: Clock) -> None:
        self._metering, self._own_profiles, self._zone, self._clock = metering, own_profiles, zone, clock

    def handlers(self) -> dict[type[Command], Handler]:
        """Command -> who answers it."""
        return {
            c.ListMeters: self.list_all,
            c.ReadMeter: self.read,
            c.ScanMeters: self.scan,
            c.MeterHistory: self.history,
        }

    async def list_all(self, _command: c.ListMeters, _actor: Actor) -> c.Meters:
        return self._metering.views()

    async def read(self, command: c.ReadMeter, _actor: Actor) -> c.ReadingView:
        """A look beside the polls: judged like theirs, but it moves no belief."""
        profile = self._profile(command.meter)
        watch = self._metering.watches[command.meter]
        line = self._metering.lines[watch.who.bus]
        look, seconds, registers = await line.look(command.meter, everything=True, within=PATIENCE)
        at = self._metering.at()
        _, verdict = self._metering.watches[command.meter].belief.judge(look, at)
        return c.ReadingView(
            meter=command.meter,
            at=utc(at),
            register=None if look.register is None else look.register / 1000,
            believed=isinstance(verdict, Believed),
            code="" if isinstance(verdict, Believed) else verdict.code,
            reason="" if isinstance(verdict, Believed) else REASONS.get(verdict.code, verdict.code),
            values=dict(look.values),
            units={name: value.unit for name, value in profile.value.items()},
            flags=tuple(sorted(look.flags)),
            step=look.step / 1000,
            seconds=round(seconds, 3),
            registers={str(address): word for address, word in sorted(registers.items())},
            answers_within=profile.answers_within,
            note=profile.note,
            note_zh=profile.note_zh,
        )

    async def scan(self, command: c.ScanMeters, _actor: Actor) -> c.Scan:
        if not command.bus:
            from drivers.serial_port import adapters

            present = await asyncio.to_thread(adapters)
            return c.Scan(
                bus="",
                asked=0,
                adapters=tuple(c.AdapterView(device=one.device, number=one.number, name=one.name) for one in present),
            )
        line = self._metering.lines.get(command.bus)
        if line is None:
            raise NotFound(
                N_("there is no bus {bus}; this box has: {known}"),
                bus=command.bus,
                known=", ".join(self._metering.lines) or "-",
            )
        units = range(command.first, command.last + 1)
        probes = await asyncio.to_thread(_probes, self._own_profiles)
        looks = [await self._look_for(line, unit, command.within, probes) for unit in units]
        found = [one for one in looks if one is not None]
        return c.Scan(bus=command.bus, asked=len(units), found=tuple(found))

    async def _look_for(
        self, line: Line, unit: int, within: float, probes: Mapping[str, tuple[Profile, Span]]
    ) -> c.Found | None:
        meter = next((name for name, asked in line.meters.items() if asked.unit == unit), "")
        try:
            await line.ask(unit, Span(Function.HOLDING, 0, 1), within)
        except NoAnswer:
            return None
        except OtherAnswered:
            return c.Found(unit=unit, meter=meter, answer="other")
        except BadAnswer:
            return c.Found(unit=unit, meter=meter, answer="damaged")
        except UnitRefused:
            return c.Found(unit=unit, meter=meter, answer="refusal")
        return c.Found(unit=unit, meter=meter, profile=await self._proved(line, unit, probes))

    async def _proved(self, line: Line, unit: int, probes: Mapping[str, tuple[Profile, Span]]) -> str:
        """The profile whose probe is right; empty where none has one that is."""
        for name, (profile, span) in probes.items():
            try:
                words = await line.ask(unit, span, profile.answers_within)
            except BusGone:
                raise
            except LoumenError:
                continue
            if proves(profile, {span.address + place: word for place, word in enumerate(words)}):
                return name
        return ""

    async def history(self, command: c.MeterHistory, _actor: Actor) -> c.History:
        self._profile(command.meter)
        self._metering.hand_over()
        until = self._clock.now().wall
        since = until - timedelta(hours=command.hours)
        since = since.replace(minute=0, second=0, microsecond=0)
        try:
            hours = await self._hours(command.meter, since, until)
            gaps = await self._gaps(command.meter, since, until)
        except (OSError, sqlite3.Error) as error:
            raise Refused(N_("the measurements cannot be read: {problem}"), problem=str(error)) from error
        use = await asyncio.to_thread(_use, hours, gaps, ZoneInfo(self._zone) if command.by == "day" else None)
        return c.History(
            meter=command.meter,
            by=command.by,
            since=_iso(since),
            until=_iso(until),
            zone=self._zone,
            waiting=self._metering.waiting(command.meter),
            use=use,
            refused=tuple(_refusal(one) for one in self._metering.refused[command.meter]),
        )

    async def _hours(self, meter: str, since: datetime, until: datetime) -> list[Hour]:
        """The hours, in pieces, so that a year of them holds the loop up nowhere."""
        found: list[Hour] = []
        while piece := await self._metering.measurements.hours(series(meter), since, until, AT_ONCE):
            found += piece
            since = piece[-1].at + HOUR
        return found

    async def _gaps(self, meter: str, since: datetime, until: datetime) -> list[Gap]:
        """Known for as long as single values are kept; of older times the hours without any row remain."""
        later = until + timedelta(seconds=1)
        found: list[Gap] = []
        while ends := await self._metering.measurements.read(unread_series(meter), since, later, AT_ONCE):
            found += [(end.at - timedelta(seconds=end.value), end.at) for end in ends]
            since = ends[-1].at + timedelta(milliseconds=1)
        return found

    def _profile(self, meter: str) -> Profile:
        if meter in self._metering.unusable:
            raise self._metering.unusable[meter]
        if meter not in self._metering.profiles:
            raise NotFound(
                N_("there is no meter {meter}; this box has: {known}"),
                meter=meter,
                known=", ".join(self._metering.profiles) or "-",
            )
        return self._metering.profiles[meter]


def _use(hours: Sequence[Hour], gaps: Iterable[Gap], zone: ZoneInfo | None) -> tuple[c.Use, ...]:
    """By the hour, or by the day of a zone. For a thread: a year of hours takes tens of milliseconds."""
    use = by_hour(hours, gaps)
    return tuple(_view(stretch) for stretch in (use if zone is None else by_day(use, zone)))


def _probes(own: str) -> dict[str, tuple[Profile, Span]]:
    """The profiles that a register can prove, with the request for it. For a thread: it reads files."""
    found: dict[str, tuple[Profile, Span]] = {}
    for name in profiles.known(own):
        with contextlib.suppress(LoumenError):  # 'loumen meter profile list' tells what is wrong with it
            profile = profiles.load(name, own)
            if (span := probe_span(profile)) is not None:
                found[name] = profile, span
    return found


def _view(stretch: Stretch) -> c.Use:
    return c.Use(
        since=_iso(stretch.since),
        until=_iso(stretch.until),
        litres=round(stretch.litres, 3),
        total=round(stretch.total, 3),
        gap=stretch.gap,
    )


def _refusal(one: Refusal) -> c.RefusalView:
    return c.RefusalView(
        at=utc(one.at),
        until=utc(max(one.at, one.until)),
        times=one.times,
        code=one.code,
        reason=REASONS.get(one.code, one.code),
        register=None if one.register is None else one.register / 1000,
    )


def _iso(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="seconds")
