"""Consents and face templates. A template without a consent that stands is never kept and never compared."""

from __future__ import annotations

import math
import secrets
from collections.abc import Sequence
from dataclasses import replace
from typing import Annotated, NamedTuple

import msgspec

from gateway import dates
from gateway.command import Actor
from gateway.directory import rows, wording
from gateway.directory.events import ConsentRecorded, ConsentWithdrawn, FaceEnrolled, FaceRemoved
from gateway.directory.people import People
from gateway.directory.revoked import Revocation
from gateway.directory.rows import CONSENT_COLUMNS, FACE, ConsentRow, sealed, stamp
from gateway.directory.sealing import Unreadable
from gateway.directory.store import Directory
from gateway.directory.templates import VECTOR, check_embedding, face_row, opened
from gateway.errors import BadRequest, N_, NotFound, Refused

MOST = 10  # templates a person and engine


class Consent(msgspec.Struct, frozen=True, kw_only=True):
    """What is told of a consent. `guardian` is who consented for a child, empty otherwise."""

    id: str
    purpose: str
    wording: str
    wording_sha256: str
    guardian: str
    recorded_by: str
    given_at: str
    withdrawn_at: str | None


class ConsentGiven(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A consent to be recorded. `text` only for a wording that is not known here yet; `given_at`: now, if empty."""

    wording: Annotated[str, msgspec.Meta(min_length=1, max_length=64)] = wording.CURRENT
    text: Annotated[str, msgspec.Meta(max_length=8000)] = ""
    guardian: Annotated[str, msgspec.Meta(max_length=200)] = ""
    given_at: Annotated[str, msgspec.Meta(max_length=40)] = ""


class FaceLine(msgspec.Struct, frozen=True, kw_only=True):
    """A stored template, without its numbers."""

    id: str
    person: str
    engine: str
    quality: float
    added_at: str
    model: str
    origin: str


class Likeness(NamedTuple):
    """How near a person is: the mean distance to the two nearest of her templates, as the door compares."""

    person: str
    distance: float


class Near(NamedTuple):
    """Whose a face may be. `own`: as `Likeness`, None where she has no face yet; `nearest_own`: one template."""

    own: float | None
    nearest_own: float
    other: Likeness | None


class Faces:
    """Reads and changes faces and consents in `directory`."""

    def __init__(self, directory: Directory, people: People) -> None:
        self._directory, self._people = directory, people

    # --- consents

    async def consents(self, person: str) -> list[Consent]:
        """All of hers, withdrawn ones too, oldest first. Raises DirectoryDown."""
        told = []
        for row in await self._consent_rows(person):
            guardian = ""
            if row.guardian is not None:
                try:
                    guardian = self._directory.cipher(person).open_text(f"guardian:{row.id}", row.guardian)
                except Unreadable:
                    guardian = "?"
            told.append(
                Consent(
                    id=row.id,
                    purpose=row.purpose,
                    wording=row.wording,
                    wording_sha256=row.wording_sha256,
                    guardian=guardian,
                    recorded_by=row.recorded_by,
                    given_at=row.given_at,
                    withdrawn_at=row.withdrawn_at,
                )
            )
        return told

    async def _consent_rows(self, person: str) -> list[ConsentRow]:
        sql = f"SELECT {CONSENT_COLUMNS} FROM consents WHERE person = ? ORDER BY place LIMIT 1000"  # noqa: S608
        return [ConsentRow(*found) for found in await self._directory.read(sql, person)]

    async def record_consent(self, person: str, given: ConsentGiven, actor: Actor) -> Consent:
        """She consents to be recognised. Durable when it returns. Raises NotFound, BadRequest, DirectoryDown."""
        await self._directory.uninterrupted(self._record_consent(person, given, actor))
        return (await self.consents(person))[-1]

    async def _record_consent(self, person: str, given: ConsentGiven, actor: Actor) -> None:
        directory = self._directory
        row = await self._people.row(person)
        if row.under_14 and not given.guardian.strip():
            raise BadRequest(
                N_("for a child under 14 a guardian consents"), mend=N_("say who: give the guardian's name")
            )
        text = await self.wording_of(given)
        now = directory.clock.now()
        given_at = dates.begin_of(given.given_at, now.zone) or now.wall
        if now.trusted and given_at > now.wall:
            raise BadRequest(N_("a consent cannot have been given in the future"))
        consent = secrets.token_hex(8)
        cipher = directory.cipher(person)
        put = sealed(
            ConsentRow(
                id=consent,
                person=person,
                origin="box",
                purpose=FACE,
                wording=given.wording,
                wording_sha256=wording.digest(text),
                guardian=cipher.seal_text(f"guardian:{consent}", given.guardian) if given.guardian else None,
                recorded_by=actor.id,
                given_at=stamp(given_at) or "",
                withdrawn_at=None,
            )
        )
        await directory.write(
            (rows.PUT_WORDING, [(given.wording, text, wording.digest(text))]), (rows.PUT_CONSENT, [put])
        )
        self._show_consent(person, stands=True)
        directory.note(
            ConsentRecorded(
                person=person,
                consent=consent,
                purpose=FACE,
                wording=given.wording,
                wording_sha256=wording.digest(text),
                by_guardian=bool(given.guardian),
                actor=actor.id,
                command_id=actor.command_id,
            )
        )

    async def wording_of(self, given: ConsentGiven) -> str:
        """The words she agreed to. Raises BadRequest where they are not known or contradict."""
        sql = "SELECT text FROM wordings WHERE version = ? LIMIT 1"
        stored = await self._directory.read(sql, given.wording)
        return wording.text_of(given.wording, given.text, str(stored[0][0]) if stored else None)

    async def withdraw_consent(self, person: str, actor: Actor) -> int:
        """She takes it back: no comparison from now on, her templates are deleted; returns how many consents."""
        return await self._directory.uninterrupted(self._withdraw_consent(person, actor))

    async def _withdraw_consent(self, person: str, actor: Actor) -> int:
        directory = self._directory
        person_row = await self._people.row(person)
        self._show_consent(person, stands=False)
        standing = [row for row in await self._consent_rows(person) if row.withdrawn_at is None and row.purpose == FACE]
        if not standing:
            return 0
        now = stamp(directory.wall()) or ""
        faces = tuple(line.id for line in await self.lines(person))
        ids = tuple(row.id for row in standing)
        entries = [Revocation(kind="consent", person=person, at=now, ids=ids)]
        if faces:
            entries.append(Revocation(kind="face", person=person, at=now, ids=faces))
        await directory.forbid(entries)
        await directory.write(
            (rows.PUT_CONSENT, [sealed(row._replace(withdrawn_at=now)) for row in standing]),
            ("DELETE FROM faces WHERE person = ?", [(person,)]),
            (rows.PUT_PERSON, self._people.taken_over(person_row)),
        )
        self._show_consent(person, stands=False)
        told = {"person": person, "actor": actor.id, "command_id": actor.command_id}
        directory.note(ConsentWithdrawn(consents=ids, purpose=FACE, **told))
        if faces:
            directory.note(FaceRemoved(faces=faces, **told))
        return len(standing)

    def _show_consent(self, person: str, *, stands: bool) -> None:
        rights = self._directory.snapshot.person(person)
        if rights is not None:
            self._directory.show([replace(rights, face=stands)])

    # --- templates

    async def lines(self, person: str = "", after: int = 0, limit: int = 1000) -> list[FaceLine]:
        """Stored templates, of one person or of all. Raises DirectoryDown."""
        columns = "id, person, engine, quality, added_at, model, origin"
        if person:
            sql = f"SELECT {columns} FROM faces WHERE person = ? AND place > ? ORDER BY place LIMIT ?"  # noqa: S608
            found = await self._directory.read(sql, person, after, limit)
        else:
            sql = f"SELECT {columns} FROM faces WHERE place > ? ORDER BY place LIMIT ?"  # noqa: S608
            found = await self._directory.read(sql, after, limit)
        return [
            FaceLine(id=face, person=whose, engine=engine, quality=quality, added_at=added, model=model, origin=origin)
            for face, whose, engine, quality, added, model, origin in found
        ]

    async def counts(self, people: Sequence[str]) -> dict[str, int]:
        """How many templates each has. Raises DirectoryDown."""
        marks = ", ".join("?" * len(people))
        sql = f"SELECT person, count(*) FROM faces WHERE person IN ({marks}) GROUP BY person LIMIT {len(people)}"  # noqa: S608
        return dict(await self._directory.read(sql, *people)) if people else {}

    async def add(
        self,
        person: str,
        engine: str,
        found: Sequence[tuple[bytes, float]],
        model: str,
        actor: Actor,
        *,
        despite_likeness: bool = False,
    ) -> tuple[str, ...]:
        """Store templates (embedding, quality); returns their ids. Raises Refused, NotFound, DirectoryDown."""
        change = self._add(person, engine, found, model, actor, despite_likeness=despite_likeness)
        return await self._directory.uninterrupted(change)

    async def _add(
        self,
        person: str,
        engine: str,
        found: Sequence[tuple[bytes, float]],
        model: str,
        actor: Actor,
        *,
        despite_likeness: bool,
    ) -> tuple[str, ...]:
        directory = self._directory
        await self._people.row(person)
        rights = directory.snapshot.person(person)
        if rights is None or not rights.face:
            raise Refused(
                N_("without a recorded consent no face is stored"),
                mend=N_("record her consent along with the picture: --consent"),
            )
        stored = [line for line in await self.lines(person) if line.engine == engine]
        if len(stored) + len(found) > MOST:
            raise Refused(
                N_("{stored} faces are stored and {new} are new: at most {most} a person"),
                mend=N_("remove old ones first: 'loumen face list', 'loumen face remove'"),
                stored=len(stored),
                new=len(found),
                most=MOST,
            )
        now = stamp(directory.wall()) or ""
        cipher = directory.cipher(person)
        put = [
            face_row(cipher, person, engine, check_embedding(embedding), quality, model, now)
            for embedding, quality in found
        ]
        await directory.write((rows.PUT_FACE, put))
        directory.show()
        ids = tuple(row.id for row in put)
        directory.note(
            FaceEnrolled(
                person=person,
                faces=ids,
                engine=engine,
                quality=tuple(round(row.quality, 3) for row in put),
                despite_likeness=despite_likeness,
                actor=actor.id,
                command_id=actor.command_id,
            )
        )
        return ids

    async def remove(self, person: str, faces: Sequence[str], actor: Actor) -> tuple[str, ...]:
        """Delete templates of hers (none named: all); returns the ids. Raises NotFound, DirectoryDown."""
        return await self._directory.uninterrupted(self._remove(person, faces, actor))

    async def _remove(self, person: str, faces: Sequence[str], actor: Actor) -> tuple[str, ...]:
        directory = self._directory
        person_row = await self._people.row(person)
        stored = {line.id for line in await self.lines(person)}
        if unknown := [face for face in faces if face not in stored]:
            raise NotFound(N_("she has no face {face}"), mend=N_("see 'loumen face list'"), face=unknown[0][:64])
        gone = tuple(faces or sorted(stored))
        if gone:
            await directory.forbid([Revocation(kind="face", person=person, at=stamp(directory.wall()) or "", ids=gone)])
            await directory.write(
                ("DELETE FROM faces WHERE id = ?", [(face,) for face in gone]),
                (rows.PUT_PERSON, self._people.taken_over(person_row)),
            )
            directory.show()
            directory.note(FaceRemoved(person=person, faces=gone, actor=actor.id, command_id=actor.command_id))
        return gone

    # --- comparing, for enrolment and trial only: doors compare in the vision process

    async def nearest(self, engine: str, embedding: bytes, door: str) -> list[Likeness]:
        """The two nearest people of a door's gallery, nearest first."""
        now = self._directory.clock.now()
        people = self._directory.snapshot.compared_at(door, now.wall, trusted=now.trusted)
        (distances,) = await self._distances(engine, [embedding], people)
        scores = [Likeness(person, _score(found)) for person, found in distances.items()]
        return sorted(scores, key=lambda likeness: likeness.distance)[:2]

    async def near(self, engine: str, embeddings: Sequence[bytes], person: str) -> list[Near]:
        """How near her own stored faces are to each of these, and who else is nearest."""
        near = []
        for distances in await self._distances(engine, embeddings, frozenset(self._directory.snapshot.people)):
            own = distances.pop(person, [])
            others = [Likeness(other, _score(found)) for other, found in distances.items()]
            near.append(
                Near(
                    own=_score(own) if own else None,
                    nearest_own=min(own, default=math.inf),
                    other=min(others, key=lambda other: other.distance, default=None),
                )
            )
        return near

    async def _distances(
        self, engine: str, embeddings: Sequence[bytes], people: frozenset[str]
    ) -> list[dict[str, list[float]]]:
        """For each of the embeddings, everybody's distances. Every template is opened once."""
        vectors = [VECTOR.unpack(check_embedding(embedding)) for embedding in embeddings]
        distances: list[dict[str, list[float]]] = [{} for _ in vectors]
        async for person, stored in opened(self._directory, engine, people):
            template = VECTOR.unpack(stored)
            for vector, found in zip(vectors, distances, strict=True):
                found.setdefault(person, []).append(math.dist(vector, template))
        return distances


def _score(distances: Sequence[float]) -> float:
    nearest = sorted(distances)[:2]
    return sum(nearest) / len(nearest)
