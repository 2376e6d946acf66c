"""One owner of the state folder: the daemon takes this lock once, before it opens any database.

The lock covers the journal, the directory, the keys and the measurements together. A command on a stopped
box takes it too before it reads or writes the files directly. The kernel lets it go when its holder ends,
however it ends; the text in the file names the holder for people.
"""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from types import TracebackType
from typing import Self

from gateway.errors import N_, StateBusy
from gateway.ownership import adopt


class StateLock:
    """`with StateLock(folder):` or `acquire()` and `release()`. Raises StateBusy, or OSError from the disk."""

    def __init__(self, folder: Path) -> None:
        self.path = folder / "lock"
        self._handle = -1

    def acquire(self) -> None:
        self.path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        handle = os.open(self.path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        adopt(self.path)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 32, 0).decode(errors="replace").strip() or "?"
            os.close(handle)
            raise StateBusy(
                N_("another Loumen process (pid {pid}) uses {folder}"),
                where=str(self.path),
                mend=N_("stop it first, or ask it over its socket; two daemons cannot share a state folder"),
                pid=holder,
                folder=str(self.path.parent),
            ) from None
        except BaseException:
            os.close(handle)
            raise
        self._handle = handle
        os.ftruncate(handle, 0)
        os.pwrite(handle, f"{os.getpid()}\n".encode(), 0)

    def release(self) -> None:
        """Let go; again is harmless."""
        if self._handle >= 0:
            os.close(self._handle)
            self._handle = -1

    def __enter__(self) -> Self:
        self.acquire()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.release()
