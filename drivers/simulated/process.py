"""The building as a process of its own, so that it outlives a killed daemon and shows what its wires did.

    python -m drivers.simulated.process --socket PATH [--owner-death freed|driven] [--pulls 0-8=up,9=open]

It says 'listening PATH' once it can be connected to, and ends on SIGTERM, or, with --with-stdin, when its
standard input ends. One JSON object a line in both directions; a request that carries `n` is answered
with the same `n`. A connection that claims lines is an owner: when it ends, however it ends, its lines go
the way of `owner_death`. Anybody else may look, press and break.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import signal
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from drivers.errors import LineBusy, LoumenError
from drivers.interfaces import Bias, Level
from drivers.simulated.building import Building, OwnerDeath
from drivers.simulated.wire import Claim, Wire

LIMIT = 64 * 1024  # bytes a request may have

Request = dict[str, Any]


class Session:
    """One connection: an owner's, or a spectator's."""

    def __init__(self, building: Building, writer: asyncio.StreamWriter) -> None:
        self._building, self._writer = building, writer
        self._owned: set[int] = set()

    def say(self, message: Request) -> None:
        """Send one object."""
        self._writer.write(json.dumps(message).encode() + b"\n")

    async def handle(self, request: Request) -> None:
        """Do what is asked and answer it."""
        answer: Request
        try:
            answer = await VERBS[request["do"]](self, request)
        except LineBusy as error:
            answer = {"error": error.code, "holder": str(error.facts["holder"])}
        except LoumenError as error:
            answer = {"error": error.code, "text": str(error)}
        if "n" in request:
            self.say({"n": request["n"], **answer})

    def end(self) -> None:
        """The connection is no more: its lines go the way of an owner's death."""
        for number in sorted(self._owned):
            self._building.release(number)
        self._owned.clear()

    # --- an owner's verbs

    async def claim(self, request: Request) -> Request:
        number = int(request["line"])

        def changed(at: float, level: Level) -> None:
            if not output:
                self.say({"line": number, "level": level, "at": at})

        def gone() -> None:
            self._owned.discard(number)
            self.say({"line": number, "gone": True})

        output = bool(request["output"])
        claim = Claim(str(request["as"]), bool(request["active_low"]), output, changed, gone)
        level = self._building.claim(number, claim, Bias(request["bias"]), request["level"])
        self._owned.add(number)
        return {"level": level}

    async def drive(self, request: Request) -> Request:
        if request["line"] in self._owned:  # else it vanished, which the owner has been told
            self._building.drive(request["line"], request["level"])
        return {}

    async def release(self, request: Request) -> Request:
        if request["line"] in self._owned:
            self._owned.discard(request["line"])
            self._building.release(request["line"])
        return {}

    async def holder(self, request: Request) -> Request:
        return {"holder": self._building.holder(request["line"])}

    # --- a spectator's verbs

    def _wire(self, request: Request) -> Wire:
        return self._building.line(int(request["line"]))

    async def set(self, request: Request) -> Request:
        self._wire(request).set(request["level"])
        return {}

    async def press(self, request: Request) -> Request:
        self._wire(request).press()
        return {}

    async def let_go(self, request: Request) -> Request:
        self._wire(request).let_go()
        return {}

    async def stick(self, request: Request) -> Request:
        self._wire(request).stick(request["level"])
        return {}

    async def bounce(self, request: Request) -> Request:
        wire = self._wire(request)
        wire.bounces, wire.bounce_gap = int(request["times"]), float(request["gap"])
        return {}

    async def vanish(self, request: Request) -> Request:
        self._wire(request).vanish()
        return {}

    async def return_(self, request: Request) -> Request:
        self._wire(request).return_()
        return {}

    async def occupy(self, request: Request) -> Request:
        self._wire(request).busy = str(request["holder"])
        return {}

    async def history(self, request: Request) -> Request:
        return {"history": self._wire(request).history}

    async def lines(self, _request: Request) -> Request:
        return {
            "lines": [
                {
                    "line": wire.number,
                    "level": wire.level,
                    "active": wire.active,
                    "holder": self._building.holder(wire.number),
                    "changes": len(wire.changes),
                    "gone": wire.gone,
                }
                for wire in self._building.wires()
            ]
        }

    async def reaches(self, request: Request) -> Request:
        try:
            async with asyncio.timeout(request["within"]):
                return {"at": await self._wire(request).reaches(request["level"], request["since"])}
        except TimeoutError:
            return {"at": None}


VERBS: dict[str, Callable[[Session, Request], Awaitable[Request]]] = {
    "claim": Session.claim,
    "drive": Session.drive,
    "release": Session.release,
    "holder": Session.holder,
    "set": Session.set,
    "press": Session.press,
    "let_go": Session.let_go,
    "stick": Session.stick,
    "bounce": Session.bounce,
    "vanish": Session.vanish,
    "return": Session.return_,
    "occupy": Session.occupy,
    "history": Session.history,
    "lines": Session.lines,
    "reaches": Session.reaches,
}


async def serve(building: Building, path: Path, ended: asyncio.Event) -> None:
    """Answer on the socket until `ended`."""

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        session = Session(building, writer)
        try:
            while line := await reader.readline():
                await session.handle(json.loads(line))
        except (ValueError, KeyError, TypeError, ConnectionError) as error:
            session.say({"error": "request", "text": str(error)})  # not our protocol: hang up
        except asyncio.CancelledError:
            return  # the building ends; asyncio would print a traceback for each connection
        finally:
            session.end()
            writer.close()

    server = await asyncio.start_unix_server(connected, path, limit=LIMIT)
    print(f"listening {path}", flush=True)  # noqa: T201  (this is the program's output)
    await ended.wait()
    server.close()


def pulls(text: str) -> dict[int, bool | None]:
    """`0-8=up,9=down,10-11=open` as a pull a line."""
    levels = {"up": True, "down": False, "open": None}
    found: dict[int, bool | None] = {}
    for part in filter(None, text.split(",")):
        numbers, _, word = part.partition("=")
        first, _, last = numbers.partition("-")
        found.update(dict.fromkeys(range(int(first), int(last or first) + 1), levels[word]))
    return found


async def _run(arguments: argparse.Namespace) -> None:
    loop, ended = asyncio.get_running_loop(), asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, ended.set)
    if arguments.with_stdin:
        loop.add_reader(sys.stdin, lambda: ended.set() if not os.read(0, 4096) else None)
    death: OwnerDeath = arguments.owner_death
    await serve(Building(owner_death=death, pulls=arguments.pulls), Path(arguments.socket), ended)


def main(argv: list[str]) -> int:
    """The command line; see the top of this file."""
    parser = argparse.ArgumentParser(prog="python -m drivers.simulated.process")
    parser.add_argument("--socket", required=True)
    parser.add_argument("--owner-death", choices=("freed", "driven"), default="freed")
    parser.add_argument("--pulls", type=pulls, default={})
    parser.add_argument("--with-stdin", action="store_true")
    arguments = parser.parse_args(argv)
    path = Path(arguments.socket)
    path.unlink(missing_ok=True)
    try:
        asyncio.run(_run(arguments))
    finally:
        path.unlink(missing_ok=True)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
