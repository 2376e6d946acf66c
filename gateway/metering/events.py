"""What meters tell the journal: changes of meaning. Readings go to measurements.db."""

from __future__ import annotations

from typing import ClassVar

from gateway.journal.event import Event, Importance


class LeakSuspected(Event, frozen=True, kw_only=True, tag="water.leak_suspected.v1"):
    """By `rule`: 'no_still_hour' or 'burst'. `litres` ran since `since` (UTC)."""

    importance: ClassVar[Importance] = Importance.ALARM
    meter: str
    rule: str
    since: str
    litres: float
    litres_per_hour: float
    total_litres: float


class LeakCleared(Event, frozen=True, kw_only=True, tag="water.leak_cleared.v1"):
    importance: ClassVar[Importance] = Importance.ALARM
    meter: str
    rule: str
    since: str
    litres: float | None = None  # what ran from `since` to the end, where it is known


class MeterSilent(Event, frozen=True, kw_only=True, tag="meter.silent.v1"):
    """No believable answer for some polls. `problem` is an error's code or a refusal's."""

    importance: ClassVar[Importance] = Importance.NOTICE
    meter: str
    bus: str
    unit: int
    problem: str
    since: str  # the last good reading; empty where there was none


class MeterBack(Event, frozen=True, kw_only=True, tag="meter.back.v1"):
    """It answers again; `litres` ran meanwhile, nobody knows when."""

    importance: ClassVar[Importance] = Importance.NOTICE
    meter: str
    silent_seconds: float
    litres: float


class MeterReplaced(Event, frozen=True, kw_only=True, tag="meter.replaced.v1"):
    """The register goes on elsewhere: another meter, or one that was set anew."""

    importance: ClassVar[Importance] = Importance.COMMAND
    meter: str
    register_before: float  # litres
    register_after: float


class MeterRolledOver(Event, frozen=True, kw_only=True, tag="meter.rolled_over.v1"):
    importance: ClassVar[Importance] = Importance.NOTICE
    meter: str
    register_before: float
    register_after: float


class MeterReadingRefused(Event, frozen=True, kw_only=True, tag="meter.reading_refused.v1"):
    """A reading was not believed; `times` since this was told last. At most one an hour for a meter and reason."""

    importance: ClassVar[Importance] = Importance.NOTICE
    meter: str
    reason: str  # a stable code
    times: int
    register: float | None = None


class MeterFlags(Event, frozen=True, kw_only=True, tag="meter.flags_changed.v1"):
    """What the meter says of itself changed: empty_pipe, battery_low, leak, ..."""

    importance: ClassVar[Importance] = Importance.NOTICE
    meter: str
    flags: tuple[str, ...]


class BusGone(Event, frozen=True, kw_only=True, tag="meter.bus_gone.v1"):
    importance: ClassVar[Importance] = Importance.NOTICE
    bus: str
    meters: int


class BusBack(Event, frozen=True, kw_only=True, tag="meter.bus_back.v1"):
    importance: ClassVar[Importance] = Importance.NOTICE
    bus: str
    device: str
    away_seconds: float


EVENTS: tuple[type[Event], ...] = (
    LeakSuspected,
    LeakCleared,
    MeterSilent,
    MeterBack,
    MeterReplaced,
    MeterRolledOver,
    MeterReadingRefused,
    MeterFlags,
    BusGone,
    BusBack,
)
