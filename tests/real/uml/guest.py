"""Boots a machine with a real kernel: GPIO lines, a disk that can lose its power, time that can fly.

    from tests.real.uml.guest import Guest, make_disk

    @pytest.mark.real("kernel")
    def test_something(tmp_path: Path) -> None:
        disk = make_disk(tmp_path / "data.ext4", megabytes=32)
        with Guest(Path(__file__).parent / "guests" / "writes.py", "100", disk=disk) as guest:
            guest.expect("ready")                 # the first line that begins so; TooLate after `within` seconds
            for line in guest.lines(within=20):   # until the guest ends; TooLate when nothing comes for so long
                ...
            guest.cut()                           # the power goes: SIGKILL to all of it
        with Guest(script, disk=disk) as guest:   # the same disk after the power cut
            assert guest.wait(within=30) == 0     # the script's exit code
        guest.output                              # every line so far; also in what an error says

The script is ordinary Python, run as the guest's first process by this checkout's interpreter, with its own
`sys.argv`, as root, with `PYTHONPATH` at the checkout: it may import `gateway`, `drivers` and
`tests.real.uml.lines` (a bank of simulated lines and the trace of everything that was set on them). It prints
lines; `guest.send(line)` arrives on its stdin. When it ends, the machine halts.

What the guest sees
    /            the host's files, read-only, /tmp too
    /run         an empty tmpfs (TMPDIR=/run/tmp, HOME=/run/home, and the working directory)
    /run/data    the ext4 disk, if one was given: the host's file is the disk, the guest's page cache dies with it
    /dev         the guest's own: /dev/gpiochip*, /dev/ubda; /sys with configfs, debugfs and tracefs; /proc

`time_travel=True` makes time virtual: `time.sleep(86400)` takes a moment and both clocks are a day on; such a guest
must not wait for the host's input. One processor, 100 ticks a second, no video, no USB.
"""

from __future__ import annotations

import compileall
import contextlib
import functools
import json
import os
import queue
import shutil
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Self

from tests.real.uml import build
from tests.real.uml.init import DONE, UP

REPOSITORY = Path(__file__).resolve().parents[3]
SBIN = "/usr/sbin:/sbin"


class TooLate(AssertionError):  # noqa: N818  (named for what it says)
    """The guest did not say in time what was expected; the text holds its last lines."""


class Guest:
    """One booted machine. Use it in a `with`: at its end the power is cut if it still runs."""

    def __init__(
        self,
        script: Path,
        *arguments: str,
        disk: Path | None = None,
        env: Mapping[str, str] | None = None,
        time_travel: bool = False,
        memory: str = "384M",
        verbose: bool = False,
    ) -> None:
        _compile_once()
        self.output: list[str] = []
        self.code: int | None = None
        self._lines: queue.SimpleQueue[str | None] = queue.SimpleQueue()
        self._folder = Path(tempfile.mkdtemp(prefix="loumen-guest-"))
        boot = self._folder / "boot.json"
        boot.write_text(
            json.dumps(
                {
                    "argv": [str(script.resolve()), *arguments],
                    "env": {"PYTHONPATH": str(REPOSITORY), **(env or {})},
                    "disk": disk is not None,
                }
            )
        )
        command = [str(build.kernel()), f"mem={memory}", f"uml_dir={self._folder}", "con=null", "con0=fd:0,fd:1"]
        command += ["root=/dev/root", "rootfstype=hostfs", "rootflags=/", "ro"]
        command += [] if verbose else ["quiet", "loglevel=1"]
        command += ["time-travel=inf-cpu"] if time_travel else []
        command += [f"ubd0={disk.resolve()}"] if disk else []
        command += [f"init={sys.executable}", "--", "-u", str(Path(__file__).with_name("init.py")), str(boot)]
        self._process = subprocess.Popen(
            command,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            env={"HOME": str(self._folder), "PATH": os.environ.get("PATH", "")},
        )
        self._reader = threading.Thread(target=self._read, args=(verbose,), daemon=True)
        self._reader.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.cut()
        shutil.rmtree(self._folder, ignore_errors=True)

    def lines(self, within: float = 30.0) -> Iterator[str]:
        """What the guest prints, until it ends; TooLate when nothing comes for `within` seconds."""
        while (line := self._next(within, "a line")) is not None:
            yield line

    def expect(self, beginning: str, within: float = 30.0) -> str:
        """The next line that begins so; the ones before it are passed over. TooLate, also when the guest ends."""
        end = time.monotonic() + within
        while (line := self._next(end - time.monotonic(), f"'{beginning}'")) is not None:
            if line.startswith(beginning):
                return line
        raise TooLate(self._report(f"the guest ended without '{beginning}'"))

    def send(self, line: str) -> None:
        """One line for the script's stdin."""
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n".encode())
        self._process.stdin.flush()

    def wait(self, within: float = 60.0) -> int:
        """Wait for the script's end and return its exit code; -9 if the machine died under it."""
        end = time.monotonic() + within
        while self._next(end - time.monotonic(), "its end") is not None:
            pass
        self._process.wait(timeout=10)
        return -signal.SIGKILL if self.code is None else self.code

    def cut(self) -> None:
        """The power goes; again is harmless. What the disk's file holds afterwards is what was really written."""
        with contextlib.suppress(ProcessLookupError):
            os.killpg(self._process.pid, signal.SIGKILL)
        self._process.wait()
        self._reader.join()
        for stream in (self._process.stdin, self._process.stdout):
            if stream is not None:
                with contextlib.suppress(BrokenPipeError):
                    stream.close()

    def _read(self, verbose: bool) -> None:
        assert self._process.stdout is not None
        up = verbose
        for raw in self._process.stdout:
            line = raw.decode(errors="replace").rstrip("\r\n")
            if line == UP:
                up = True
            elif line.startswith(DONE):
                self.code, up = int(line.removeprefix(DONE)), verbose
            elif up or "panic" in line:
                self.output.append(line)
                self._lines.put(line)
        self._lines.put(None)

    def _next(self, within: float, what: str) -> str | None:
        try:
            line = self._lines.get(timeout=max(within, 0.001))
        except queue.Empty:
            raise TooLate(self._report(f"no {what} in {within:.1f} s")) from None
        if line is None:
            self._lines.put(None)  # whoever asks next is told as well
        return line

    def _report(self, what: str) -> str:
        return "\n".join([what, "its last lines:", *self.output[-30:]])


def make_disk(path: Path, megabytes: int = 32) -> Path:
    """An empty ext4 disk in a file, with blocks of 4 KB as on a card; below 512 MB mke2fs would take smaller ones."""
    with path.open("wb") as file:
        file.truncate(megabytes * 1024 * 1024)
    _run("mke2fs", "-q", "-t", "ext4", "-b", "4096", "-F", "-m", "0", str(path))
    return path


def check_disk(path: Path) -> str:
    """What e2fsck finds after replaying the journal on a copy; empty when the file system is sound."""
    with tempfile.TemporaryDirectory() as folder:
        copy = shutil.copy(path, folder)
        done = _run("e2fsck", "-f", "-y", str(copy), check=False)
    return "" if done.returncode in (0, 1) else done.stdout


def _run(*command: str, check: bool = True) -> subprocess.CompletedProcess[str]:
    env = {**os.environ, "PATH": f"{os.environ.get('PATH', '')}:{SBIN}"}
    return subprocess.run(command, capture_output=True, text=True, check=check, env=env)


@functools.cache
def _compile_once() -> None:
    """The guest cannot write byte code; without it each boot would compile the gateway anew."""
    for package in ("gateway", "drivers", "tests/real/uml"):
        compileall.compile_dir(str(REPOSITORY / package), quiet=2)
