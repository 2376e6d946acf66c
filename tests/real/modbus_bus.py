"""Buses of meters that are not pymodbus's: libmodbus behind a pseudo-terminal (socat is the wire) or a TCP port."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Self

SERIAL, TCP = Path(__file__).with_name("modbus_peer.c"), Path(__file__).with_name("modbus_tcp_peer.c")
HEADER = Path("/usr/include/modbus/modbus.h")
WITHIN = 10.0


def missing() -> str:
    """Why there can be no such bus here; empty when there can."""
    lacking = [part for part in ("gcc", "socat") if shutil.which(part) is None]
    if not HEADER.exists():
        lacking.append("libmodbus-dev")
    return f"no {', '.join(lacking)}: install the packages of tests/real/debian-packages.txt" if lacking else ""


def build(folder: Path, source: Path = SERIAL) -> Path:
    """A peer's program."""
    program = folder / source.stem
    flags = ["-O2", "-Wall", "-Wextra", "-Werror", f"-I{HEADER.parent}"]
    subprocess.run(["gcc", *flags, "-o", str(program), str(source), "-lmodbus"], check=True, timeout=60)
    return program


def line_of(unit: int, kind: str, registers: Mapping[int, int] | None) -> str:
    """A meter as the peers read it."""
    return " ".join([str(unit), kind, *(f"{address}={value}" for address, value in (registers or {}).items())])


class ModbusBus:
    """`port` is what the box opens. `baud` imposes the time of a wire of 11 bits a character; `counted` costs a file
    an answer.
    """

    def __init__(
        self, program: Path, folder: Path, baud: int = 0, port: str = "ttyUSB0", *, counted: bool = False
    ) -> None:
        self._program, self._folder, self._baud = program, folder, baud
        self._answers = folder / "answers" if counted else None
        self.port = folder / port
        self._wire: subprocess.Popen[bytes] | None = None
        self._peer: subprocess.Popen[str] | None = None
        self._meters: list[str] = []

    def __enter__(self) -> Self:
        self.plug()
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()

    def meter(self, unit: int, kind: str = "good", registers: dict[int, int] | None = None) -> None:
        """A meter, or what it is now. Kinds: modbus_peer.c."""
        line = line_of(unit, kind, registers)
        self._meters.append(line)
        self._tell(line)

    @property
    def answers(self) -> int:
        """How often a meter has answered since it was plugged in."""
        text = self._answers.read_text() if self._answers is not None and self._answers.exists() else ""
        return int(text) if text.strip() else 0

    def plug(self, port: str = "") -> None:
        """The adapter is plugged in, perhaps under another name."""
        if port:
            self.port = self._folder / port
        far = self._folder / "far"
        ends = [f"pty,raw,echo=0,link={end}" for end in (self.port, far)]
        self._wire = subprocess.Popen(["socat", *ends], stderr=subprocess.DEVNULL)
        until = time.monotonic() + WITHIN
        while not (self.port.exists() and far.exists()):
            assert time.monotonic() < until, "no pseudo-terminals"
            time.sleep(0.01)  # socat says nothing when they are there
        self._peer = subprocess.Popen(
            [str(self._program), str(far), str(self._baud), str(self._answers or "-")],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._peer.stdout is not None
        assert self._peer.stdout.readline() == "listening\n"
        for line in self._meters:
            self._tell(line)

    def unplug(self) -> None:
        for process in (self._wire, self._peer):
            if process is not None:
                process.kill()
                process.wait(WITHIN)
        if self._peer is not None:
            for pipe in (self._peer.stdin, self._peer.stdout):
                if pipe is not None:
                    try:
                        pipe.close()
                    except BrokenPipeError:
                        continue
        self._wire = self._peer = None
        for end in (self.port, self._folder / "far"):
            if end.is_symlink():
                os.unlink(end)  # noqa: PTH108  (a link whose target is gone)

    def _tell(self, line: str) -> None:
        if self._peer is not None and self._peer.stdin is not None:
            self._peer.stdin.write(line + "\n")
            self._peer.stdin.flush()


class Converter:
    """A Modbus TCP converter at a port of this machine."""

    def __init__(self, program: Path, port: int) -> None:
        self._program, self.port = program, port
        self._peer: subprocess.Popen[str] | None = None
        self._meters: list[str] = []

    def __enter__(self) -> Self:
        self.plug()
        return self

    def __exit__(self, *_: object) -> None:
        self.unplug()

    def meter(self, unit: int, kind: str = "good", registers: Mapping[int, int] | None = None) -> None:
        """A meter behind it, or what it is now. Kinds: modbus_tcp_peer.c."""
        self._meters.append(line_of(unit, kind, registers))
        self._tell(self._meters[-1])

    def plug(self) -> None:
        """The network is there."""
        self._peer = subprocess.Popen(
            [str(self._program), str(self.port)], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
        )
        assert self._peer.stdout is not None
        assert self._peer.stdout.readline() == "listening\n"
        for line in self._meters:
            self._tell(line)

    def unplug(self) -> None:
        if self._peer is not None:
            self._peer.kill()
            self._peer.communicate(timeout=WITHIN)
        self._peer = None

    def _tell(self, line: str) -> None:
        if self._peer is not None and self._peer.stdin is not None:
            self._peer.stdin.write(line + "\n")
            self._peer.stdin.flush()
