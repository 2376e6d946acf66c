"""A real vision client with real processes behind it, in a temporary run folder."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cv2

from gateway.clock import SystemClock
from gateway.config import schema
from gateway.journal.event import Event
from gateway.vision.client import VisionClient
from gateway.vision.engine import Frame
from gateway.vision.protocol import Candidates, Presence

DOUBLE = (sys.executable, "-m", "tests.vision.double_worker")
SIMULATED = schema.SimulatedOutput(line=1)
IN_TIME = 20.0  # seconds; generous, the machine may be busy


def door(camera: str | None = "porch") -> schema.Door:
    return schema.Door(name="a door", lock=schema.Lock(output=SIMULATED), camera=camera)


@dataclass
class Heard:
    """What came out of the client, and a way to wait for it."""

    candidates: list[Candidates] = field(default_factory=list)
    presence: list[Presence] = field(default_factory=list)
    events: list[Event] = field(default_factory=list)
    changed: asyncio.Event = field(default_factory=asyncio.Event)

    def add(self, to: list[Any]) -> Callable[[Any], None]:
        def added(thing: Any) -> None:
            to.append(thing)
            self.changed.set()

        return added

    def kinds(self) -> list[str]:
        return [event.type_name() for event in self.events]


def put(folder: Path, name: str, picture: Frame) -> Path:
    """A picture appears whole in a folder."""
    unfinished = folder / f".{name}.png"
    cv2.imwrite(str(unfinished), picture)
    return unfinished.rename(folder / f"{name}.png")


async def until(condition: Callable[[], bool], heard: Heard | None = None, within: float = IN_TIME) -> None:
    """Wait for a condition: woken by what is heard, and looked at ten times a second for what tells nobody."""
    async with asyncio.timeout(within):
        while not condition():
            if heard is None:
                await asyncio.sleep(0.1)
                continue
            heard.changed.clear()
            with suppress(TimeoutError):
                async with asyncio.timeout(0.1):
                    await heard.changed.wait()


@asynccontextmanager
async def running(
    tmp_path: Path,
    *,
    worker: tuple[str, ...] = DOUBLE,
    cameras: dict[str, schema.Camera] | None = None,
    vision: schema.Vision | None = None,
    silent: float = 3.0,
) -> AsyncIterator[tuple[VisionClient, Heard]]:
    """A client that runs, and what it says. One camera 'porch', a folder of that name; one door 'front'."""
    (tmp_path / "porch").mkdir(exist_ok=True)
    heard = Heard()
    client = VisionClient(
        vision or schema.Vision(),
        cameras or {"porch": schema.FolderCamera(path=str(tmp_path / "porch"), fps=20)},
        {"front": door()},
        tmp_path / "run",
        SystemClock(),
        on_candidates=heard.add(heard.candidates),
        on_presence=heard.add(heard.presence),
        note=heard.add(heard.events),
        worker=worker,
        silent=silent,
    )
    task = asyncio.create_task(client.run())
    try:
        yield client, heard
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
