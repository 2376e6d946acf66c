"""What a capability declares when it declares a command, and the one table that runs them.

    class OpenDoor(Command, frozen=True, kw_only=True, tag="door.open"):
        role: ClassVar[Role] = Role.CLERK
        kind: ClassVar[Kind] = Kind.MOMENTARY
        door: str
        reason: str = ""

What a technician types, what the platform sends and what the desk clicks are the same commands with
the same checks, the same journal record and the same errors. A mouth adds transport and identity
(an `Actor`), nothing else.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import Any, ClassVar

import msgspec

from drivers.errors import N_

#: What whoever has too low a role may do.
HIGHER = N_("use sudo, or let an administrator add your user to [control] in the configuration")
#: How roles are called; the keys stand in the configuration and in the journal.
ROLES = (N_("resident"), N_("clerk"), N_("technician"), N_("administrator"))


class Role(IntEnum):
    """Who may order what; each role may do what the lower ones may, except as a command says."""

    RESIDENT = 0
    CLERK = 1
    TECHNICIAN = 2
    ADMINISTRATOR = 3


class Kind(StrEnum):
    """How a command is kept and recorded."""

    QUERY = "query"  # changes nothing; not recorded
    MOMENTARY = "momentary"  # acts once, expires; its single-use mark is durable before it acts
    MODE = "mode"  # persists until replaced
    RECORD = "record"  # changes stored things (people, faces, ...)


@dataclass(frozen=True, slots=True)
class Actor:
    """Who orders, through which mouth."""

    id: str  # "uid:1000", a platform key id, a desk clerk
    role: Role
    mouth: str  # "cli", "platform", "desk", "homeassistant"
    command_id: str = ""  # unique for ever; made by the mouth where the sender gave none
    expires: str = ""  # UTC with offset; empty where the mouth has no expiry


class Command(msgspec.Struct, frozen=True, kw_only=True, tag_field="command"):
    """The root of all commands; subclasses set `tag`, `role` and `kind`. Unknown fields are refused."""

    role: ClassVar[Role] = Role.TECHNICIAN
    kind: ClassVar[Kind] = Kind.QUERY

    @classmethod
    def command_name(cls) -> str:
        """The tag, e.g. 'door.open'."""
        return str(cls.__struct_config__.tag)


#: A handler answers with anything msgspec can encode as a JSON object; it raises LoumenError to refuse.
Handler = Callable[[Any, Actor], Awaitable[Any]]

MOST_REASON = 200  # characters


def one_line(reason: str) -> str:
    """A person's reason as the journal keeps it: a line, in which nothing moves a terminal's cursor."""
    return "".join(sign if sign.isprintable() else " " for sign in reason[:MOST_REASON])
