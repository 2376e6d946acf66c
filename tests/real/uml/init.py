"""The guest's first process: mounts what a machine has, runs the script, halts. See guest.py for what it promises.

Only the standard library, and nothing of this checkout: it runs before PYTHONPATH is known.
"""

from __future__ import annotations

import ctypes
import fcntl
import json
import os
import runpy
import socket
import struct
import sys
import termios
import traceback
from pathlib import Path

UP = "loumen-guest: up"
DONE = "loumen-guest: done "
POWER_OFF = 0x4321FEDC

LIBC = ctypes.CDLL(None, use_errno=True)

MOUNTS = (
    ("proc", "/proc", "proc"),
    ("sysfs", "/sys", "sysfs"),
    ("tmpfs", "/run", "tmpfs"),
    ("configfs", "/sys/kernel/config", "configfs"),
    ("debugfs", "/sys/kernel/debug", "debugfs"),
    ("tracefs", "/sys/kernel/tracing", "tracefs"),
)
ENVIRONMENT = {
    "HOME": "/run/home",
    "LANG": "C.UTF-8",
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "PYTHONDONTWRITEBYTECODE": "1",
    "PYTHONUNBUFFERED": "1",
    "TMPDIR": "/run/tmp",
}


def mount(source: str, target: str, kind: str) -> None:
    """mount(2). Raises OSError."""
    if LIBC.mount(source.encode(), target.encode(), kind.encode(), 0, None) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), target)


def plain_console() -> None:
    """No echo of what the host sends, no carriage returns."""
    settings = termios.tcgetattr(0)
    settings[1] &= ~termios.ONLCR
    settings[3] &= ~termios.ECHO
    termios.tcsetattr(0, termios.TCSANOW, settings)


def loopback_up() -> None:
    """A broker or a socket on 127.0.0.1 needs it."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sh", b"lo", 0x1 | 0x40))  # SIOCSIFFLAGS, IFF_UP | IFF_RUNNING


def prepare(boot: dict[str, object]) -> None:
    """Everything up to the script."""
    for source, target, kind in MOUNTS:
        mount(source, target, kind)
    for folder in ("/run/tmp", "/run/home", "/run/data", "/dev/shm", "/dev/pts"):
        Path(folder).mkdir(exist_ok=True)
    mount("tmpfs", "/dev/shm", "tmpfs")
    mount("devpts", "/dev/pts", "devpts")
    if boot["disk"]:
        mount("/dev/ubda", "/run/data", "ext4")
    loopback_up()
    plain_console()
    os.environ.clear()
    os.environ.update(ENVIRONMENT, **boot["env"])  # type: ignore[arg-type]
    os.chdir("/run")


def run(argv: list[str]) -> int:
    """The script as `__main__`, in this very process."""
    sys.argv = argv
    sys.path[:0] = os.environ["PYTHONPATH"].split(":")
    try:
        runpy.run_path(argv[0], run_name="__main__")
    except SystemExit as end:
        return end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001  (whatever it was, the host must read it)
        traceback.print_exc()
        return 70
    return 0


def main() -> None:
    """Prepare, run, halt."""
    boot = json.loads(Path(sys.argv[1]).read_text())
    prepare(boot)
    print(UP, flush=True)
    code = run(boot["argv"])
    sys.stdout.flush()
    print(f"{DONE}{code}", flush=True)
    termios.tcdrain(1)
    os.sync()
    LIBC.reboot(POWER_OFF)


if __name__ == "__main__":
    main()
