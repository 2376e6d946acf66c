"""The supervisor's back-off, and the supervisor itself around programs that die, hang and are orphaned."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import IO

from hypothesis import given
from hypothesis import strategies as st

from gateway.vision.restarts import Restarts
from gateway.vision.sparing import Sparing

IN_TIME = 20.0
NOTIFY = "import os, socket; s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM); a = os.environ['NOTIFY_SOCKET']\n"
BEATING = NOTIFY + "import time\nwhile True:\n    s.sendto(b'WATCHDOG=1', a)\n    time.sleep(0.1)\n"
HANGING = NOTIFY + "import threading\ns.sendto(b'READY=1', a)\ns.sendto(b'WATCHDOG=1', a)\nthreading.Event().wait()\n"


# --- the back-off


@given(st.lists(st.floats(0, 200), min_size=1, max_size=40))
def test_pauses_double_up_to_the_longest_and_begin_anew_after_a_steady_life(lives: list[float]) -> None:
    restarts, now, before = Restarts(), 0.0, 0.0
    for life in lives:
        restarts = restarts.start(now)
        restarts, due = restarts.end(now + life)
        pause = due - (now + life)
        assert restarts.first - 1e-6 <= pause <= restarts.longest + 1e-6
        if before and life < restarts.steady - 1e-6:
            assert pause >= min(before * 2, restarts.longest) - 1e-6
        elif life > restarts.steady + 1e-6:
            assert pause < restarts.first + 1e-6
        now, before = due, pause


def test_a_crash_loop_costs_at_most_two_starts_a_minute() -> None:
    restarts, now, starts = Restarts(), 0.0, 0
    while now < 3600:
        starts += 1
        restarts = restarts.start(now)
        restarts, now = restarts.end(now + 0.2)
    assert starts <= 2 * 60 + 7


@given(st.lists(st.floats(0, 30), max_size=200))
def test_the_journal_is_told_sparingly_and_what_was_not_told_is_counted(gaps: list[float]) -> None:
    sparing, now, told, counted = Sparing(burst=5, every=60), 0.0, 0, 0
    for gap in gaps:
        now += gap
        if (untold := sparing.allow("kind", now)) is not None:
            told, counted = told + 1, counted + 1 + untold
    assert told <= 5 + now / 60 + 1e-6
    assert counted <= len(gaps)
    assert sparing.allow("another", now) == 0


# --- the process


@contextmanager
def supervised(tmp_path: Path, program: str, *, silent: float = 1.0) -> Iterator[subprocess.Popen[bytes]]:
    command = [sys.executable, "-m", "gateway.vision.supervise", "--notify", str(tmp_path / "n.sock")]
    command += ["--silent", str(silent), "--start-within", "10", "--", sys.executable, "-c", program]
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True)
    try:
        yield process
    finally:
        process.kill()
        process.wait()
        for pipe in (process.stdin, process.stdout):
            if pipe is not None:
                with suppress(BrokenPipeError):
                    pipe.close()


def told(process: subprocess.Popen[bytes]) -> dict[str, object]:
    pipe: IO[bytes] | None = process.stdout
    assert pipe is not None
    ready, _, _ = select.select([pipe], [], [], IN_TIME)
    assert ready, "the supervisor said nothing"
    said = json.loads(pipe.readline())
    assert isinstance(said, dict)
    return said


def gone(pid: int) -> bool:
    """Whether a process ends in time. (Its zombie, if nobody waits for it, counts as ended.)"""
    deadline = time.monotonic() + IN_TIME
    while time.monotonic() < deadline:
        try:
            state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
        except (FileNotFoundError, ProcessLookupError):
            return True
        if state in "ZX":
            return True
        time.sleep(0.02)  # looks at a process that is not our child
    return False


def test_what_dies_is_started_again_with_growing_pauses(tmp_path: Path) -> None:
    with supervised(tmp_path, "import sys; sys.exit(11)") as process:
        pauses = []
        for _ in range(3):
            assert "started" in told(process)
            ended = told(process)
            assert ended["ended"] == "exit 11"
            pauses.append(ended["pause"])
        assert pauses == [0.5, 1.0, 2.0]


def test_what_is_killed_says_by_which_signal(tmp_path: Path) -> None:
    with supervised(tmp_path, BEATING) as process:
        os.kill(int(str(told(process)["started"])), signal.SIGKILL)
        assert told(process)["ended"] == "signal 9"
        assert "started" in told(process)


def test_what_hangs_is_killed(tmp_path: Path) -> None:
    with supervised(tmp_path, HANGING) as process:
        pid = int(str(told(process)["started"]))
        assert told(process)["ended"] == "hung"
        assert gone(pid)


def test_what_is_stopped_is_killed(tmp_path: Path) -> None:
    with supervised(tmp_path, BEATING) as process:
        pid = int(str(told(process)["started"]))
        select.select([], [], [], 0.5)
        os.kill(pid, signal.SIGSTOP)
        assert told(process)["ended"] == "hung"


def test_an_order_to_kill_is_obeyed(tmp_path: Path) -> None:
    with supervised(tmp_path, BEATING) as process:
        told(process)
        assert process.stdin is not None
        process.stdin.write(b"kill\n")
        process.stdin.flush()
        assert told(process)["ended"] == "hung"


def test_a_daemon_that_ends_takes_both_with_it(tmp_path: Path) -> None:
    ignoring = "import signal; signal.signal(signal.SIGTERM, signal.SIG_IGN)\n" + BEATING
    with supervised(tmp_path, ignoring) as process:
        pid = int(str(told(process)["started"]))
        assert process.stdin is not None
        process.stdin.close()
        assert process.wait(IN_TIME) == 0
        assert gone(pid)
        assert not (tmp_path / "n.sock").exists()


def test_a_supervisor_that_is_killed_takes_the_worker_with_it(tmp_path: Path) -> None:
    program = "from gateway.vision import process\nassert process.die_with_parent()\n" + BEATING
    with supervised(tmp_path, program) as process:
        pid = int(str(told(process)["started"]))
        select.select([], [], [], 1.0)  # until it has asked the kernel
        process.kill()
        assert gone(pid)


def test_it_is_small(tmp_path: Path) -> None:
    with supervised(tmp_path, BEATING) as process:
        told(process)
        status = Path(f"/proc/{process.pid}/status").read_text()
        resident = next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmRSS"))
        assert resident < 20_000  # kB
