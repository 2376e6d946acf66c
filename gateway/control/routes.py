"""What can be asked: the literal table of paths, and what each answers.

    GET  /v1/status                                    how the box is
    GET  /v1/io                                        all lines (technician)
    GET  /v1/event?after=EPOCH/SEQ&limit=&follow=1     the journal, oldest first; follow: lines of JSON without end
    POST /v1/command/<name>                            run a command; the body's JSON fields are the command's

A list answer is `{"events": [...], "next": "EPOCH/SEQ"}`; `next` is the `after` of the next page. An event's
`id` is its name everywhere, on the box and beyond: BOX/EPOCH/SEQ.
`after=head` starts behind the newest event. A stream that must end says why in its last line: {"error": ...}.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import re
import uuid
from collections.abc import AsyncGenerator, Awaitable, Callable, Mapping
from difflib import get_close_matches
from typing import TYPE_CHECKING, Final, Protocol

import msgspec

from gateway.command import HIGHER, Actor, Command, Role
from gateway.control.answers import NDJSON, Busy, encode, error_body
from gateway.control.connection import Answer, Request
from gateway.errors import BadRequest, LoumenError, N_, NotFound, Refused

if TYPE_CHECKING:
    from gateway.journal.rows import Position, Row

MAX_EVENTS: Final = 1000
MAX_FOLLOWERS: Final = 16
STILL_HERE: Final = 15.0  # seconds between blank lines to one who follows
COMMAND_SECONDS: Final = 300.0
OPEN_WITHIN: Final = 5.0  # seconds that a reader waits for the journal's first event


class Commands(Protocol):
    """The command table (`gateway.commands`)."""

    def types(self) -> Mapping[str, type[Command]]: ...

    async def run(self, command: Command, actor: Actor) -> object: ...


class JournalReader(Protocol):
    """The reading side of the journal (`gateway.journal.store.Journal`)."""

    box: str

    @property
    def head(self) -> Position | None: ...

    async def read(self, after: Position | None, limit: int = 200) -> list[Row]: ...

    async def wait_beyond(self, position: Position | None) -> None: ...


Ask = Callable[[], object]  # a document, or an awaitable of one


class MethodNotAllowed(BadRequest):
    """The path exists, but not for this method."""

    code = "request.method"


class Routes:
    """Answers requests; raises LoumenError, which the connection turns into an answer."""

    def __init__(
        self, commands: Commands, status: Ask, io: Ask | None = None, journal: JournalReader | None = None
    ) -> None:
        self._commands, self._status, self._io, self._journal = commands, status, io, journal
        self._followers = 0
        self._table: dict[str, tuple[str, Role, Callable[[Request], Awaitable[Answer]]]] = {
            "/v1/status": ("GET", Role.CLERK, self._get_status),
            "/v1/io": ("GET", Role.TECHNICIAN, self._get_io),
            "/v1/event": ("GET", Role.CLERK, self._get_event),
            "/v1/command/": ("POST", Role.RESIDENT, self._post_command),
        }

    async def respond(self, request: Request) -> Answer:
        """The answer to `request`."""
        path = "/v1/command/" if request.path.startswith("/v1/command/") else request.path
        if path not in self._table:
            raise NotFound(N_("there is no path {path}"), path=request.path[:200])
        method, role, answer = self._table[path]
        if request.method != method:
            raise MethodNotAllowed(N_("{path} takes {method} only"), path=request.path[:200], method=method)
        if request.role < role:
            raise Refused(N_("this needs the role {needed}"), mend=HIGHER, needed=role.name.lower())
        return await answer(request)

    # --- questions

    async def _get_status(self, _request: Request) -> Answer:
        return Answer(200, encode(await _settled(self._status())) + b"\n")

    async def _get_io(self, _request: Request) -> Answer:
        if self._io is None:
            raise NotFound(N_("this daemon has no lines to show"))
        return Answer(200, encode(await _settled(self._io())) + b"\n")

    async def _get_event(self, request: Request) -> Answer:
        journal = self._journal
        if journal is None:
            raise NotFound(N_("this daemon has no journal to read"))
        await _opened(journal)
        after = _position(request.query.get("after", ""), journal)
        if request.query.get("follow", "0") not in {"", "0", "false"}:
            if self._followers >= MAX_FOLLOWERS:
                raise Busy(N_("too many follow the journal already"), mend=N_("end one of them"))
            await journal.read(after, 1)  # a journal that cannot be read is refused here, with its own status
            return Answer(200, self._follow(journal, after, request), NDJSON)
        rows = await journal.read(after, _limit(request.query.get("limit", "200")))
        last = f"{rows[-1].epoch}/{rows[-1].seq}" if rows else _text(after)
        return Answer(200, encode({"events": [row.document(journal.box) for row in rows], "next": last}) + b"\n")

    async def _follow(
        self, journal: JournalReader, after: Position | None, request: Request
    ) -> AsyncGenerator[bytes, None]:
        self._followers += 1
        left = asyncio.ensure_future(request.left())
        try:
            while not left.done():
                rows = await journal.read(after, 200)
                if rows:
                    after = _at(rows[-1].epoch, rows[-1].seq)
                    yield b"".join(encode(row.document(journal.box)) + b"\n" for row in rows)
                elif not await _more(journal, after, left):
                    yield b"\n"
        except LoumenError as error:  # the head of the answer is gone: the reason is the last line
            yield error_body(error)
        finally:
            self._followers -= 1
            left.cancel()

    # --- orders

    async def _post_command(self, request: Request) -> Answer:
        name = request.path.removeprefix("/v1/command/")
        types = self._commands.types()
        kind = types.get(name)
        if kind is None:
            near = get_close_matches(name[:64], types, n=1)
            mend = N_("did you mean {near}?") if near else ""
            raise NotFound(N_("there is no command {name}"), mend=mend, name=name[:64], near="".join(near))
        command = _command(kind, request.body)
        actor = Actor(
            id=f"uid:{request.peer.uid}",
            role=request.role,
            mouth="cli",
            command_id=_command_id(request),
        )
        try:
            async with asyncio.timeout(COMMAND_SECONDS):
                result = await self._commands.run(command, actor)
        except TimeoutError as error:
            raise Busy(N_("the command {name} took longer than {seconds} s"), name=name, seconds=300) from error
        return Answer(200, encode({} if result is None else result) + b"\n")


async def _settled(value: object) -> object:
    return await value if inspect.isawaitable(value) else value


def _command(kind: type[Command], body: bytearray) -> Command:
    """The command in `body`. Raises BadRequest."""
    try:
        given = msgspec.json.decode(body or b"{}", type=dict[str, msgspec.Raw])
        fields = [field.encode_name for field in msgspec.structs.fields(kind)]
        if unknown := sorted(set(given) - set(fields) - {"command"}):
            near = get_close_matches(unknown[0], fields, n=1)
            raise BadRequest(
                N_("the command {name} has no field {field}"),
                mend=N_("did you mean {near}?") if near else N_("its fields are: {fields}"),
                name=kind.command_name(),
                field=unknown[0],
                near="".join(near),
                fields=", ".join(fields),
            )
        del given
        return msgspec.json.decode(body or b"{}", type=kind)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(
            N_("the command {name} cannot be read: {problem}"), name=kind.command_name(), problem=str(error)[:200]
        ) from error


def _command_id(request: Request) -> str:
    """A key that the client chose makes its repetition the same command; it is its own user's only."""
    key = request.headers.get("idempotency-key", "")
    if not key:
        return f"cli:{uuid.uuid4().hex}"
    if not re.fullmatch(r"[A-Za-z0-9_.-]{8,64}", key):
        raise BadRequest(N_("an Idempotency-Key has 8 to 64 letters, digits, '_', '.' or '-'"))
    return f"cli:{request.peer.uid}:{key}"


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) < 6 and int(text) >= 1):
        raise BadRequest(N_("limit must be a number from 1 to {most}"), most=MAX_EVENTS)
    return min(int(text), MAX_EVENTS)


def _position(text: str, journal: JournalReader) -> Position | None:
    if text == "head":
        return journal.head
    if not text:
        return None
    found = re.fullmatch(r"([0-9a-f]{16})/([0-9]{1,18})", text)
    if not found:
        raise BadRequest(N_("after must be EPOCH/SEQ, head or empty"))
    return _at(found.group(1), int(found.group(2)))


def _at(epoch: str, seq: int) -> Position:
    from gateway.journal.rows import Position

    return Position(epoch, seq)


def _text(position: Position | None) -> str:
    return f"{position.epoch}/{position.seq}" if position is not None else ""


async def _opened(journal: JournalReader) -> None:
    """In the first second of a start nobody knows yet where the head is; the start itself is an event."""
    if journal.head is None:
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(OPEN_WITHIN):
                await journal.wait_beyond(None)


async def _more(journal: JournalReader, after: Position | None, left: asyncio.Future[None]) -> bool:
    """Wait for more events; False where only time passed or the client left."""
    waiting = asyncio.ensure_future(journal.wait_beyond(after))
    try:
        await asyncio.wait((waiting, left), timeout=STILL_HERE, return_when=asyncio.FIRST_COMPLETED)
        return waiting.done()
    finally:
        waiting.cancel()


def refused_user(uid: int) -> LoumenError:
    """What a user without a role is told."""
    return Refused(
        N_("user {uid} has no role on this box"),
        mend=N_("an administrator adds the user's name to [control] in the configuration"),
        uid=uid,
    )
