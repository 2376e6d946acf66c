"""One daemon with a door, a lane and thirty meters: memory, share of a core, seconds until its doors are ready.

    python benchmarks/daemon.py [--seconds 150] [--starts 5] [--meters 30] [--json]

One run of `loumen run`: the demo's door and barrier on simulated lines, and a serial bus with libmodbus at its far
end (tests/real/modbus_peer.c, 9600 baud with the wire's time). The meters are read once a minute, as configured by
default, and their registers move; the front door's exit button is pressed once a minute. Faces and plates are other
processes and are not counted; there is no uplink. Limits: 80 MB, 1.5 % of a core over at least two minutes, 0.7 s.
The rivals in the same run are an idle Python process (memory) and one that only imports asyncio (start). Without
libmodbus's headers the meters are left out, and the output says so. Not measured here: a Raspberry Pi.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import subprocess
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gateway.demo.house import EXIT, House
from gateway.demo.stage import Stage
from gateway.metering import profiles
from gateway.metering.profile import encode
from tests.real import modbus_bus
from tests.real.modbus_bus import ModbusBus

CLOCK = os.sysconf("SC_CLK_TCK")
MOST_MB, MOST_PERCENT, MOST_READY = 80.0, 1.5, 0.7
PROFILE = "usw-dn15-dn40"
SETTLE = 5.0  # seconds until what follows a start (imports, the first copy, the first round of the meters) is over
METER = """
[meter.m{unit}]
name = "1-{unit}"
bus = "riser"
unit = {unit}
profile = "{profile}"
"""


def processor_seconds(pid: int) -> float:
    """User and system time of one process (proc(5))."""
    fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / CLOCK


def resident_mb(pid: int) -> float:
    """Resident memory of one process."""
    status = Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) / 1024


def bare_start() -> float:
    began = time.monotonic()
    subprocess.run([sys.executable, "-c", "import asyncio"], check=True)
    return time.monotonic() - began


def configure(house: House, wire: ModbusBus | None, meters: int) -> None:
    """The demo's house without faces, plates, uplink and its simulated meter, with a real bus."""
    text = house.config.read_text().replace('run = "child"', 'run = "off"')
    text = text[: text.index("[uplink]")] + text[text.index("[lane.gate]") : text.index("[bus.cellar]")]
    if wire is not None:
        text += f'[bus.riser]\ndriver = "serial"\nport = "{wire.port}"\n'
        text += "".join(METER.format(unit=unit, profile=PROFILE) for unit in range(1, meters + 1))
    house.config.write_text(text)


def water(wire: ModbusBus, meters: int, litres: float) -> None:
    """Every meter has moved on."""
    profile = profiles.load(PROFILE)
    for unit in range(1, meters + 1):
        wire.meter(unit, "good", encode(profile, round(1000 * (unit * 1000 + litres))))


def live(house: House, wire: ModbusBus | None, meters: int, seconds: float) -> None:
    """So many seconds of a quiet house."""
    began = time.monotonic()
    while (spent := time.monotonic() - began) < seconds:
        if wire is not None:
            water(wire, meters, spent)
        pressed = time.monotonic()
        house.building.press(EXIT)
        house.opened(pressed, 5)
        house.building.let_go(EXIT)
        time.sleep(min(60.0, max(0.0, seconds - (time.monotonic() - began))))


def run(seconds: float, starts: int, meters: int) -> dict[str, Any]:
    lacking = modbus_bus.missing()
    with ExitStack() as stack:
        stage = stack.enter_context(Stage.raised())
        wire = None
        if not lacking:
            wire = stack.enter_context(ModbusBus(modbus_bus.build(stage.folder), stage.folder, baud=9600, counted=True))
            water(wire, meters, 0)
        house = House.build(stage)
        configure(house, wire, meters)
        ready, bare = [], []
        for _ in range(starts):
            bare.append(bare_start())
            house.start_box()
            ready.append(float(house.status()["ready_seconds"]))
            stage.kill("box")
        house.start_box()
        time.sleep(SETTLE)
        pid = stage.process("box").pid
        answered = 0 if wire is None else wire.answers
        before, began = processor_seconds(pid), time.monotonic()
        live(house, wire, meters, seconds)
        spent = time.monotonic() - began
        share, resident = (processor_seconds(pid) - before) / spent, resident_mb(pid)
        listed = [] if wire is None else stage.ask("meter", "list")["meters"]
        return {
            "machine": platform.node(),
            "processors": os.cpu_count(),
            "load": round(os.getloadavg()[0], 1),
            "doors": 1,
            "lanes": len(house.status()["lanes"]),
            "meters": sum(meter["state"] == "ok" for meter in listed),
            "meter_answers": 0 if wire is None else wire.answers - answered,
            "without_meters": lacking,
            "resident_mb": round(resident, 1),
            "idle_python_mb": round(idle_python_mb(), 1),
            "percent_of_a_core": round(share * 100, 2),
            "seconds": round(spent, 1),
            "ready_seconds": {"median": statistics.median(ready), "largest": max(ready), "starts": starts},
            "import_asyncio_seconds": round(statistics.median(bare), 3),
        }


def idle_python_mb() -> float:
    """A Python that does nothing."""
    idler = subprocess.Popen(
        [sys.executable, "-c", "import sys; print(flush=True); sys.stdin.read()"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    assert idler.stdout is not None
    idler.stdout.readline()
    found = resident_mb(idler.pid)
    idler.communicate()
    return found


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--seconds", type=float, default=150)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--meters", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = run(options.seconds, options.starts, options.meters)
    if options.json:
        print(json.dumps(found))
        return 0
    ready, meters = found["ready_seconds"], found["meters"]
    print(f"daemon     {found['doors']} door, {found['lanes']} lane, {meters} meters on {found['machine']}", end="")
    print(f" ({found['processors']} processors, load {found['load']})")
    if found["without_meters"]:
        print(f"           without meters: {found['without_meters']}")
    print(f"resident   {found['resident_mb']} MB of {MOST_MB:g} (an idle Python: {found['idle_python_mb']} MB)")
    print(f"busy       {found['percent_of_a_core']} % of a core, of {MOST_PERCENT:g} %, over {found['seconds']:.0f} s")
    print(f"           with {found['meter_answers']} answers of meters")
    print(f"ready      median {ready['median']} s, largest {ready['largest']} s of {ready['starts']} starts", end="")
    print(f", of {MOST_READY:g} s (a Python that imports asyncio: {found['import_asyncio_seconds']} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
