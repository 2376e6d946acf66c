"""The tables of `directory.db`, and what a row of them is. Personal fields and faces are ciphertext here.

Each row ends with a checksum of all before it. SQLite's own check looks at the structure of pages; a
flipped bit inside a door's name or a date would pass it, and would open a door.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import NamedTuple, TypeVar

import msgspec

from gateway.directory.sealing import checksum
from gateway.directory.snapshot import PersonRights

VERSION = 1
SCHEMA = """
CREATE TABLE persons (
    place INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    origin TEXT NOT NULL,
    external TEXT,
    version INTEGER NOT NULL,
    source_version INTEGER NOT NULL,
    active INTEGER NOT NULL,
    valid_from TEXT,
    valid_until TEXT,
    doors TEXT NOT NULL,
    under_14 INTEGER NOT NULL,
    name BLOB NOT NULL,
    home BLOB NOT NULL,
    phone BLOB NOT NULL,
    added_at TEXT NOT NULL,
    changed_at TEXT NOT NULL,
    seal BLOB NOT NULL
) STRICT;
CREATE UNIQUE INDEX persons_external ON persons (external) WHERE external IS NOT NULL;
CREATE TABLE faces (
    place INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    person TEXT NOT NULL REFERENCES persons (id) ON DELETE CASCADE,
    origin TEXT NOT NULL,
    engine TEXT NOT NULL,
    embedding BLOB NOT NULL,
    quality REAL NOT NULL,
    model TEXT NOT NULL,
    added_at TEXT NOT NULL,
    seal BLOB NOT NULL
) STRICT;
CREATE INDEX faces_person ON faces (person);
CREATE TABLE consents (
    place INTEGER PRIMARY KEY,
    id TEXT NOT NULL UNIQUE,
    person TEXT NOT NULL REFERENCES persons (id) ON DELETE CASCADE,
    origin TEXT NOT NULL,
    purpose TEXT NOT NULL,
    wording TEXT NOT NULL,
    wording_sha256 TEXT NOT NULL,
    guardian BLOB,
    recorded_by TEXT NOT NULL,
    given_at TEXT NOT NULL,
    withdrawn_at TEXT,
    seal BLOB NOT NULL
) STRICT;
CREATE INDEX consents_person ON consents (person);
CREATE TABLE wordings (
    version TEXT PRIMARY KEY,
    text TEXT NOT NULL,
    sha256 TEXT NOT NULL
) STRICT;
"""


class PersonRow(NamedTuple):
    id: str
    origin: str  # "box", "platform", "import:<box>"
    external: str | None  # the platform's id, of a person that it sent
    version: int
    source_version: int  # the version that the platform or the other box sent
    active: int
    valid_from: str | None
    valid_until: str | None
    doors: str  # a JSON array
    under_14: int
    name: bytes
    home: bytes
    phone: bytes
    added_at: str
    changed_at: str
    seal: bytes = b""


class FaceRow(NamedTuple):
    id: str
    person: str
    origin: str
    engine: str
    embedding: bytes
    quality: float
    model: str  # SHA-256 of the model that made it, where known
    added_at: str
    seal: bytes = b""


class ConsentRow(NamedTuple):
    id: str
    person: str
    origin: str
    purpose: str
    wording: str
    wording_sha256: str
    guardian: bytes | None
    recorded_by: str
    given_at: str
    withdrawn_at: str | None
    seal: bytes = b""


Row = TypeVar("Row", PersonRow, FaceRow, ConsentRow)


def sealed(row: Row) -> Row:
    """The row with its checksum."""
    return row._replace(seal=checksum(row[:-1]))


def intact(row: PersonRow | FaceRow | ConsentRow) -> bool:
    return row.seal == checksum(row[:-1])


def _columns(row: type[PersonRow | FaceRow | ConsentRow]) -> str:
    return ", ".join(row._fields)


def _put(table: str, row: type[PersonRow | FaceRow | ConsentRow]) -> str:
    places = ", ".join("?" * len(row._fields))
    news = ", ".join(f"{name} = excluded.{name}" for name in row._fields if name != "id")
    return f"INSERT INTO {table} ({_columns(row)}) VALUES ({places}) ON CONFLICT (id) DO UPDATE SET {news}"  # noqa: S608


PERSON_COLUMNS, FACE_COLUMNS, CONSENT_COLUMNS = _columns(PersonRow), _columns(FaceRow), _columns(ConsentRow)
PUT_PERSON, PUT_FACE, PUT_CONSENT = _put("persons", PersonRow), _put("faces", FaceRow), _put("consents", ConsentRow)
PUT_WORDING = "INSERT INTO wordings (version, text, sha256) VALUES (?, ?, ?) ON CONFLICT (version) DO NOTHING"


FACE = "face"  # the purpose of a consent to be compared


class Damaged(Exception):  # noqa: N818  (named for what it says)
    """A row is not the one that was written."""


def stamp(moment: datetime | None) -> str | None:
    return None if moment is None else moment.astimezone(UTC).isoformat(timespec="seconds")


def rights_of(row: PersonRow, *, face: bool) -> PersonRights:
    """What the row allows. Raises Damaged where it is not the row that was written."""
    if not intact(row):
        raise Damaged(row.id)
    return PersonRights(
        id=row.id,
        active=bool(row.active),
        valid_from=datetime.fromisoformat(row.valid_from) if row.valid_from else None,
        valid_until=datetime.fromisoformat(row.valid_until) if row.valid_until else None,
        doors=frozenset(doors_of(row)),
        face=face,
    )


def doors_of(row: PersonRow) -> tuple[str, ...]:
    return msgspec.json.decode(row.doors, type=tuple[str, ...])


def doors_text(doors: frozenset[str] | tuple[str, ...]) -> str:
    return msgspec.json.encode(sorted(set(doors))).decode()
