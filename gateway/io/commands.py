"""What may be ordered of a line."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from gateway.command import Command, Kind, Role
from gateway.lines import Why


class ShowLines(Command, frozen=True, kw_only=True, tag="io.show", forbid_unknown_fields=True):
    role: ClassVar[Role] = Role.TECHNICIAN


class SetLine(Command, frozen=True, kw_only=True, tag="io.set", forbid_unknown_fields=True):
    """Energise an indicator or a light until it is set back. A lock is refused: its door has commands."""

    role: ClassVar[Role] = Role.TECHNICIAN
    kind: ClassVar[Kind] = Kind.MOMENTARY
    line: str
    on: bool


class PulseLine(Command, frozen=True, kw_only=True, tag="io.pulse", forbid_unknown_fields=True):
    """Energise an indicator or a light for a moment."""

    role: ClassVar[Role] = Role.TECHNICIAN
    kind: ClassVar[Kind] = Kind.MOMENTARY
    line: str
    seconds: Annotated[float, msgspec.Meta(gt=0, le=60)] = 0.5


class LineView(msgspec.Struct, frozen=True, kw_only=True):
    """One line."""

    name: str
    direction: str  # "output" or "input"
    use: str  # "lock", "indicator", "light", "arm"; for an input what it is: "contact", "exit_button", ..."
    driver: str
    chip: str
    line: int
    active: bool | None  # commanded for an output, sensed for an input; None when it cannot be used
    active_low: bool
    lost_edges: int = 0
    problem: Why | None = None  # why it cannot be used; a busy line's names its holder


COMMANDS: tuple[type[Command], ...] = (ShowLines, SetLine, PulseLine)
