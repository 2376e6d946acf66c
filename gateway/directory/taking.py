"""Writing what another box sent: per record a judgement, per batch one transaction, never half a person.

forgotten here                        refused: an import is a copy, and no copy brings her back
unknown                               added, origin 'import:<box>'
known from the same box, older        changed, if what came is newer; its faces and consents are replaced
known from the same box, as new       unchanged: importing twice is importing once
this box's own, the platform's,       refused and told: whoever keeps a record is not overruled
  or another box's
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime

from gateway.command import Actor
from gateway.directory import rows, wording
from gateway.directory.bundle import BundledPerson
from gateway.directory.database import Step
from gateway.directory.events import PersonAdded, PersonChanged
from gateway.directory.people import People, rights_entry, seal_texts
from gateway.directory.revoked import Revocation
from gateway.directory.rows import (
    FACE,
    PERSON_COLUMNS,
    ConsentRow,
    FaceRow,
    PersonRow,
    doors_text,
    rights_of,
    sealed,
    stamp,
)
from gateway.directory.sealing import Cipher, Unreadable
from gateway.directory.snapshot import PersonRights
from gateway.directory.store import Directory
from gateway.directory.templates import face_row
from gateway.errors import N_
from gateway.journal.event import Event

#: Seconds of rest after each person: the loop stays mostly idle, so the kernel still wakes it at once for a
#: door, also when the other core is busy. 3,000 people take some 5 s instead of 1 to 2.
PACE = 0.001


@dataclass(slots=True)
class Counts:
    """What became of the records."""

    added: int = 0
    changed: int = 0
    unchanged: int = 0
    faces: int = 0
    refused: list[tuple[str, str]] = field(default_factory=list)  # id, why (a message id)


@dataclass(slots=True)
class _Batch:
    """What one transaction will do."""

    people: list[PersonRow] = field(default_factory=list)
    faces: list[FaceRow] = field(default_factory=list)
    consents: list[ConsentRow] = field(default_factory=list)
    wordings: dict[str, str] = field(default_factory=dict)
    stricter_first: list[PersonRights] = field(default_factory=list)
    entries: list[Revocation] = field(default_factory=list)
    rights: list[PersonRights] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)

    def steps(self, origin: str) -> tuple[Step, ...]:
        whose = [(row.id, origin) for row in self.people]
        return (
            (rows.PUT_WORDING, [(version, text, wording.digest(text)) for version, text in self.wordings.items()]),
            (rows.PUT_PERSON, self.people),
            ("DELETE FROM faces WHERE person = ? AND origin = ?", whose),
            ("DELETE FROM consents WHERE person = ? AND origin = ?", whose),
            (rows.PUT_CONSENT, self.consents),
            (rows.PUT_FACE, self.faces),
        )


class Taking:
    """Takes records of one box, `origin` being 'import:<its uuid>'."""

    def __init__(self, directory: Directory, people: People, origin: str, doors: tuple[str, ...] | None) -> None:
        self._directory, self._people, self._origin, self._doors = directory, people, origin, doors
        self.origin = origin
        self.counts = Counts()

    async def take(self, records: Sequence[BundledPerson], actor: Actor) -> None:
        """Durable when it returns. Raises DirectoryDown; then none of `records` was taken."""
        await self._directory.uninterrupted(self._take(records, actor))

    async def _take(self, records: Sequence[BundledPerson], actor: Actor) -> None:
        batch, counts = _Batch(), Counts()
        known = await self._known([record.id for record in records])
        wanted = [record for record in records if self._judge(record, known.get(record.id), counts)]
        ciphers = await self._directory.keys.create(record.id for record in wanted)
        consented_here = await self._consented_here(list(known))
        for record in wanted:
            stands = record.id in consented_here or any(
                consent.purpose == FACE and consent.withdrawn_at is None for consent in record.consents
            )
            self._put(record, known.get(record.id), ciphers[record.id], batch, actor, stands=stands)
            await asyncio.sleep(PACE)
        if not wanted:
            self._add_up(counts)
            return
        self._directory.show(batch.stricter_first)
        if batch.entries:
            await self._directory.forbid(batch.entries)
        await self._directory.write(*batch.steps(self._origin))
        self._directory.show(batch.rights)
        for event in batch.events:
            self._directory.note(event)
        counts.faces = len(batch.faces)
        self._add_up(counts)

    def _add_up(self, counts: Counts) -> None:
        total = self.counts
        total.added += counts.added
        total.changed += counts.changed
        total.unchanged += counts.unchanged
        total.faces += counts.faces
        total.refused += counts.refused

    async def _known(self, ids: Sequence[str]) -> dict[str, PersonRow]:
        marks = ", ".join("?" * len(ids))
        sql = f"SELECT {PERSON_COLUMNS} FROM persons WHERE id IN ({marks}) LIMIT {len(ids)}"  # noqa: S608
        return {row.id: row for row in (PersonRow(*found) for found in await self._directory.read(sql, *ids))}

    async def _consented_here(self, ids: Sequence[str]) -> set[str]:
        """Who of them gave a consent to this box as well."""
        marks = ", ".join("?" * len(ids))
        sql = (
            "SELECT person FROM consents WHERE purpose = ? AND withdrawn_at IS NULL AND origin != ? "  # noqa: S608
            f"AND person IN ({marks}) LIMIT 10000"
        )
        return {person for (person,) in await self._directory.read(sql, FACE, self._origin, *ids)} if ids else set()

    def _judge(self, record: BundledPerson, known: PersonRow | None, counts: Counts) -> bool:
        if record.id in self._directory.keys.forgotten:
            counts.refused.append((record.id, N_("forgotten on this box: she is not brought back")))
        elif known is None:
            counts.added += 1
            return True
        elif known.origin != self._origin:
            counts.refused.append((record.id, N_("this box has a record of its own, or from elsewhere, under this id")))
        elif known.source_version >= record.version:
            counts.unchanged += 1
        elif not self._readable(record.id):
            counts.refused.append((record.id, N_("her key on this box is lost: forget her first")))
        else:
            counts.changed += 1
            return True
        return False

    def _readable(self, person: str) -> bool:
        try:
            self._directory.cipher(person)
        except Unreadable:
            return False
        return True

    def _put(
        self,
        record: BundledPerson,
        known: PersonRow | None,
        cipher: Cipher,
        batch: _Batch,
        actor: Actor,
        *,
        stands: bool,
    ) -> None:
        now = stamp(self._directory.wall()) or ""
        row = self._row(record, known, cipher, now)
        batch.people.append(row)
        self._put_consents(record, cipher, batch)
        batch.faces += [
            sealed(
                face_row(
                    cipher, record.id, face.engine, face.embedding, face.quality, face.model, _utc(face.added_at) or now
                )._replace(origin=self._origin)
            )
            for face in record.faces
        ]
        rights = rights_of(row, face=stands)
        batch.rights.append(rights)
        told = {"person": row.id, "origin": self._origin, "version": row.version}
        whose = {"actor": actor.id, "command_id": actor.command_id}
        if known is None:
            batch.events.append(PersonAdded(**told, **whose))  # type: ignore[arg-type]  # the fields' own names
            return
        shown = self._directory.snapshot.person(row.id)
        stricter = shown is not None and rights.stricter_than(shown)
        if shown is not None and stricter:
            batch.stricter_first.append(rights.meet(shown))
        batch.entries.append(rights_entry(row, now))
        batch.events.append(
            PersonChanged(fields=("record",), stricter=stricter, **told, **whose)  # type: ignore[arg-type]
        )

    def _row(self, record: BundledPerson, known: PersonRow | None, cipher: Cipher, now: str) -> PersonRow:
        return sealed(
            PersonRow(
                id=record.id,
                origin=self._origin,
                external=None,
                version=(known.version if known else 0) + 1,
                source_version=record.version,
                active=int(record.active),
                valid_from=_utc(record.valid_from),
                valid_until=_utc(record.valid_until),
                doors=doors_text(record.doors if self._doors is None else self._doors),
                under_14=int(record.under_14),
                **seal_texts(cipher, record.name, record.home, record.phone),
                added_at=known.added_at if known else now,
                changed_at=now,
            )
        )

    def _put_consents(self, record: BundledPerson, cipher: Cipher, batch: _Batch) -> None:
        for consent in record.consents:
            batch.wordings.setdefault(consent.wording, consent.text)
            name = secrets.token_hex(8)
            batch.consents.append(
                sealed(
                    ConsentRow(
                        id=name,
                        person=record.id,
                        origin=self._origin,
                        purpose=consent.purpose,
                        wording=consent.wording,
                        wording_sha256=wording.digest(consent.text),
                        guardian=cipher.seal_text(f"guardian:{name}", consent.guardian) if consent.guardian else None,
                        recorded_by=consent.recorded_by,
                        given_at=_utc(consent.given_at) or "",
                        withdrawn_at=_utc(consent.withdrawn_at),
                    )
                )
            )


def _utc(text: str | None) -> str | None:
    return stamp(datetime.fromisoformat(text)) if text else None
