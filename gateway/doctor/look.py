"""What every check is given, and what it answers."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from gateway.config import schema
from gateway.config.load import Loaded, load
from gateway.config.machine import Inspect
from gateway.config.mistakes import ConfigMistakes
from gateway.config.places import places
from gateway.control.client import Client
from gateway.control.status import Status, decode
from gateway.errors import LoumenError

Grade = Literal["ok", "warn", "fail", "skip"]


@dataclass(frozen=True, slots=True)
class Detail:
    """One of several things that a check found: which, what and its mend, as message ids with facts."""

    name: str
    what: str
    mend: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Outcome:
    """One check's answer. `what` and `mend` are message ids with places for `facts`."""

    grade: Grade
    what: str
    mend: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    details: tuple[Detail, ...] = ()


@dataclass(frozen=True, slots=True)
class Look:
    """The box as it stands. `status` and `lines` are None where no daemon answers."""

    path: Path
    state: Path
    run: Path
    inspect: Inspect
    loaded: Loaded | None = None
    mistakes: ConfigMistakes | None = None
    status: Status | None = None
    lines: tuple[dict[str, Any], ...] | None = None

    @property
    def config(self) -> schema.Gateway | None:
        return self.loaded.config if self.loaded else None


def look(path: Path, client: Client, inspect: Inspect) -> Look:
    """Read the file and ask the daemon, as far as both answer."""
    loaded, mistakes = None, None
    try:
        loaded = load(path)
    except ConfigMistakes as error:
        mistakes = error
    status, lines = None, None
    try:
        status = decode(client.status(5.0))
        lines = tuple(client.get("/v1/io", 5.0).get("lines", ()))
    except (LoumenError, ValueError):
        pass  # no daemon, or one that does not answer: everything is looked at directly
    found = places(path)
    return Look(path, found.state, found.run, inspect, loaded, mistakes, status, lines)


def ok(what: str, **facts: object) -> Outcome:
    return Outcome("ok", what, "", facts)


def warn(what: str, mend: str, **facts: object) -> Outcome:
    return Outcome("warn", what, mend, facts)


def fail(what: str, mend: str, *, details: Iterable[Detail] = (), **facts: object) -> Outcome:
    return Outcome("fail", what, mend, facts, tuple(details))


def skip(what: str, **facts: object) -> Outcome:
    return Outcome("skip", what, "", facts)
