"""Opens the vision unit's sandbox for its group's cameras and nothing else: `loumen-vision@.service` runs it first.

    python -m gateway.vision.devices GROUP SETTINGS        as root, before the process itself

The unit alone may open no device. Which ones its group needs stands in the settings that the daemon wrote; here
each is looked at (a V4L2 device, by its major number) and given to systemd for this unit until the next boot. A
network camera needs none. What is not there yet is not given: the udev rule starts the unit again when a camera comes.

Runs as root over a file of the daemon's, so it imports nothing of ours and believes nothing but names of video devices.
"""

from __future__ import annotations

import json
import os
import stat
import subprocess
import sys
from pathlib import Path

VIDEO = 81  # the kernel's major number of V4L2 devices


def devices(settings: object) -> list[str]:
    """The paths that the settings' cameras name, whatever else the file holds."""
    cameras = settings.get("cameras") if isinstance(settings, dict) else None
    named = cameras.values() if isinstance(cameras, dict) else ()
    found = (camera.get("device") for camera in named if isinstance(camera, dict))
    return sorted({path for path in found if isinstance(path, str) and is_video(path)})


def is_video(path: str) -> bool:
    """Whether it is a V4L2 device of this machine."""
    if not path.startswith("/dev/") or any(letter.isspace() for letter in path):
        return False
    try:
        found = os.stat(path)  # noqa: PTH116  (a path with a NUL is a ValueError in both)
    except (OSError, ValueError):
        return False
    return stat.S_ISCHR(found.st_mode) and os.major(found.st_rdev) == VIDEO


def allow(unit: str, paths: list[str]) -> int:
    """Replace what the unit may open; systemd's own exit code."""
    allowed = [f"DeviceAllow={path} rw" for path in paths]
    return subprocess.run(
        ["systemctl", "set-property", "--runtime", unit, "DeviceAllow=", *allowed], check=False
    ).returncode


def main(arguments: list[str]) -> int:
    """The command line; see the top of this file."""
    group, file = arguments
    try:
        settings = json.loads(Path(file).read_bytes())
    except (OSError, ValueError) as error:
        sys.stderr.write(f"{file}: {error}\n")
        return 1
    paths = devices(settings)
    sys.stdout.write(f"cameras of {group}: {', '.join(paths) or 'no device of this machine'}\n")
    return allow(f"loumen-vision@{group}.service", paths)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
