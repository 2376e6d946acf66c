"""What may be ordered of a lane, and of the register of plates."""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from gateway.command import Command, Kind, Role
from gateway.lanes.register import EVERY_LANE, Vehicle
from gateway.lines import Why

PersonText = Annotated[str, msgspec.Meta(max_length=200)]
MOST_BYTES = 4 * 1024 * 1024  # of a list of plates; 50,000 lines have less


class ListLanes(Command, frozen=True, kw_only=True, tag="lane.list", forbid_unknown_fields=True):
    role: ClassVar[Role] = Role.CLERK


class ShowLane(Command, frozen=True, kw_only=True, tag="lane.show", forbid_unknown_fields=True):
    role: ClassVar[Role] = Role.CLERK
    lane: str


class RaiseLane(Command, frozen=True, kw_only=True, tag="lane.raise", forbid_unknown_fields=True):
    """Raise the arm once, as a grant does."""

    role: ClassVar[Role] = Role.CLERK
    kind: ClassVar[Kind] = Kind.MOMENTARY
    lane: str
    reason: str = ""


class HoldLane(Command, frozen=True, kw_only=True, tag="lane.hold", forbid_unknown_fields=True):
    """Raise the arm and keep it up until `lane release`."""

    role: ClassVar[Role] = Role.CLERK
    kind: ClassVar[Kind] = Kind.MODE
    lane: str
    reason: str = ""


class ReleaseLane(Command, frozen=True, kw_only=True, tag="lane.release", forbid_unknown_fields=True):
    """End a hold: the arm comes down when nothing is under it."""

    role: ClassVar[Role] = Role.CLERK
    kind: ClassVar[Kind] = Kind.MODE
    lane: str
    reason: str = ""


class AddPlate(Command, frozen=True, kw_only=True, tag="plate.add", forbid_unknown_fields=True):
    """Put a plate on the register, or give it new rights. Dates are ISO; a bare date means that whole day.

    `person`: whose it is, by her id, the beginning of one, or her whole name; empty: nobody's; absent: as before.
    """

    role: ClassVar[Role] = Role.CLERK
    kind: ClassVar[Kind] = Kind.RECORD
    plate: str
    lanes: tuple[str, ...] = (EVERY_LANE,)
    person: PersonText | msgspec.UnsetType = msgspec.UNSET
    valid_from: str | None = None
    valid_until: str | None = None
    active: bool = True


class ListPlates(Command, frozen=True, kw_only=True, tag="plate.list", forbid_unknown_fields=True):
    """By plate; `after` is the last plate of the page before. `person`: only hers."""

    role: ClassVar[Role] = Role.CLERK
    after: str = ""
    limit: Annotated[int, msgspec.Meta(ge=1, le=1000)] = 200
    find: str = ""
    person: PersonText = ""


class RemovePlate(Command, frozen=True, kw_only=True, tag="plate.remove", forbid_unknown_fields=True):
    """Take a plate off the register; by its plate or its vehicle id."""

    role: ClassVar[Role] = Role.CLERK
    kind: ClassVar[Kind] = Kind.RECORD
    plate: str


class ImportPlates(Command, frozen=True, kw_only=True, tag="plate.import", forbid_unknown_fields=True):
    """Take over a list, the whole of it or nothing: CSV in UTF-8 or GBK with a column 'plate' (or 车牌).

    A column 'person' (or 住户) says whose each is. `replace`: plates that a list brought before and this one does
    not name are removed.
    """

    role: ClassVar[Role] = Role.CLERK
    kind: ClassVar[Kind] = Kind.RECORD
    content: Annotated[bytes, msgspec.Meta(max_length=MOST_BYTES)]
    replace: bool = False
    dry_run: bool = False


class ReadPlate(Command, frozen=True, kw_only=True, tag="plate.read", forbid_unknown_fields=True):
    """What a lane's camera showed last, and what it would mean."""

    role: ClassVar[Role] = Role.CLERK
    lane: str


class LaneView(msgspec.Struct, frozen=True, kw_only=True):
    """One lane for `status`, `lane list` and `lane show`."""

    id: str
    name: str
    commanded: str  # "down", "up", "held", "fire", "fault", "unknown"
    sensed: str  # "up", "down", "between", "contradiction", "unknown"
    motion: str  # "down", "rising", "up", "lowering", "adrift", "lost", "fault"
    under: str  # the arm: "free", "occupied", "unknown"
    mode: str
    why: str  # a message id: why the arm stays where it is, and what comes next; empty when it is down
    why_facts: dict[str, str]
    faults: tuple[str, ...]  # lines
    whys: dict[str, Why]  # line at fault -> why
    troubles: tuple[str, ...]  # "loop_stuck", "photocell_blind", "button_restless", "limits", "late", ...
    plate: str
    camera: str
    plates: int  # how many the register holds
    last_turn_age: float


class RaiseResult(msgspec.Struct, frozen=True, kw_only=True):
    lane: str
    motion: str


class ModeResult(msgspec.Struct, frozen=True, kw_only=True):
    lane: str
    mode: str


class PlatePage(msgspec.Struct, frozen=True, kw_only=True):
    """`next` is the `after` of the next page; empty: this is the last. `total` counts all.

    `states`: whether each plate would be let pass now, at a lane of its own: a code of lanes/decision.py.
    """

    plates: tuple[Vehicle, ...]
    states: dict[str, str] = {}
    next: str
    total: int


class RowError(msgspec.Struct, frozen=True, kw_only=True):
    """What is wrong with one line of a list: `what` and `mend` are message ids."""

    line: int
    what: str
    mend: str = ""
    facts: dict[str, str] = {}


class ImportResult(msgspec.Struct, frozen=True, kw_only=True):
    """`errors` not empty: nothing was taken over."""

    added: int = 0
    changed: int = 0
    removed: int = 0
    same: int = 0
    encoding: str = ""
    errors: tuple[RowError, ...] = ()
    more_errors: int = 0


class ReadResult(msgspec.Struct, frozen=True, kw_only=True):
    """What was read; `code` and `reason` say whether it would open the lane."""

    lane: str
    plate: str
    log_p: float | None
    confident: bool
    frames: int
    votes: int
    age: float
    granted: bool
    code: str
    reason: str


COMMANDS: tuple[type[Command], ...] = (
    ListLanes,
    ShowLane,
    RaiseLane,
    HoldLane,
    ReleaseLane,
    AddPlate,
    ListPlates,
    RemovePlate,
    ImportPlates,
    ReadPlate,
)
