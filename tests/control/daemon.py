"""A control server in a thread of its own, for clients that block as the CLI does."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import ClassVar

import msgspec

from gateway.command import Actor, Command, Kind, Role
from gateway.config.schema import Control
from gateway.control.connection import Limits
from gateway.control.routes import JournalReader
from gateway.control.server import ControlServer
from gateway.errors import AlreadyUsed, JournalDown, N_, NotFound, Refused


class Open(Command, frozen=True, kw_only=True, tag="door.open"):
    role: ClassVar[Role] = Role.CLERK
    kind: ClassVar[Kind] = Kind.MOMENTARY
    door: str
    reason: str = ""


class Picture(Command, frozen=True, kw_only=True, tag="face.try"):
    picture: bytes


class Wrong(Command, frozen=True, kw_only=True, tag="wrong"):
    """Meets a bug."""


class Table:
    """Remembers what it was asked."""

    def __init__(self) -> None:
        self.ran: list[tuple[Command, Actor]] = []

    def types(self) -> Mapping[str, type[Command]]:
        return {kind.command_name(): kind for kind in (Open, Picture, Wrong)}

    async def run(self, command: Command, actor: Actor) -> object:
        self.ran.append((command, actor))
        match command:
            case Open(door="gone"):
                raise NotFound(N_("there is no door {door}"), mend="did you mean {near}?", door="gone", near="east")
            case Open(door="used"):
                raise AlreadyUsed("this command was used before")
            case Open(door="down"):
                raise JournalDown("journal down: use a card")
            case Open(door="locked"):
                raise Refused("the door is locked down")
            case Open():
                return {"opened": True}
            case Picture():
                return {"size": len(command.picture)}
        raise ZeroDivisionError("a bug")


@contextlib.contextmanager
def serving(
    path: Path,
    *,
    table: Table | None = None,
    config: Control | None = None,
    status: Mapping[str, object] | None = None,
    journal: JournalReader | None = None,
    limits: Limits | None = None,
) -> Iterator[ControlServer]:
    """A listening server; on leaving it has ended and its socket is gone."""
    ready, failed = threading.Event(), list[BaseException]()
    server = ControlServer(
        path,
        table or Table(),
        config or Control(),
        lambda: dict(status or {"box": "east"}),
        io=lambda: {"lines": []},
        journal=journal,
        limits=limits,
    )
    loops: list[tuple[asyncio.AbstractEventLoop, asyncio.Task[None]]] = []

    async def scenario() -> None:
        task = asyncio.create_task(server.run())
        loops.append((asyncio.get_running_loop(), task))
        listening = asyncio.create_task(server.listening.wait())
        await asyncio.wait({task, listening}, return_when=asyncio.FIRST_COMPLETED)
        if task.done():
            await task
        ready.set()
        with contextlib.suppress(asyncio.CancelledError):
            await task

    def body() -> None:
        try:
            asyncio.run(scenario())
        except BaseException as error:  # noqa: BLE001  (handed to the test below)
            failed.append(error)
            ready.set()

    thread = threading.Thread(target=body)
    thread.start()
    assert ready.wait(10)
    try:
        if failed:
            raise failed[0]
        yield server
    finally:
        loop, task = loops[0]
        if thread.is_alive():
            loop.call_soon_threadsafe(task.cancel)
        thread.join(10)
        assert not thread.is_alive()


def decoded(body: bytes) -> object:
    return msgspec.json.decode(body)
