"""Writing a file so that a power cut leaves the old one or the new one, whole."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def replace(path: Path, data: bytes, mode: int = 0o640) -> None:
    """Put `data` in place of `path`, durably. The new file keeps the old one's owner and mode. Raises OSError."""
    fresh = path.with_name(f".{path.name}.new")
    try:
        before = path.stat()
        mode = before.st_mode & 0o777
    except FileNotFoundError:
        before = path.parent.stat()
    with os.fdopen(os.open(fresh, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode), "wb") as file:
        with contextlib.suppress(PermissionError):
            os.fchown(file.fileno(), before.st_uid, before.st_gid)
        os.fchmod(file.fileno(), mode)
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    fresh.replace(path)
    sync_folder(path.parent)


def remove(path: Path) -> None:
    """Remove `path`, durably; absent is fine. Raises OSError."""
    path.unlink(missing_ok=True)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make what was renamed or removed in `folder` durable."""
    with contextlib.suppress(FileNotFoundError):
        number = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(number)
        finally:
            os.close(number)
