"""What may happen to a lane, and what a lane may want done. Plain data."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from gateway.lanes.events import By
from gateway.machine import Answer, Expired, LineFault, Note, Tick


class Mode(StrEnum):
    """A standing order."""

    NORMAL = "normal"
    HELD = "held"  # up until told otherwise


# --- inputs


@dataclass(frozen=True, slots=True)
class Grant:
    """A vehicle may pass. `token` names who waits for the answer; 0 = nobody."""

    by: By
    vehicle: str = ""
    person: str = ""  # whose it is
    actor: str = ""
    command_id: str = ""
    reason: str = ""
    how: str = ""
    log_p: float | None = None
    votes: int | None = None
    frames: int | None = None
    track: int | None = None
    token: int = 0


@dataclass(frozen=True, slots=True)
class Refusal:
    """A plate that does not open: decided elsewhere, recorded here."""

    by: By
    code: str
    vehicle: str = ""
    person: str = ""
    log_p: float | None = None
    votes: int | None = None
    frames: int | None = None
    track: int | None = None


@dataclass(frozen=True, slots=True)
class Order:
    """A standing order."""

    mode: Mode
    actor: str = ""
    command_id: str = ""
    reason: str = ""
    token: int = 0


@dataclass(frozen=True, slots=True)
class Button:
    pressed: bool | None


@dataclass(frozen=True, slots=True)
class Loop:
    """The loop under the arm; None when the wire is gone."""

    occupied: bool | None


@dataclass(frozen=True, slots=True)
class Beam:
    """The photocell; None when the wire is gone."""

    clear: bool | None


@dataclass(frozen=True, slots=True)
class LimitUp:
    reached: bool | None


@dataclass(frozen=True, slots=True)
class LimitDown:
    reached: bool | None


@dataclass(frozen=True, slots=True)
class Fire:
    active: bool


@dataclass(frozen=True, slots=True)
class NotClosed:
    """The closing pulse was withheld: a last look at the wires saw something. Their inputs follow."""


Given = (
    Grant | Refusal | Order | Button | Loop | Beam | LimitUp | LimitDown | Fire | NotClosed | LineFault | Tick | Expired
)

# --- effects


class Pulse(StrEnum):
    """What the drive can be told."""

    OPEN = "open"
    CLOSE = "close"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Drive:
    """Give the drive a pulse."""

    pulse: Pulse


@dataclass(frozen=True, slots=True)
class Lamp:
    """The light at the lane."""

    on: bool


Effect = Drive | Lamp | Note | Answer
