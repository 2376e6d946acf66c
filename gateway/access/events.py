"""What a door tells the journal. Random person ids only; a distance is a score, not a face."""

from __future__ import annotations

from typing import ClassVar, Literal

from gateway.journal.event import Event, Importance

By = Literal["face", "exit", "command", "fire"]


class DoorOpened(Event, frozen=True, kw_only=True, tag="door.opened.v1"):
    """The lock was released by a grant; the leaf may or may not have moved."""

    importance: ClassVar[Importance] = Importance.ACCESS
    door: str
    by: By
    seconds: float
    prolonged: bool = False
    person: str = ""
    actor: str = ""
    command_id: str = ""
    reason: str = ""
    distance: float | None = None
    threshold: float | None = None
    second: str = ""  # the second-best person, where there was one
    second_distance: float | None = None
    generation: int | None = None
    track: int | None = None
    clock_trusted: bool = True


class DoorRefused(Event, frozen=True, kw_only=True, tag="door.refused.v1"):
    """Somebody asked and was not let through. `code` is stable; see access/decision.py."""

    importance: ClassVar[Importance] = Importance.ACCESS
    door: str
    by: By
    code: str
    person: str = ""
    actor: str = ""
    command_id: str = ""
    distance: float | None = None
    threshold: float | None = None
    track: int | None = None


class DoorPassed(Event, frozen=True, kw_only=True, tag="door.passed.v1"):
    """The leaf opened with a reason and closed again. It ends what `door.opened.v1` began."""

    importance: ClassVar[Importance] = Importance.ACCESS
    patience: ClassVar[float] = 30.0
    door: str
    open_seconds: float


class DoorForced(Event, frozen=True, kw_only=True, tag="door.forced.v1"):
    """The leaf opened without a reason (forced door)."""

    importance: ClassVar[Importance] = Importance.ALARM
    door: str


class DoorForcedEnded(Event, frozen=True, kw_only=True, tag="door.forced_ended.v1"):
    """A forced door was closed, or an order to hold it open was given."""

    importance: ClassVar[Importance] = Importance.ALARM
    door: str
    open_seconds: float


class DoorHeldOpen(Event, frozen=True, kw_only=True, tag="door.held_open.v1"):
    """The leaf stayed open longer than `held_open_after` (door held open)."""

    importance: ClassVar[Importance] = Importance.ALARM
    door: str
    open_seconds: float


class DoorHeldOpenEnded(Event, frozen=True, kw_only=True, tag="door.held_open_ended.v1"):
    importance: ClassVar[Importance] = Importance.ALARM
    door: str
    open_seconds: float


class DoorFire(Event, frozen=True, kw_only=True, tag="door.fire.v1"):
    """The fire input became active (the door is released) or cleared."""

    importance: ClassVar[Importance] = Importance.ALARM
    door: str
    active: bool


class DoorModeChanged(Event, frozen=True, kw_only=True, tag="door.mode_changed.v1"):
    """A standing order: normal, held, blocked."""

    importance: ClassVar[Importance] = Importance.COMMAND
    door: str
    mode: str
    before: str
    actor: str = ""
    command_id: str = ""
    reason: str = ""


class DoorLineFault(Event, frozen=True, kw_only=True, tag="door.line_fault.v1"):
    """A line of the door is gone, or back. `line` is 'lock', 'contact', 'exit_button', ..."""

    importance: ClassVar[Importance] = Importance.ALARM
    door: str
    line: str
    gone: bool
    problem: str = ""


class DoorMachineFault(Event, frozen=True, kw_only=True, tag="door.machine_fault.v1"):
    """The door's rules met an input they do not know; outputs were made safe and it went on from what is sensed."""

    importance: ClassVar[Importance] = Importance.ALARM
    door: str
    given: str
    state: str


EVENTS: tuple[type[Event], ...] = (
    DoorOpened,
    DoorRefused,
    DoorPassed,
    DoorForced,
    DoorForcedEnded,
    DoorHeldOpen,
    DoorHeldOpenEnded,
    DoorFire,
    DoorModeChanged,
    DoorLineFault,
    DoorMachineFault,
)
