"""The register of plates at one moment: in memory, immutable, read without a single await. Pure.

Nothing of a person stands here but the plate itself and her random id: no name, no home. Events name the random
vehicle id.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Container, Iterable, Iterator, Mapping
from datetime import datetime

import msgspec

EVERY_LANE = "*"


class Vehicle(msgspec.Struct, frozen=True, kw_only=True, gc=False):  # 50,000 of them are nothing for the collector
    """One plate on the register. Times are aware, in UTC."""

    id: str  # random; never used again
    plate: str  # in normal form
    lanes: tuple[str, ...] = (EVERY_LANE,)
    person: str = ""  # whose it is, an id of the directory; empty: nobody's (a firm's, the property office's)
    active: bool = True
    valid_from: datetime | None = None
    valid_until: datetime | None = None
    origin: str = "box"  # "box", "import"
    version: int = 1
    added_at: str = ""
    changed_at: str = ""


def meet(old: Vehicle, new: Vehicle) -> Vehicle | None:
    """Only what both allow: what may be shown of a change before it is durable. None: nothing."""
    if EVERY_LANE in new.lanes:
        lanes = old.lanes
    else:
        lanes = tuple(lane for lane in new.lanes if lane in old.lanes or EVERY_LANE in old.lanes)
    if old.person != new.person or not lanes:
        return None
    begins = [begin for begin in (old.valid_from, new.valid_from) if begin is not None]
    ends = [end for end in (old.valid_until, new.valid_until) if end is not None]
    return msgspec.structs.replace(
        old,
        lanes=lanes,
        active=old.active and new.active,
        valid_from=max(begins, default=None),
        valid_until=min(ends, default=None),
    )


class Register:
    """Every plate. `generation` grows with each change, within one run of the daemon."""

    __slots__ = ("_by_plate", "_in_order", "generation")

    def __init__(self, vehicles: Iterable[Vehicle] = (), generation: int = 0) -> None:
        self._by_plate: Mapping[str, Vehicle] = {vehicle.plate: vehicle for vehicle in vehicles}
        self._in_order: tuple[str, ...] | None = None
        self.generation = generation

    def __contains__(self, plate: object) -> bool:
        return plate in self._by_plate

    def __len__(self) -> int:
        return len(self._by_plate)

    def __iter__(self) -> Iterator[Vehicle]:
        return iter(self._by_plate.values())

    def get(self, plate: str) -> Vehicle | None:
        return self._by_plate.get(plate)

    def by_id(self, vehicle: str) -> Vehicle | None:
        return next((one for one in self if one.id == vehicle), None)

    def after(self, plate: str) -> Iterator[Vehicle]:
        """By plate, those behind this one."""
        if self._in_order is None:
            self._in_order = tuple(sorted(self._by_plate))
        begin = bisect_right(self._in_order, plate)
        return (self._by_plate[self._in_order[place]] for place in range(begin, len(self._in_order)))

    def of(self, people: Container[str]) -> tuple[Vehicle, ...]:
        """The vehicles of these people."""
        return tuple(one for one in self if one.person and one.person in people)

    def changed(self, put: Iterable[Vehicle] = (), gone: Iterable[str] = ()) -> Register:
        """The next register: with `put` in their new form and without the plates in `gone`."""
        after = Register((), self.generation + 1)
        vehicles = dict(self._by_plate)
        for plate in gone:
            vehicles.pop(plate, None)
        vehicles.update((vehicle.plate, vehicle) for vehicle in put)
        after._by_plate = vehicles
        return after


EMPTY = Register()
