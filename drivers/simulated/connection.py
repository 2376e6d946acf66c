"""A driver's way into a building that is another process.

A claim is a question with an answer, at start only. A level is a small send that waits for nobody, and
changes come by the socket's file descriptor, with the building's own times. Whatever has been sent is
taken in before a level is read, so the order of cause and effect is that of one process.
"""

from __future__ import annotations

import json
import select
import socket
from typing import Any

from drivers import refusals
from drivers.edges import LoopReader
from drivers.interfaces import Bias, Level
from drivers.simulated.building import CHIP, LINES
from drivers.simulated.wire import Claim

ANSWER_WITHIN = 2.0  # seconds; a claim that takes longer finds the building missing

Message = dict[str, Any]


class Connection:
    """One owner's connection. Raises LineMissing where no building answers."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._socket = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        try:
            self._socket.connect(path)
        except OSError as error:
            self._socket.close()
            raise refusals.chip_missing(
                f"{CHIP}:{path}", f"python -m drivers.simulated.process --socket {path}"
            ) from error
        self._socket.setblocking(False)
        self._received = bytearray()
        self._asked = 0
        self._claims: dict[int, Claim] = {}
        self._levels: dict[int, bool] = {}
        self._reader = LoopReader(self._socket.fileno(), self.fetch)

    def claim(self, number: int, claim: Claim, bias: Bias, level: Level | None) -> bool:
        """Claim the wire. Raises LineMissing, LineBusy."""
        answer = self._ask(
            do="claim",
            line=number,
            output=claim.output,
            active_low=claim.active_low,
            bias=bias,
            level=level,
            **{"as": claim.consumer},
        )
        self._refused(answer, number)
        self._claims[number] = claim
        self._levels[number] = bool(answer["level"])
        return self._levels[number]

    def drive(self, number: int, level: Level) -> None:
        """Drive a claimed output; a building that does not take it is gone, and says so by `gone`."""
        self._send({"do": "drive", "line": number, "level": level})

    def level(self, number: int) -> bool:
        """The level of a claimed input."""
        self.fetch()
        return self._levels[number]

    def release(self, number: int) -> None:
        """Let go of the wire."""
        if self._claims.pop(number, None) is not None:
            self._send({"do": "release", "line": number})

    def holder(self, number: int) -> str:
        """Who has the wire. Raises LineMissing."""
        answer = self._ask(do="holder", line=number)
        self._refused(answer, number)
        return str(answer["holder"])

    def fetch(self) -> None:
        """Take in what the building has said; from now on the running loop does so by itself."""
        if self._socket.fileno() < 0:
            return  # hung up; the owner has been told
        self._reader.follow()
        while self._receive():
            pass
        for line in self._lines():
            self._hear(json.loads(line))

    def close(self) -> None:
        """Hang up; again is harmless."""
        self._reader.stop()
        self._claims.clear()
        self._socket.close()

    def _ask(self, **request: Any) -> Message:
        self._asked += 1
        if not self._send({**request, "n": self._asked}):
            return {}
        while select.select([self._socket], [], [], ANSWER_WITHIN)[0]:
            alive = self._receive()
            for line in self._lines():
                message = json.loads(line)
                if message.get("n") == self._asked:
                    return dict(message)
                self._hear(message)
            if not alive:
                break
        self._broken()
        return {}

    def _send(self, message: Message) -> bool:
        try:
            self._socket.sendall(json.dumps(message).encode() + b"\n")
        except OSError:  # BlockingIOError too: a building that has not read for so long is as good as gone
            self._broken()
            return False
        return True

    def _receive(self) -> bool:
        """Take in one piece; False when there is none, or never will be."""
        try:
            piece = self._socket.recv(65536)
        except BlockingIOError:
            return False
        except OSError:
            piece = b""
        if not piece:
            self._broken()
            return False
        self._received += piece
        return True

    def _lines(self) -> Any:
        while (end := self._received.find(b"\n")) >= 0:
            line = bytes(self._received[:end])
            del self._received[: end + 1]
            yield line

    def _hear(self, message: Message) -> None:
        number = message.get("line", -1)
        claim = self._claims.get(number)
        if claim is None:
            return
        if message.get("gone"):
            del self._claims[number]
            claim.gone()
        else:
            self._levels[number] = message["level"]
            claim.changed(message["at"], message["level"])

    def _broken(self) -> None:
        claims = list(self._claims.values())
        self.close()
        for claim in claims:
            claim.gone()

    def _refused(self, answer: Message, number: int) -> None:
        if not answer:
            raise refusals.chip_missing(
                f"{CHIP}:{self._path}", f"python -m drivers.simulated.process --socket {self._path}"
            )
        if answer.get("error") == "line.busy":
            raise refusals.line_busy(CHIP, number, str(answer["holder"]))
        if "error" in answer:
            raise refusals.line_missing(CHIP, number, LINES)
