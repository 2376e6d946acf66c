"""A hand in the building: press buttons, watch wires, break things. For tests, the demo and a bench.

    with raised(path) as building:                    # starts the building's process
        daemon = start(..., env={"LOUMEN_SIMULATED": str(path)})
        building.press(22)
        unlocked = building.reaches(17, True, since=pressed)

From a shell:  python -m drivers.simulated.remote PATH press 22
"""

from __future__ import annotations

import argparse
import json
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal

History = list[tuple[float, bool]]
LEVELS: dict[str, bool | None] = {"high": True, "low": False, "open": None}


class Remote:
    """A blocking client of one building's socket. Levels are electrical unless it says 'active'."""

    def __init__(self, path: Path | str) -> None:
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(str(path))
        except OSError:
            self._socket.close()
            raise
        self._file = self._socket.makefile("rb")
        self.building = 0  # the process, where this client started it
        self._asked = 0

    def press(self, line: int) -> None:
        """Make an input active as its owner sees it: a pressed button, a closed contact."""
        self._ask("press", line=line)

    def let_go(self, line: int) -> None:
        """Make an input inactive as its owner sees it."""
        self._ask("let_go", line=line)

    def set(self, line: int, level: bool | None) -> None:  # noqa: FBT001  (the level is the message)
        """Connect high, low or nothing (None) to the wire."""
        self._ask("set", line=line, level=level)

    def level(self, line: int) -> bool:
        """What a meter on the wire shows now."""
        return self.history(line)[-1][1]

    def history(self, line: int) -> History:
        """(monotonic seconds, level) of every change, first the level before anybody came (at 0.0)."""
        return [(at, level) for at, level in self._ask("history", line=line)["history"]]

    def changes(self, line: int) -> History:
        """The history without what was before: the edges."""
        return self.history(line)[1:]

    def lines(self) -> list[dict[str, Any]]:
        """Every wire that anybody has looked at: line, level, active, holder, changes, gone."""
        return list(self._ask("lines")["lines"])

    def holder(self, line: int) -> str:
        """Who has the wire; empty when it is free."""
        return str(self._ask("holder", line=line)["holder"])

    def reaches(self, line: int, level: bool, *, since: float = 0.0, within: float = 5.0) -> float:  # noqa: FBT001
        """When the wire first showed `level` from `since` on; waits `within` seconds, then TimeoutError."""
        at = self._ask("reaches", line=line, level=level, since=since, within=within)["at"]
        if at is None:
            raise TimeoutError(f"line {line} was not {'high' if level else 'low'} within {within} s")
        return float(at)

    # --- faults

    def stick(self, line: int, level: bool | None) -> None:  # noqa: FBT001
        """Weld the wire to a level; None heals it."""
        self._ask("stick", line=line, level=level)

    def bounce(self, line: int, times: int = 6, gap: float = 0.001) -> None:
        """Let each later press bounce so often; 0 heals it."""
        self._ask("bounce", line=line, times=times, gap=gap)

    def vanish(self, line: int) -> None:
        """Pull out the line's board."""
        self._ask("vanish", line=line)

    def return_(self, line: int) -> None:
        """Put it back, to be claimed anew."""
        self._ask("return", line=line)

    def occupy(self, line: int, holder: str) -> None:
        """Let somebody else hold the line; an empty name frees it."""
        self._ask("occupy", line=line, holder=holder)

    def close(self) -> None:
        """Hang up."""
        self._file.close()
        self._socket.close()

    def _ask(self, verb: str, **request: Any) -> dict[str, Any]:
        self._asked += 1
        self._socket.sendall(json.dumps({"do": verb, "n": self._asked, **request}).encode() + b"\n")
        answer = json.loads(self._file.readline() or b'{"error": "gone", "text": "the building hung up"}')
        if "error" in answer:
            raise RuntimeError(f"{verb}: {answer.get('text', answer['error'])}")
        return dict(answer)


@contextmanager
def raised(path: Path | str, *, owner_death: Literal["freed", "driven"] = "freed", pulls: str = "") -> Iterator[Remote]:
    """Start a building's process and connect to it; both end with the block, or with this process."""
    command = [sys.executable, "-m", "drivers.simulated.process", "--with-stdin", "--socket", str(path)]
    command += ["--owner-death", owner_death, "--pulls", pulls]
    root = Path(__file__).parents[2]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, cwd=root) as process:
        try:
            assert process.stdout is not None
            if not process.stdout.readline():
                raise RuntimeError("the building did not start")
            remote = Remote(path)
            remote.building = process.pid
            try:
                yield remote
            finally:
                remote.close()
        finally:
            process.terminate()


def _say(document: object) -> None:
    print(json.dumps(document))  # noqa: T201  (this is the program's output)


VERBS: dict[str, Callable[[Remote, argparse.Namespace], object]] = {
    "press": lambda remote, given: remote.press(given.line),
    "let-go": lambda remote, given: remote.let_go(given.line),
    "set": lambda remote, given: remote.set(given.line, LEVELS[given.value or "open"]),
    "level": lambda remote, given: _say(remote.level(given.line)),
    "history": lambda remote, given: _say(remote.history(given.line)),
    "lines": lambda remote, _given: _say(remote.lines()),
    "stick": lambda remote, given: remote.stick(given.line, LEVELS[given.value or "open"]),
    "bounce": lambda remote, given: remote.bounce(given.line, int(given.value or 6)),
    "vanish": lambda remote, given: remote.vanish(given.line),
    "return": lambda remote, given: remote.return_(given.line),
    "occupy": lambda remote, given: remote.occupy(given.line, given.value),
}


def main(argv: list[str]) -> int:
    """The command line: PATH VERB [LINE [high|low|open|number|name]]."""
    parser = argparse.ArgumentParser(prog="python -m drivers.simulated.remote")
    parser.add_argument("path")
    parser.add_argument("verb", choices=VERBS)
    parser.add_argument("line", type=int, nargs="?", default=0)
    parser.add_argument("value", nargs="?", default="")
    given = parser.parse_args(argv)
    remote = Remote(given.path)
    try:
        VERBS[given.verb](remote, given)
    finally:
        remote.close()
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
