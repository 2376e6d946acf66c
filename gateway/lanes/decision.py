"""May the vehicle with this reading pass this lane now? A question, not a history: a function over the register.

Pure. The answer always has a reason, as a stable code and in words.
"""

from __future__ import annotations

from dataclasses import dataclass

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
}


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


def may_pass(vehicle: Vehicle, lane: str, now: Now) -> Decision:
    """Whether a vehicle on the register may pass `lane` at `now`. Dates are not judged by a clock without trust."""
    if not vehicle.active:
        return Decision(False, "inactive", vehicle)
    if lane not in vehicle.lanes and EVERY_LANE not in vehicle.lanes:
        return Decision(False, "other_lane", vehicle)
    if (vehicle.valid_from or vehicle.valid_until) and not now.trusted:
        return Decision(True, "ok_clock", vehicle)
    if vehicle.valid_from is not None and now.wall < vehicle.valid_from:
        return Decision(False, "not_yet", vehicle)
    if vehicle.valid_until is not None and now.wall >= vehicle.valid_until:
        return Decision(False, "expired", vehicle)
    return Decision(True, "ok", vehicle)


def may_pass_by_plate(register: Register, reading: Reading, lane: str, now: Now) -> Decision:
    """Whether what was read opens `lane`: enough frames agree, a registered plate is meant, and it may pass."""
    if not reading.agreed:
        return Decision(False, "few_frames")
    meant = plates.match(register, reading)
    vehicle = None if meant is None else register.get(meant.plate)
    if meant is None or vehicle is None:
        return Decision(False, "unknown" if reading.confident else "unsure")
    decided = may_pass(vehicle, lane, now)
    return Decision(decided.granted, decided.code, vehicle, meant.how)
