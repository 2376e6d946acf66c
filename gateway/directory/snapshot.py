"""The directory at one moment, as access reads it: in memory, immutable, without a single await. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from types import MappingProxyType

EVERY_DOOR = "*"


@dataclass(frozen=True, slots=True)
class PersonRights:
    """What one person may do. Times are aware, in UTC."""

    id: str
    active: bool
    valid_from: datetime | None
    valid_until: datetime | None
    doors: frozenset[str]
    face: bool = False  # she consented to be compared, and did not take it back

    def begun(self, wall: datetime) -> bool:
        return self.valid_from is None or wall >= self.valid_from

    def ended(self, wall: datetime) -> bool:
        return self.valid_until is not None and wall >= self.valid_until

    def may_pass(self, door: str) -> bool:
        """Whether the door is hers at all; when, is another question."""
        return self.active and (door in self.doors or EVERY_DOOR in self.doors)

    def stricter_than(self, other: PersonRights) -> bool:
        """Whether anything that `other` allowed is not allowed any more."""
        lost_doors = EVERY_DOOR not in self.doors and not other.doors <= self.doors
        later = self.valid_from is not None and (other.valid_from is None or self.valid_from > other.valid_from)
        sooner = self.valid_until is not None and (other.valid_until is None or self.valid_until < other.valid_until)
        return (other.active and not self.active) or lost_doors or later or sooner or (other.face and not self.face)

    def meet(self, other: PersonRights) -> PersonRights:
        """Only what both allow: what may be shown of a change before it is durable."""
        if EVERY_DOOR in self.doors:
            doors = other.doors
        elif EVERY_DOOR in other.doors:
            doors = self.doors
        else:
            doors = self.doors & other.doors
        begins = [begin for begin in (self.valid_from, other.valid_from) if begin is not None]
        ends = [end for end in (self.valid_until, other.valid_until) if end is not None]
        return PersonRights(
            id=self.id,
            active=self.active and other.active,
            valid_from=max(begins, default=None),
            valid_until=min(ends, default=None),
            doors=doors,
            face=self.face and other.face,
        )


class Snapshot:
    """Everybody's rights. `generation` grows with each change, within one run of the daemon."""

    __slots__ = ("generation", "people")

    def __init__(self, people: Mapping[str, PersonRights], generation: int) -> None:
        self.people: Mapping[str, PersonRights] = MappingProxyType(dict(people))
        self.generation = generation

    def person(self, person: str) -> PersonRights | None:
        return self.people.get(person)

    def changed(self, put: Iterable[PersonRights] = (), gone: Iterable[str] = ()) -> Snapshot:
        """The next snapshot: with `put` in their new form and without `gone`."""
        people = dict(self.people)
        for rights in put:
            people[rights.id] = rights
        for person in gone:
            people.pop(person, None)
        return Snapshot(people, self.generation + 1)

    def compared_at(self, door: str, wall: datetime, *, trusted: bool) -> frozenset[str]:
        """Whose faces the door compares: hers by right, valid now, with consent.

        Where the clock is not trusted, dates are not judged, as access does not judge them either.
        """
        return frozenset(
            rights.id
            for rights in self.people.values()
            if rights.face
            and rights.may_pass(door)
            and (not trusted or (rights.begun(wall) and not rights.ended(wall)))
        )


EMPTY = Snapshot({}, 0)
