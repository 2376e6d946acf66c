"""Boots the empty Debian of image.py with systemd, runs one script in it as root, gives back what it said.

The script finds the host's files under /mnt, read and write; its own changes go to a copy-on-write file in `scratch`:
the next boot with the same `scratch` goes on from there. The processor is one, the disk is real: `deploy.sh` takes
about a minute here.
"""

from __future__ import annotations

import contextlib
import os
import signal
import subprocess
import threading
from pathlib import Path

from tests.real.box import image
from tests.real.uml import build

DONE = "loumen-guest: done "
SILENT = 240.0  # seconds; the board's first words come with the script


def boot(
    script: Path, scratch: Path, within: float, memory: str = "768M", cut: tuple[str, float] | None = None
) -> tuple[int, str]:
    """Exit code and output of `script`; code -9 when it took longer than `within` seconds or the machine died.

    `cut` takes the power away so many seconds after a line that begins so: SIGKILL to the whole machine.
    Once in some twenty starts user-mode Linux spins before its first line, its disk untouched: it is started again.
    """
    lines: list[str] = []
    for _ in range(2):
        lines = _booted(script, scratch, within, memory, cut)
        if lines:
            break
    told = [line for line in lines if line.startswith(DONE)]
    return (int(told[-1].removeprefix(DONE)) if told else -signal.SIGKILL), "\n".join(lines) + "\n"


def _booted(script: Path, scratch: Path, within: float, memory: str, cut: tuple[str, float] | None) -> list[str]:
    command = [str(build.kernel()), f"mem={memory}", f"uml_dir={scratch}", "con=null", "con0=fd:0,fd:1", "console=tty0"]
    command += ["root=/dev/ubda", "rw", f"ubd0={scratch / 'cow'},{image.disk()}", "quiet", "loglevel=3"]
    command += ["systemd.show_status=0", f"loumen.script={script.resolve()}"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        env={"HOME": str(scratch), "PATH": os.environ.get("PATH", "")},
    )
    assert process.stdout is not None

    def power_off() -> None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)

    lines: list[str] = []
    timers = [threading.Timer(within, power_off), threading.Timer(SILENT, lambda: None if lines else power_off())]
    for timer in timers:
        timer.start()
    with process:
        for raw in process.stdout:
            lines.append(raw.decode(errors="replace").rstrip("\r\n"))
            if cut is not None and lines[-1].startswith(cut[0]):
                timers.append(threading.Timer(cut[1], power_off))
                timers[-1].start()
                cut = None
    for timer in timers:
        timer.cancel()
    return lines
