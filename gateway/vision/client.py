"""The daemon's side of the vision process: doors are told candidates, the worker is told galleries.

Theory of operation
    `run` listens on the vision socket and, with `vision.run = "child"`, keeps a supervisor running that
    starts the worker; with "service" systemd does. One worker at a time is believed: the newest that
    said Hello. It is up while its heartbeats come; a silent one counts as hung and is closed (and killed,
    where it is our child). Everything it says is checked against the configuration: one that speaks of
    a door or camera it was not given is closed as garbage.

    No embedding is looked at here, no picture comes here, and nothing here waits for the worker but
    `enrol`, which has a time-out.
"""

from __future__ import annotations

import asyncio
import contextlib
import logging
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import msgspec

from gateway.clock import Clock
from gateway.config import schema
from gateway.errors import N_, VisionDown
from gateway.journal.event import Event
from gateway.vision import gallery, protocol, settings
from gateway.vision.cameras import CameraNews
from gateway.vision.child import Child
from gateway.vision.events import VisionStarted, VisionStopped
from gateway.vision.protocol import (
    Candidates,
    Enrol,
    Enrolled,
    FromWorker,
    Garbage,
    Heartbeat,
    Hello,
    PlateRead,
    Presence,
    Welcome,
)
from gateway.vision.reception import Reception, Session, allowed_uids, share
from gateway.vision.sparing import Sparing
from gateway.vision.status import ENDS, VisionStatus

GROUP = "doors"  # its worker looks for faces; that of any other group reads plates
LATE = 5.0  # seconds after which a candidate is of no use
START_WITHIN = 60.0  # seconds a worker may take to load its models
START_PATIENCE = 20.0  # seconds that an enrolment waits for a worker that has not come yet: a Pi loads slowly
PER_FILE = 5.0  # seconds an enrolment may take a picture
log = logging.getLogger("loumen.vision")


class VisionClient:
    """A daemon's client of one group. Callbacks are called from the loop and must not raise or wait.

    The group "doors" looks for faces; with `lanes` (lane -> camera) and no doors, another group's worker reads plates.
    """

    def __init__(
        self,
        vision: schema.Vision,
        cameras: Mapping[str, schema.Camera],
        doors: Mapping[str, schema.Door],
        run_dir: Path,
        clock: Clock,
        *,
        on_candidates: Callable[[Candidates], None],
        on_presence: Callable[[Presence], None],
        note: Callable[[Event], None],
        lanes: Mapping[str, str] | None = None,
        on_plate: Callable[[PlateRead], None] = lambda _read: None,
        group: str = GROUP,
        worker: Sequence[str] = (sys.executable, "-m", "gateway.vision.worker"),
        silent: float = protocol.SILENT,
    ) -> None:
        self._vision, self._run_dir, self._clock, self._note = vision, run_dir, clock, note
        self._on_candidates, self._on_presence, self._on_plate = on_candidates, on_presence, on_plate
        self._group = group
        self._settings = settings.Settings.of(group, vision, cameras, doors, lanes)
        self._encoded = settings.encode(self._settings)
        # loumen-vision@GROUP.path starts the worker where it finds this file: a child's settings have another name
        self._settings_path = run_dir / f"vision-{group}{'' if vision.run == 'service' else '-child'}.json"
        self._galleries_path = run_dir / "galleries"
        self.enrol_path = run_dir / "enrol"  # where reference pictures are put for the worker to read
        self._socket = run_dir / f"vision-{group}.sock"
        self._session: Session | None = None
        self._arrived = asyncio.Event()  # set while a worker is connected
        self._heartbeat: tuple[float, Heartbeat] | None = None
        self._published: dict[str, protocol.Gallery] = {}
        self._publishing = asyncio.Lock()
        self._asked: dict[int, asyncio.Future[Enrolled]] = {}
        self._request = 0
        self._starts, self._last_end, self._late = 0, "", 0
        self._began = clock.now().mono
        self._worker_pid: object = 0  # our child, where it is one
        self._blame = ""  # why we had the worker killed
        self._sparing, self._news = Sparing(), CameraNews(self._settings.cameras)
        self._reception = Reception(
            self._socket,
            allowed_uids(os.getuid()),
            welcome=Welcome(protocol=protocol.PROTOCOL, settings=settings.digest(self._encoded)),
            came=self._came,
            hear=self._hear,
            gone=self._gone,
            unfit=self._unfit,
            silent=silent,
        )
        arguments = ("--socket", str(self._socket), "--group", group, "--settings", str(self._settings_path))
        self._child = Child(
            [*worker, *arguments],
            run_dir / f"vision-{group}-notify.sock",
            self._child_told,
            silent=silent,
            start_within=START_WITHIN,
        )

    # --- life

    async def run(self) -> None:
        """Until cancelled. Raises OSError where the run folder cannot be used."""
        if self._vision.run == "off" or not self._settings.cameras:
            await asyncio.Event().wait()
        self._prepare()
        try:
            await self._reception.run(self._stay)
        finally:
            self._fail_asked(N_("the vision process is stopping"))

    def _prepare(self) -> None:
        self._run_dir.mkdir(parents=True, exist_ok=True)
        for folder in (self._galleries_path, self.enrol_path):
            folder.mkdir(exist_ok=True)
            share(folder)
            folder.chmod(0o2750)  # files made in it belong to the vision process's group
        unfinished = self._settings_path.with_suffix(".unfinished")
        unfinished.unlink(missing_ok=True)
        unfinished.touch(0o640)  # before a word is in it: a camera's URL may carry a password
        unfinished.write_bytes(self._encoded)
        share(unfinished)
        unfinished.rename(self._settings_path)

    async def _stay(self) -> None:
        if self._vision.run == "child":
            await self._child.run()
        else:
            await asyncio.Event().wait()

    def _child_told(self, said: dict[str, object]) -> None:
        self._worker_pid = said.get("started", 0)
        if "ended" in said:
            self._last_end, self._blame = self._blame or str(said["ended"]), ""
            log.warning("the vision worker ended (%s); next start in %s s", said["ended"], said.get("pause"))
            self._tell_stopped(self._last_end)

    # --- the worker

    def _came(self, session: Session) -> bool:
        hello = session.hello
        if hello.protocol != protocol.PROTOCOL or hello.group != self._group:
            log.warning("a worker of group %s with protocol %d was sent away", hello.group, hello.protocol)
            return False
        if self._session is not None:
            self._session.end("replaced: another worker said hello")
            self._forget_session("replaced")
        self._session, self._starts = session, self._starts + 1
        self._arrived.set()
        asyncio.get_running_loop().call_soon(self._greet, session)
        return True

    def _greet(self, session: Session) -> None:
        hello = session.hello
        if (untold := self._sparing.allow("started", self._clock.now().mono)) is not None:
            self._note(
                VisionStarted(
                    group=hello.group[:64],
                    engine=hello.engine[:64],
                    detector=hello.detector[:64],
                    version=hello.version[:64],
                    untold=untold,
                )
            )
        for published in self._published.values():
            session.send(published)

    def _gone(self, session: Session) -> None:
        if session is not self._session:
            return
        log.warning("the connection to the vision worker ended: %s", session.ended)
        self._forget_session(session.ended)
        if self._vision.run == "service":
            self._last_end = session.ended
            self._tell_stopped(session.ended)
        elif session.ended != "closed":
            self._blame = session.ended  # hung, garbage, slow: it does not help itself
            self._child.kill_worker()

    def _unfit(self, pid: int, why: str) -> None:
        if pid == self._worker_pid:
            self._blame = why
            self._child.kill_worker()

    def _forget_session(self, why: str) -> None:
        self._session, self._heartbeat = None, None
        self._arrived.clear()
        self._fail_asked(N_("the vision process ended meanwhile: {why}"), why=why)

    def _tell_stopped(self, why: str) -> None:
        if (untold := self._sparing.allow("stopped", self._clock.now().mono)) is not None:
            self._note(VisionStopped(group=self._group, why=why[:200], untold=untold))

    def _hear(self, session: Session, message: FromWorker) -> None:
        if session is not self._session:
            return
        match message:
            case Candidates():
                self._check(message.camera, message.door)
                if abs(self._clock.now().mono - message.at) > LATE:
                    self._late += 1
                else:
                    self._on_candidates(message)
            case PlateRead():
                if message.camera != self._settings.lanes.get(message.lane):
                    raise Garbage(f"camera {message.camera!r} does not watch lane {message.lane!r}")
                if abs(self._clock.now().mono - message.at) > LATE:
                    self._late += 1
                else:
                    self._on_plate(message)
            case Presence():
                self._check(message.camera)
                self._on_presence(message)
            case Heartbeat():
                self._take_heartbeat(message)
            case Enrolled():
                self._take_enrolled(message)
            case Hello():
                raise Garbage("a second hello")

    def _take_enrolled(self, enrolled: Enrolled) -> None:
        if not len(enrolled.embeddings) == len(enrolled.quality) == len(enrolled.names):
            raise Garbage("an enrolment whose faces, qualities and names do not match")
        asked = self._asked.pop(enrolled.request, None)
        if asked is not None and not asked.done():
            asked.set_result(enrolled)

    def _check(self, camera: str, door: str | None = None) -> None:
        if camera not in self._settings.cameras or (door is not None and self._settings.doors.get(door) != camera):
            raise Garbage(f"camera {camera!r} does not watch door {door!r}")

    def _take_heartbeat(self, heartbeat: Heartbeat) -> None:
        now = self._clock.now().mono
        self._heartbeat = (now, heartbeat)
        for kind, event in self._news.take(heartbeat.cameras, now):
            if (untold := self._sparing.allow(kind, now)) is not None:
                self._note(msgspec.structs.replace(event, untold=untold))

    # --- what the daemon asks

    @property
    def session(self) -> Session | None:
        """The worker's connection, while there is one."""
        return self._session

    @property
    def supervisor_pid(self) -> int:
        """0 while none runs."""
        return self._child.supervisor_pid

    @property
    def asked(self) -> int:
        """How many enrolments wait for their answer."""
        return len(self._asked)

    @property
    def up(self) -> bool:
        """Whether a worker is there to answer."""
        return self._session is not None

    @property
    def space(self) -> str:
        """Whose numbers the galleries must hold (`Directory.templates`), and enrolments bring."""
        return protocol.SPACES[self._vision.engine]

    def generation(self, door: str) -> int:
        """The newest gallery generation published for a door; 0 before the first."""
        published = self._published.get(door)
        return published.generation if published else 0

    async def publish_gallery(self, door: str, templates: Sequence[tuple[str, bytes]]) -> int:
        """Hand a door's people over; returns the gallery's generation. Raises VisionDown if it cannot be written."""
        if self._settings.doors.get(door) is None or self._vision.run == "off":
            return 0
        async with self._publishing:
            try:
                self._galleries_path.mkdir(parents=True, exist_ok=True)
                newest = max([self.generation(door), *gallery.generations(self._galleries_path, door)])
                path, sha256 = await gallery.write(self._galleries_path, self.space, door, newest + 1, templates)
            except OSError as error:
                raise VisionDown(
                    N_("the gallery of door {door} could not be written: {error}"),
                    where=str(self._galleries_path),
                    mend=N_("look whether the run folder's file system is full; the gallery before it stays in use"),
                    door=door,
                    error=error.strerror or str(error),
                ) from error
            message = protocol.Gallery(door=door, generation=newest + 1, path=str(path), sha256=sha256)
            self._published[door] = message
            if self._session is not None:
                self._session.send(message)
            return message.generation

    async def enrol(self, *, files: Sequence[Path] = (), camera: str = "", seconds: float = 10.0) -> Enrolled:
        """Have the worker take a reference: from files it can read, or from a camera within `seconds`.

        Raises VisionDown when no worker is there, it ends, or it does not answer in time.
        """
        session = await self._there()
        if camera and camera not in self._settings.cameras:
            raise VisionDown(
                N_("the vision process does not watch a camera called {camera}"),
                mend=N_("a camera is watched when a door names it"),
                camera=camera,
            )
        self._request += 1
        request = self._request
        answer: asyncio.Future[Enrolled] = asyncio.get_running_loop().create_future()
        self._asked[request] = answer
        try:
            session.send(Enrol(request=request, files=tuple(map(str, files)), camera=camera, seconds=seconds))
            async with asyncio.timeout((seconds if camera else 0) + PER_FILE * (2 + len(files))):
                return await answer
        except TimeoutError as error:
            raise VisionDown(
                N_("the vision process did not answer in time"), mend=N_("try again; `loumen status` says how it is")
            ) from error
        finally:
            self._asked.pop(request, None)

    async def _there(self) -> Session:
        """The worker, waited for while the first one loads its models. Raises VisionDown."""
        if self._session is None and self.status().state == "starting":
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(START_PATIENCE):
                    await self._arrived.wait()
        if self._session is not None:
            return self._session
        match self.status().state:
            case "off":
                what, mend = N_("vision is off"), N_("set vision.run, and camera at a door, in the configuration")
            case "starting":
                what = N_("the vision process is still starting")
                mend = N_("try again in some seconds; `loumen status` says when it runs")
            case _:
                what = N_("no vision process is running")
                mend = N_("`loumen status` says why; it is started again by itself")
        raise VisionDown(what, mend=mend)

    def _fail_asked(self, what: str, **facts: str) -> None:
        asked, self._asked = self._asked, {}
        for answer in asked.values():
            if not answer.done():
                answer.set_exception(VisionDown(what, where="", mend=N_("try again in some seconds"), **facts))

    def status(self) -> VisionStatus:
        """One look, from memory."""
        off = self._vision.run == "off" or not self._settings.cameras
        late = self._clock.now().mono - self._began > START_WITHIN
        loading = self._session is not None or not (self._last_end or late)
        state = "off" if off else "up" if self._heartbeat else "starting" if loading else "down"
        last_end = self._last_end or ("missing" if state == "down" else "")
        known = VisionStatus(
            run=self._vision.run,
            state=state,
            engine=self._vision.engine,
            restarts=max(0, self._starts - 1),
            last_end=last_end,
            last_end_words=ENDS.get(last_end.partition(":")[0], ""),
            published={door: message.generation for door, message in self._published.items()},
            dropped_late=self._late,
        )
        if self._session is None:
            return known
        hello = self._session.hello
        known = msgspec.structs.replace(
            known, engine=hello.engine, detector=hello.detector, version=hello.version, models=hello.models
        )
        if self._heartbeat is None:
            return known
        at, heartbeat = self._heartbeat
        return msgspec.structs.replace(
            known,
            cameras=heartbeat.cameras,
            heartbeat_age=self._clock.now().mono - at,
            resident_kb=heartbeat.resident_kb,
            generations=heartbeat.generations,
            thresholds=heartbeat.thresholds,
            people=heartbeat.people,
            problems=heartbeat.problems,
        )
