"""What a lane tells the journal. Random vehicle ids only: the plate itself stays in the register."""

from __future__ import annotations

from typing import ClassVar, Literal

from gateway.journal.event import Event, Importance

By = Literal["plate", "button", "command"]


class LaneRaised(Event, frozen=True, kw_only=True, tag="lane.raised.v1"):
    """Somebody may pass: the arm was told to go up, or (`prolonged`) is up already and stays."""

    importance: ClassVar[Importance] = Importance.ACCESS
    lane: str
    by: By
    prolonged: bool = False
    vehicle: str = ""
    person: str = ""  # whose vehicle it is, where it is somebody's
    actor: str = ""
    command_id: str = ""
    reason: str = ""
    how: str = ""  # of a plate: "exact" or "among"; see lanes/plates.py
    log_p: float | None = None  # natural logarithm of the plate's probability
    votes: int | None = None
    frames: int | None = None
    track: int | None = None
    clock_trusted: bool = True


class LaneRefused(Event, frozen=True, kw_only=True, tag="lane.refused.v1"):
    """A plate was read and does not open this lane. `code` is stable; see lanes/decision.py."""

    importance: ClassVar[Importance] = Importance.ACCESS
    lane: str
    by: By
    code: str
    vehicle: str = ""
    person: str = ""
    actor: str = ""
    command_id: str = ""
    log_p: float | None = None
    votes: int | None = None
    frames: int | None = None
    track: int | None = None


class LanePassed(Event, frozen=True, kw_only=True, tag="lane.passed.v1"):
    """A vehicle was under the raised arm and has left."""

    importance: ClassVar[Importance] = Importance.ACCESS
    lane: str
    seconds: float  # how long it was there


class LaneLowered(Event, frozen=True, kw_only=True, tag="lane.lowered.v1"):
    """The arm has come down."""

    importance: ClassVar[Importance] = Importance.ACCESS
    lane: str
    passed: int  # vehicles since it went up
    sensed: bool  # a limit switch says so; else it is taken to be down after its time


class LaneReversed(Event, frozen=True, kw_only=True, tag="lane.reversed.v1"):
    """Something was, or may have been, under the closing arm: it was stopped and raised again."""

    importance: ClassVar[Importance] = Importance.ALARM
    lane: str
    because: str  # "loop", "photocell", or the line that went silent


class LaneLate(Event, frozen=True, kw_only=True, tag="lane.late.v1"):
    """The arm did not arrive in time. It was stopped and does not close by itself; raising is still tried."""

    importance: ClassVar[Importance] = Importance.ALARM
    lane: str
    going: Literal["up", "down"]
    within: float


class LaneContradiction(Event, frozen=True, kw_only=True, tag="lane.contradiction.v1"):
    """Sensors contradict each other or themselves; with `over` they do no more.

    `what`: "limits" (both at once, or one silent), "loop", "photocell" or "button" (restless: more changes than
    traffic can make), "photocell_blind" (vehicles passed on the loop and it saw none of them).
    """

    importance: ClassVar[Importance] = Importance.ALARM
    lane: str
    what: str
    over: bool = False


class LaneMoved(Event, frozen=True, kw_only=True, tag="lane.moved.v1"):
    """The arm moved without an order of ours: by hand, by force, or by the drive's own remote control."""

    importance: ClassVar[Importance] = Importance.ALARM
    lane: str
    before: str
    after: str


class LaneFire(Event, frozen=True, kw_only=True, tag="lane.fire.v1"):
    """The fire input became active (the arm goes up and stays) or cleared."""

    importance: ClassVar[Importance] = Importance.ALARM
    lane: str
    active: bool


class LaneModeChanged(Event, frozen=True, kw_only=True, tag="lane.mode_changed.v1"):
    """A standing order: normal, held."""

    importance: ClassVar[Importance] = Importance.COMMAND
    lane: str
    mode: str
    before: str
    actor: str = ""
    command_id: str = ""
    reason: str = ""


class LaneLineFault(Event, frozen=True, kw_only=True, tag="lane.line_fault.v1"):
    """A line of the lane is gone, or back. `line` is 'open', 'close', 'loop', 'limit_up', ..."""

    importance: ClassVar[Importance] = Importance.ALARM
    lane: str
    line: str
    gone: bool
    problem: str = ""


class LaneSensorStuck(Event, frozen=True, kw_only=True, tag="lane.sensor_stuck.v1"):
    """A loop, photocell or button has been active for longer than traffic explains; with `over` it is no more."""

    importance: ClassVar[Importance] = Importance.ALARM
    lane: str
    sensor: str
    seconds: float
    over: bool = False


class LaneMachineFault(Event, frozen=True, kw_only=True, tag="lane.machine_fault.v1"):
    """The lane's rules met an input they do not know; it went on from what is sensed."""

    importance: ClassVar[Importance] = Importance.ALARM
    lane: str
    given: str
    state: str


class VehicleAdded(Event, frozen=True, kw_only=True, tag="vehicle.added.v1"):
    """A plate was put on the register, or (`version` above 1) its rights changed."""

    importance: ClassVar[Importance] = Importance.RECORD
    vehicle: str
    version: int
    origin: str
    person: str = ""  # whose it is
    actor: str = ""
    command_id: str = ""


class VehicleRemoved(Event, frozen=True, kw_only=True, tag="vehicle.removed.v1"):
    """A plate was taken off the register."""

    importance: ClassVar[Importance] = Importance.RECORD
    vehicle: str
    actor: str = ""
    command_id: str = ""


class VehiclesImported(Event, frozen=True, kw_only=True, tag="vehicle.imported.v1"):
    """A list of plates was taken over, as a whole."""

    importance: ClassVar[Importance] = Importance.RECORD
    added: int
    changed: int
    removed: int
    actor: str = ""
    command_id: str = ""


class RegisterProblem(Event, frozen=True, kw_only=True, tag="vehicle.register_problem.v1"):
    """The register was damaged and set aside; `used` says what took its place: "copy", "nothing"."""

    importance: ClassVar[Importance] = Importance.ALARM
    problem: str
    used: str


EVENTS: tuple[type[Event], ...] = (
    LaneRaised,
    LaneRefused,
    LanePassed,
    LaneLowered,
    LaneReversed,
    LaneLate,
    LaneContradiction,
    LaneMoved,
    LaneFire,
    LaneModeChanged,
    LaneLineFault,
    LaneSensorStuck,
    LaneMachineFault,
    VehicleAdded,
    VehicleRemoved,
    VehiclesImported,
    RegisterProblem,
)
