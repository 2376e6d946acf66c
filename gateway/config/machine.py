"""A configuration against this machine: do its chips, lines, cameras, folders and users exist?

Nothing is claimed or opened. The drivers are given from outside (`inspect`), so that this runs on a
bench, in a test and beside a running daemon, whose own lines are not busy but ours.
"""

from __future__ import annotations

import os
import pwd
import stat
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

from drivers.errors import DriverError
from drivers.interfaces import LineInfo
from gateway.config import schema
from gateway.config.lines import Use, uses
from gateway.config.mistakes import ConfigMistakes, Finding, KeyPath
from gateway.errors import LoumenError, N_

OURS: Final = "loumen"

Inspect = Callable[[str, str, int], LineInfo]  # driver name, chip, line; raises DriverError


def check_machine(config: schema.Gateway, inspect: Inspect, path: Path | None = None) -> list[Finding]:
    """What this machine lacks. `path`: the configuration file, whose mode is looked at too."""
    found = [*_lines(config, inspect), *_cameras(config), *_buses(config)]
    found += [*_profiles(config), *_folders(config), *_users(config)]
    return [*found, *_secrecy(config, path)] if path is not None else found


def inspector() -> Inspect:
    """Looks at real lines, each driver made on first use."""
    from drivers.registry import Drivers

    drivers = Drivers()
    return lambda driver, chip, line: drivers.gpio(driver).inspect(chip, line)


def line_finding(use: Use, inspect: Inspect) -> Finding | None:
    """What is wrong with one line on this machine."""
    try:
        info = inspect(use.driver, use.chip, use.conf.line)
    except DriverError as error:
        return Finding(use.path, error.what, error.mend, error.facts)
    if info.consumer and not info.consumer.startswith(OURS):
        return Finding(
            use.path,
            N_("line {line} of {chip} is busy: {holder} holds it"),
            N_("stop it, or use another line"),
            {"line": use.conf.line, "chip": use.chip, "holder": info.consumer},
        )
    return None


def _lines(config: schema.Gateway, inspect: Inspect) -> Iterator[Finding]:
    for use in uses(config):
        if (found := line_finding(use, inspect)) is not None:
            yield found


def _cameras(config: schema.Gateway) -> Iterator[Finding]:
    for name, camera in config.camera.items():
        if (found := camera_finding(name, camera)) is not None:
            yield found


def camera_finding(name: str, camera: schema.Camera) -> Finding | None:
    """What is wrong with a camera's source, without opening it; a network camera is not asked."""
    match camera:
        case schema.V4l2Camera():
            if not _is(Path(camera.device), stat.S_ISCHR):
                known = ", ".join(sorted(map(str, Path("/dev/v4l/by-id").glob("*")))) or "-"
                return Finding(
                    ("camera", name, "device"),
                    N_("there is no camera {device}"),
                    N_("here are: {known}"),
                    {"device": camera.device, "known": known},
                )
        case schema.FileCamera():
            if not _is(Path(camera.path), stat.S_ISREG):
                return Finding(("camera", name, "path"), N_("there is no file {path}"), "", {"path": camera.path})
        case schema.FolderCamera():
            if not _is(Path(camera.path), stat.S_ISDIR):
                return Finding(("camera", name, "path"), N_("there is no folder {path}"), "", {"path": camera.path})
        case _:
            return None
    return None


def _buses(config: schema.Gateway) -> Iterator[Finding]:
    for name, bus in config.bus.items():
        if isinstance(bus, schema.SerialBus) and bus.port and not Path(bus.port).exists():
            yield Finding(
                ("bus", name, "port"),
                N_("there is no port {device}"),
                N_("plug the adapter in; 'loumen meter scan' lists the ports"),
                {"device": bus.port},
            )
        if isinstance(bus, schema.SerialBus) and bus.adapter and (missing := _unplugged(bus.adapter)) is not None:
            yield Finding(("bus", name, "adapter"), missing.what, missing.mend, missing.facts, "warning")
        if isinstance(bus, schema.SimulatedBus) and not _is(Path(bus.meters), stat.S_ISREG):
            yield Finding(("bus", name, "meters"), N_("there is no file {path}"), "", {"path": bus.meters})


def _unplugged(number: str) -> DriverError | None:
    from drivers.serial_port import adapters, find

    try:
        find(number, adapters())
    except DriverError as error:
        return error
    return None


def _profiles(config: schema.Gateway) -> Iterator[Finding]:
    """Each meter's register map is there, and is one."""
    from gateway.metering import profiles

    for name, meter in config.meter.items():
        path: KeyPath = ("meter", name, "profile")
        try:
            profiles.load(meter.profile, config.metering.profiles)
        except ConfigMistakes as error:
            facts = {**error.facts, "path": str(profiles.known(config.metering.profiles)[meter.profile])}
            yield Finding(path, error.what, N_("'loumen meter profile check {path}' tells them all"), facts)
        except LoumenError as error:
            yield Finding(path, error.what, error.mend, error.facts)


def _is(path: Path, kind: Callable[[int], bool]) -> bool:
    try:
        return kind(path.stat().st_mode)
    except (OSError, ValueError):
        return False


def _folders(config: schema.Gateway) -> Iterator[Finding]:
    if config.vision.models and not _is(Path(config.vision.models), stat.S_ISDIR):
        yield Finding(("vision", "models"), N_("there is no folder {path}"), "", {"path": config.vision.models})


def _users(config: schema.Gateway) -> Iterator[Finding]:
    for role in ("administrators", "technicians", "clerks"):
        for at, name in enumerate(getattr(config.control, role)):
            path: KeyPath = ("control", role, at)
            try:
                pwd.getpwnam(name)
            except KeyError:
                yield Finding(
                    path,
                    N_("this machine has no user {name}"),
                    N_("useradd {name}, or take the name out"),
                    {"name": name},
                    "warning",
                )


def _secrecy(config: schema.Gateway, path: Path) -> Iterator[Finding]:
    secret = any(isinstance(camera, schema.RtspCamera) and "@" in camera.url for camera in config.camera.values())
    try:
        mode = os.stat(path).st_mode  # noqa: PTH116  (follows a link, as the daemon's reading does)
    except OSError:
        return
    if secret and mode & 0o004:
        yield Finding(
            ("camera",),
            N_("the file holds a camera's password and everybody on this machine can read it"),
            N_("chgrp loumen {path}; chmod 640 {path}"),
            {"path": str(path)},
            "warning",
        )
