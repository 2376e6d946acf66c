"""Starts, watches and kills a vision worker: `python -m gateway.vision.supervise --notify PATH -- COMMAND`.

A small process of its own between the daemon and the worker, so that a worker which hangs, leaks or
dies costs the daemon nothing, and a daemon that is killed leaves no worker behind. It is to the worker
what systemd is to a service: it listens for READY=1 and WATCHDOG=1 (gateway/vision/process.py).

    the worker ends                          started again after a pause (gateway/vision/restarts.py)
    no life sign for `--silent` seconds      SIGKILL, then as above; before READY=1 `--start-within` seconds
    a line 'kill' on stdin                   the same: the daemon has seen what it cannot bear
    stdin closes (the daemon ended)          SIGTERM, then SIGKILL after a second; exit
    the supervisor itself is killed          the kernel kills the worker (PR_SET_PDEATHSIG)

What happens is told on stdout, a JSON object a line: {"started": pid}, {"ended": why, "pause": seconds}.
It imports little: it is there for as long as the daemon is.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Sequence

from gateway.vision.restarts import Restarts

GRACE = 1.0  # seconds between SIGTERM and SIGKILL at the end


class Supervisor:
    """One worker. Everything happens in `turn`, which waits for the next thing to happen."""

    def __init__(self, command: Sequence[str], notify: str, *, silent: float, start_within: float) -> None:
        self._command, self._notify, self._silent, self._start_within = list(command), notify, silent, start_within
        self._signs = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(notify)  # noqa: PTH108  (pathlib costs a megabyte here)
        self._signs.bind(notify)
        os.chmod(notify, 0o600)  # noqa: PTH101
        self._signs.setblocking(False)
        self._restarts = Restarts()
        self._worker: subprocess.Popen[bytes] | None = None
        self._pidfd = -1
        self._due = time.monotonic()  # start the worker, or kill it, then
        self._why = ""

    def turn(self) -> bool:
        """Wait for the next event and deal with it; False when the daemon has ended."""
        now = time.monotonic()
        if self._due <= now:
            if self._worker is None:
                self._start(now)
            else:
                self._kill("hung")
        waited = [0, self._signs.fileno()] + ([self._pidfd] if self._worker else [])
        ready, _, _ = select.select(waited, [], [], max(0.0, self._due - time.monotonic()))
        if self._signs.fileno() in ready:
            self._listen()
        if self._pidfd in ready:
            self._ended()
        return not (0 in ready and not self._ordered())

    def _start(self, now: float) -> None:
        environment = os.environ | {"NOTIFY_SOCKET": self._notify, "LOUMEN_PARENT": str(os.getpid())}
        self._worker = subprocess.Popen(self._command, stdin=subprocess.DEVNULL, stdout=sys.stderr, env=environment)
        self._pidfd = os.pidfd_open(self._worker.pid)
        self._restarts = self._restarts.start(now)
        self._due, self._why = now + self._start_within, ""
        _tell({"started": self._worker.pid})

    def _listen(self) -> None:
        with contextlib.suppress(BlockingIOError):
            while True:
                if b"WATCHDOG=1" in self._signs.recv(4096) and self._worker and not self._why:
                    self._due = time.monotonic() + self._silent

    def _kill(self, why: str) -> None:
        if self._worker is not None:
            self._why = self._why or why
            self._worker.kill()
            self._due = time.monotonic() + self._silent  # a process in the kernel dies late: ask again then

    def _ended(self) -> None:
        assert self._worker is not None
        code = self._worker.wait()
        os.close(self._pidfd)
        self._worker, self._pidfd = None, -1
        now = time.monotonic()
        self._restarts, self._due = self._restarts.end(now)
        why = self._why or (f"exit {code}" if code >= 0 else f"signal {-code}")
        _tell({"ended": why, "pause": round(self._due - now, 3)})

    def _ordered(self) -> bool:
        """Read stdin; False at its end."""
        order = os.read(0, 4096)
        if b"kill" in order:
            self._kill("hung")
        return bool(order)

    def close(self) -> None:
        """End the worker, and leave nothing behind."""
        if self._worker is not None:
            self._worker.terminate()
            try:
                self._worker.wait(GRACE)
            except subprocess.TimeoutExpired:
                self._worker.kill()
                self._worker.wait()
        with contextlib.suppress(FileNotFoundError):
            os.unlink(self._notify)  # noqa: PTH108


def _tell(what: dict[str, object]) -> None:
    with contextlib.suppress(OSError):  # the daemon is gone: stdin says so as well
        os.write(1, json.dumps(what).encode() + b"\n")


def main(argv: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m gateway.vision.supervise")
    parser.add_argument("--notify", required=True, help="where the worker's life signs are received")
    parser.add_argument("--silent", type=float, default=5.0)
    parser.add_argument("--start-within", type=float, default=60.0)
    parser.add_argument("command", nargs="+")
    arguments = parser.parse_args(argv)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a Ctrl-C is the daemon's; it closes stdin
    supervisor = Supervisor(
        arguments.command, arguments.notify, silent=arguments.silent, start_within=arguments.start_within
    )
    try:
        while supervisor.turn():
            pass
    finally:
        supervisor.close()
    return 0


if __name__ == "__main__":
    sys.exit(main())
