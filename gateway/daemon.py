"""The one module that knows all the services: configuration -> drivers -> doors -> ready -> the rest.

Order of a start
    the state folder's lock, doors and lanes (outputs claimed at rest, machines turning), READY; only then
    the services are imported (in a thread: doors turn meanwhile), and the journal's files, the directory,
    vision, the control socket and the uplink begin, each supervised and each free to fail alone.
    Nothing a door needs waits for a disk, a network or a model. What doors tell before the journal is
    there waits in a list.

Order of a stop
    grants refused, outputs at rest (an arm that falls is raised first), the journal drained (2 s),
    databases closed (an open one would hold the process), the uplink (1 s), exit.

The watchdog is fed only while every door's and every lane's machine really turns.
"""

from __future__ import annotations

import asyncio
import gc
import logging
import os
import signal
import sys
import time
from collections.abc import Awaitable, Callable
from importlib import import_module
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from drivers.registry import Drivers
from gateway import __version__, standing
from gateway.access.answers import Doors
from gateway.access.decision import NOBODY, Snapshot
from gateway.access.rules.lock import Mode
from gateway.access.service import TICK, DoorService
from gateway.clock import SystemClock
from gateway.config.last_good import Chosen, choose
from gateway.daemon_events import DaemonStarted, DaemonStopped
from gateway.errors import N_, StateUnusable
from gateway.io.service import IoService
from gateway.journal.event import Event
from gateway.lines import Lines
from gateway.notify import notify, watchdog_seconds
from gateway.pins import FILE as PINS
from gateway.pins import write_pins
from gateway.state_lock import StateLock
from gateway.supervisor import Life, supervise
from gateway.vision.protocol import Candidates, PlateRead, Presence

if TYPE_CHECKING:
    from gateway.lanes.answers import Lanes
    from gateway.lanes.service import LaneService
    from gateway.services import Services

log = logging.getLogger("loumen")

TURN_WITHIN = 5 * TICK  # a door that did not turn for so long is hung: systemd may start us again


def main(config: Path) -> int:
    """Run until SIGTERM or SIGINT; 0 after an orderly stop. Raises LoumenError where it cannot start."""
    logging.basicConfig(
        level=os.environ.get("LOUMEN_LOG", "INFO"), stream=sys.stderr, format="%(levelname)s %(name)s: %(message)s"
    )
    return asyncio.run(Daemon(choose(config), config, _process_began()).run())


def _process_began() -> float:
    """When this process started, monotonic seconds: the interpreter's and the imports' time counts too (proc(5))."""
    after_name = Path("/proc/self/stat").read_text().rpartition(")")[2].split()
    started = int(after_name[19]) / os.sysconf("SC_CLK_TCK")
    return time.monotonic() - (time.clock_gettime(time.CLOCK_BOOTTIME) - started)


class Daemon:
    """One box."""

    def __init__(self, chosen: Chosen, config_path: Path, began: float) -> None:
        self.chosen, self.config, self.config_path = chosen, chosen.config, config_path
        self.began = began
        self.started_at = ""
        self.ready_seconds = 0.0
        self.state, self.run_dir = Path(self.config.box.state), Path(self.config.box.run)
        self.clock = SystemClock(ZoneInfo(self.config.site.timezone))
        self.drivers = Drivers()
        self.lines = Lines(self.drivers)
        self.people: dict[str, int] = {}  # door -> how many its gallery holds
        self.doors: dict[str, DoorService] = {}
        self.door_answers = Doors(self.doors, self.state / "doors.json", self.clock, self.people)
        self.lanes: dict[str, LaneService] = {}
        self.lane_answers: Lanes | None = None  # where lanes are configured
        self.io_answers = IoService(self.lines)
        self.lives: dict[str, Life] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._stopping = asyncio.Event()
        self._signal = ""
        self._lock = StateLock(self.state)
        self._own_folders()
        self._services: Services | None = None
        self._early: list[Event] = []

    def _own_folders(self) -> None:
        """Raises StateBusy, StateUnusable. A disk that is broken or full keeps no door from its work."""
        for folder, take in ((self.state, self._lock.acquire), (self.run_dir, self._make_run_dir)):
            try:
                take()
            except PermissionError as error:
                raise StateUnusable(
                    N_("{path} may not be used by this user"),
                    mend=N_(
                        "start it by systemd (systemctl start loumen) or with sudo; else look at the folder's owner"
                    ),
                    path=error.filename or str(folder),
                ) from error
            except OSError as error:
                log.error("%s cannot be used: %s; doors work, nothing is remembered", folder, error.strerror)

    def _make_run_dir(self) -> None:
        self.run_dir.mkdir(parents=True, exist_ok=True)

    async def run(self) -> int:
        """Start, live, stop."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(number, self.ask_to_stop, number.name)
        self._start_doors()
        if self.config.lane:
            self._start_lanes()
        self._write_pins()
        self.lines.claimed = self._write_pins  # a lock that was busy at the start must be known to safe-state too
        notify("READY=1\nSTATUS=doors are ready")
        self.ready_seconds = round(time.monotonic() - self.began, 3)
        self.started_at = self.clock.now().wall.isoformat()
        self.note(DaemonStarted(version=__version__, config=self.chosen.source, ready_seconds=self.ready_seconds))
        log.info("doors ready after %.3f s: %s", self.ready_seconds, ", ".join(self.doors) or "none")
        self.supervise("watchdog", self._feed_watchdog)
        services = await self._begin_services()
        await self._stopping.wait()
        await self._stop(services)
        return 0

    async def _begin_services(self) -> Services:
        module = await asyncio.to_thread(import_module, "gateway.services")
        services: Services = module.Services(self)
        self._services = services
        for event in self._early:
            services.journal.note(event)
        self._early.clear()
        services.begin()
        gc.freeze()  # see main()
        gc.enable()
        return services

    def note(self, event: Event) -> None:
        """Tell the journal; never waits."""
        if self._services is None:
            self._early.append(event)
        else:
            self._services.journal.note(event)

    def ask_to_stop(self, why: str) -> None:
        self._signal = self._signal or why
        self._stopping.set()

    def supervise(
        self, name: str, service: Callable[[], Awaitable[None]], make_safe: Callable[[], None] = lambda: None
    ) -> None:
        """Keep a service alive under its name."""
        life = self.lives.setdefault(name, Life(name))
        self._tasks[name] = asyncio.create_task(supervise(life, service, self.note, self.clock, make_safe), name=name)

    # --- doors

    def _start_doors(self) -> None:
        orders = standing.load(self.state / "doors.json", Mode)
        for name, config in self.config.door.items():
            self.doors[name] = DoorService(
                name,
                config,
                self.lines,
                self.note,
                self.clock,
                self.snapshot,
                orders.get(name, Mode.NORMAL),
                self.config.vision.pooled_frames,
            )
        for door in self.doors.values():
            door.start()
        for name, door in self.doors.items():
            self.supervise(f"door.{name}", door.run, door.make_safe)

    def _start_lanes(self) -> None:
        """A box without lanes does not pay for them."""
        from gateway.lanes.answers import Lanes
        from gateway.lanes.register import EMPTY
        from gateway.lanes.rules.inputs import Mode as LaneMode
        from gateway.lanes.service import LaneService

        path = self.state / "lanes.json"
        orders = standing.load(path, LaneMode)
        for name, config in self.config.lane.items():
            self.lanes[name] = LaneService(
                name,
                config,
                self.lines,
                self.note,
                self.clock,
                lambda: EMPTY if self._services is None else self._services.plates(),
                orders.get(name, LaneMode.NORMAL),
                lambda person: None if self._services is None else self._services.owner(person),
            )
        self.lane_answers = Lanes(self.lanes, path, self.clock)
        for name, lane in self.lanes.items():
            lane.start()
            self.supervise(f"lane.{name}", lane.run, lane.make_safe)

    def _write_pins(self) -> None:
        outputs = [(held.driver, held.line.spec) for held in self.lines.outputs.values()]
        try:
            write_pins(self.run_dir / PINS, outputs)
        except OSError as error:
            log.error("%s could not be written: %s; 'loumen safe-state' will not know the pins", PINS, error)

    def snapshot(self) -> Snapshot:
        """Who may pass, as the directory says at this moment; nobody before it is there."""
        return NOBODY if self._services is None else self._services.directory.snapshot

    def candidates(self, seen: Candidates) -> None:
        """A face before a door's camera."""
        door = self.doors.get(seen.door)
        if door is not None:
            door.candidates(seen)

    def presence(self, seen: Presence) -> None:
        """Somebody before a camera: every door that looks through it."""
        for door in self.doors.values():
            if door.config.camera == seen.camera:
                door.presence(seen)

    def plate(self, seen: PlateRead) -> None:
        """A plate before a lane's camera."""
        lane = self.lanes.get(seen.lane)
        if lane is not None:
            lane.plate(seen)

    async def _feed_watchdog(self) -> None:
        every = (watchdog_seconds() or 10.0) / 3
        while True:
            now = self.clock.now().mono
            turns = {f"door {door.id}": door.last_turn for door in self.doors.values()}
            turns |= {f"lane {lane.id}": lane.last_turn for lane in self.lanes.values()}
            hung = [name for name, turned in turns.items() if now - turned > TURN_WITHIN]
            if hung:
                log.error("these do not turn: %s", ", ".join(hung))
            else:
                notify("WATCHDOG=1")
            await asyncio.sleep(every)

    # --- stop

    async def _stop(self, services: Services) -> None:
        log.info("stopping: %s", self._signal)
        notify("STOPPING=1")
        services.commands.stopping = True
        for door in self.doors.values():
            door.stop()
        for lane in self.lanes.values():
            lane.stop()
        self.note(DaemonStopped(signal=self._signal))
        for name, task in self._tasks.items():
            if name != "uplink":
                task.cancel()
        await asyncio.gather(*(task for name, task in self._tasks.items() if name != "uplink"), return_exceptions=True)
        for door in self.doors.values():
            door.stop()  # once more: a machine under way may have moved a line until it was cancelled
        await asyncio.gather(*(lane.quiet() for lane in self.lanes.values()))
        await services.end(self._tasks.get("uplink"))
        self.drivers.close()
        self._lock.release()
