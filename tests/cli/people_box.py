"""A box with a directory behind a control socket, in a thread of its own, for the blocking command line."""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import threading
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path

from gateway.command import Actor, Command, Handler
from gateway.config.schema import Control
from gateway.control.server import ControlServer
from tests.directory.house import TestIdentity, TestVision, opened, service


@dataclass
class People:
    """The command table: the directory's own handlers."""

    handlers: Mapping[type[Command], Handler]
    actors: list[Actor] = field(default_factory=list)

    def types(self) -> Mapping[str, type[Command]]:
        return {kind.command_name(): kind for kind in self.handlers}

    async def run(self, command: Command, actor: Actor) -> object:
        self.actors.append(actor)
        return await self.handlers[type(command)](command, actor)


@contextlib.contextmanager
def box(folder: Path, vision: TestVision, identity: TestIdentity | None = None) -> Iterator[Path]:
    """Yields the socket's path; on leaving everything is closed."""
    ready = threading.Event()
    failed: list[BaseException] = []
    ends: list[tuple[asyncio.AbstractEventLoop, asyncio.Event]] = []
    socket = folder / "s"

    async def scenario() -> None:
        end = asyncio.Event()
        ends.append((asyncio.get_running_loop(), end))
        async with opened(folder / "state") as house:
            people = People(service(house, vision, folder / "run", identity).handlers())
            control = Control(administrators=(getpass.getuser(),))
            server = ControlServer(socket, people, control, dict)
            serving = asyncio.create_task(server.run())
            await server.listening.wait()
            ready.set()
            await end.wait()
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    def body() -> None:
        try:
            asyncio.run(scenario())
        except BaseException as error:  # noqa: BLE001  (handed to the test below)
            failed.append(error)
        finally:
            ready.set()

    thread = threading.Thread(target=body)
    thread.start()
    assert ready.wait(20)
    try:
        if not failed:
            yield socket
    finally:
        loop, end = ends[0]
        if thread.is_alive():
            loop.call_soon_threadsafe(end.set)
        thread.join(20)
    if failed:
        raise failed[0]
