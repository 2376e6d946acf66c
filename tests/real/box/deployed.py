"""What the tests of a box install: this checkout's files in a folder of their own, and the wheels, fetched once."""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import subprocess
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[3]
PARTS = "gateway drivers systemd requirements models profiles docs README.md pyproject.toml deploy.sh".split()


def checkout(to: Path) -> Path:
    """A copy of what deploy.sh takes."""
    to.mkdir()
    for part in PARTS:
        path = REPOSITORY / part
        if path.is_dir():
            shutil.copytree(path, to / part, ignore=shutil.ignore_patterns("__pycache__", "*.unfinished"))
        else:
            shutil.copy2(path, to / part)
    return to


def wheels() -> Path:
    """The folder that `make wheels` fills, kept in the user's cache under the hash of the locks."""
    locks = b"".join(
        (REPOSITORY / "requirements" / f"{name}.txt").read_bytes() for name in ("runtime", "no-deps", "build")
    )
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "loumen" / "wheels"
    folder = cache / hashlib.sha256(locks).hexdigest()[:24]
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (folder / "whole").exists():
            subprocess.run(
                ["make", "-s", "wheels", f"WHEELS={folder}"], cwd=REPOSITORY, check=True, capture_output=True
            )
            (folder / "whole").touch()
    return folder
