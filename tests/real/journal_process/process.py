"""Starts and steers `writes.py`."""

from __future__ import annotations

import os
import queue
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Self

SCRIPT = Path(__file__).with_name("writes.py")
REPOSITORY = Path(__file__).resolve().parents[3]


class Process:
    """One running writer; `acks` are n -> seq of what it said was durable."""

    def __init__(self, folder: Path, before: Sequence[str] = ()) -> None:
        self.acks: dict[int, int] = {}
        self.slowest_note = 0.0
        self.lines: list[str] = []
        self._queue: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._process = subprocess.Popen(
            [*before, sys.executable, "-u", str(SCRIPT), str(folder)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            start_new_session=True,
            env={**os.environ, "PYTHONPATH": str(REPOSITORY)},
        )
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_arguments: object) -> None:
        self.kill()

    def until(self, beginning: str, within: float = 30.0) -> str:
        """Take lines until one begins so."""
        end = time.monotonic() + within
        while (line := self._next(end - time.monotonic())) is not None:
            if line.startswith(beginning):
                return line
        raise AssertionError(f"the writer ended without {beginning!r}: {self.lines[-10:]}")

    def take_acks(self, count: int, within: float = 30.0) -> None:
        """Take lines until `count` more are acknowledged."""
        for _ in range(count):
            self.until("ack ", within)

    def stop(self, within: float = 15.0) -> str:
        """End it orderly; returns its last line."""
        assert self._process.stdin is not None
        self._process.stdin.write("\n")
        self._process.stdin.flush()
        return self.until("closed", within)

    def kill(self) -> None:
        """SIGKILL to all of it; afterwards `acks` holds everything it ever said."""
        try:
            os.killpg(self._process.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        self._process.wait()
        self._reader.join()
        while not self._queue.empty():
            self._queue.get()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                try:
                    stream.close()
                except BrokenPipeError:
                    pass

    def _read(self) -> None:
        assert self._process.stdout is not None
        for raw in self._process.stdout:
            if not raw.endswith("\n"):
                break
            line = raw.rstrip("\n")
            self.lines.append(line)
            word, *rest = line.split()
            if word == "ack":
                self.acks[int(rest[0])] = int(rest[1])
            elif word == "noted":
                self.slowest_note = max(self.slowest_note, float(rest[0]))
            self._queue.put(line)
        self._queue.put(None)

    def _next(self, within: float) -> str | None:
        try:
            return self._queue.get(timeout=max(within, 0.001))
        except queue.Empty:
            raise AssertionError(f"nothing for {within:.1f} s; its last lines: {self.lines[-10:]}") from None
