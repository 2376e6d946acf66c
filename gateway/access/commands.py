"""What may be ordered of a door."""

from __future__ import annotations

from typing import ClassVar

import msgspec

from gateway.command import Command, Kind, Role
from gateway.lines import Why


class ListDoors(Command, frozen=True, kw_only=True, tag="door.list", forbid_unknown_fields=True):
    role: ClassVar[Role] = Role.CLERK


class ShowDoor(Command, frozen=True, kw_only=True, tag="door.show", forbid_unknown_fields=True):
    role: ClassVar[Role] = Role.CLERK
    door: str


class OpenDoor(Command, frozen=True, kw_only=True, tag="door.open", forbid_unknown_fields=True):
    """Open once, as a grant does."""

    role: ClassVar[Role] = Role.CLERK
    kind: ClassVar[Kind] = Kind.MOMENTARY
    door: str
    reason: str = ""


class HoldDoor(Command, frozen=True, kw_only=True, tag="door.hold", forbid_unknown_fields=True):
    """Keep released until `door release`."""

    role: ClassVar[Role] = Role.CLERK
    kind: ClassVar[Kind] = Kind.MODE
    door: str
    reason: str = ""


class LockDoor(Command, frozen=True, kw_only=True, tag="door.lock", forbid_unknown_fields=True):
    """Refuse every grant but the exit button until `door release`."""

    role: ClassVar[Role] = Role.CLERK
    kind: ClassVar[Kind] = Kind.MODE
    door: str
    reason: str = ""


class ReleaseDoor(Command, frozen=True, kw_only=True, tag="door.release", forbid_unknown_fields=True):
    """End a hold or a lock-down: the door runs by its rules again."""

    role: ClassVar[Role] = Role.CLERK
    kind: ClassVar[Kind] = Kind.MODE
    door: str
    reason: str = ""


class IdentifyDoor(Command, frozen=True, kw_only=True, tag="door.identify", forbid_unknown_fields=True):
    """Click the relay a few times, so that the technician hears which it is. The lock may release for a moment."""

    role: ClassVar[Role] = Role.TECHNICIAN
    kind: ClassVar[Kind] = Kind.MOMENTARY
    door: str


class ExplainDoor(Command, frozen=True, kw_only=True, tag="door.explain", forbid_unknown_fields=True):
    """Why this person may, or may not, pass this door now."""

    role: ClassVar[Role] = Role.CLERK
    door: str
    person: str


class DoorView(msgspec.Struct, frozen=True, kw_only=True):
    """One door for `status`, `door list` and `door show`."""

    id: str
    name: str
    commanded: str  # "locked", "open", "held", "blocked", "fire"
    sensed: str  # "open", "closed", "unknown"
    alarm: str  # "", "forced", "held_open", "warning"
    mode: str
    faults: tuple[str, ...]
    whys: dict[str, Why]  # line at fault -> why
    lock: str  # "fail-safe" or "fail-secure"
    face: str
    camera: str
    people: int  # how many the gallery holds; 0 where faces are off
    last_turn_age: float


class OpenResult(msgspec.Struct, frozen=True, kw_only=True):
    door: str
    opened_for: float
    commanded: str


class ModeResult(msgspec.Struct, frozen=True, kw_only=True):
    door: str
    mode: str


class Explanation(msgspec.Struct, frozen=True, kw_only=True):
    door: str
    person: str
    granted: bool
    code: str
    reason: str  # a message id


COMMANDS: tuple[type[Command], ...] = (
    ListDoors,
    ShowDoor,
    OpenDoor,
    HoldDoor,
    LockDoor,
    ReleaseDoor,
    IdentifyDoor,
    ExplainDoor,
)
