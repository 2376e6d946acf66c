"""Two owners of one state folder: the second is told who the first is."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from gateway.errors import StateBusy
from gateway.state_lock import StateLock

HOLDER = """
import signal, sys
from pathlib import Path
from gateway.state_lock import StateLock
StateLock(Path(sys.argv[1])).acquire()
print("held", flush=True)
signal.pause()
"""


def test_a_second_owner_in_this_process_is_refused(tmp_path: Path) -> None:
    with StateLock(tmp_path / "state") as lock:
        with pytest.raises(StateBusy) as busy:
            StateLock(tmp_path / "state").acquire()
        assert busy.value.facts["pid"] == str(os.getpid())
        lock.release()
        with StateLock(tmp_path / "state"):
            pass
    lock.release()


def test_a_killed_owner_holds_nothing(tmp_path: Path) -> None:
    holder = subprocess.Popen([sys.executable, "-c", HOLDER, str(tmp_path)], stdout=subprocess.PIPE, text=True)
    with holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        with pytest.raises(StateBusy) as busy:
            StateLock(tmp_path).acquire()
        assert busy.value.facts["pid"] == str(holder.pid)
        assert str(holder.pid) in str(busy.value)
        holder.send_signal(signal.SIGKILL)
    StateLock(tmp_path).acquire()
