"""Lines and cameras."""

from __future__ import annotations

import socket
from collections.abc import Mapping, Sequence
from typing import Any, Final
from urllib.parse import urlsplit

from gateway.config import schema
from gateway.config.lines import uses
from gateway.config.machine import camera_finding, line_finding
from gateway.control.status import CameraStatus, Status
from gateway.doctor.look import Detail, Look, Outcome, fail, ok, skip, warn
from gateway.errors import N_

OLD_FRAME: Final = 5.0
CONNECT_WITHIN: Final = 3.0


def lines(look: Look) -> Outcome:
    """Every line exists and is ours or free."""
    conf = look.config
    if conf is None:
        return skip(N_("without a valid configuration nobody knows which"))
    wanted = list(uses(conf))
    if not wanted:
        return skip(N_("no door is configured"))
    if look.lines is not None:
        return _lines_of_the_daemon([use.name for use in wanted], look.lines)
    found = {use.name: finding for use in wanted if (finding := line_finding(use, look.inspect)) is not None}
    if found:
        details = [Detail(name, one.what, one.mend, one.facts) for name, one in found.items()]
        return fail(N_("these cannot be used: {lines}"), "", details=details, lines=", ".join(found))
    return ok(N_("all {count} lines exist and are free"), count=len(wanted))


def _lines_of_the_daemon(wanted: Sequence[str], lines: Sequence[Mapping[str, Any]]) -> Outcome:
    """What the daemon says of its lines: the first that it cannot use is told with its reason."""
    known = {line.get("name"): line for line in lines}
    gone = [name for name in wanted if known.get(name, {}).get("active") is None]
    if not gone:
        return ok(N_("the daemon holds all {count} lines"), count=len(wanted))
    details = [_detail(name, known[name]["problem"]) for name in gone if known.get(name, {}).get("problem")]
    return fail(
        N_("the daemon cannot use: {lines}"),
        ""
        if details
        else N_("was the file changed since its start? systemctl restart loumen; `loumen io show` has every line"),
        details=details,
        lines=", ".join(gone),
    )


def _detail(name: str, problem: Mapping[str, Any]) -> Detail:
    return Detail(name, str(problem.get("what", "")), str(problem.get("mend", "")), problem.get("facts") or {})


def camera(look: Look) -> Outcome:
    """Every camera gives pictures, or could."""
    conf = look.config
    if conf is None:
        return skip(N_("without a valid configuration nobody knows which"))
    if not conf.camera:
        return skip(N_("no camera is configured"))
    if look.status is not None and conf.vision.run != "off":
        return _as_the_daemon_says(look.status, conf)
    for name, one in conf.camera.items():
        if (found := camera_finding(name, one)) is not None:
            return Outcome("fail", found.what, found.mend, found.facts)
        if isinstance(one, schema.RtspCamera) and not _answers(one.url):
            return fail(
                N_("camera {name} does not answer on the network"),
                N_("ping it; is it powered, is the address right, is the switch's port up?"),
                name=name,
            )
    return ok(N_("cameras that are there: {count}"), count=len(conf.camera))


def _as_the_daemon_says(status: Status, conf: schema.Gateway) -> Outcome:
    """What the processes that own the cameras tell, those of doors and those of lanes."""
    owners = [one for one in (status.vision, status.plate_vision) if one is not None and one.state != "off"]
    starting = [one for one in owners if one.state == "starting"]
    if starting:
        return warn(N_("the cameras are still being opened"), N_("try again in some seconds"))
    for owner in owners:
        if owner.state != "up":
            return fail(
                N_("the process that owns the cameras does not run: {reason}"),
                N_("journalctl -u 'loumen*'; loumen model verify"),
                reason=owner.last_end_words or owner.last_end or "-",
            )
    seen = {one.camera: one for owner in owners for one in owner.cameras}
    watched = {door.camera for door in conf.door.values()} | {lane.camera for lane in conf.lane.values()}
    details = [_camera(seen.get(name), name) for name in conf.camera if name in watched and not _fresh(seen.get(name))]
    if details:
        return fail(N_("these give no pictures"), "", details=details)
    return ok(N_("cameras that give pictures: {count}"), count=len(seen))


def _fresh(camera: CameraStatus | None) -> bool:
    return camera is not None and not camera.problem and (camera.frame_age or OLD_FRAME + 1) <= OLD_FRAME


def _camera(camera: CameraStatus | None, name: str) -> Detail:
    """Why a camera gives no pictures, as its owner says, else since when."""
    if camera is not None and camera.what:
        return Detail(name, camera.what, camera.mend, camera.facts)
    mend = N_("look at its cable, its power and its network")
    if camera is None or camera.frame_age is None:
        return Detail(name, N_("no picture yet"), mend)
    return Detail(name, N_("the last picture is {age} s old"), mend, {"age": f"{camera.frame_age:.0f}"})


def _answers(url: str) -> bool:
    """Whether somebody listens at the camera's address; nothing is said to it."""
    try:
        target = urlsplit(url)
        host, port = target.hostname or "", target.port or 554
        with socket.create_connection((host, port), CONNECT_WITHIN):
            return True
    except (OSError, ValueError):
        return False
