"""Importing a bundle of 3,000 people with five faces each, while the daemon's loop waits for a wire.

    python benchmarks/import.py [--people N] [--json]

Prints how long after an edge on a pipe (another process sends one each 2 ms) the loop sees it while the
import goes on, against the same loop that imports nothing (its rival in the same run), and against the
same import parsed in the daemon's own process.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import msgspec

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gateway.directory import boxes, bundle_reader, commands
from gateway.directory.children import Order, Record
from gateway.directory.taking import Taking
from tests.directory.house import ADMINISTRATOR, House, TestIdentity, opened
from tests.directory.test_transfer import Box, person, written

Work = Callable[[House, Path], Coroutine[Any, Any, None]]


_EDGES = """
import sys, time
while True:
    time.sleep(0.002)
    sys.stdout.buffer.write(time.monotonic_ns().to_bytes(8, "big"))
    sys.stdout.buffer.flush()
"""


def lateness(work: Work, folder: Path) -> tuple[list[float], float]:
    """How long after each edge of another process the loop saw it (ms, sorted) while `work` went on; its seconds."""

    async def scenario() -> tuple[list[float], float]:
        async with opened(folder) as house:
            late: list[float] = []
            loop = asyncio.get_running_loop()
            edges = subprocess.Popen([sys.executable, "-c", _EDGES], stdout=subprocess.PIPE)  # noqa: ASYNC220
            assert edges.stdout is not None
            wire = edges.stdout.fileno()

            def edge() -> None:
                data = os.read(wire, 4096)
                now = time.monotonic_ns()
                for place in range(0, len(data), 8):
                    late.append((now - int.from_bytes(data[place : place + 8], "big")) / 1e6)

            loop.add_reader(wire, edge)
            began = time.perf_counter()
            await work(house, folder)
            took = time.perf_counter() - began
            loop.remove_reader(wire)
            edges.kill()
            edges.wait()
            edges.stdout.close()
            return sorted(late), took

    return asyncio.run(scenario())


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--people", type=int, default=3000)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    sender, receiver = TestIdentity(), TestIdentity()
    data = written([person(number) for number in range(options.people)], sender, receiver)
    key = msgspec.json.encode(boxes.document(sender)).decode()

    async def in_a_child(house: House, folder: Path) -> None:
        box = Box(house, receiver, folder / "run")
        command = commands.ImportPeople(bundle=await box.bring(data), sender=key)
        done = await box.handlers[commands.ImportPeople](command, ADMINISTRATOR)
        assert (done.added, done.complete) == (options.people, True)

    async def in_the_daemon(house: House, folder: Path) -> None:
        path = folder / "whole.bundle"
        path.write_bytes(data)
        order = Order(
            path=str(path),
            other=boxes.document(sender),
            own=boxes.document(receiver),
            private=receiver.seal.private_bytes_raw(),
        )
        taking = Taking(house.directory, Box(house, receiver, folder / "run").service.people, "import:x", None)
        people = [answer.person for answer in bundle_reader.answers(order) if isinstance(answer, Record)]
        for start in range(0, len(people), 50):
            await taking.take(people[start : start + 50], ADMINISTRATOR)

    async def nothing(_house: House, _folder: Path) -> None:
        await asyncio.sleep(3.0)

    found = {}
    for name, work in (("nothing", nothing), ("child", in_a_child), ("daemon", in_the_daemon)):
        with tempfile.TemporaryDirectory(prefix="lm-") as folder:
            late, took = lateness(work, Path(folder))
        found[name] = {
            "turns": len(late),
            "p50_ms": round(late[len(late) // 2], 2),
            "p99_ms": round(late[int(len(late) * 0.99)], 2),
            "max_ms": round(late[-1], 2),
            "seconds": round(took, 2),
        }
    ratio = round(found["child"]["p99_ms"] / max(found["nothing"]["p99_ms"], 0.01), 2)
    result = {"machine": platform.node(), "people": options.people, "bytes": len(data), **found, "p99_ratio": ratio}
    if options.json:
        print(json.dumps(result))
    else:
        for name, text in (("nothing", "no import"), ("child", "import"), ("daemon", "the same in the daemon")):
            row = found[name]
            print(f"{text:24} p50 {row['p50_ms']:6.2f}  p99 {row['p99_ms']:6.2f}  max {row['max_ms']:7.2f} ms late")
        seconds = found["child"]["seconds"]
        print(f"p99 with the import is {ratio} times that without; {options.people} people in {seconds} s")
    return 0


if __name__ == "__main__":
    sys.exit(main())
