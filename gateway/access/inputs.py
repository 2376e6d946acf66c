"""What the wires of a door mean: its queues, and from a level to an input."""

from __future__ import annotations

from collections.abc import Callable

from gateway import wire
from gateway.access.rules.door import (
    Contact,
    ExitButton,
    Fire,
    Given,
)
from gateway.config import schema
from gateway.lines import Lines
from gateway.machine import LineFault
from gateway.wire import Meaning

#: The door's queues, the most urgent first: how many inputs each may have waiting.
SOURCES = {"fire": 8, "exit": 8, "contact": 16, "line": 8, "command": 16, "vision": 4, "tick": 1}

MEANINGS: dict[str, Meaning[Given]] = {
    "fire": Meaning("fire", Fire),
    "exit_button": Meaning("exit", ExitButton),
    "contact": Meaning("contact", lambda closed: Contact(not closed), Contact(None)),
}


def wire_of(
    door: str, name: str, conf: schema.Input, lines: Lines, put: Callable[[str, Given], bool]
) -> wire.Wire[Given]:
    """The door's input line `name`."""
    return wire.Wire(door, name, conf, lines, MEANINGS[name], put, LineFault)
