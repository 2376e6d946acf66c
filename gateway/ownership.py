"""What root makes in the daemon's folders belongs to the daemon.

A technician types `sudo loumen enrol` while the daemon runs as its own user: a file or a lock that only
root could open would keep it from its own state at the next start.
"""

from __future__ import annotations

import contextlib
import os
from pathlib import Path


def adopt(path: Path) -> None:
    """Give `path` to the owner of the folder it lies in; nothing for who is not root."""
    if os.geteuid() != 0:
        return
    owner = path.parent.stat()
    with contextlib.suppress(OSError):  # a read-only or foreign file system: as it is
        os.chown(path, owner.st_uid, owner.st_gid, follow_symlinks=False)
