"""The vision process: `python -m gateway.vision.worker --socket PATH --group NAME --settings FILE`.

Theory of operation
    One event loop does everything in turn: a frame of each camera, messages, one heartbeat a second.
    So a computation that hangs stops the heartbeat and the life sign, and whoever watches kills the
    process. Only reading a camera, which may wait, happens in threads.

    The worker needs the daemon only to have somebody to tell: it connects when the daemon is there,
    and again when it comes back. It ends by itself above its ceiling of memory, when the daemon sends
    what is no message, or has other settings; each has its exit code (`protocol.Exit`).
"""

from __future__ import annotations

import argparse
import asyncio
import itertools
import logging
import os
import sys
import time
from collections.abc import AsyncIterator, Callable, Coroutine, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec

from drivers import registry
from drivers.errors import CameraGone, LoumenError
from drivers.interfaces import CameraDriver
from gateway import __version__
from gateway.config import schema
from gateway.vision import process, protocol
from gateway.vision.link import Finished, Link
from gateway.vision.observe import Health, ended
from gateway.vision.part import FacePart, Part
from gateway.vision.protocol import Enrol, Exit, Gallery, Hello
from gateway.vision.settings import Settings, read

if TYPE_CHECKING:
    from drivers.interfaces import Frame

REOPEN_FIRST, REOPEN_LONGEST = 0.5, 10.0  # seconds before a camera that failed is tried again
log = logging.getLogger("loumen.vision")


def open_camera(settings: schema.Camera) -> CameraDriver:
    """The driver of one camera."""
    driver = registry.camera(str(settings.__struct_config__.tag))
    made: CameraDriver = driver(**msgspec.structs.asdict(settings))
    return made


class Worker:
    """One process's cameras, what it computes, and its link."""

    def __init__(self, settings: Settings, digest: str, socket: Path, part: Part) -> None:
        self._settings, self._part = settings, part
        self._tasks: asyncio.TaskGroup | None = None
        self._answering: set[asyncio.Task[None]] = set()
        self._taps: dict[str, set[asyncio.Queue[Frame]]] = {name: set() for name in settings.cameras}
        hello = Hello(
            protocol=protocol.PROTOCOL,
            group=settings.group,
            version=__version__,
            engine=part.engine,
            detector=part.detector,
            models=dict(part.models),
            pid=os.getpid(),
        )
        self._link = Link(socket, hello, digest, self._heard, self._lost)
        numbers = itertools.count(int(time.monotonic() * 1000))  # a track's number is not used again after a restart
        self._health = {
            name: Health(name, live=isinstance(conf, schema.V4l2Camera | schema.RtspCamera))
            for name, conf in settings.cameras.items()
        }
        self._eyes = {name: part.eye(name, self._link.outbox.put, numbers) for name in settings.cameras}
        self._threads = ThreadPoolExecutor(max_workers=max(1, len(settings.cameras)), thread_name_prefix="read")

    async def run(self) -> None:
        """Until cancelled. Raises Finished."""
        process.notify("READY=1")
        try:
            async with asyncio.TaskGroup() as tasks:
                self._tasks = tasks
                tasks.create_task(self._link.run())
                tasks.create_task(self._beat())
                for name, conf in self._settings.cameras.items():
                    tasks.create_task(self._watch(name, conf))
        except BaseExceptionGroup as group:  # not `except*`: Python 3.11.2, Debian 12's, wraps what it raises anew
            finished = group.subgroup(Finished)
            if finished is None:
                raise
            raise _first(finished) from None

    # --- cameras

    async def _watch(self, name: str, conf: schema.Camera) -> None:
        loop, health, eye = asyncio.get_running_loop(), self._health[name], self._eyes[name]
        driver, pause = open_camera(conf), REOPEN_FIRST
        while True:
            try:
                frame = await loop.run_in_executor(self._threads, driver.read)
            except CameraGone as gone:
                health.failed(gone, time.monotonic(), shown_for=pause + 10)
                await asyncio.sleep(pause)
                pause = min(pause * 2, REOPEN_LONGEST)
                continue
            if frame is None:
                health.failed(ended(), time.monotonic(), shown_for=float("inf"))
                return
            pause, now = REOPEN_FIRST, time.monotonic()
            eye.see(frame, now)
            health.saw(now, eye.watch.frozen_for(now))
            for tap in self._taps[name]:
                if not tap.full():
                    tap.put_nowait(frame)
            await asyncio.sleep(max(0.001, eye.pause(now) - (time.monotonic() - now)))

    async def _frames(self, camera: str, seconds: float) -> AsyncIterator[Frame]:
        """A camera's frames for so long."""
        tap: asyncio.Queue[Frame] = asyncio.Queue(maxsize=1)
        taps = self._taps.get(camera)
        if taps is None:
            return
        taps.add(tap)
        try:
            async with asyncio.timeout(seconds):
                while True:
                    yield await tap.get()
        except TimeoutError:
            return
        finally:
            taps.discard(tap)

    # --- the daemon

    def _heard(self, message: Gallery | Enrol) -> None:
        answer = self._part.hear(message, self._frames)
        if answer is None:
            return
        assert self._tasks is not None
        task = self._tasks.create_task(self._tell(answer))  # a picture that breaks the engine ends the worker
        self._answering.add(task)
        task.add_done_callback(self._answering.discard)

    def _lost(self) -> None:
        self._part.forget()
        for task in self._answering:
            task.cancel()

    async def _tell(self, answer: Coroutine[None, None, protocol.Message]) -> None:
        self._link.outbox.put(await answer)

    async def _beat(self) -> None:
        ceiling = self._settings.vision.ceiling_mb * 1024
        while True:
            resident, now = process.resident_kb(), time.monotonic()
            if resident > ceiling:
                raise Finished(Exit.CEILING, f"{resident // 1024} MB are more than {ceiling // 1024} MB")
            process.notify("WATCHDOG=1")
            if self._link.connected:
                cameras = tuple(health.tell(now) for health in self._health.values())
                self._link.outbox.put(self._part.heartbeat(cameras, resident))
            await asyncio.sleep(protocol.HEARTBEAT)


def _first(group: BaseExceptionGroup[Finished]) -> Finished:
    error: BaseException = group
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    assert isinstance(error, Finished)
    return error


def load_part(settings: Settings) -> Part:
    """What this group computes. Imported here: a worker that cannot read its settings needs none of it."""
    if settings.lanes:
        process.give_memory_back()
        from gateway.vision import plates
        from gateway.vision.plates.part import PlatePart

        return PlatePart(settings, plates.load())
    from gateway.vision.computing import load

    return FacePart(settings, load(settings))


def main(argv: Sequence[str] | None = None, load: Callable[[Settings], Part] = load_part) -> Exit:
    """Run until finished; returns the exit code."""
    arguments = _arguments(argv)
    logging.basicConfig(level=logging.INFO, format="vision: %(message)s", stream=sys.stderr)
    if not process.die_with_parent():
        return Exit.DONE
    process.go_first_when_memory_is_short()
    try:
        settings, digest = read(arguments.settings)
    except LoumenError as error:
        log.error("%s", error.render())
        return Exit.SETTINGS
    if settings.group != arguments.group:
        log.error("these are the settings of group %s, not of %s", settings.group, arguments.group)
        return Exit.SETTINGS
    try:
        part = load(settings)
    except LoumenError as error:
        log.error("%s", error.render())
        return Exit.MODELS
    try:
        asyncio.run(Worker(settings, digest, Path(arguments.socket), part).run())
    except Finished as finished:
        log.warning("ends: %s", finished)
        return finished.code
    except KeyboardInterrupt:
        pass
    return Exit.DONE


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m gateway.vision.worker")
    parser.add_argument("--socket", required=True, help="the daemon's vision socket")
    parser.add_argument("--group", required=True)
    parser.add_argument("--settings", required=True, help="a file, or the JSON itself")
    return parser.parse_args(argv)


if __name__ == "__main__":
    code = main()
    sys.stderr.flush()
    os._exit(code)  # a camera's thread may hang in its device; the process must not
