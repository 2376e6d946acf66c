"""Keeps the vision supervisor running as the daemon's child (`vision.run = "child"`).

The supervisor does the watching; here is only its start, its end, and what it tells. It is waited for
by its pidfd and its pipe, without a thread and without SIGCHLD.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import logging
import os
import subprocess
import sys
from collections.abc import Callable, Sequence
from pathlib import Path

from gateway.vision.restarts import Restarts

END_WITHIN = 2.0  # seconds for the supervisor to end the worker and itself
log = logging.getLogger("loumen.vision")


class Child:
    """`told` is given what the supervisor says: {"started": pid} or {"ended": why, "pause": seconds}."""

    def __init__(
        self,
        command: Sequence[str],
        notify: Path,
        told: Callable[[dict[str, object]], None],
        *,
        silent: float,
        start_within: float,
    ) -> None:
        self._command = [
            *(sys.executable, "-m", "gateway.vision.supervise", "--notify", str(notify)),
            *("--silent", str(silent), "--start-within", str(start_within), "--", *command),
        ]
        self._told = told
        self._process: subprocess.Popen[bytes] | None = None

    async def run(self) -> None:
        """Until cancelled; then the supervisor and the worker are gone."""
        clock, restarts = asyncio.get_running_loop().time, Restarts()
        while True:
            restarts = restarts.start(clock())
            await self._once()
            restarts, due = restarts.end(clock())
            self._told({"ended": "its supervisor ended", "pause": due - clock()})
            await asyncio.sleep(due - clock())

    @property
    def supervisor_pid(self) -> int:
        """0 while none runs."""
        return self._process.pid if self._process else 0

    def kill_worker(self) -> None:
        """Have the supervisor kill the worker; it is started again."""
        if self._process is not None and self._process.stdin is not None:
            with contextlib.suppress(OSError):
                os.write(self._process.stdin.fileno(), b"kill\n")

    async def _once(self) -> None:
        loop = asyncio.get_running_loop()
        environment = os.environ | {"OMP_NUM_THREADS": "1", "OPENBLAS_NUM_THREADS": "1"}
        self._process = subprocess.Popen(  # noqa: ASYNC220  (vfork: a few milliseconds, once a start)
            self._command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, start_new_session=True, env=environment
        )
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        os.set_blocking(self._process.stdin.fileno(), False)
        pidfd = os.pidfd_open(self._process.pid)
        gone = asyncio.Event()
        loop.add_reader(pidfd, gone.set)
        lines = asyncio.StreamReader(limit=65536)
        transport, _ = await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(lines), self._process.stdout)
        try:
            while line := await lines.readline():
                self._hear(line)
            await gone.wait()
        finally:
            process, self._process = self._process, None
            if process.stdin is not None:
                process.stdin.close()
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(END_WITHIN):
                    await gone.wait()
            if not gone.is_set():
                process.kill()
            process.wait()
            loop.remove_reader(pidfd)
            os.close(pidfd)
            transport.close()

    def _hear(self, line: bytes) -> None:
        try:
            said = json.loads(line)
        except ValueError:
            log.warning("the vision supervisor said %r", line[:200])
            return
        self._told(said)
