"""People: added, changed, forgotten, read. Each change is one transaction, in the order that `store.py` tells."""

from __future__ import annotations

import asyncio
import re
import secrets
from collections.abc import AsyncIterator, Collection, Iterable
from dataclasses import replace
from typing import Annotated

import msgspec

from gateway import dates
from gateway.command import Actor
from gateway.directory import rows
from gateway.directory.events import PersonAdded, PersonChanged, PersonForgotten
from gateway.directory.revoked import Revocation
from gateway.directory.rows import PERSON_COLUMNS, PersonRow, doors_of, doors_text, rights_of, sealed, stamp
from gateway.directory.sealing import Cipher, Unreadable
from gateway.directory.snapshot import PersonRights
from gateway.directory.store import Directory
from gateway.errors import BadRequest, N_, NotFound, Refused

BATCH = 50
BEGINNING = re.compile("[0-9a-f]{4,32}")  # of an id
BOX = "box"

Text = Annotated[str, msgspec.Meta(max_length=200)]
DoorName = Annotated[str, msgspec.Meta(pattern=r"^(\*|[a-z0-9][a-z0-9_-]{0,31})$")]
Doors = Annotated[tuple[DoorName, ...], msgspec.Meta(max_length=256)]


class Draft(msgspec.Struct, frozen=True, kw_only=True):
    """A person who is not in the directory yet. Dates as people type them; no doors: she may pass none."""

    name: Text
    home: Text = ""
    phone: Text = ""
    doors: Doors = ()
    valid_from: Text = ""
    valid_until: Text = ""
    active: bool = True
    under_14: bool = False


class Changes(msgspec.Struct, frozen=True, kw_only=True):
    """What is to be different; UNSET stays, an empty date ends the limit."""

    name: Text | msgspec.UnsetType = msgspec.UNSET
    home: Text | msgspec.UnsetType = msgspec.UNSET
    phone: Text | msgspec.UnsetType = msgspec.UNSET
    doors: Doors | msgspec.UnsetType = msgspec.UNSET
    valid_from: Text | msgspec.UnsetType = msgspec.UNSET
    valid_until: Text | msgspec.UnsetType = msgspec.UNSET
    active: bool | msgspec.UnsetType = msgspec.UNSET
    under_14: bool | msgspec.UnsetType = msgspec.UNSET


class Person(msgspec.Struct, frozen=True, kw_only=True):
    """One person as a clerk reads her. `readable` is false where her key is lost; her texts are empty then."""

    id: str
    name: str
    home: str
    phone: str
    doors: tuple[str, ...]
    active: bool
    valid_from: str | None
    valid_until: str | None
    under_14: bool
    origin: str
    external: str | None
    version: int
    source_version: int
    added_at: str
    changed_at: str
    face_consent: bool
    readable: bool = True


class People:
    """Reads and changes people in `directory`."""

    def __init__(self, directory: Directory) -> None:
        self._directory = directory

    # --- reading

    async def row(self, person: str) -> PersonRow:
        """Raises NotFound, DirectoryDown."""
        found = await self._directory.read(f"SELECT {PERSON_COLUMNS} FROM persons WHERE id = ? LIMIT 1", person)  # noqa: S608
        if not found or person not in self._directory.snapshot.people:
            raise NotFound(N_("there is no person {person}"), mend=N_("see 'loumen person list'"), person=person[:64])
        return PersonRow(*found[0])

    async def get(self, person: str) -> Person:
        """Raises NotFound, DirectoryDown."""
        return self.readable(await self.row(person))

    def readable(self, row: PersonRow) -> Person:
        """The row, decrypted where that can be done."""
        texts = {"name": "", "home": "", "phone": ""}
        readable = True
        try:
            cipher = self._directory.cipher(row.id)
            texts = {field: cipher.open_text(field, getattr(row, field)) for field in texts}
        except Unreadable:
            readable = False
        rights = self._directory.snapshot.person(row.id)
        return Person(
            id=row.id,
            **texts,
            doors=doors_of(row),
            active=bool(row.active),
            valid_from=row.valid_from,
            valid_until=row.valid_until,
            under_14=bool(row.under_14),
            origin=row.origin,
            external=row.external,
            version=row.version,
            source_version=row.source_version,
            added_at=row.added_at,
            changed_at=row.changed_at,
            face_consent=rights is not None and rights.face,
            readable=readable,
        )

    async def pages(self, after: int = 0) -> AsyncIterator[list[tuple[int, Person]]]:
        """Everybody in the order of adding, BATCH at a time; each with her place. The loop has a turn a person."""
        sql = f"SELECT place, {PERSON_COLUMNS} FROM persons WHERE place > ? ORDER BY place LIMIT {BATCH}"  # noqa: S608
        while found := await self._directory.read(sql, after):
            page = []
            for place, *values in found:
                row = PersonRow(*values)
                if row.id in self._directory.snapshot.people:  # else she is being forgotten
                    page.append((place, self.readable(row)))
                after = place
                await asyncio.sleep(0)
            yield page

    async def find_each(self, given: Collection[str]) -> dict[str, list[str]]:
        """The ids behind each: an id, the beginning of one (4 or more digits), a whole name. Raises DirectoryDown."""
        people = self._directory.snapshot.people
        found: dict[str, list[str]] = {}
        for one in given:
            if one in people:
                found[one] = [one]
            elif BEGINNING.fullmatch(one):
                found[one] = [person for person in people if person.startswith(one)]
                await asyncio.sleep(0)
            else:
                found[one] = []
        names = {one for one in given if one and not found[one]}
        if names:  # one pass over everybody, however many are looked for
            async for page in self.pages():
                for _, person in page:
                    if person.name in names:
                        found[person.name].append(person.id)
        return found

    async def find(self, given: str) -> str:
        """The id behind what was given, see `find_each`. Raises NotFound, Refused, DirectoryDown."""
        found = (await self.find_each([given]))[given]
        if len(found) > 1:
            raise Refused(
                N_("'{given}' is not one person but {count}: {ids}"),
                mend=N_("give the id, or enough of its beginning"),
                given=given[:64],
                count=len(found),
                ids=", ".join(person[:8] for person in found[:10]),
            )
        if not found:
            raise NotFound(N_("there is no person '{given}'"), mend=N_("see 'loumen person list'"), given=given[:64])
        return found[0]

    # --- changing

    async def add(self, draft: Draft, actor: Actor) -> Person:
        """A new person of this box. Durable when it returns. Raises BadRequest, DirectoryDown."""
        return await self._directory.uninterrupted(self._add(draft, actor))

    async def _add(self, draft: Draft, actor: Actor) -> Person:
        if not draft.name.strip():
            raise BadRequest(N_("a person needs a name"))
        zone = self._directory.clock.now().zone
        begin, end = dates.begin_of(draft.valid_from, zone), dates.end_of(draft.valid_until, zone)
        check_dates(begin is None or end is None or begin < end)
        person = secrets.token_hex(16)
        cipher = (await self._directory.keys.create([person]))[person]
        now = stamp(self._directory.wall()) or ""
        row = sealed(
            PersonRow(
                id=person,
                origin=BOX,
                external=None,
                version=1,
                source_version=0,
                active=int(draft.active),
                valid_from=stamp(begin),
                valid_until=stamp(end),
                doors=doors_text(draft.doors),
                under_14=int(draft.under_14),
                **seal_texts(cipher, draft.name, draft.home, draft.phone),
                added_at=now,
                changed_at=now,
            )
        )
        await self._directory.write((rows.PUT_PERSON, [row]))
        self._directory.show([rights_of(row, face=False)])
        self._directory.note(
            PersonAdded(person=person, origin=BOX, version=1, actor=actor.id, command_id=actor.command_id)
        )
        return self.readable(row)

    async def change(self, person: str, changes: Changes, actor: Actor) -> Person:
        """Change her; a record from elsewhere becomes this box's own. Raises NotFound, BadRequest, DirectoryDown."""
        return await self._directory.uninterrupted(self._change(person, changes, actor))

    async def _change(self, person: str, changes: Changes, actor: Actor) -> Person:
        row = await self.row(person)
        given = {name: value for name, value in msgspec.structs.asdict(changes).items() if value is not msgspec.UNSET}
        if not str(given.get("name", "x")).strip():
            raise BadRequest(N_("a person needs a name"))
        values: dict[str, object] = {}
        zone = self._directory.clock.now().zone
        for name, value in given.items():
            match name:
                case "name" | "home" | "phone":
                    values[name] = self._directory.cipher(person).seal_text(name, str(value))
                case "valid_from":
                    values[name] = stamp(dates.begin_of(str(value), zone))
                case "valid_until":
                    values[name] = stamp(dates.end_of(str(value), zone))
                case "doors":
                    values[name] = doors_text(value)
                case _:
                    values[name] = int(value)
        changed = row._replace(**values)  # type: ignore[arg-type]  # the names are the row's own
        check_dates(not (changed.valid_from and changed.valid_until) or changed.valid_from < changed.valid_until)
        await self.replace(row, changed._replace(origin=BOX), tuple(given), actor)
        return await self.get(person)

    async def replace(self, before: PersonRow, after: PersonRow, fields: tuple[str, ...], actor: Actor) -> None:
        """Put `after`, one version on, in the place of `before`; strictness first. Raises sqlite3.Error, OSError."""
        now = stamp(self._directory.wall()) or ""
        after = sealed(after._replace(version=before.version + 1, changed_at=now))
        shown = self._directory.snapshot.person(after.id)
        face = shown is not None and shown.face
        old, new = rights_of(sealed(before), face=face), rights_of(after, face=face)
        stricter = new.stricter_than(old)
        if stricter:
            self._directory.show([new.meet(old)])
        if new != old:
            await self._directory.forbid([rights_entry(after, now)])
        await self._directory.write((rows.PUT_PERSON, [after]))
        shown = self._directory.snapshot.person(after.id)
        self._directory.show([replace(new, face=shown is not None and shown.face)])
        self._directory.note(
            PersonChanged(
                person=after.id,
                origin=after.origin,
                version=after.version,
                fields=fields,
                stricter=stricter,
                actor=actor.id,
                command_id=actor.command_id,
            )
        )

    def taken_over(self, row: PersonRow) -> list[PersonRow]:
        """What to write so that a record from another box is this box's own: the sender no longer overrules us."""
        if not row.origin.startswith("import:"):
            return []
        now = stamp(self._directory.wall()) or ""
        return [sealed(row._replace(origin=BOX, version=row.version + 1, changed_at=now))]

    async def forget(self, people: Iterable[str], actor: Actor, *, by_platform: bool = False) -> list[str]:
        """Delete these people for ever; returns the ids that were there. Raises DirectoryDown."""
        return await self._directory.uninterrupted(self.forget_now(people, actor, by_platform=by_platform))

    async def forget_now(self, people: Iterable[str], actor: Actor, *, by_platform: bool = False) -> list[str]:
        """As `forget`, for a change that is under way. Raises DirectoryDown, sqlite3.Error, OSError."""
        directory = self._directory
        asked = list(people)
        gone = [person for person in asked if directory.snapshot.person(person) is not None]
        directory.show([PersonRights(person, False, None, None, frozenset()) for person in gone])
        await directory.before_forgetting(asked, actor)
        now = stamp(directory.wall()) or ""
        for start in range(0, len(asked), BATCH):
            batch = asked[start : start + BATCH]
            externals = {person: await self._external(person) for person in batch}
            kept: dict[str, str | None] = (
                {} if by_platform else externals
            )  # whom the platform took off its list it may send again
            await directory.forbid(
                [Revocation(kind="forget", person=person, at=now, external=kept.get(person) or "") for person in batch]
            )
            directory.forgotten_externals.update(external for external in kept.values() if external)
            await directory.keys.destroy(batch)
            await directory.write(("DELETE FROM persons WHERE id = ?", [(person,) for person in batch]))
            for person in batch:
                if externals[person] is not None:
                    directory.note(
                        PersonForgotten(
                            person=person,
                            external=externals[person] or "",
                            actor=actor.id,
                            command_id=actor.command_id,
                        )
                    )
        directory.show(gone=gone)
        await directory.database.empty_log()
        return gone

    async def _external(self, person: str) -> str | None:
        """The platform's id of a person, or empty; None where there is no row of hers."""
        found = await self._directory.read("SELECT external FROM persons WHERE id = ? LIMIT 1", person)
        return (found[0][0] or "") if found else None


def check_dates(in_order: bool) -> None:  # noqa: FBT001  (the caller compares)
    if not in_order:
        raise BadRequest(N_("the validity ends before it begins"))


def seal_texts(cipher: Cipher, name: str, home: str, phone: str) -> dict[str, bytes]:
    """A row's three personal fields."""
    return {field: cipher.seal_text(field, text) for field, text in (("name", name), ("home", home), ("phone", phone))}


def rights_entry(row: PersonRow, at: str) -> Revocation:
    """All rights of the row, for `revoked.log`."""
    return Revocation(
        kind="rights",
        person=row.id,
        at=at,
        version=row.version,
        active=bool(row.active),
        valid_from=row.valid_from,
        valid_until=row.valid_until,
        doors=doors_of(row),
    )
