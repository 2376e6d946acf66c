"""`loumen status`: one screen that a technician can read aloud on the phone. Problems come first."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import NamedTuple

import msgspec

from gateway.cli import words
from gateway.cli.shell import Shell
from gateway.control.status import (
    CameraStatus,
    DoorStatus,
    LaneStatus,
    MetersStatus,
    Problem,
    State,
    Status,
    VisionStatus,
    decode,
)
from gateway.errors import LoumenError, N_
from gateway.locale import _, labelled, tell

STYLES: dict[State, str] = {"ok": "green", "warning": "yellow", "bad": "bold red", "off": "dim"}
SIGNS: dict[State, str] = {"ok": "●", "warning": "▲", "bad": "✖", "off": "○"}
OLD_FRAME = 5.0  # seconds
MOST_PROBLEMS = 4  # with their mends; a screen has 24 rows
MOST_MISTAKES = 5  # of a configuration; `loumen config check` tells all

NEVER_MEASURED = N_("unmeasured: children, East Asian faces, attacks (loumen evaluate faces)")


class Line(NamedTuple):
    """One line of the screen."""

    state: State
    part: str
    text: str


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = N_("How the box is: problems first, then a line for each part. Exit 1 if something is bad.")
    parser.add_argument("--all", action="store_true", help=N_("every problem with its mend, however many"))


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    document = shell.client().status()
    status = understood(document)
    shell.prefer(status.language)
    shell.out(document, lambda: show(status, shell, whole=arguments.all))
    return shell.done(not any(problem.severity == "bad" for problem in status.problems))


def understood(document: object) -> Status:
    """The daemon's document. Raises LoumenError where it is none."""
    try:
        return decode(document)
    except msgspec.ValidationError as error:
        raise LoumenError(
            N_("the daemon's status cannot be understood: {problem}"),
            mend=N_("are `loumen` and the daemon of one release? systemctl restart loumen"),
            problem=str(error),
        ) from error


def show(status: Status, shell: Shell, *, whole: bool = False) -> None:
    """The screen. On a terminal as many problems are told with their mends as it has rows for, but always the worst."""
    most = len(status.problems) if whole else MOST_PROBLEMS
    rows = list(_rows(status, shell, most))
    while not whole and most > 1 and len(rows) > shell.height - 1:
        most -= 1
        rows = list(_rows(status, shell, most))
    for text, style in rows:
        shell.mark(text, style)


def _rows(status: Status, shell: Shell, most: int) -> Iterator[tuple[str, str]]:
    """Each row of the screen and its style, `most` problems told in full."""
    worst_first = sorted(status.problems, key=lambda problem: problem.severity != "bad")
    yield headline(status), "bold"
    for problem in worst_first[:most]:
        yield from _problem(problem, status.config.file, shell)
    if rest := worst_first[most:]:
        parts = ", ".join(dict.fromkeys(words.part_name(problem.part) for problem in rest))
        text = tell(N_("{count} more: {parts} (loumen status --all)"), {"count": len(rest), "parts": parts})
        yield from ((row, STYLES["warning"]) for row in shell.folded(f"{SIGNS['warning']} {text}", hang=2))
    if not status.problems:
        yield f"{SIGNS['ok']} {_(N_('no problems'))}", STYLES["ok"]
    yield "", ""
    told = list(lines(status))
    if faces(status):
        told.append(Line("off", _(N_("faces")), _(NEVER_MEASURED)))
    for line in told:
        text = f"{SIGNS[line.state]} {labelled(line.part, line.text)}"
        yield from ((row, STYLES[line.state]) for row in shell.folded(text, hang=2))


def _problem(problem: Problem, config: str, shell: Shell) -> Iterator[tuple[str, str]]:
    state: State = "bad" if problem.severity == "bad" else "warning"
    said, part = tell(problem.what, problem.facts), words.part_name(problem.part)
    text = said if "." in problem.part and said.startswith(part) else labelled(part, said)
    yield from ((row, STYLES[state]) for row in shell.folded(f"{SIGNS[state]} {text}", hang=2))
    below = list(mistakes(problem))
    if problem.where != config and not all(piece in said for piece in problem.where.split(":")):
        below.append(f"{_(N_('where:'))} {problem.where}")
    if problem.mend:
        below.append(f"{_(N_('mend:'))} {tell(problem.mend, problem.facts)}")
    for text in below:
        yield from ((row, "") for row in shell.folded(text, indent=4))


def mistakes(problem: Problem) -> Iterator[str]:
    """The first mistakes of a configuration that cannot be used, in the reader's language."""
    told = problem.facts.get("mistakes")
    for one in (told if isinstance(told, list) else [])[:MOST_MISTAKES]:
        if isinstance(one, dict):
            place = f"{one.get('file', '')}:{one.get('line', 0)}: {one.get('key', '')}".rstrip(": ")
            yield f"{place}: {tell(str(one.get('what', '')), one.get('facts') or {})}"


def headline(status: Status) -> str:
    """Which box this is."""
    return tell(
        N_("{box} · {site} · Loumen {version} · running for {uptime}"),
        {"box": status.box, "site": status.site, "version": status.version, "uptime": duration(status.uptime)},
    )


def faces(status: Status) -> bool:
    """Whether faces open a door here."""
    return any(door.face != "off" and door.camera for door in status.doors)


def lines(status: Status) -> Iterator[Line]:
    """A line for each part."""
    for door in status.doors:
        yield door_line(door)
    for lane in status.lanes:
        yield lane_line(lane)
    if not status.doors and not status.lanes:
        yield Line("bad", _(N_("doors")), _(N_("none is configured")))
    yield _vision(status.vision, "vision")
    if status.plate_vision is not None:
        yield _vision(status.plate_vision, "plates")
    if status.meters is not None:
        yield _meters(status.meters)
    yield _journal(status)
    yield _directory(status)
    yield _uplink(status)
    yield _clock(status)
    yield _disk(status)
    yield _config(status)


def door_line(door: DoorStatus) -> Line:
    """A door: what its lock was told, what its contact says."""
    told = [_(words.COMMANDED.get(door.commanded, door.commanded)), _(words.SENSED.get(door.sensed, door.sensed))]
    state: State = "ok"
    if door.alarm:
        told.insert(0, _(words.ALARMS.get(door.alarm, door.alarm)))
        state = "warning" if door.alarm == "warning" else "bad"
    if door.faults:
        told.append(tell(N_("lines at fault: {lines}"), {"lines": ", ".join(map(words.line_name, door.faults))}))
        state = "bad"
    if door.commanded in {"held", "blocked", "fire"} and state == "ok":
        state = "warning"
    if door.face != "off" and door.camera:
        told.append(tell(N_("faces: {count}"), {"count": door.people}))
    name = f"{door.id} ({door.name})" if door.name and door.name != door.id else door.id
    return Line(state, tell(N_("door {name}"), {"name": name}), " · ".join(told))


def lane_line(lane: LaneStatus) -> Line:
    """A lane: what its drive was told, what its limits and sensors say."""
    told = [_(words.ARMS.get(lane.commanded, lane.commanded)), _(words.SENSED_ARM.get(lane.sensed, lane.sensed))]
    if lane.under != "free":
        told.append(tell(N_("under it: {what}"), {"what": _(words.UNDER.get(lane.under, lane.under))}))
    state: State = "warning" if lane.commanded in {"held", "fire"} or lane.under == "unknown" else "ok"
    if lane.commanded == "fault" or lane.troubles:
        state = "bad"
    if lane.faults:
        told.append(tell(N_("lines at fault: {lines}"), {"lines": ", ".join(map(words.line_name, lane.faults))}))
        state = "bad"
    if lane.plate != "off" and lane.camera:
        told.append(tell(N_("plates: {count}"), {"count": lane.plates}))
    name = f"{lane.id} ({lane.name})" if lane.name and lane.name != lane.id else lane.id
    return Line(state, tell(N_("lane {name}"), {"name": name}), " · ".join(told))


def _vision(vision: VisionStatus, part: str) -> Line:
    if vision.state == "off":
        return Line("off", words.part_name(part), _(words.VISION["off"]))
    told = [_(words.VISION.get(vision.state, vision.state))]
    state: State = {"up": "ok", "starting": "warning"}.get(vision.state, "bad")  # type: ignore[assignment]
    if vision.detector:
        names = {"engine": vision.engine, "detector": vision.detector}
        told.append(tell(N_("detector {detector} ({engine})"), names))
    fresh = [camera.camera for camera in vision.cameras if _fresh(camera)]
    if fresh:
        told.append(tell(N_("pictures from {names}"), {"names": ", ".join(fresh)}))
    for camera in vision.cameras:
        if not _fresh(camera):
            state = "bad" if vision.state == "up" else state
            told.append(_stale(camera))
    if vision.restarts:
        told.append(tell(N_("restarted {count} times"), {"count": vision.restarts}))
    return Line(state, words.part_name(part), " · ".join(told))


def _fresh(camera: CameraStatus) -> bool:
    return not camera.problem and camera.frame_age is not None and camera.frame_age <= OLD_FRAME


def _stale(camera: CameraStatus) -> str:
    if camera.frame_age is None:
        return tell(N_("no picture from {camera} yet"), {"camera": camera.camera})
    return tell(
        N_("last picture from {camera} {age} ago"), {"camera": camera.camera, "age": duration(camera.frame_age)}
    )


def _meters(meters: MetersStatus) -> Line:
    told = [tell(N_("{ok} of {count} answer"), {"ok": meters.ok, "count": meters.count})]
    if meters.waiting:
        told.append(tell(N_("{count} not read yet"), {"count": meters.waiting}))
    if meters.silent:
        told.append(tell(N_("{count} silent"), {"count": meters.silent}))
    if meters.unusable:
        told.append(tell(N_("{count} without a usable profile"), {"count": meters.unusable}))
    if meters.leaks:
        told.append(tell(N_("leak suspected behind {count}"), {"count": meters.leaks}))
    well = not (meters.silent or meters.unusable or meters.leaks)
    return Line("ok" if well else "warning", _(N_("water meters")), " · ".join(told))


def _journal(status: Status) -> Line:
    journal = status.journal
    told = [_(words.HEALTH.get(journal.state, journal.state))]
    if journal.waiting:
        told.append(tell(N_("{count} events wait to be stored"), {"count": journal.waiting}))
    if journal.dropped:
        told.append(tell(N_("{count} events were dropped"), {"count": journal.dropped}))
    return Line(_state(journal.state), _(N_("journal")), " · ".join(told))


def _directory(status: Status) -> Line:
    directory = status.directory
    told = [
        _(words.HEALTH.get(directory.state, directory.state)),
        tell(N_("people: {count}"), {"count": directory.people}),
    ]
    if directory.unreadable:
        told.append(tell(N_("{count} cannot be read"), {"count": directory.unreadable}))
    return Line(_state(directory.state), _(N_("directory")), " · ".join(told))


def _uplink(status: Status) -> Line:
    uplink = status.uplink
    if uplink is None:
        return Line("off", _(N_("uplink")), _(N_("not configured: nothing is told to the platform")))
    told = [_(words.UPLINK.get(uplink.state, uplink.state))]
    if uplink.broker:
        told.append(uplink.broker)
    told.append(tell(N_("{count} events not yet confirmed"), {"count": uplink.backlog}))
    if not uplink.receiver:
        told.append(_(N_("acknowledged by the broker only")))
    return Line("ok" if uplink.state == "connected" else "warning", _(N_("uplink")), " · ".join(told))


def _clock(status: Status) -> Line:
    clock = status.clock
    trusted = N_("trusted") if clock.trusted else N_("NOT trusted")
    told = " · ".join(filter(None, [clock.now[:19].replace("T", " "), clock.timezone, _(trusted)]))
    return Line("ok" if clock.trusted else "warning", _(N_("clock")), told)


def _disk(status: Status) -> Line:
    disk = status.disk
    if disk.free_mb is None:
        return Line("warning", _(N_("disk")), _(N_("unknown")))
    told = [tell(N_("{free} MB free"), {"free": disk.free_mb})]
    state: State = "ok" if disk.free_mb >= 500 else "warning" if disk.free_mb >= 50 else "bad"
    if disk.written_today_mb is not None:
        written = {"written": f"{disk.written_today_mb:.1f}", "budget": f"{disk.budget_mb:g}"}
        told.append(tell(N_("{written} MB of {budget} MB written today"), written))
        if disk.written_today_mb > disk.budget_mb and state == "ok":
            state = "warning"
    return Line(state, _(N_("disk")), " · ".join(told))


def _config(status: Status) -> Line:
    config = status.config
    told = [_(words.SOURCES.get(config.source, config.source)), config.file]
    state: State = {"file": "ok", "minimal": "bad"}.get(config.source, "warning")  # type: ignore[assignment]
    if config.confirm_within is not None:
        told.append(
            tell(
                N_("applied, not confirmed: taken back in {left} (loumen config apply --confirm)"),
                {"left": duration(config.confirm_within)},
            )
        )
        state = "warning"
    return Line(state, _(N_("configuration")), " · ".join(filter(None, told)))


def _state(health: str) -> State:
    return {"ok": "ok", "degraded": "warning", "starting": "warning"}.get(health, "bad")  # type: ignore[return-value]


def duration(seconds: float) -> str:
    """How long, in the two largest units."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    days, hours = divmod(hours, 24)
    if days:
        return tell(N_("{days} d {hours} h"), {"days": days, "hours": hours})
    if hours:
        return tell(N_("{hours} h {minutes} min"), {"hours": hours, "minutes": minutes})
    if minutes:
        return tell(N_("{minutes} min {seconds} s"), {"minutes": minutes, "seconds": rest})
    return tell(N_("{seconds} s"), {"seconds": rest})
