"""May the vehicle with this reading pass this lane now? A question, not a history: a function over the register.

Pure. The answer always has a reason, as a stable code and in words.

A vehicle that belongs to somebody passes while its owner may: who is suspended, forgotten or beyond her validity
loses the lane with the doors. An owner whom the directory does not know (it was damaged, or is not open yet) is no
reason to refuse: then the vehicle's own rights decide. Who was forgotten takes her plates along, see
`plate_answers.py`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from gateway.clock import Now
from gateway.errors import N_
from gateway.lanes import plates
from gateway.lanes.plates import Reading
from gateway.lanes.register import EVERY_LANE, Register, Vehicle

REASONS = {
    "ok": N_("may pass"),
    "ok_clock": N_("may pass; the clock is not trusted, so validity dates were not checked"),
    "unknown": N_("no plate of the register is meant"),
    "unsure": N_("the plate was not read with certainty"),
    "few_frames": N_("too few frames agree on the plate"),
    "inactive": N_("the vehicle is suspended"),
    "other_lane": N_("the vehicle may not pass this lane"),
    "not_yet": N_("the vehicle's validity has not begun"),
    "expired": N_("the vehicle's validity has ended"),
    "owner_inactive": N_("the vehicle's owner is suspended or forgotten"),
    "owner_not_yet": N_("the validity of the vehicle's owner has not begun"),
    "owner_expired": N_("the validity of the vehicle's owner has ended"),
}


class Owner(Protocol):
    """What the directory says of a person who has a vehicle."""

    @property
    def active(self) -> bool: ...
    @property
    def valid_from(self) -> datetime | None: ...
    @property
    def valid_until(self) -> datetime | None: ...


#: The owner by her id; None where the directory does not know her.
Owners = Callable[[str], Owner | None]


def unowned(_person: str) -> None:
    """The `Owners` of a directory that is not there."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Yes or no, and why; who is meant, where somebody is."""

    granted: bool
    code: str
    vehicle: Vehicle | None = None
    how: str = ""

    @property
    def reason(self) -> str:
        """A message id."""
        return REASONS[self.code]


def may_pass(vehicle: Vehicle, lane: str, now: Now, owner: Owner | None = None) -> Decision:
    """Whether a vehicle on the register may pass `lane` at `now`. Dates are not judged by a clock without trust."""
    if not vehicle.active:
        return Decision(False, "inactive", vehicle)
    if owner is not None and not owner.active:
        return Decision(False, "owner_inactive", vehicle)
    if lane not in vehicle.lanes and EVERY_LANE not in vehicle.lanes:
        return Decision(False, "other_lane", vehicle)
    bound = [(vehicle, "")] if owner is None else [(vehicle, ""), (owner, "owner_")]
    if not now.trusted and any(whose.valid_from or whose.valid_until for whose, _ in bound):
        return Decision(True, "ok_clock", vehicle)
    for whose, prefix in bound:
        if whose.valid_from is not None and now.wall < whose.valid_from:
            return Decision(False, f"{prefix}not_yet", vehicle)
        if whose.valid_until is not None and now.wall >= whose.valid_until:
            return Decision(False, f"{prefix}expired", vehicle)
    return Decision(True, "ok", vehicle)


def may_pass_by_plate(register: Register, reading: Reading, lane: str, now: Now, owners: Owners = unowned) -> Decision:
    """Whether what was read opens `lane`: enough frames agree, a registered plate is meant, and it may pass."""
    if not reading.agreed:
        return Decision(False, "few_frames")
    meant = plates.match(register, reading)
    vehicle = None if meant is None else register.get(meant.plate)
    if meant is None or vehicle is None:
        return Decision(False, "unknown" if reading.confident else "unsure")
    decided = may_pass(vehicle, lane, now, owners(vehicle.person) if vehicle.person else None)
    return Decision(decided.granted, decided.code, vehicle, meant.how)
