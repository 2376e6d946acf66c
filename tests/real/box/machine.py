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
from collections.abc import Callable
from pathlib import Path

from tests.real.box import image
from tests.real.uml import build

DONE = "loumen-guest: done "
SILENT = 400.0  # seconds without a word: a release that is prepared on a busy machine takes half of it


def boot(
    script: Path, scratch: Path, within: float, memory: str = "768M", cut: tuple[str, float] | None = None
) -> tuple[int, str]:
    """Exit code and output of `script`; code -9 when it took longer than `within` seconds or the machine died.

    `cut` takes the power away so many seconds after a line that begins so: SIGKILL to the whole machine.
    Once in some twenty boots user-mode Linux itself spins and says nothing more. Then it is booted again from the same
    disk, once: what hangs by our doing hangs again.
    """
    before = scratch / "before"
    _copied(scratch / "cow", before)
    lines, spins = _booted(script, scratch, within, memory, cut)
    if spins:
        _copied(before, scratch / "cow")
        again, _ = _booted(script, scratch, within, memory, cut)
        lines = [*again, "# booted twice: the first machine fell silent behind", *(f"# {line}" for line in lines[-5:])]
    before.unlink(missing_ok=True)
    told = [line for line in lines if line.startswith(DONE)]
    return (int(told[-1].removeprefix(DONE)) if told else -signal.SIGKILL), "\n".join(lines) + "\n"


def _copied(disk: Path, to: Path) -> None:
    """As it is, with its holes; and gone where there is none yet."""
    to.unlink(missing_ok=True)
    if disk.exists():
        subprocess.run(["cp", "--sparse=always", disk, to], check=True)


def _booted(
    script: Path, scratch: Path, within: float, memory: str, cut: tuple[str, float] | None
) -> tuple[list[str], bool]:
    """What it said, and whether it fell silent and was ended for that."""
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
    spins = threading.Event()

    def fell_silent() -> None:
        spins.set()
        power_off()

    def soon(seconds: float, call: Callable[[], None]) -> threading.Timer:
        timer = threading.Timer(seconds, call)
        timer.start()
        return timer

    timers = [soon(within, power_off)]
    silence = soon(SILENT, fell_silent)
    with process:
        for raw in process.stdout:
            silence.cancel()
            silence = soon(SILENT, fell_silent)
            lines.append(raw.decode(errors="replace").rstrip("\r\n"))
            if cut is not None and lines[-1].startswith(cut[0]):
                timers.append(soon(cut[1], power_off))
                cut = None
    for timer in (silence, *timers):
        timer.cancel()
    return lines, spins.is_set()
