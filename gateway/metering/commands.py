"""What may be asked of meters. Nothing here changes a meter: no profile can write."""

from __future__ import annotations

from typing import Annotated, ClassVar, Literal

import msgspec

from gateway.command import Command, Role

Unit = Annotated[int, msgspec.Meta(ge=1, le=247)]


class ListMeters(Command, frozen=True, kw_only=True, tag="meter.list", forbid_unknown_fields=True):
    role: ClassVar[Role] = Role.CLERK


class ReadMeter(Command, frozen=True, kw_only=True, tag="meter.read", forbid_unknown_fields=True):
    """Ask the meter now, for everything that its profile knows."""

    role: ClassVar[Role] = Role.CLERK
    meter: str


class ScanMeters(Command, frozen=True, kw_only=True, tag="meter.scan", forbid_unknown_fields=True):
    """Who answers on a bus. Without a bus: which adapters are plugged in."""

    role: ClassVar[Role] = Role.TECHNICIAN
    bus: str = ""
    first: Unit = 1
    last: Unit = 247
    within: Annotated[float, msgspec.Meta(ge=0.05, le=3.0)] = 0.2  # seconds that a unit has to say something


class MeterHistory(Command, frozen=True, kw_only=True, tag="meter.history", forbid_unknown_fields=True):
    """Use by the hour or by the day of the site, and what was refused."""

    role: ClassVar[Role] = Role.CLERK
    meter: str
    hours: Annotated[int, msgspec.Meta(ge=1, le=24 * 366)] = 48
    by: Literal["hour", "day"] = "hour"


class LeakView(msgspec.Struct, frozen=True, kw_only=True):
    rule: str
    since: str
    litres: float


class MeterView(msgspec.Struct, frozen=True, kw_only=True):
    """One meter for `meter list` and `status`."""

    id: str
    name: str
    bus: str
    unit: int
    profile: str
    state: str  # "ok", "waiting" (for its first readings), "silent", "unusable"
    register: float | None = None  # litres, as its display shows
    step: float = 0.001  # litres: what its register counts in, a float's grows with it
    total: float | None = None  # litres; goes on over roll-overs and replaced meters
    read_at: str = ""
    age: float | None = None  # seconds since the last believed reading
    problem: str = ""  # a code (reasons.py), or of an unusable meter the message id
    facts: dict[str, str] = msgspec.field(default_factory=dict)  # its places
    flags: tuple[str, ...] = ()
    leaks: tuple[LeakView, ...] = ()


class BusView(msgspec.Struct, frozen=True, kw_only=True):
    id: str
    driver: str
    device: str  # empty while it is gone
    problem: str = ""  # a message id
    facts: dict[str, str] = msgspec.field(default_factory=dict)
    meters: int = 0


class Meters(msgspec.Struct, frozen=True, kw_only=True):
    meters: tuple[MeterView, ...]
    buses: tuple[BusView, ...]


class ReadingView(msgspec.Struct, frozen=True, kw_only=True):
    """What one look said. `believed` false: `code` and `reason` (a message id) say why."""

    meter: str
    at: str
    register: float | None
    believed: bool
    code: str = ""
    reason: str = ""
    values: dict[str, float] = msgspec.field(default_factory=dict)
    units: dict[str, str] = msgspec.field(default_factory=dict)
    flags: tuple[str, ...] = ()
    step: float = 0.001  # litres
    seconds: float = 0.0  # until its slowest answer was there
    answers_within: float = 0.0  # what the polls allow it
    registers: dict[str, int] = msgspec.field(default_factory=dict)  # address on the wire -> content
    note: str = ""
    note_zh: str = ""


class Found(msgspec.Struct, frozen=True, kw_only=True):
    unit: int
    profile: str = ""  # where a probe proved it
    meter: str = ""  # where it is configured
    answer: str = "registers"  # or "refusal", "damaged", "other" (another unit answers in its place)


class AdapterView(msgspec.Struct, frozen=True, kw_only=True):
    device: str
    number: str
    name: str


class Scan(msgspec.Struct, frozen=True, kw_only=True):
    bus: str
    asked: int
    found: tuple[Found, ...] = ()
    adapters: tuple[AdapterView, ...] = ()


class Use(msgspec.Struct, frozen=True, kw_only=True):
    """Water between two times. `gap`: there were no readings in between, nobody knows when it ran."""

    since: str
    until: str
    litres: float
    total: float
    gap: bool = False


class RefusalView(msgspec.Struct, frozen=True, kw_only=True):
    """What was not believed or did not come, `times` in a row from `at` to `until`."""

    at: str
    until: str
    times: int
    code: str
    reason: str
    register: float | None


class History(msgspec.Struct, frozen=True, kw_only=True):
    meter: str
    by: str
    since: str
    until: str
    zone: str  # whose days and hours these are
    waiting: int = 0  # readings that are not filed yet, because the clock is not trusted
    use: tuple[Use, ...]
    refused: tuple[RefusalView, ...]


COMMANDS: tuple[type[Command], ...] = (ListMeters, ReadMeter, ScanMeters, MeterHistory)
