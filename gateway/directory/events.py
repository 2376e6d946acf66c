"""What the directory tells the journal. Random ids, counts and names of fields: never a name, a phone or a face."""

from __future__ import annotations

from typing import ClassVar

from gateway.journal.event import Event, Importance


class PersonAdded(Event, frozen=True, kw_only=True, tag="person.added.v1"):
    importance: ClassVar[Importance] = Importance.COMMAND
    person: str
    origin: str
    external: str = ""  # the platform's own id of a person that it sent
    version: int
    actor: str = ""
    command_id: str = ""


class PersonChanged(Event, frozen=True, kw_only=True, tag="person.changed.v1"):
    """`fields` are the names of what changed; `stricter` says that something is not allowed any more."""

    importance: ClassVar[Importance] = Importance.COMMAND
    person: str
    origin: str
    version: int
    fields: tuple[str, ...]
    stricter: bool
    actor: str = ""
    command_id: str = ""


class PersonForgotten(Event, frozen=True, kw_only=True, tag="person.forgotten.v1"):
    """Her key is destroyed, her rows and faces are deleted; no copy can bring her back."""

    importance: ClassVar[Importance] = Importance.COMMAND
    person: str
    external: str = ""
    actor: str = ""
    command_id: str = ""


class FaceEnrolled(Event, frozen=True, kw_only=True, tag="face.enrolled.v1"):
    importance: ClassVar[Importance] = Importance.COMMAND
    person: str
    faces: tuple[str, ...]
    engine: str
    quality: tuple[float, ...]
    despite_likeness: bool = False
    actor: str = ""
    command_id: str = ""


class FaceRemoved(Event, frozen=True, kw_only=True, tag="face.removed.v1"):
    importance: ClassVar[Importance] = Importance.COMMAND
    person: str
    faces: tuple[str, ...]
    actor: str = ""
    command_id: str = ""


class ConsentRecorded(Event, frozen=True, kw_only=True, tag="consent.recorded.v1"):
    importance: ClassVar[Importance] = Importance.RECORD
    person: str
    consent: str
    purpose: str
    wording: str
    wording_sha256: str
    by_guardian: bool
    actor: str = ""
    command_id: str = ""


class ConsentWithdrawn(Event, frozen=True, kw_only=True, tag="consent.withdrawn.v1"):
    """The faces that rested on it are deleted with it."""

    importance: ClassVar[Importance] = Importance.RECORD
    person: str
    consents: tuple[str, ...]
    purpose: str
    actor: str = ""
    command_id: str = ""


class DirectoryRestored(Event, frozen=True, kw_only=True, tag="directory.restored.v1"):
    """The directory was damaged or lost. `copy` is empty where nothing usable was left."""

    importance: ClassVar[Importance] = Importance.RECORD
    copy: str
    damage: str
    set_aside: str
    people: int
    revoked: int  # how many later revocations and deletions were applied to the copy


class DirectoryKeysDamaged(Event, frozen=True, kw_only=True, tag="directory.keys_damaged.v1"):
    importance: ClassVar[Importance] = Importance.RECORD
    damage: str
    saved: int
    unreadable: int


class DirectoryImported(Event, frozen=True, kw_only=True, tag="directory.imported.v1"):
    importance: ClassVar[Importance] = Importance.COMMAND
    origin: str
    added: int
    changed: int
    unchanged: int
    refused: int
    complete: bool
    actor: str = ""
    command_id: str = ""


class DirectoryExported(Event, frozen=True, kw_only=True, tag="directory.exported.v1"):
    importance: ClassVar[Importance] = Importance.COMMAND
    receiver: str
    people: int
    faces: int
    actor: str = ""
    command_id: str = ""


EVENTS: tuple[type[Event], ...] = (
    PersonAdded,
    PersonChanged,
    PersonForgotten,
    FaceEnrolled,
    FaceRemoved,
    ConsentRecorded,
    ConsentWithdrawn,
    DirectoryRestored,
    DirectoryKeysDamaged,
    DirectoryImported,
    DirectoryExported,
)
