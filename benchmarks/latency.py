"""From a credential to the relay inside the daemon, on simulated lines, while everything else goes on.

    python benchmarks/latency.py [--seconds N] [--people N] [--json]

Rival in the same run, in the same loop, under the same load: a bare loop that reads one line and sets
another. Load: another process saturates a core; inside the daemon a bundle of 3,000 people is imported,
the journal takes 1,000 events a second, the uplink drains its backlog over TLS and its broker is killed and
started every few seconds. Not measured here: a real chip's registers, a Raspberry Pi.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import json
import os
import platform
import sys
import tempfile
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from drivers.interfaces import InputSpec, OutputSpec
from drivers.registry import Drivers
from drivers.simulated.building import Building
from drivers.simulated.driver import SimulatedGpio
from gateway.access.rules.lock import Mode
from gateway.access.service import DoorService
from gateway.clock import SystemClock
from gateway.config import schema
from gateway.directory import boxes, commands
from gateway.journal.store import Journal
from gateway.lines import Lines
from gateway.uplink.messages import Reply
from gateway.uplink.mqtt import MqttUplink
from gateway.vision.protocol import Candidate, Candidates
from tests.directory.house import ADMINISTRATOR, TestIdentity, opened
from tests.directory.test_transfer import Box as Importer
from tests.directory.test_transfer import person, written
from tests.uplink.house import COMMUNITY, QUICK, SITE, DemoBroker, Happened, enrol, free_port, make_desk

LOCK, EXIT, BARE_IN, BARE_OUT = 1, 2, 3, 4
PAUSE = 0.05  # seconds between two credentials of one kind
PER_SECOND = 1000


class Anybody:
    """A directory in which everybody may pass."""

    active, valid_from, valid_until, doors, face = True, None, None, frozenset({"*"}), True

    def person(self, _person: str) -> Anybody:
        return self


class Bench:
    """One door and one bare loop on the same simulated wires."""

    def __init__(self, journal: Journal) -> None:
        self.building = Building()
        gpio = SimulatedGpio(self.building)
        config = schema.Door(
            name="bench",
            lock=schema.Lock(output=schema.SimulatedOutput(line=LOCK), open_for=0.02, max_on=0.02),
            exit_button=schema.SimulatedInput(line=EXIT, debounce=0),
            camera="front",
        )
        lines = Lines(Drivers({"simulated": gpio}))
        self.door = DoorService("main", config, lines, journal.note, SystemClock(), Anybody, Mode.NORMAL, 3)
        self.door.start()
        self._bare_in = gpio.claim_input(InputSpec("bare.in", "simulated", BARE_IN, debounce=0))
        self._bare_out = gpio.claim_output(OutputSpec("bare.out", "simulated", BARE_OUT))

    async def bare(self) -> None:
        """Read one line, set another: what no gateway can beat in this process."""
        async for edge in self._bare_in.edges():
            if edge.active:
                self._bare_out.pulse(0.02)

    async def measure(self, seconds: float) -> dict[str, list[float]]:
        """Milliseconds from a credential to the wire, by kind, in turn."""
        loop, found = asyncio.get_running_loop(), {"bare": [], "face": [], "exit": []}
        until, track = loop.time() + seconds, 0
        while loop.time() < until:
            track += 1
            found["bare"].append(await self._one(BARE_OUT, lambda: self.building.line(BARE_IN).set(True)))
            self.building.line(BARE_IN).set(False)
            seen = self._seen(track)
            found["face"].append(await self._one(LOCK, lambda seen=seen: self.door.candidates(seen)))  # type: ignore[misc]
            if track % 8 == 0:  # a press counts when the button had rested
                found["exit"].append(await self._one(LOCK, lambda: self.building.line(EXIT).set(True)))
                self.building.line(EXIT).set(False)
        return {kind: sorted(values) for kind, values in found.items()}

    async def _one(self, wire: int, cause: Callable[[], None]) -> float:
        """Let `cause` happen and wait for the wire to go up and to fall back."""
        loop = asyncio.get_running_loop()
        began = loop.time()
        cause()
        at = await self.building.line(wire).reaches(True, since=began)
        await self.building.line(wire).reaches(False, since=at)
        await asyncio.sleep(PAUSE)
        return (at - began) * 1000

    def _seen(self, track: int) -> Candidates:
        return Candidates(
            camera="front", door="main", track=track, generation=1, frames=3, threshold=0.45, quality=1.0,
            best=(Candidate(person="p", distance=0.3),), at=asyncio.get_running_loop().time(),
        )  # fmt: skip


async def flood(journal: Journal) -> None:
    """1,000 events a second."""
    number = 0
    while True:
        for _ in range(PER_SECOND // 100):
            number += 1
            journal.note(Happened(number=number))
        await asyncio.sleep(0.01)


async def flaky(broker: DemoBroker) -> None:
    """The broker is killed and comes back: a TLS handshake and a backlog, again and again."""
    while True:
        await asyncio.to_thread(broker.start)
        await asyncio.sleep(3)
        broker.kill()
        await asyncio.sleep(1)


async def importing(folder: Path, people: int) -> None:
    """Import the bundle, again and again, each time into a new directory."""
    sender, receiver = TestIdentity(), TestIdentity()
    data = await asyncio.to_thread(written, [person(number) for number in range(people)], sender, receiver)
    key = msgspec.json.encode(boxes.document(sender)).decode()
    for again in range(1000):
        place = folder / f"import-{again}"
        place.mkdir()
        async with opened(place) as house:
            box = Importer(house, receiver, place / "run")
            command = commands.ImportPeople(bundle=await box.bring(data), sender=key)
            await box.handlers[commands.ImportPeople](command, ADMINISTRATOR)


async def scenario(folder: Path, seconds: float, people: int) -> dict[str, dict[str, list[float]]]:
    port = free_port()
    authority = make_desk(folder / "desk", port, "3.1.1")
    box = enrol(folder / "state", authority)
    broker = DemoBroker(authority, port)
    journal = Journal(folder / "state" / "journal.db", SystemClock(), box.uuid, schema.Journal())
    await journal.start()

    async def obey(_command: Any) -> Reply:
        return Reply(command_id="", ok=False)

    uplink_config = schema.Uplink(brokers=(schema.Broker(host="127.0.0.1", port=port),), backoff_max=1.0)
    assert SITE.community == COMMUNITY
    uplink = MqttUplink(uplink_config, SITE, box, journal, SystemClock(), obey, timing=QUICK)
    bench = Bench(journal)
    running = [asyncio.create_task(bench.door.run()), asyncio.create_task(bench.bare())]
    await asyncio.sleep(0.2)
    found = {"alone": await bench.measure(seconds / 2)}
    burner = await asyncio.create_subprocess_exec(sys.executable, "-c", "while True: pass")
    load: list[Callable[[], Awaitable[None]]] = [
        uplink.run,
        lambda: flood(journal),
        lambda: flaky(broker),
        lambda: importing(folder, people),
    ]
    running += [asyncio.ensure_future(work()) for work in load]
    await asyncio.sleep(1)
    try:
        found["loaded"] = await bench.measure(seconds)
    finally:
        burner.kill()
        await burner.wait()
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        with contextlib.suppress(ProcessLookupError):
            broker.kill()
        await journal.close()
    return found


def figures(values: list[float]) -> dict[str, float]:
    """Count, median, p99 and the largest, in milliseconds."""
    return {
        "count": len(values),
        "p50_ms": round(values[len(values) // 2], 3),
        "p99_ms": round(values[min(len(values) - 1, int(len(values) * 0.99))], 3),
        "max_ms": round(values[-1], 3),
    }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=40)
    parser.add_argument("--people", type=int, default=3000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="lm-") as folder:
        found = asyncio.run(scenario(Path(folder), options.seconds, options.people))
    result: dict[str, Any] = {"machine": platform.node(), "cores": os.cpu_count()}
    for load, kinds in found.items():
        result[load] = {kind: figures(values) for kind, values in kinds.items()}
        result[load]["p99_ratio"] = round(
            result[load]["face"]["p99_ms"] / max(result[load]["bare"]["p99_ms"], 0.001), 2
        )
    if options.json:
        print(json.dumps(result))
        return 0
    for load in found:
        for kind in ("bare", "face", "exit"):
            row = result[load][kind]
            times = f"p50 {row['p50_ms']:7.3f}  p99 {row['p99_ms']:7.3f}  max {row['max_ms']:7.2f} ms"
            print(f"{load:7} {kind:5} n {row['count']:5}  {times}")
        print(f"{load:7} a face's p99 is {result[load]['p99_ratio']} times the bare loop's (wanted: at most 3)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
