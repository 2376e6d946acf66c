"""Inside a guest: its disk's own count, and how it is mounted."""

from __future__ import annotations

import ctypes
import os
from pathlib import Path

REMOUNT, LAZYTIME = 32, 1 << 25  # linux/mount.h


def given_to_the_disk() -> int:
    """Bytes since the boot, after all is written (Documentation/block/stat.rst: sectors of 512)."""
    os.sync()
    return int(Path("/sys/block/ubda/stat").read_text().split()[6]) * 512


def mount_lazily() -> None:
    """Times of files are written with other changes of theirs, or once a day."""
    libc = ctypes.CDLL(None, use_errno=True)
    assert libc.mount(b"/dev/ubda", b"/run/data", b"ext4", REMOUNT | LAZYTIME, None) == 0, ctypes.get_errno()
