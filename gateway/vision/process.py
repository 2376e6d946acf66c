"""What a vision process asks of its operating system: memory, parent, life signs.

Life signs are systemd's: READY=1 and WATCHDOG=1 to $NOTIFY_SOCKET. As a service systemd listens
there (WatchdogSec=); as a child `supervise` does. So a hang is seen by whoever can kill.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import socket
from pathlib import Path

OOM_FIRST = 800  # of 1000: faces go before doors
_PR_SET_PDEATHSIG = 1
_M_MMAP_THRESHOLD, _M_ARENA_MAX = -3, -8


def resident_kb(status: Path = Path("/proc/self/status")) -> int:
    """How much memory this process holds now; 0 where the kernel does not say."""
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in status.read_text().splitlines():
            if line.startswith("VmRSS:"):
                return int(line.split()[1])
    return 0


def go_first_when_memory_is_short() -> None:
    """Offer this process to the out-of-memory killer."""
    with contextlib.suppress(OSError):
        Path("/proc/self/oom_score_adj").write_text(str(OOM_FIRST))


def give_memory_back() -> None:
    """Have freed buffers returned to the system at once. Call before much is allocated.

    glibc keeps what a large picture needed, once for each thread: 330 MB instead of 134 for plates (measured).
    """
    with contextlib.suppress(AttributeError, OSError):  # another C library
        libc = ctypes.CDLL(None)
        libc.mallopt(_M_MMAP_THRESHOLD, 256 * 1024)
        libc.mallopt(_M_ARENA_MAX, 2)


def die_with_parent() -> bool:
    """Have the kernel kill this process when $LOUMEN_PARENT ends; False if it has ended already."""
    parent = int(os.environ.get("LOUMEN_PARENT") or 0)
    if not parent:
        return True  # nobody's child: a service, or a person at a terminal
    ctypes.CDLL(None, use_errno=True).prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0)
    return os.getppid() == parent


def notify(state: str) -> None:
    """One life sign; silently nothing where nobody listens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as to:
        to.setblocking(False)
        to.sendto(state.encode(), "\0" + address[1:] if address[0] == "@" else address)
