"""How the box is: the document behind `loumen status`, gathered from memory; nothing here waits for anything."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from gateway import __version__
from gateway.control import status as s
from gateway.errors import LoumenError, N_
from gateway.supervisor import Life
from gateway.vision.status import FACE_ALONE

if TYPE_CHECKING:
    from gateway.daemon import Daemon
    from gateway.services import Services
    from gateway.vision.protocol import CameraHealth
    from gateway.vision.status import VisionStatus

MEGABYTE = 1024 * 1024
NO_FACES = (
    "vision",
    N_("the vision process is down: no face opens a door; it is started again by itself ({why})"),
    N_("open from the desk or with 'loumen door open'; see 'loumen doctor' if it stays so"),
)
NO_PLATES = (
    "plates",
    N_("the process that reads plates is down: no plate opens a lane; it is started again by itself ({why})"),
    N_("use the button or 'loumen lane raise'; see 'loumen doctor' if it stays so"),
)
UNKNOWN_FAULT = s.LineWhy(
    what=N_("this line does not work"),
    mend=N_("check the wire and the board; 'loumen doctor' looks at each line; it is tried again by itself"),
)
LOW_DISK, FULL_DISK = 500, 50  # MB; a busy box writes 50 a day at most


class Reporter:
    """Gathers the status document."""

    def __init__(self, daemon: Daemon, services: Services) -> None:
        self._daemon, self._services = daemon, services

    def status(self) -> s.Status:
        """The box now."""
        daemon, services = self._daemon, self._services
        config, now = daemon.config, daemon.clock.now()
        doors = tuple(_as(door, s.DoorStatus) for door in daemon.door_answers.views())
        answers = daemon.lane_answers
        lanes = () if answers is None else tuple(_as(lane, s.LaneStatus) for lane in answers.views())
        disk = self._disk()
        return s.Status(
            box=config.box.name,
            box_id=services.box.uuid,
            site=config.site.name,
            community=config.site.community,
            language=config.site.language,
            board=config.box.board,
            version=__version__,
            started=daemon.started_at,
            uptime=round(now.mono - daemon.began, 1),
            ready_seconds=daemon.ready_seconds,
            resident_kb=resident_kb(),
            config=self._config(),
            doors=doors,
            lanes=lanes,
            vision=_as(services.vision.status(), s.VisionStatus),
            plate_vision=(
                None if services.plate_vision is None else _as(services.plate_vision.status(), s.VisionStatus)
            ),
            meters=self._meters(),
            journal=self._journal(),
            directory=_as(services.directory.health(), s.DirectoryStatus),
            uplink=None if services.uplink is None else _as(services.uplink.status(), s.UplinkStatus),
            clock=s.ClockStatus(
                now=now.local.isoformat(timespec="seconds"),
                timezone=config.site.timezone,
                trusted=now.trusted,
                source=services.trust.source or "",
            ),
            disk=disk,
            services=tuple(_as(life, s.ServiceStatus) for life in daemon.lives.values()),
            problems=(*self._problems(doors, disk), *self._lane_problems(lanes)),
        )

    def _config(self) -> s.ConfigStatus:
        chosen = self._daemon.chosen
        return s.ConfigStatus(
            file=str(self._daemon.config_path),
            source=chosen.source,
            confirm_within=self._services.configuration.confirm_within(),
            warnings=len(chosen.warnings),
        )

    def _journal(self) -> s.JournalStatus:
        health, head = self._services.journal.health(), self._services.journal.head
        told: s.JournalStatus = _as(health, s.JournalStatus)
        return msgspec.structs.replace(told, head="" if head is None else f"{head.epoch}/{head.seq}")

    def _meters(self) -> s.MetersStatus | None:
        metering = self._services.metering
        if metering is None:
            return None
        meters = [metering.view(name) for name in self._daemon.config.meter]
        states = Counter(meter.state for meter in meters)
        return s.MetersStatus(
            count=len(meters),
            ok=states["ok"],
            waiting=states["waiting"],
            silent=states["silent"],
            unusable=states["unusable"],
            leaks=sum(bool(meter.leaks) for meter in meters),
        )

    def _disk(self) -> s.DiskStatus:
        try:
            usage = shutil.disk_usage(next(path for path in self._parents() if path.exists()))
        except (OSError, StopIteration):
            return s.DiskStatus()
        written = self._services.written.today()
        return s.DiskStatus(
            free_mb=usage.free // MEGABYTE,
            total_mb=usage.total // MEGABYTE,
            written_today_mb=None if written is None else round(written / MEGABYTE, 1),
        )

    def _parents(self) -> tuple[Path, ...]:
        return (self._daemon.state, *self._daemon.state.parents)

    # --- what a person should know

    def _problems(self, doors: tuple[s.DoorStatus, ...], disk: s.DiskStatus) -> Iterator[s.Problem]:
        for error in (*self._daemon.chosen.problems, *self._services.problems.values()):
            yield _told("config" if error not in self._services.problems.values() else "identity", error)
        yield from _line_problems("door", doors)
        yield from self._health()
        yield from (_failing(life) for life in self._daemon.lives.values() if life.failing)
        if not self._daemon.clock.trusted:
            yield s.Problem(
                part="clock",
                what=N_("the clock is not trusted: validity dates are not checked, events are marked"),
                mend=N_("give the box network time, or a clock battery"),
                severity="warning",
            )
        if disk.free_mb is not None and disk.free_mb < LOW_DISK:
            full = disk.free_mb < FULL_DISK
            yield s.Problem(
                part="disk",
                what=N_("only {free} MB are free: events will be dropped")
                if full
                else N_("only {free} MB are free on the disk"),
                facts={"free": disk.free_mb, "path": str(self._daemon.state)},
                mend=N_("make room in {path}: old logs (journalctl --vacuum-size=50M), old releases"),
                severity="bad" if full else "warning",
            )

    def _lane_problems(self, lanes: tuple[s.LaneStatus, ...]) -> Iterator[s.Problem]:
        services = self._services
        yield from _line_problems("lane", lanes)
        for lane in self._daemon.lanes.values():
            yield from (_told(f"lane.{lane.id}", error) for error in lane.problems())
        if services.register is not None and services.register.problem is not None:
            yield _told("register", services.register.problem)
        if services.plate_vision is not None:
            yield from _vision_problems(services.plate_vision.status(), *NO_PLATES)

    def _health(self) -> Iterator[s.Problem]:
        journal = self._services.journal.health()
        if journal.problem:
            mend = N_("'loumen doctor disk database' looks at the disk; doors go on, events wait or are dropped")
            yield s.Problem(part="journal", what=journal.problem, facts=journal.facts, mend=mend)
        for problem in self._services.directory.health().problems:
            severity = "bad" if problem.grave else "warning"
            facts: dict[str, Any] = dict(problem.facts)
            yield s.Problem(part="directory", what=problem.text, mend=problem.mend, facts=facts, severity=severity)
        yield from _vision_problems(self._services.vision.status(), *NO_FACES)
        if self._services.metering is not None:
            for part, error in self._services.metering.problems():
                yield msgspec.structs.replace(_told(part, error), severity="warning")
        uplink = None if self._services.uplink is None else self._services.uplink.status()
        if uplink is not None and uplink.problem:
            facts = dict(uplink.problem_facts)
            yield s.Problem(
                part="uplink", what=uplink.problem, mend=uplink.problem_mend, facts=facts, severity="warning"
            )


def _as(document: Any, kind: type[Any]) -> Any:
    """A part of the status from a service's own structure: what both know is taken over."""
    return msgspec.convert(msgspec.to_builtins(document), kind, strict=False)


def _told(part: str, error: LoumenError) -> s.Problem:
    return s.Problem(part=part, what=error.what, where=error.where, mend=error.mend, facts=error.facts)


def _line_problems(kind: str, owners: Iterable[s.DoorStatus | s.LaneStatus]) -> Iterator[s.Problem]:
    """A busy line's problem names its holder, a missing one's what is there."""
    for owner in owners:
        for line in owner.faults:
            why = owner.whys.get(line, UNKNOWN_FAULT)
            part = f"{kind}.{owner.id}.{line}"
            yield s.Problem(part=part, what=why.what, where=why.where, mend=why.mend, facts=why.facts)


def _vision_problems(vision: VisionStatus, part: str, what: str, mend: str) -> Iterator[s.Problem]:
    if vision.state == "down":
        yield s.Problem(part=part, what=what, facts={"why": vision.last_end_words or vision.last_end}, mend=mend)
    for camera in vision.cameras:
        if camera.problem:
            yield _camera_problem(camera)
    behind = [door for door, wanted in vision.published.items() if vision.generations.get(door, 0) < wanted]
    if vision.problems and behind:
        yield s.Problem(
            part=part,
            what=N_("the newest gallery of {doors} was refused: who was enrolled lately is not recognised"),
            facts={"doors": ", ".join(behind)},
            mend=N_("restart loumen; the log says why: journalctl -u 'loumen*'"),
            severity="warning",
        )
    for door, people in vision.people.items():
        if people > FACE_ALONE:
            yield s.Problem(
                part=f"door.{door}",
                what=N_("{people} people's faces at door {door}: beyond {most} a stricter limit refuses residents too"),
                facts={"people": people, "door": door, "most": FACE_ALONE},
                mend=N_("let fewer people pass this door: loumen person change --door"),
                severity="warning",
            )


def _camera_problem(camera: CameraHealth) -> s.Problem:
    """A worker of an older release says it in English only."""
    return s.Problem(
        part=f"camera.{camera.camera}",
        what=camera.what or N_("it gives no pictures: {problem}"),
        where=str(camera.facts.get("where", "")),
        facts={"problem": camera.problem, **camera.facts},
        mend=camera.mend or N_("look at its cable and at `loumen doctor camera`"),
    )


def _failing(life: Life) -> s.Problem:
    return s.Problem(
        part=life.name,
        what=N_("failed {times} times in a row ({problem}); it is started again by itself"),
        facts={"times": life.failing, "problem": life.problem},
        mend=N_("see the log: journalctl -u loumen"),
        severity="warning",
    )


def resident_kb() -> int:
    """This process's resident memory."""
    with open("/proc/self/statm", "rb") as file:  # noqa: PTH123  (a page of the kernel, read in microseconds)
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") // 1024
