"""Files and folders: configuration, permissions, models, disk, databases."""

from __future__ import annotations

import os
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gateway.control.status import Status
from gateway.doctor.look import Detail, Look, Outcome, fail, ok, skip, warn
from gateway.errors import LoumenError, N_

if TYPE_CHECKING:
    from gateway.vision.models import Model, Optional

MB: Final = 1024 * 1024
LOW_MB, NONE_MB = 500, 50
DISK_UNIT: Final = Path("/etc/systemd/system/loumen-disk.service")  # deploy.sh: times are written seldom
MOUNTS: Final = Path("/proc/self/mountinfo")
DATABASES: Final = ("journal.db", "directory.db", "measurements.db")
STATES: Final = {"missing": N_("missing"), "damaged": N_("damaged")}
AGAIN: Final = N_("get it again from its upstream, or remove the file: {upstream}")


def config(look: Look) -> Outcome:
    """The file can be used, and the daemon uses it."""
    if look.mistakes is not None:
        error = look.mistakes
        details = [
            Detail(f"{one.file}:{one.line} {one.key}".replace(":0 ", " ").strip(), one.what, one.mend, one.facts)
            for one in error.mistakes
        ]
        mend = N_("mend each, then: loumen config check {path}")
        return Outcome("fail", error.what, mend, {**error.facts, "path": str(look.path)}, tuple(details))
    if look.status is not None and look.status.config.source != "file":
        told = [one for one in look.status.problems if one.part == "config"]
        why = tuple(Detail(one.part, one.what, one.mend, {**one.facts, "where": one.where}) for one in told)
        what = N_("the file is valid, but the daemon runs another configuration")
        return Outcome("warn", what, N_("systemctl restart loumen"), {}, why)
    warnings = [found for found in look.loaded.warnings if found.severity == "warning"] if look.loaded else []
    if warnings:
        return warn(
            N_("valid, with {count} warnings"),
            N_("loumen config check {path}"),
            count=len(warnings),
            path=str(look.path),
        )
    return ok(N_("{path} is valid"), path=str(look.path))


def permissions(look: Look) -> Outcome:
    """Secrets are not for everybody, and the daemon can reach what it needs."""
    try:
        state, file = look.state.stat(), look.path.stat()
    except FileNotFoundError as error:
        made = N_("it is made at the daemon's first start")
        mend = made if str(error.filename) == str(look.state) else N_("make one: loumen config new --board pi4")
        return warn(N_("{path} does not exist"), mend, path=str(error.filename))
    except OSError as error:
        return fail(
            N_("{path} cannot be looked at: {problem}"),
            N_("run the doctor as root, or as the daemon's user"),
            path=str(error.filename),
            problem=error.strerror or "",
        )
    if state.st_mode & 0o007:
        return fail(N_("everybody can look into {path}"), N_("chmod 750 {path}"), path=str(look.state))
    if file.st_mode & 0o002:
        return fail(N_("everybody can change {path}"), N_("chmod 640 {path}"), path=str(look.path))
    identity = look.state / "identity"
    if identity.exists() and identity.stat().st_mode & 0o077:
        return fail(N_("others than the daemon can look at {path}"), N_("chmod 700 {path}"), path=str(identity))
    if not os.access(look.state, os.W_OK):
        return fail(
            N_("{path} cannot be written"),
            N_("run the doctor as root, or give the folder to the daemon's user: chown -R loumen {path}"),
            path=str(look.state),
        )
    return ok(N_("folders and files have the right owners and modes"))


def models(look: Look) -> Outcome:
    """Every model file is there and is the one of the manifest."""
    conf = look.config
    if conf is not None and conf.vision.run == "off":
        return skip(N_("vision is off"))
    try:
        from gateway.vision.models import Model, states
    except ImportError as error:
        return fail(N_("the vision part is not installed: {problem}"), N_("install Loumen again"), problem=str(error))
    extra = Path(conf.vision.models) if conf is not None and conf.vision.models else None
    try:
        found = [
            (model, state) for model, state in states(extra=extra) if isinstance(model, Model) or state != "missing"
        ]
    except LoumenError as error:
        return Outcome("fail", error.what, error.mend, error.facts)
    details = [_wrong(model, state) for model, state in found if state != "ok"]
    if details:
        return fail(N_("models that are missing or damaged"), "", details=details)
    return ok(N_("{count} models are there and whole"), count=len(found))


def _wrong(model: Model | Optional, state: str) -> Detail:
    upstream = getattr(model, "upstream", "")  # an optional model's; no package brings it back
    return Detail(model.name, STATES[state], AGAIN if upstream else N_("loumen model prepare"), {"upstream": upstream})


def disk(look: Look) -> Outcome:
    """Room for the journal, on a file system that can be written."""
    folder = look.state
    while not folder.exists():
        folder = folder.parent
    room = os.statvfs(folder)
    free = room.f_bavail * room.f_frsize // MB
    if room.f_flag & os.ST_RDONLY:
        return fail(
            N_("the disk of {path} is read-only: the kernel found it damaged, or it is mounted so"),
            N_("dmesg | grep -i ext4; then fsck, or a new card"),
            path=str(folder),
        )
    if free < NONE_MB or (room.f_files and room.f_favail < 1000):
        return fail(
            N_("{free} MB are free: events will be dropped"), N_("make room in {path}"), free=free, path=str(folder)
        )
    if free < LOW_MB:
        return warn(N_("{free} MB are free"), N_("make room in {path}"), free=free, path=str(folder))
    status = look.status
    if status is not None and (written := status.disk.written_today_mb) is not None and written > status.disk.budget_mb:
        return warn(
            N_("{written} MB were written today; {budget} MB are the budget of an SD card"),
            N_("loumen status names the part that writes; loumen event list shows what"),
            written=f"{written:.0f}",
            budget=f"{status.disk.budget_mb:.0f}",
        )
    if DISK_UNIT.exists() and writes_times(folder):
        return warn(
            N_("the disk of {path} writes a file's time with each event: twice what an SD card need take"),
            N_("sudo systemctl restart loumen-disk; findmnt -T {path} then shows lazytime"),
            path=str(folder),
        )
    return ok(N_("{free} MB are free"), free=free)


def writes_times(folder: Path) -> bool:
    """Whether it lies on an ext4 that is not mounted lazytime (proc(5), mountinfo)."""
    device = folder.stat().st_dev
    name = f"{os.major(device)}:{os.minor(device)}"
    for line in MOUNTS.read_text().splitlines():
        here, _, there = line.partition(" - ")
        if here.split()[2] == name:
            kind, _source, options = there.split(" ", 2)
            return kind == "ext4" and "lazytime" not in options.split(",")
    return False


def database(look: Look) -> Outcome:
    """Journal, directory and measurements can be read and are whole."""
    if look.status is not None:
        return _as_the_daemon_says(look.status)
    present = [name for name in DATABASES if (look.state / name).exists()]
    if not present:
        return skip(N_("there is no database yet"))
    from gateway.state_lock import StateLock

    try:
        with StateLock(look.state):
            damaged = [name for name in present if not _whole(look.state / name)]
    except LoumenError as error:
        return warn(error.what, error.mend, **error.facts)
    except OSError as error:
        return fail(
            N_("{path} cannot be looked at: {problem}"),
            N_("run the doctor as root, or as the daemon's user"),
            path=str(look.state),
            problem=error.strerror or "",
        )
    if damaged:
        return fail(
            N_("damaged: {names}"),
            N_("start the daemon: it sets a damaged file aside and goes on with a copy or a new one"),
            names=", ".join(damaged),
        )
    return ok(N_("{names} are whole"), names=", ".join(present))


def _as_the_daemon_says(status: Status) -> Outcome:
    parts = {"journal": status.journal.state, "directory": status.directory.state}
    wrong = [name for name, state in parts.items() if state not in {"ok", "starting"}]
    if not wrong:
        return ok(N_("the daemon says: well"))
    details = [
        Detail(one.part, one.what, one.mend, {**one.facts, "where": one.where})
        for one in status.problems
        if one.part in wrong
    ]
    told = {one.name for one in details}
    details += [
        Detail(part, N_("not well"), N_("see the log: journalctl -u loumen")) for part in wrong if part not in told
    ]
    return fail(N_("the daemon says: not well"), "", details=details)


def _whole(path: Path) -> bool:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=ro", uri=True, timeout=2.0)) as connection:
            return bool(connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",))
    except sqlite3.DatabaseError:
        return False
