"""The document of `GET /v1/status`: how the box is. The daemon fills it, `loumen status` renders it.

Keys are stable: they are added, never renamed or reused. Decoding is tolerant: a key that is not there
takes its default and an unknown one is passed over, so a CLI and a daemon of two releases understand
each other. Texts are message ids with facts; whoever shows them translates them.
"""

from __future__ import annotations

from typing import Any, Literal

import msgspec

State = Literal["ok", "warning", "bad", "off"]


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """Something that a person should do, or at least know."""

    part: str  # "config", "door.east", "door.east.lock", "vision", "journal", "meter.m1", "clock", a service, ...
    what: str  # message id
    where: str = ""  # a file, a device, a chip and its line
    mend: str = ""  # message id
    facts: dict[str, Any] = {}
    severity: str = "bad"  # "bad": something does not work; "warning": it does, but not as it should


class LineWhy(msgspec.Struct, frozen=True, kw_only=True):
    """Why a line cannot be used."""

    what: str = ""  # message id
    where: str = ""
    mend: str = ""  # message id
    facts: dict[str, Any] = {}


class ConfigStatus(msgspec.Struct, frozen=True, kw_only=True):
    file: str = ""
    source: str = "file"  # "file", "last good", "before apply", "minimal"
    confirm_within: float | None = None  # seconds left to confirm an applied file
    warnings: int = 0


class DoorStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`commanded` is what the lock was told, `sensed` what the contact says; they are never mixed."""

    id: str = "?"
    name: str = ""
    commanded: str = "unknown"  # "locked", "open", "held", "blocked", "fire"
    sensed: str = "unknown"  # "open", "closed", "unknown"
    alarm: str = ""  # "", "forced", "held_open", "warning"
    mode: str = "normal"
    faults: tuple[str, ...] = ()
    whys: dict[str, LineWhy] = {}  # line at fault -> why
    lock: str = ""
    face: str = "off"
    camera: str = ""
    people: int = 0
    last_turn_age: float = 0.0


class LaneStatus(msgspec.Struct, frozen=True, kw_only=True):
    """`commanded` is what the drive was told, `sensed` what the limit switches say; they are never mixed."""

    id: str = "?"
    name: str = ""
    commanded: str = "unknown"  # "down", "up", "held", "fire", "fault", "unknown"
    sensed: str = "unknown"  # "up", "down", "between", "contradiction", "unknown"
    motion: str = ""  # "down", "rising", "up", "lowering", "adrift", "lost", "fault"
    why: str = ""  # message id: why the arm stays where it is
    why_facts: dict[str, Any] = {}
    under: str = "unknown"  # the arm: "free", "occupied", "unknown"
    mode: str = "normal"
    faults: tuple[str, ...] = ()
    whys: dict[str, LineWhy] = {}  # line at fault -> why
    troubles: tuple[str, ...] = ()
    plate: str = "off"
    camera: str = ""
    plates: int = 0
    last_turn_age: float = 0.0


class CameraStatus(msgspec.Struct, frozen=True, kw_only=True):
    camera: str = "?"
    frame_age: float | None = None
    frames: int = 0
    problem: str = ""  # English, for logs
    what: str = ""  # the same as a message id, with its mend and facts
    mend: str = ""
    facts: dict[str, Any] = {}


class VisionStatus(msgspec.Struct, frozen=True, kw_only=True):
    run: str = "off"
    state: str = "off"  # "off", "starting", "up", "down"
    engine: str = ""
    detector: str = ""
    version: str = ""
    models: dict[str, str] = {}
    cameras: tuple[CameraStatus, ...] = ()
    restarts: int = 0
    last_end: str = ""  # why the process ended last
    last_end_words: str = ""  # the same as a message id
    heartbeat_age: float | None = None
    resident_kb: int = 0
    published: dict[str, int] = {}
    generations: dict[str, int] = {}
    thresholds: dict[str, float] = {}
    people: dict[str, int] = {}
    problems: tuple[str, ...] = ()


class JournalStatus(msgspec.Struct, frozen=True, kw_only=True):
    state: str = "ok"  # "ok", "degraded", "down"
    waiting: int = 0
    dropped: int = 0
    bytes_written_today: int = 0
    epoch: str = ""
    head: str = ""  # "EPOCH/SEQ"
    problem: str = ""
    facts: dict[str, Any] = {}


class DirectoryStatus(msgspec.Struct, frozen=True, kw_only=True):
    state: str = "ok"  # "starting", "ok", "degraded", "down"
    people: int = 0
    unreadable: int = 0
    generation: int = 0
    last_copy: str = ""


class UplinkStatus(msgspec.Struct, frozen=True, kw_only=True):
    """The short form; `loumen sync status` has the rest."""

    state: str = "connecting"  # "connected", "connecting", "resting", "paused"
    enrolled: bool = False
    receiver: bool = True
    broker: str = ""
    backlog: int = 0
    retry_in: float | None = None
    problem: str = ""
    problem_mend: str = ""
    problem_facts: dict[str, Any] = {}
    last_receipt_age: float | None = None
    certificate_until: str = ""


class ClockStatus(msgspec.Struct, frozen=True, kw_only=True):
    now: str = ""  # local, with offset
    timezone: str = ""
    trusted: bool = False
    source: str = ""  # "ntp", "rtc", ""


class MetersStatus(msgspec.Struct, frozen=True, kw_only=True):
    """How many there are; `loumen meter list` has each."""

    count: int = 0
    ok: int = 0
    waiting: int = 0  # for their first readings
    silent: int = 0
    unusable: int = 0  # their profile cannot be used
    leaks: int = 0  # with a leak suspected behind them


class DiskStatus(msgspec.Struct, frozen=True, kw_only=True):
    free_mb: int | None = None
    total_mb: int | None = None
    written_today_mb: float | None = None
    budget_mb: float = 50.0


class ServiceStatus(msgspec.Struct, frozen=True, kw_only=True):
    name: str = "?"
    restarts: int = 0
    failing: int = 0
    problem: str = ""


class Status(msgspec.Struct, frozen=True, kw_only=True):
    """The whole document."""

    box: str = "?"
    box_id: str = ""
    site: str = "?"
    community: str = ""
    language: str = "zh"
    board: str = ""
    version: str = ""
    started: str = ""  # UTC with offset
    uptime: float = 0.0  # seconds
    ready_seconds: float = 0.0  # how long after the start the doors were ready
    resident_kb: int = 0
    config: ConfigStatus = ConfigStatus()
    doors: tuple[DoorStatus, ...] = ()
    lanes: tuple[LaneStatus, ...] = ()
    vision: VisionStatus = VisionStatus()
    plate_vision: VisionStatus | None = None  # the process that reads plates, where lanes have cameras
    meters: MetersStatus | None = None  # where meters are configured
    journal: JournalStatus = JournalStatus()
    directory: DirectoryStatus = DirectoryStatus()
    uplink: UplinkStatus | None = None
    clock: ClockStatus = ClockStatus()
    disk: DiskStatus = DiskStatus()
    services: tuple[ServiceStatus, ...] = ()
    problems: tuple[Problem, ...] = ()


def decode(document: Any) -> Status:
    """The status in a JSON document, as far as it can be understood. Raises msgspec.ValidationError."""
    return msgspec.convert(document, Status, strict=False)
