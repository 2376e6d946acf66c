"""The one command table: the same checks, record and errors for every mouth.

Order of a command: its fields are read, the role is checked, then
    a QUERY runs and leaves no trace;
    a MOMENTARY one is marked as used, durably and within MARK_WITHIN, before it acts (else refused:
    'journal down: open it on the spot'), and only then moves anything;
    MODE and RECORD act, having their own durability (standing.py, the directory).
What happened is then recorded with actor, role, reason and result.
"""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any, ClassVar

import msgspec

from gateway.clock import Clock
from gateway.command import HIGHER, Actor, Command, Handler, Kind, one_line
from gateway.errors import BadRequest, LoumenError, N_, NotFound, Refused
from gateway.journal.event import Event, Importance
from gateway.journal.store import Journal

MARK_WITHIN = 0.3  # seconds; longer, and the person at the door has turned away
MOMENT = timedelta(minutes=10)  # how long the mark of a command without an expiry is kept


class CommandAccepted(Event, frozen=True, kw_only=True, tag="command.accepted.v1"):
    """A momentary command was marked as used; it acts next."""

    importance: ClassVar[Importance] = Importance.COMMAND
    command: str
    command_id: str
    actor: str
    role: str
    mouth: str


class CommandDone(Event, frozen=True, kw_only=True, tag="command.done.v1"):
    """What came of a command. `result` is 'done' or an error's code; never its fields, they may be personal."""

    importance: ClassVar[Importance] = Importance.COMMAND
    command: str
    command_id: str
    actor: str
    role: str
    mouth: str
    result: str
    reason: str = ""


EVENTS: tuple[type[Event], ...] = (CommandAccepted, CommandDone)


class Commands:
    """Every command of this daemon, by name."""

    def __init__(self, journal: Journal, clock: Clock) -> None:
        self._journal, self._clock = journal, clock
        self._handlers: dict[type[Command], Handler] = {}
        self._types: dict[str, type[Command]] = {}
        self.stopping = False

    def declare(self, handlers: Mapping[type[Command], Handler]) -> None:
        """Add a capability's commands. Raises ValueError on a name that is taken: a clash is a bug."""
        for kind, handler in handlers.items():
            if kind.command_name() in self._types:
                raise ValueError(f"two commands are called {kind.command_name()}")
            self._types[kind.command_name()], self._handlers[kind] = kind, handler

    def types(self) -> Mapping[str, type[Command]]:
        """Name -> type."""
        return self._types

    def read(self, name: str, fields: bytes) -> Command:
        """The command `name` from the JSON object `fields`. Raises NotFound, BadRequest."""
        kind = self._types.get(name)
        if kind is None:
            raise NotFound(N_("there is no command {command}"), command=name)
        try:
            given: Any = msgspec.json.decode(fields) if fields.strip() else {}
            if not isinstance(given, dict) or given.get("command", name) != name:
                raise BadRequest(N_("the fields of {command} must be one JSON object"), command=name)
            return msgspec.convert({**given, "command": name}, kind)
        except (msgspec.MsgspecError, UnicodeError, RecursionError) as error:
            raise BadRequest(N_("{command}: {problem}"), command=name, problem=str(error)) from error

    async def run(self, command: Command, actor: Actor) -> Any:
        """Run one command for one actor; what its handler answers. Raises LoumenError."""
        handler = self._handlers.get(type(command))
        if handler is None:
            raise NotFound(N_("there is no command {command}"), command=command.command_name())
        if actor.role < command.role:
            self._note(command, actor, "refused")
            raise Refused(
                N_("{command} needs the role {needed}; you have {have}"),
                mend=HIGHER,
                command=command.command_name(),
                needed=command.role.name.lower(),
                have=actor.role.name.lower(),
            )
        if command.kind is Kind.QUERY:
            return await handler(command, actor)
        if self.stopping:
            raise Refused(N_("the daemon is stopping"))
        actor = actor if actor.command_id else replace(actor, command_id=str(uuid.uuid4()))
        if command.kind is Kind.MOMENTARY or actor.mouth != "cli":
            await self._mark(command, actor)
        try:
            result = await handler(command, actor)
        except LoumenError as error:
            self._note(command, actor, error.code)
            raise
        self._note(command, actor, "done")
        return result

    async def _mark(self, command: Command, actor: Actor) -> None:
        """Make the single use durable before anything moves. Raises AlreadyUsed, JournalDown."""
        accepted = CommandAccepted(
            command=command.command_name(),
            command_id=actor.command_id,
            actor=actor.id,
            role=actor.role.name.lower(),
            mouth=actor.mouth,
        )
        expires = actor.expires or (self._clock.now().wall + MOMENT).isoformat()
        await self._journal.record(accepted, once=actor.command_id, expires=expires, within=MARK_WITHIN)

    def _note(self, command: Command, actor: Actor, result: str) -> None:
        self._journal.note(
            CommandDone(
                command=command.command_name(),
                command_id=actor.command_id,
                actor=actor.id,
                role=actor.role.name.lower(),
                mouth=actor.mouth,
                result=result,
                reason=one_line(str(getattr(command, "reason", ""))),
            )
        )
