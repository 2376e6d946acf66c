"""An empty Debian for the tests of a box: a folder to look into, and a disk that boots with systemd.

    python3 tests/real/box/image.py       make both if they are not there yet; print where they are

Made once by mmdebstrap (half a minute) and kept in the user's cache folder under the hash of the recipe below, as the
kernel of tests/real/uml/build.py is. A machine that boots the disk writes to a copy-on-write file of its own, so it
stays empty. Only the standard library.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
from pathlib import Path

SUITE = "bookworm"
PACKAGES = "systemd systemd-sysv udev dbus python3 python3-venv tzdata".split()
#: What docs/install.md asks for beside, and what a technician reaches a box by.
PACKAGES += "avahi-daemon iproute2 openssh-server sudo".split()
DISK_GB = 4
#: What a booted test runs: the script that the kernel's command line names, from the host's files.
UNIT = """\
[Unit]
Description=What the test asks for
After=multi-user.target
[Service]
Type=oneshot
StandardOutput=tty
StandardError=tty
TTYPath=/dev/console
ExecStart=/bin/bash -c 'mount -t hostfs none /mnt -o /; \\
    bash "/mnt$(sed "s/.*loumen.script=//; s/ .*//" /proc/cmdline)"; \\
    echo "loumen-guest: done $?"; sync; systemctl --force --force poweroff'
[Install]
WantedBy=multi-user.target
"""
OFF = "getty@tty1 console-getty systemd-timesyncd apt-daily apt-daily-upgrade"
CUSTOMISE = (
    'cp "$UNIT" "$1/etc/systemd/system/loumen-test.service"',
    'mkdir -p "$1/etc/systemd/system/multi-user.target.wants"',
    'ln -s ../loumen-test.service "$1/etc/systemd/system/multi-user.target.wants/"',
    *(f'ln -sf /dev/null "$1/etc/systemd/system/{unit}.service"' for unit in OFF.split()),
    'echo box >"$1/etc/hostname"',
    ': >"$1/etc/machine-id"',
    'rm -rf "$1"/var/cache/apt/* "$1"/var/lib/apt/lists/*',
)
LEFT_OUT = "/usr/share/doc/* /usr/share/man/* /usr/share/locale/* /usr/share/info/*".split()


class CannotBuild(Exception):  # noqa: N818  (named for what it says)
    """This machine lacks something that the build needs; the text names it."""


def folder() -> Path:
    """Where root.tar and disk.ext4 of this recipe are, or will be."""
    recipe = [SUITE, PACKAGES, DISK_GB, UNIT, CUSTOMISE, LEFT_OUT]
    key = hashlib.sha256(json.dumps(recipe).encode()).hexdigest()[:24]
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return cache / "loumen" / "box" / key


def root() -> Path:
    """The empty Debian as a tar archive, made if it is not there. Raises CannotBuild."""
    return _built() / "root.tar"


def disk() -> Path:
    """The same as an ext4 disk. Raises CannotBuild."""
    return _built() / "disk.ext4"


def _built() -> Path:
    where = folder()
    where.mkdir(parents=True, exist_ok=True)
    with (where / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (where / "disk.ext4").exists():
            _build(where)
    return where


def _build(where: Path) -> None:
    lacking = [tool for tool in ("mmdebstrap", "mke2fs", "tar") if shutil.which(tool, path=_path()) is None]
    if lacking:
        raise CannotBuild(f"not installed: {' '.join(lacking)}")
    if os.geteuid() != 0:
        raise CannotBuild("an image with root's files needs root")
    with tempfile.TemporaryDirectory(prefix="loumen-box-", dir=where) as scratch:
        unit, made, tree = Path(scratch) / "unit", Path(scratch) / "root.tar", Path(scratch) / "tree"
        unit.write_text(UNIT)
        tree.mkdir()
        hooks = [f"--customize-hook={command}" for command in CUSTOMISE]
        left_out = [f"--dpkgopt=path-exclude={pattern}" for pattern in LEFT_OUT]
        include = f"--include={','.join(PACKAGES)}"
        run("mmdebstrap", "--variant=minbase", "--quiet", include, *left_out, *hooks, SUITE, str(made), UNIT=str(unit))
        run("tar", "xf", str(made), "-C", str(tree))
        image = Path(scratch) / "disk.ext4"
        with image.open("wb") as file:
            file.truncate(DISK_GB * 1024**3)
        run("mke2fs", "-q", "-t", "ext4", "-F", "-m", "0", "-d", str(tree), str(image))
        made.rename(where / "root.tar")
        image.rename(where / "disk.ext4")


def run(*command: str, **environment: str) -> None:
    """A step of a build. Raises CannotBuild with what it said."""
    done = subprocess.run(
        command, capture_output=True, text=True, check=False, env={**os.environ, "PATH": _path(), **environment}
    )
    if done.returncode:
        raise CannotBuild(f"`{' '.join(command[:3])}` failed:\n{done.stderr[-2000:]}")


def _path() -> str:
    return f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"


def main() -> int:
    """The command line; see the top of this file."""
    os.nice(10)
    try:
        print(disk().parent)
    except CannotBuild as cannot:
        print(f"no Debian for a box: {cannot}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
