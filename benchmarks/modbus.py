"""Thirty meters on a wire of 9600 baud, one of them dead, against the wire's own limit.

    python benchmarks/modbus.py [--seconds 60] [--meters 30] [--json]

The far end is libmodbus in a process of its own (tests/real/modbus_peer.c), on a pseudo-terminal. A pty
imposes no time, so the peer gives each answer when a wire of 11 bits a character would have brought it:
request, 3.5 characters of silence, answer. The limit is a master without any delay of its own that asks
the living meters only: request, silence, answer, silence, and again. Ours asks as fast as it can, the
dead one included, through the same scheduler, driver and profile as the daemon.

The rival in the same run is a bare blocking loop over one living meter: it writes, reads until the answer's bytes are
there, sleeps the silence, checks nothing. What it lacks to 100 % is the machine's, not ours.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import resource
import sys
import tempfile
import time
from datetime import UTC, datetime
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from pymodbus.framer import FramerRTU
from pymodbus.pdu import DecodePDU
from pymodbus.pdu.register_message import ReadHoldingRegistersRequest

from gateway.clock import LoopClock
from gateway.config import schema
from gateway.errors import LoumenError
from gateway.journal.event import Event
from gateway.metering import profile as p
from gateway.metering import profiles
from gateway.metering.line import Asked, Line
from tests.real import modbus_bus
from tests.real.modbus_bus import ModbusBus

WANTED = 0.85
BAUD = 9600
PROFILE = "usw-dn15-dn40"


async def poll(port: Path, meters: int, seconds: float) -> tuple[int, int, float]:
    """Looks that came, looks that did not, the seconds they took."""
    seen, unseen = 0, 0
    began = 0.0

    def came(_meter: str, look: p.Decoded) -> None:
        nonlocal seen
        assert look.register is not None
        seen += 1

    def failed(_meter: str, _error: LoumenError) -> None:
        nonlocal unseen
        unseen += 1

    def note(_event: Event) -> None:
        return

    profile = profiles.load(PROFILE)
    asked = {f"m{unit}": Asked(unit, profile, 0.001) for unit in range(1, meters + 1)}
    line = Line(
        "bench",
        schema.SerialBus(port=str(port), baud=BAUD),
        asked,
        600.0,
        LoopClock(datetime(2026, 1, 1, tzinfo=UTC)),
        note,
        came,
        failed,
    )
    began = time.monotonic()
    task = asyncio.create_task(line.run())
    await asyncio.wait({task}, timeout=seconds)
    spent = time.monotonic() - began
    task.cancel()
    await asyncio.wait({task})
    return seen, unseen, spent


def bare(port: Path, seconds: float) -> tuple[int, float]:
    """Answers that a loop without any thought gets from one meter, and the seconds they took."""
    (span,) = p.spans(profiles.load(PROFILE))
    request = FramerRTU(DecodePDU(is_server=False)).buildFrame(
        ReadHoldingRegistersRequest(dev_id=1, address=span.address, count=span.count)
    )
    wire = os.open(port, os.O_RDWR | os.O_NOCTTY)
    answers, began = 0, time.monotonic()
    try:
        while time.monotonic() - began < seconds:
            os.write(wire, request)
            wanted = 5 + 2 * span.count
            while wanted > 0:
                wanted -= len(os.read(wire, wanted))
            answers += 1
            time.sleep(3.5 * 11 / BAUD)  # the wire's silence is the point
    finally:
        os.close(wire)
    return answers, time.monotonic() - began


def limit() -> float:
    """Seconds of wire for one look."""
    characters = sum(8 + 3.5 + 5 + 2 * span.count + 3.5 for span in p.spans(profiles.load(PROFILE)))
    return characters * 11 / BAUD


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--meters", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if reason := modbus_bus.missing():
        print(f"not measured: {reason}")
        return 0
    with tempfile.TemporaryDirectory(prefix="lm-") as folder:
        program = modbus_bus.build(Path(folder))
        with ModbusBus(program, Path(folder), baud=BAUD) as wire:
            for unit in range(1, given.meters + 1):
                registers = p.encode(profiles.load(PROFILE), unit * 1000)
                wire.meter(unit, "dead" if unit == given.meters // 2 else "good", registers)
            processor = time.process_time()
            seen, unseen, spent = asyncio.run(poll(wire.port, given.meters, given.seconds))
            processor = time.process_time() - processor
            bare_seen, bare_spent = bare(wire.port, given.seconds / 4)
    possible = spent / limit()
    document = {
        "meters": given.meters,
        "dead": 1,
        "baud": BAUD,
        "seconds": round(spent, 1),
        "looks": seen,
        "unanswered": unseen,
        "possible": round(possible, 1),
        "ratio": round(seen / possible, 3),
        "wanted": WANTED,
        "bare_ratio": round(bare_seen * limit() / bare_spent, 3),
        "bare_answers": bare_seen,
        "cpu_ms_a_look": round(1000 * processor / max(1, seen), 3),
        "resident_mb": round(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024, 1),
        "machine": platform.node(),
        "processors": os.cpu_count(),
        "load": round(os.getloadavg()[0], 1),
    }
    if given.json:
        print(json.dumps(document))
    else:
        print(
            f"{given.meters} meters, one dead, {BAUD} baud: {seen} looks in {spent:.0f} s, "
            f"{document['ratio']:.1%} of the wire's limit (wanted {WANTED:.0%}; a bare blocking loop over one meter: "
            f"{document['bare_ratio']:.1%} of it, {bare_seen} answers); {unseen} unanswered, "
            f"{document['cpu_ms_a_look']} ms of processor a look; on {document['machine']}, "
            f"{document['processors']} processors, load {document['load']}"
        )
    return 0 if seen / possible >= WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
