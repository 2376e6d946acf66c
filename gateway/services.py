"""Everything but the doors: made before them (nothing here touches a database until `begin`), begun after READY.

Each is supervised and fails alone. The order of the end is the reverse of need: who writes events
first, the journal's files last.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import uuid
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.command import Actor, Role
from gateway.commands import Commands
from gateway.config import last_good
from gateway.config.service import ConfigService
from gateway.control.server import ControlServer
from gateway.directory.people import People
from gateway.directory.service import DirectoryService
from gateway.directory.snapshot import PersonRights
from gateway.directory.store import Directory
from gateway.errors import LoumenError, RegisterDown
from gateway.galleries import keep_galleries
from gateway.identity import Box
from gateway.journal.commands import JournalService
from gateway.journal.store import Journal
from gateway.measurements import Measurements
from gateway.notify import notify
from gateway.report import Reporter, resident_kb
from gateway.trust import TrustWatcher
from gateway.uplink.envelope import VerifiedCommand
from gateway.uplink.messages import Reply, ReplyError
from gateway.uplink.mqtt import MARK_RECEIVED, MARK_SENT, MqttUplink
from gateway.vision.client import VisionClient
from gateway.vision.protocol import Candidates
from gateway.written import Written

if TYPE_CHECKING:
    from gateway.daemon import Daemon
    from gateway.lanes.plate_answers import Plates
    from gateway.lanes.register import Register
    from gateway.lanes.store import RegisterStore
    from gateway.metering.service import Metering

log = logging.getLogger("loumen")

RETAIN_EVERY = 3600.0  # seconds between looks at what the journal may let go
FORGET_EVERY = 6 * 3600.0  # at what is too old of the measurements: rows that go together cost fewer pages
HEALTH_EVERY = 300.0  # seconds between the box's own measurements
METERS_WAIT = 60.0  # seconds for the journal to open before meters go on without what it knows
UPLINK_END = 1.0  # seconds an uplink may take to say goodbye


class Services:
    """What the daemon runs beside its doors."""

    def __init__(self, daemon: Daemon) -> None:
        config, clock = daemon.config, daemon.clock
        self._daemon = daemon
        self.problems: dict[str, LoumenError] = {}
        self._journal_open, self._directory_open = asyncio.Event(), asyncio.Event()
        self.box = self._identity(daemon.state, config.box.name)
        key = None if "identity" in self.problems else self.box.signing_key
        self.journal = Journal(daemon.state / "journal.db", clock, self.box.uuid, config.journal, key=key)
        self.written = Written(clock)
        self.measurements = Measurements(daemon.state / "measurements.db", clock)
        self.trust = TrustWatcher(
            clock, self.journal.note, lambda: self.journal.last_trusted, chip_declared=config.box.clock_chip
        )
        self.configuration = ConfigService(daemon.chosen, daemon.config_path, clock, daemon.ask_to_stop)
        self.directory = Directory(daemon.state, clock, self.journal.note)
        self.metering = self._metering()
        self.register = self._register()
        self.vision = VisionClient(
            config.vision,
            config.camera,
            config.door,
            daemon.run_dir,
            clock,
            on_candidates=self._candidates,
            on_presence=daemon.presence,
            note=self.journal.note,
        )
        self.plate_vision = self._plate_vision()
        self.commands = Commands(self.journal, clock)
        self.uplink: MqttUplink | None = None
        if config.uplink is not None and "identity" not in self.problems:
            self.uplink = MqttUplink(config.uplink, config.site, self.box, self.journal, clock, self.obey)

    def begin(self) -> None:
        """Declare the commands and start what is supervised."""
        daemon, config = self._daemon, self._daemon.config
        self.commands.declare(daemon.door_answers.handlers())
        self.commands.declare(daemon.io_answers.handlers())
        self.commands.declare(JournalService(self.journal).handlers())
        doors = {name: door.camera for name, door in config.door.items()}
        people = DirectoryService(self.directory, self.vision, self.box, doors=doors, run_dir=daemon.run_dir)
        self.commands.declare(people.handlers())
        self.commands.declare(self.configuration.handlers())
        if self.uplink is not None:
            self.commands.declare(self.uplink.handlers())
        if self.metering is not None:
            self._begin_metering(self.metering)
        if self.register is not None:
            self._begin_lanes(self.register)
        daemon.supervise("journal", self._journal)
        daemon.supervise("measurements", self._measurements)
        daemon.supervise("directory", self._directory)
        daemon.supervise("vision", self.vision.run)
        daemon.supervise("galleries", self._galleries)
        daemon.supervise("control", self._control)
        daemon.supervise("clock", self._clock)
        daemon.supervise("configuration", self.configuration.run)
        daemon.supervise("good configuration", self._keep_good)
        if self.uplink is not None:
            daemon.supervise("uplink", self._uplink)

    async def end(self, uplink: asyncio.Task[None] | None) -> None:
        """Drain the journal, say goodbye, close every database."""
        if uplink is not None:
            uplink.cancel()
            await asyncio.wait({uplink}, timeout=UPLINK_END)
        if self.metering is not None:
            await self.metering.close()
        if self.register is not None:
            await self.register.close()
        await self.journal.close()
        await self.measurements.close()
        await self.directory.close()

    # --- lanes

    def _register(self) -> RegisterStore | None:
        """Only where a lane is configured."""
        daemon = self._daemon
        if not daemon.config.lane:
            return None
        from gateway.lanes.store import RegisterStore

        return RegisterStore(daemon.state, daemon.clock, self.journal.note)

    def owner(self, person: str) -> PersonRights | None:
        """What the directory says of a vehicle's owner; None where it does not know her."""
        if person in self.directory.keys.forgotten:
            return PersonRights(person, active=False, valid_from=None, valid_until=None, doors=frozenset())
        return self.directory.snapshot.person(person)

    def plates(self) -> Register:
        """The register of plates at this moment."""
        assert self.register is not None  # asked by lanes only
        return self.register.register

    def _plate_vision(self) -> VisionClient | None:
        """The process that reads plates: a second one, so that neither faces nor plates wait for the other."""
        daemon, config = self._daemon, self._daemon.config
        lanes = {name: lane.camera for name, lane in config.lane.items() if lane.camera and lane.plate != "off"}
        if not lanes:
            return None
        return VisionClient(
            config.vision,
            config.camera,
            {},
            daemon.run_dir,
            daemon.clock,
            on_candidates=lambda _seen: None,
            on_presence=lambda _seen: None,
            note=self.journal.note,
            lanes=lanes,
            on_plate=daemon.plate,
            group="lanes",
        )

    def _begin_lanes(self, register: RegisterStore) -> None:
        from gateway.lanes.plate_answers import Plates

        daemon, config = self._daemon, self._daemon.config
        assert daemon.lane_answers is not None
        self.commands.declare(daemon.lane_answers.handlers())
        zone, note, people = config.site.timezone, self.journal.note, People(self.directory).find_each
        plates = Plates(register, config.lane, daemon.clock, zone, note, people, self.owner)
        self.commands.declare(plates.handlers())
        self.directory.before_forgetting = plates.forget
        daemon.supervise("register", partial(self._keep_register, register, plates))
        if self.plate_vision is not None:
            daemon.supervise("plates", self.plate_vision.run)

    async def _keep_register(self, register: RegisterStore, plates: Plates) -> None:
        await register.start()
        await self._directory_open.wait()
        with contextlib.suppress(RegisterDown):  # told by the register; none of these plates opens, see `owner`
            await plates.forget(self.directory.keys.forgotten, Actor("box", Role.ADMINISTRATOR, "box"))
        await register.keep()

    # --- meters

    def _metering(self) -> Metering | None:
        """Only where a meter or a bus is configured: a box of doors alone does not pay for it."""
        daemon, config = self._daemon, self._daemon.config
        if not (config.meter or config.bus):
            return None
        from gateway.metering.service import Metering

        return Metering(config, daemon.state, daemon.clock, self.journal, self.measurements)

    def _begin_metering(self, metering: Metering) -> None:
        from gateway.metering.answers import Meters

        daemon = self._daemon
        own, zone = daemon.config.metering.profiles, daemon.config.site.timezone
        self.commands.declare(Meters(metering, own, zone, daemon.clock).handlers())
        daemon.supervise("metering", partial(self._keep_meters, metering))
        for bus in metering.lines:
            daemon.supervise(f"bus.{bus}", partial(metering.run_bus, bus))

    async def _keep_meters(self, metering: Metering) -> None:
        """What was told before the start stands in the journal; a disk that hangs delays the meters no longer."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(METERS_WAIT):
                await self._journal_open.wait()
        await metering.run()

    def _candidates(self, seen: Candidates) -> None:
        """A face before a door: the door first, then its score for the site's own calibration."""
        self._daemon.candidates(seen)
        if seen.best:
            self.measurements.add(f"face.{seen.door}.nearest", seen.best[0].distance)

    # --- commands from afar

    async def obey(self, verified: VerifiedCommand) -> Reply:
        """Run a command whose envelope was verified; the answer as it travels."""
        try:
            command = self.commands.read(verified.name, verified.fields)
            result = await self.commands.run(command, verified.actor)
        except LoumenError as error:
            facts: dict[str, Any] = {name: str(fact) for name, fact in error.facts.items()}
            told = ReplyError(code=error.code, what=error.what, where="", mend=error.mend, facts=facts)
            return Reply(command_id=verified.id, ok=False, error=told)
        return Reply(command_id=verified.id, ok=True, result=msgspec.Raw(msgspec.json.encode(result)))

    # --- what is supervised

    async def _journal(self) -> None:
        await self.journal.start()
        self._journal_open.set()
        while True:
            uplink = self._daemon.config.uplink
            mark = None if uplink is None else MARK_RECEIVED if uplink.receiver else MARK_SENT
            received = await self.journal.mark(mark) if mark is not None else self.journal.head
            await self.journal.retain(received, self._daemon.clock.now())
            await asyncio.sleep(RETAIN_EVERY)

    async def _uplink(self) -> None:
        await self._journal_open.wait()
        assert self.uplink is not None
        await self.uplink.run()

    async def _clock(self) -> None:
        await self._journal_open.wait()
        await self.trust.run()

    async def _measurements(self) -> None:
        await self.measurements.start()
        forgotten = float("-inf")
        while True:
            vision = self.vision.status()
            self.measurements.add("daemon.resident_kb", resident_kb())
            if vision.resident_kb:
                self.measurements.add("vision.resident_kb", vision.resident_kb)
            self.written.today()
            await asyncio.sleep(HEALTH_EVERY)
            if (now := self._daemon.clock.now().mono) - forgotten >= FORGET_EVERY:
                forgotten = now
                await self.measurements.retain()

    async def _directory(self) -> None:
        await self.directory.start()
        self._directory_open.set()
        await asyncio.Event().wait()

    async def _galleries(self) -> None:
        config = self._daemon.config
        await keep_galleries(config.door, config.vision.engine, self.directory, self.vision, self._daemon.people)

    async def _control(self) -> None:
        daemon = self._daemon
        path = Path(daemon.config.control.socket or daemon.run_dir / "loumen.sock")
        server = ControlServer(
            path,
            self.commands,
            daemon.config.control,
            Reporter(daemon, self).status,
            io=daemon.io_answers.document,
            journal=self.journal,
            log=log.warning,
        )
        serving = asyncio.create_task(server.run())
        try:
            waiting = asyncio.create_task(server.listening.wait())
            await asyncio.wait({serving, waiting}, return_when=asyncio.FIRST_COMPLETED)
            waiting.cancel()
            notify("STATUS=the control socket listens")
            await serving
        finally:
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    async def _keep_good(self) -> None:
        daemon = self._daemon
        await asyncio.sleep(daemon.config.healthy_seconds)
        try:
            await asyncio.to_thread(last_good.save, daemon.chosen)
        except OSError as error:  # the disk's own problem is told by the journal
            log.warning("the last good configuration could not be kept: %s", error)
        await asyncio.Event().wait()

    def _identity(self, state: Path, name: str) -> Box:
        try:
            return Box.load_or_create(state, name)
        except LoumenError as error:
            log.error("%s", error)
            self.problems["identity"] = error
            return Box(str(uuid.uuid4()), name, state / "identity")
