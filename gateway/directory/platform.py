"""A list of people pushed by the platform replaces the platform's records, and only those.

    on the list, unknown here          added, origin 'platform'; events name our id beside the platform's
    on the list, newer                 changed
    on the list, as new or older       unchanged
    on the list, forgotten here        refused and told: her deletion on this box stands
    on the list, this box's own record refused and told: somebody here took it over, or added it
    not on the list, the platform's    forgotten: key, rows and faces are destroyed
    not on the list, anybody else's    left alone

Whom the platform took off its list it may send again: she is a new person here then, with a new id and
without faces. An empty list deletes everybody of the platform's and must say that it means it. A list
is checked as a whole first; a bad one changes nothing.

The transport comes later; it must hand over whole lists, parsed in a child where they are long.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from typing import Annotated

import msgspec

from gateway.command import Actor
from gateway.dates import begin_of, end_of
from gateway.directory import rows
from gateway.directory.events import PersonAdded
from gateway.directory.people import BATCH, Doors, People, Text, check_dates, seal_texts
from gateway.directory.rows import PERSON_COLUMNS, PersonRow, doors_text, rights_of, sealed, stamp
from gateway.directory.sealing import Unreadable
from gateway.directory.store import Directory
from gateway.errors import BadRequest, N_, Refused

ORIGIN = "platform"


class PlatformPerson(msgspec.Struct, frozen=True, kw_only=True):
    """One person of the platform's list. `id` is the platform's own; dates carry their offset or are days."""

    id: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    version: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    home: Text = ""
    phone: Text = ""
    doors: Doors = ()
    active: bool = True
    valid_from: Text = ""
    valid_until: Text = ""
    under_14: bool = False


class Conflict(msgspec.Struct, frozen=True):
    """A record that was not taken, by the platform's id, and why: a message id."""

    id: str
    why: str


class Pushed(msgspec.Struct, frozen=True, kw_only=True):
    """What became of the list."""

    added: int
    changed: int
    unchanged: int
    forgotten: int
    conflicts: tuple[Conflict, ...]


class PlatformList:
    """Takes lists into `directory`."""

    def __init__(self, directory: Directory, people: People) -> None:
        self._directory, self._people = directory, people

    async def take(self, people: Sequence[PlatformPerson], actor: Actor, *, all_gone: bool = False) -> Pushed:
        """Durable when it returns. Raises BadRequest, Refused (nothing was changed), DirectoryDown."""
        return await self._directory.uninterrupted(self._take(people, actor, all_gone=all_gone))

    async def _take(self, people: Sequence[PlatformPerson], actor: Actor, *, all_gone: bool) -> Pushed:
        if not people and not all_gone:
            raise Refused(N_("an empty list would delete everybody: it must say that it means it"))
        self._check(people)
        known = await self._known()
        counts = {"added": 0, "changed": 0, "unchanged": 0}
        conflicts: list[Conflict] = []
        for start in range(0, len(people), BATCH):
            new: list[PlatformPerson] = []
            for given in people[start : start + BATCH]:
                row = known.get(given.id)
                why = self._conflict(given, row)
                if why:
                    conflicts.append(Conflict(given.id, why))
                elif row is None:
                    new.append(given)
                elif row.source_version >= given.version:
                    counts["unchanged"] += 1
                else:
                    await self._change(row, given, actor)
                    counts["changed"] += 1
            await self._add(new, actor)
            counts["added"] += len(new)
        listed = {given.id for given in people}
        gone = [row.id for external, row in known.items() if row.origin == ORIGIN and external not in listed]
        await self._people.forget_now(gone, actor, by_platform=True)
        return Pushed(**counts, forgotten=len(gone), conflicts=tuple(conflicts))

    def _check(self, people: Sequence[PlatformPerson]) -> None:
        zone = self._directory.clock.now().zone
        seen: set[str] = set()
        for given in people:
            if given.id in seen:
                raise BadRequest(N_("the list has {id} twice"), id=given.id)
            seen.add(given.id)
            begin, end = begin_of(given.valid_from, zone), end_of(given.valid_until, zone)
            check_dates(begin is None or end is None or begin < end)

    def _conflict(self, given: PlatformPerson, row: PersonRow | None) -> str:
        if given.id in self._directory.forgotten_externals:
            return N_("forgotten on this box: she is not brought back")
        if row is None:
            return ""
        if row.origin != ORIGIN:
            return N_("somebody on this box has taken this record over")
        try:
            self._directory.cipher(row.id)
        except Unreadable:
            return N_("her key on this box is lost: forget her first")
        return ""

    async def _known(self) -> dict[str, PersonRow]:
        """Every record that the platform once sent, by the platform's id."""
        known: dict[str, PersonRow] = {}
        after = 0
        sql = (
            f"SELECT place, {PERSON_COLUMNS} FROM persons WHERE place > ? AND external IS NOT NULL "  # noqa: S608
            f"ORDER BY place LIMIT {BATCH}"
        )
        while found := await self._directory.read(sql, after):
            for after, *values in found:  # noqa: B007  (the next page begins after the last place)
                row = PersonRow(*values)
                if row.external is not None:
                    known[row.external] = row
            await asyncio.sleep(0)
        return known

    async def _add(self, people: Sequence[PlatformPerson], actor: Actor) -> None:
        if not people:
            return
        ids = [secrets.token_hex(16) for _ in people]
        ciphers = await self._directory.keys.create(ids)
        now = stamp(self._directory.wall()) or ""
        new = []
        for person, given in zip(ids, people, strict=True):
            texts = seal_texts(ciphers[person], given.name, given.home, given.phone)
            new.append(sealed(self._row(person, given, texts)._replace(version=1, added_at=now, changed_at=now)))
            await asyncio.sleep(0)
        await self._directory.write((rows.PUT_PERSON, new))
        self._directory.show([rights_of(row, face=False) for row in new])
        for row in new:
            self._directory.note(
                PersonAdded(
                    person=row.id,
                    origin=ORIGIN,
                    external=row.external or "",
                    version=1,
                    actor=actor.id,
                    command_id=actor.command_id,
                )
            )

    async def _change(self, row: PersonRow, given: PlatformPerson, actor: Actor) -> None:
        texts = seal_texts(self._directory.cipher(row.id), given.name, given.home, given.phone)
        after = self._row(row.id, given, texts)._replace(added_at=row.added_at)
        await self._people.replace(row, after, ("record",), actor)

    def _row(self, person: str, given: PlatformPerson, texts: dict[str, bytes]) -> PersonRow:
        zone = self._directory.clock.now().zone
        return PersonRow(
            id=person,
            origin=ORIGIN,
            external=given.id,
            version=0,
            source_version=given.version,
            active=int(given.active),
            valid_from=stamp(begin_of(given.valid_from, zone)),
            valid_until=stamp(end_of(given.valid_until, zone)),
            doors=doors_text(given.doors),
            under_14=int(given.under_14),
            **texts,
            added_at="",
            changed_at="",
        )
