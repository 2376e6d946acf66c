"""What a capability declares when it declares an event.

    class DoorOpened(Event, frozen=True, kw_only=True, tag="door.opened.v1"):
        importance: ClassVar[Importance] = Importance.ACCESS
        door: str
        ...

The tag is the type on disk and on the wire; it carries a major version. Within a version fields are
only added, with defaults; readers ignore unknown fields and keep unknown types as they came.
Events hold random person ids, never names, faces, PINs or keys.
"""

from __future__ import annotations

from enum import IntEnum
from typing import ClassVar

import msgspec


class Importance(IntEnum):
    """The declared order of kinds: when the queue or the disk is full, the lowest goes first."""

    CHATTER = 0  # indicators, health
    NOTICE = 1  # service restarts, configuration
    ACCESS = 2  # who passed, who was refused
    COMMAND = 3  # what a person ordered
    ALARM = 4  # forced door, fire, leak, SOS
    RECORD = 5  # gaps, drops, epochs: what makes the journal itself believable


class Event(msgspec.Struct, frozen=True, kw_only=True, tag_field="type"):
    """The root of all events; subclasses set `tag` and, where it differs, `importance`."""

    importance: ClassVar[Importance] = Importance.NOTICE
    #: Seconds that it may wait for company on its way to the disk: a lone event costs the disk as much as a hundred.
    #: Only for what follows from an event that is there already, and about which nobody is told before.
    patience: ClassVar[float] = 0.0

    @classmethod
    def type_name(cls) -> str:
        """The tag, e.g. 'door.opened.v1'."""
        return str(cls.__struct_config__.tag)
