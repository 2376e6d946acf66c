"""`config apply`: a new file is put in place, and taken back by itself unless it is confirmed.

Who locks herself out with a wrong line, or loses the network by it, waits ten minutes and has the old
box again.

Theory of operation
    Files in the state folder: `before.toml` (the old text), `pending.json` (what was applied, and
    until when). They are written in this order, each durable, and only then the file is replaced:
        before.toml -> pending.json -> gateway.toml
    A power cut between any two leaves the old file and a pending note about a file that is not there:
    MOOT, swept away. Confirming removes the note. Taking back replaces the file first and removes the
    note after, so a cut in between takes back once more, which changes nothing.

    The deadline is kept twice. Within the boot in which it was applied the boot clock decides, which
    no hand can set. After a reboot UTC decides where the clock is trusted; until it is, the ten
    minutes begin again at each boot: late, but never early.

`verdict` is pure: a note, what the file holds now, and a time in; what to do out.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from enum import Enum, auto
from pathlib import Path
from typing import Final

import msgspec

from gateway.clock import Now
from gateway.config import files
from gateway.config.places import MAX_FILE

WINDOW: Final = 600.0  # seconds to confirm


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """An applied file that waits for its confirmation."""

    after: str  # sha256 of the new file
    before: str  # sha256 of the one it replaced
    until: str  # UTC with offset
    boot_id: str
    boot_until: float  # seconds since boot, in the boot of `boot_id`
    window: float = WINDOW


class Verdict(Enum):
    """What to do about a pending file."""

    NONE = auto()  # nothing is pending
    MOOT = auto()  # the file is not the pending one: forget it
    WAITING = auto()  # the deadline is ahead
    RENEW = auto()  # after a reboot without a trusted clock: write a deadline for this boot
    EXPIRED = auto()  # take it back


def pend(before: str, after: str, now: Now, boot_id: str, window: float = WINDOW) -> Pending:
    """The note for a file that is about to be put in place."""
    return Pending(
        after=after,
        before=before,
        until=(now.wall + timedelta(seconds=window)).isoformat(),
        boot_id=boot_id,
        boot_until=now.boot + window,
        window=window,
    )


def verdict(pending: Pending | None, file_sha256: str, now: Now, boot_id: str) -> Verdict:
    """What to do now."""
    if pending is None:
        return Verdict.NONE
    if file_sha256 != pending.after:
        return Verdict.MOOT
    if pending.boot_id == boot_id:
        return Verdict.EXPIRED if now.boot >= pending.boot_until else Verdict.WAITING
    if not now.trusted:
        return Verdict.RENEW
    return Verdict.EXPIRED if now.wall >= datetime.fromisoformat(pending.until) else Verdict.WAITING


def remaining(pending: Pending, now: Now, boot_id: str) -> float:
    """Seconds until it is taken back; 0 when that is due."""
    if pending.boot_id == boot_id:
        return max(0.0, pending.boot_until - now.boot)
    return max(0.0, (datetime.fromisoformat(pending.until) - now.wall).total_seconds())


def renewed(pending: Pending, now: Now, boot_id: str) -> Pending:
    """The note for this boot: its whole window again."""
    return msgspec.structs.replace(pending, boot_id=boot_id, boot_until=now.boot + pending.window)


class Applied:
    """The files of an apply: `folder` in the state, `path` the configuration."""

    def __init__(self, folder: Path, path: Path) -> None:
        self.path, self._folder = path, folder
        self.before, self.refused = folder / "before.toml", folder / "refused.toml"
        self._note = folder / "pending.json"

    def put_in_place(self, text: str, now: Now, window: float = WINDOW) -> Pending:
        """Replace the file by `text`, to be confirmed. Raises OSError."""
        new, old = text.encode(), self.path.read_bytes()
        self._make_folder()
        pending = self.pending()
        if pending is None or pending.after != sha256(old):
            files.replace(self.before, old)  # an apply over an unconfirmed one reverts to the last confirmed
        else:
            old = self.before.read_bytes()
        note = pend(sha256(old), sha256(new), now, boot_id(), window)
        files.replace(self._note, msgspec.json.encode(note))
        files.replace(self.path, new)
        return note

    def pending(self) -> Pending | None:
        """The note; a damaged one counts as none. Raises OSError."""
        try:
            return msgspec.json.decode(self._note.read_bytes(), type=Pending)
        except (FileNotFoundError, NotADirectoryError, msgspec.DecodeError, UnicodeDecodeError):
            return None

    def file_sha256(self) -> str:
        """Of the configuration file as it is now; empty where it cannot be read."""
        try:
            with self.path.open("rb") as file:
                return sha256(file.read(MAX_FILE + 1))
        except OSError:
            return ""

    def before_text(self) -> str:
        """The text that was replaced. Raises OSError, ValueError."""
        return self.before.read_text(encoding="utf-8")

    def confirm(self) -> bool:
        """The new file stays. False where nothing was pending. Raises OSError."""
        pending = self.pending()
        files.remove(self._note)
        return pending is not None and pending.after == self.file_sha256()

    def forget(self) -> None:
        """Sweep a moot note away. Raises OSError."""
        files.remove(self._note)

    def renew(self, now: Now) -> None:
        """After a reboot without a trusted clock. Raises OSError."""
        if (pending := self.pending()) is not None:
            files.replace(self._note, msgspec.json.encode(renewed(pending, now, boot_id())))

    def put_back(self) -> None:
        """The file from before again; the refused one is kept beside it. Raises OSError."""
        with contextlib.suppress(OSError):
            files.replace(self.refused, self.path.read_bytes())
        files.replace(self.path, self.before.read_bytes())
        files.remove(self._note)

    def _make_folder(self) -> None:
        if not self._folder.exists():
            self._folder.mkdir(mode=0o750, parents=True)
            owner = self._folder.parent.stat()
            with contextlib.suppress(PermissionError):
                os.chown(self._folder, owner.st_uid, owner.st_gid)


def verdict_now(applied: Applied, now: Now | None = None) -> Verdict:
    """What to do about `applied` at this moment, with the sweeping and renewing done. Never raises."""
    try:
        pending = applied.pending()
        if pending is None:
            return Verdict.NONE
        now = now or _machine_now()
        found = verdict(pending, applied.file_sha256(), now, boot_id())
        if found is Verdict.MOOT:
            applied.forget()
        elif found is Verdict.RENEW:
            applied.renew(now)
    except OSError:
        return Verdict.NONE
    return found


def _machine_now() -> Now:
    """Before the clock's trust is known it is not trusted."""
    return Now(time.monotonic(), time.clock_gettime(time.CLOCK_BOOTTIME), datetime.now(UTC), trusted=False)


def sha256(data: bytes) -> str:
    return hashlib.sha256(data).hexdigest()


def boot_id(read: Callable[[], str] = Path("/proc/sys/kernel/random/boot_id").read_text) -> str:
    """The kernel's name for this boot; empty where there is none."""
    try:
        return read().strip()
    except OSError:
        return ""
