"""The commands of people and faces. A technician installs and repairs; only an administrator takes people out of a box.

`person` fields take an id, the beginning of one, or a whole name.
"""

from __future__ import annotations

from typing import Annotated, ClassVar

import msgspec

from gateway.command import Command, Kind, Role
from gateway.directory.faces import ConsentGiven
from gateway.directory.people import Doors, Text

MAX_PICTURE = 10 * 1024 * 1024
MAX_PICTURES = 20 * 1024 * 1024  # all of one command together
MAX_PIECE = 256 * 1024  # of a bundle, a command

PersonText = Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
BundleName = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}$")]


class Picture(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A picture file as it is; base64 in JSON."""

    name: Text = ""
    data: bytes


Pictures = Annotated[tuple[Picture, ...], msgspec.Meta(max_length=20)]


class AddPerson(Command, frozen=True, kw_only=True, tag="person.add"):
    """A new person. Dates are days or moments; `doors` may hold '*'; `consent` may be recorded along."""

    role: ClassVar[Role] = Role.CLERK
    kind: ClassVar[Kind] = Kind.RECORD
    name: PersonText
    home: Text = ""
    phone: Text = ""
    doors: Doors = ()
    valid_from: Text = ""
    valid_until: Text = ""
    under_14: bool = False
    consent: ConsentGiven | None = None


class ChangePerson(Command, frozen=True, kw_only=True, tag="person.change"):
    """What is given is changed; an empty date ends the limit. A record from elsewhere becomes this box's own."""

    role: ClassVar[Role] = Role.CLERK
    kind: ClassVar[Kind] = Kind.RECORD
    person: PersonText
    name: PersonText | msgspec.UnsetType = msgspec.UNSET
    home: Text | msgspec.UnsetType = msgspec.UNSET
    phone: Text | msgspec.UnsetType = msgspec.UNSET
    doors: Doors | msgspec.UnsetType = msgspec.UNSET
    valid_from: Text | msgspec.UnsetType = msgspec.UNSET
    valid_until: Text | msgspec.UnsetType = msgspec.UNSET
    active: bool | msgspec.UnsetType = msgspec.UNSET
    under_14: bool | msgspec.UnsetType = msgspec.UNSET


class ListPeople(Command, frozen=True, kw_only=True, tag="person.list"):
    """In the order of adding; `after` is the `next` of the page before. `search`: part of a name or home."""

    role: ClassVar[Role] = Role.CLERK
    after: Annotated[int, msgspec.Meta(ge=0)] = 0
    limit: Annotated[int, msgspec.Meta(ge=1, le=200)] = 200
    search: Text = ""


class ShowPerson(Command, frozen=True, kw_only=True, tag="person.show"):
    role: ClassVar[Role] = Role.CLERK
    person: PersonText


class ForgetPerson(Command, frozen=True, kw_only=True, tag="person.forget"):
    """Destroys her key: no copy, no backup and no bundle brings her back. Her plates go with her."""

    role: ClassVar[Role] = Role.CLERK
    kind: ClassVar[Kind] = Kind.RECORD
    person: PersonText


class ShowBoxKey(Command, frozen=True, kw_only=True, tag="person.key"):
    """The public part of the keys that bundles for this box are encrypted to, and its own are signed with."""

    role: ClassVar[Role] = Role.CLERK


class ExportPeople(Command, frozen=True, kw_only=True, tag="person.export"):
    """People (all, or those named) for the box whose key document is `to`; fetched with `bundle.read`."""

    role: ClassVar[Role] = Role.ADMINISTRATOR
    kind: ClassVar[Kind] = Kind.RECORD
    to: Annotated[str, msgspec.Meta(max_length=4096)]
    people: Annotated[tuple[PersonText, ...], msgspec.Meta(max_length=10_000)] = ()


class ImportPeople(Command, frozen=True, kw_only=True, tag="person.import"):
    """What `bundle.write` has brought, signed by the box whose key document is `sender`.

    `doors` replaces the doors of the sending box by ours.
    """

    role: ClassVar[Role] = Role.ADMINISTRATOR
    kind: ClassVar[Kind] = Kind.RECORD
    bundle: BundleName
    sender: Annotated[str, msgspec.Meta(max_length=4096)]
    doors: Doors | None = None


class ReadBundle(Command, frozen=True, kw_only=True, tag="bundle.read"):
    """A piece of an exported bundle; it is removed when its last piece was read."""

    role: ClassVar[Role] = Role.ADMINISTRATOR
    bundle: BundleName
    offset: Annotated[int, msgspec.Meta(ge=0)]


class WriteBundle(Command, frozen=True, kw_only=True, tag="bundle.write"):
    """A piece of a bundle to be imported; offset 0 begins anew. It changes nothing that is stored."""

    role: ClassVar[Role] = Role.ADMINISTRATOR
    bundle: BundleName
    offset: Annotated[int, msgspec.Meta(ge=0)]
    data: Annotated[bytes, msgspec.Meta(max_length=MAX_PIECE)]


class EnrolFace(Command, frozen=True, kw_only=True, tag="face.enrol"):
    """From pictures, or from a camera: a door's name, or true where only one door has one."""

    role: ClassVar[Role] = Role.CLERK
    kind: ClassVar[Kind] = Kind.RECORD
    person: PersonText
    pictures: Pictures = ()
    camera: Text | bool = False
    seconds: Annotated[float, msgspec.Meta(gt=0, le=60)] = 10.0
    consent: ConsentGiven | None = None
    despite_likeness: bool = False


class RecordConsent(Command, frozen=True, kw_only=True, tag="face.consent"):
    role: ClassVar[Role] = Role.CLERK
    kind: ClassVar[Kind] = Kind.RECORD
    person: PersonText
    consent: ConsentGiven


class ListFaces(Command, frozen=True, kw_only=True, tag="face.list"):
    """Templates of one person, or of all (a page of 1000 at most)."""

    role: ClassVar[Role] = Role.CLERK
    person: Text = ""


class RemoveFaces(Command, frozen=True, kw_only=True, tag="face.remove"):
    """Named templates, or all of hers; with `withdraw_consent` she takes her consent back as well."""

    role: ClassVar[Role] = Role.CLERK
    kind: ClassVar[Kind] = Kind.RECORD
    person: PersonText
    faces: Annotated[tuple[Text, ...], msgspec.Meta(max_length=100)] = ()
    withdraw_consent: bool = False


class TryFace(Command, frozen=True, kw_only=True, tag="face.try"):
    """What a door would say to this face: the two nearest people, their distances, the threshold. Stores nothing."""

    role: ClassVar[Role] = Role.TECHNICIAN
    door: Text = ""
    pictures: Pictures = ()
    camera: Text | bool = False
    seconds: Annotated[float, msgspec.Meta(gt=0, le=60)] = 10.0
