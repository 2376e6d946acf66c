"""Boots the empty Debian of image.py with systemd, runs one script in it as root, gives back what it said.

The script finds the host's files under /mnt, read and write; its own changes go to a copy-on-write file that is
thrown away. The processor is one, the disk is real: `deploy.sh` takes about a minute here.
"""

from __future__ import annotations

import os
import signal
import subprocess
from pathlib import Path

from tests.real.box import image
from tests.real.uml import build

DONE = "loumen-guest: done "


def boot(script: Path, scratch: Path, within: float, memory: str = "768M") -> tuple[int, str]:
    """Exit code and output of `script`; code -9 when it took longer than `within` seconds or the machine died."""
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
    try:
        raw, _ = process.communicate(timeout=within)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        raw, _ = process.communicate()
    output = raw.decode(errors="replace").replace("\r\n", "\n")
    told = [line for line in output.splitlines() if line.startswith(DONE)]
    return (int(told[-1].removeprefix(DONE)) if told else -signal.SIGKILL), output
