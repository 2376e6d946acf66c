"""Processes on a stage: started with a log each, ended together, asked through the command line."""

from __future__ import annotations

import json
import os
import queue
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Self, TypeVar

from gateway.errors import LoumenError, N_

KeptT = TypeVar("KeptT")
LOUMEN = (sys.executable, "-m", "gateway.cli.main")
START_WITHIN = 30.0  # seconds; a Pi under load imports slowly
END_WITHIN = 8.0  # seconds; the unit's TimeoutStopSec is 5


class StageError(LoumenError):
    """A step of the demo did not hold."""

    code = "demo"


@dataclass(frozen=True, slots=True)
class Answer:
    """What a command printed."""

    code: int
    out: str
    err: str

    @property
    def document(self) -> Any:
        """Its JSON document. Raises StageError."""
        try:
            return json.loads(self.out)
        except ValueError as error:
            raise StageError(N_("no JSON came: {out} {err}"), out=self.out[-500:], err=self.err[-500:]) from error


class Lines:
    """Lines of JSON that a program prints, as they come."""

    def __init__(self, program: subprocess.Popen[str]) -> None:
        self.program = program
        self._queue: queue.Queue[str | None] = queue.Queue()
        assert program.stdout is not None
        self._reader = threading.Thread(target=self._pump, args=(program.stdout,), daemon=True)
        self._reader.start()

    def _pump(self, stream: IO[str]) -> None:
        with stream:
            for line in stream:
                self._queue.put(line)
        self._queue.put(None)

    def say(self, text: str) -> None:
        """A line to its standard input."""
        assert self.program.stdin is not None
        self.program.stdin.write(text + "\n")
        self.program.stdin.flush()

    def wait(self, wanted: Callable[[Any], bool], within: float, thing: str) -> Any:
        """The first document that is wanted. Raises StageError when it does not come in time."""
        until = time.monotonic() + within
        while True:
            try:
                line = self._queue.get(timeout=max(0.0, until - time.monotonic()))
            except queue.Empty:
                raise StageError(N_("{thing} did not come within {seconds} s"), thing=thing, seconds=within) from None
            if line is None:
                raise StageError(N_("{thing} did not come: the program ended"), thing=thing)
            document = json.loads(line) if line.strip() else {}
            if "error" in document:  # the last word of a command that followed a daemon to its end
                raise StageError(N_("{thing} did not come: the program ended"), thing=thing)
            if document and wanted(document):
                return document


class Stage:
    """One folder, its processes. Paths stay short: a unix socket's name has 107 bytes."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.env = {**os.environ, "PYTHONUNBUFFERED": "1", "LANG": "C.UTF-8"}
        self._running: dict[str, subprocess.Popen[Any]] = {}
        self._kept = ExitStack()

    @classmethod
    @contextmanager
    def raised(cls, *, keep: bool = False) -> Iterator[Self]:
        """A stage in a new folder; its processes end with the block, and the folder goes unless `keep`."""
        folder = Path(tempfile.mkdtemp(prefix="loumen-"))
        stage = cls(folder)
        try:
            yield stage
        finally:
            stage.clear()
            if not keep:
                shutil.rmtree(folder, ignore_errors=True)

    def start(
        self, name: str, argv: Sequence[str], env: Mapping[str, str] | None = None, *, until: str = ""
    ) -> subprocess.Popen[Any]:
        """Start a process under a name; what it says goes to NAME.log. Returns when it has said `until`.

        Raises StageError when it does not.
        """
        process = subprocess.Popen(
            list(argv),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            env={**self.env, **(env or {})},
        )
        self._running[name] = process
        said = threading.Event()
        threading.Thread(target=self._keep_log, args=(name, process, until, said), daemon=True).start()
        if not said.wait(START_WITHIN) or process.poll() is not None:
            raise StageError(
                N_("{name} did not start within {seconds} s: {log}"),
                name=name,
                seconds=START_WITHIN,
                log=self.log(name)[-800:],
            )
        return process

    def _keep_log(self, name: str, process: subprocess.Popen[Any], until: str, said: threading.Event) -> None:
        if not until:
            said.set()
        assert process.stdout is not None
        with process.stdout as lines, (self.folder / f"{name}.log").open("ab", buffering=0) as log:
            for line in lines:
                log.write(line)
                if until and until.encode() in line:
                    said.set()
        said.set()  # it ended: whoever waits looks why

    def start_daemon(self, name: str, config: Path, env: Mapping[str, str] | None = None) -> subprocess.Popen[Any]:
        """Start `loumen run` and return when its control socket listens, as systemd is told."""
        address = str(self.folder / f"{name}.notify")
        Path(address).unlink(missing_ok=True)
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as told:
            told.bind(address)
            told.settimeout(START_WITHIN)
            run = (*LOUMEN, "run", "--config", str(config))
            process = self.start(name, run, {"NOTIFY_SOCKET": address, **(env or {})})
            try:
                while "control socket" not in told.recv(4096).decode():
                    pass
            except TimeoutError:
                raise StageError(
                    N_("{name} did not start within {seconds} s: {log}"),
                    name=name,
                    seconds=START_WITHIN,
                    log=self.log(name)[-800:],
                ) from None
        return process

    def follow(self, *arguments: str) -> Lines:
        """A `loumen` command that prints documents until it is stopped."""
        return self.listen((*LOUMEN, *arguments, "--json"))

    def listen(self, argv: Sequence[str]) -> Lines:
        """A program that prints documents until it is stopped, and may be spoken to."""
        program = subprocess.Popen(
            list(argv),
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
            env=self.env,
        )
        self._running[f"follow-{len(self._running)}"] = program
        return Lines(program)

    def loumen(self, *arguments: str, ok: bool = True, within: float = 60.0) -> Answer:
        """Run one `loumen` command. Raises StageError where it fails and `ok` is wanted."""
        try:
            done = subprocess.run(
                [*LOUMEN, *arguments],
                stdin=subprocess.DEVNULL,
                capture_output=True,
                text=True,
                env=self.env,
                timeout=within,
                check=False,
            )
        except subprocess.TimeoutExpired as error:
            raise StageError(N_("'loumen {command}' took too long"), command=" ".join(arguments)) from error
        if ok and done.returncode != 0:
            raise StageError(
                N_("'loumen {command}' ended with {code}: {err}"),
                command=" ".join(arguments),
                code=done.returncode,
                err=(done.stderr or done.stdout)[-800:],
            )
        return Answer(done.returncode, done.stdout, done.stderr)

    def ask(self, *arguments: str, ok: bool = True) -> Any:
        """The JSON document of one `loumen` command."""
        return self.loumen(*arguments, "--json", ok=ok).document

    def process(self, name: str) -> subprocess.Popen[Any]:
        return self._running[name]

    def kill(self, name: str, number: signal.Signals = signal.SIGKILL) -> int:
        """Send a signal and wait for the end; the exit code."""
        process = self._running.pop(name)
        process.send_signal(number)
        try:
            return process.wait(END_WITHIN)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            raise StageError(N_("{name} did not end within {seconds} s"), name=name, seconds=END_WITHIN) from None

    def log(self, name: str) -> str:
        """What a process has said."""
        return (self.folder / f"{name}.log").read_text(errors="replace")

    def has_log(self, name: str) -> bool:
        """Whether a process of this name has run."""
        return (self.folder / f"{name}.log").exists()

    def clear(self) -> None:
        """End everything that still runs."""
        for process in self._running.values():
            process.terminate()
        for process in self._running.values():
            try:
                process.wait(END_WITHIN)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            if process.stdin is not None:
                process.stdin.close()
        self._running.clear()
        self._kept.close()

    def keep(self, thing: AbstractContextManager[KeptT]) -> KeptT:
        """Enter something that ends with the stage."""
        return self._kept.enter_context(thing)
