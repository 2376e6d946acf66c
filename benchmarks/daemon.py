"""The daemon without vision: resident memory, idle share of a core, seconds until its doors are ready.

    python benchmarks/daemon.py [--seconds N] [--starts N] [--json]

Limits: 70 MB, 1 % of a core, 0.7 s. The rivals in the same run are an idle Python process (memory) and one that
only imports asyncio (start). Not measured here: a Raspberry Pi.
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
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from gateway.demo.house import House
from gateway.demo.stage import Stage

CLOCK = os.sysconf("SC_CLK_TCK")


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


def run(seconds: float, starts: int) -> dict[str, Any]:
    with Stage.raised() as stage:
        house = House.build(stage)
        text = house.config.read_text().replace('run = "child"', 'run = "off"')
        house.config.write_text(text[: text.index("[uplink]")])
        ready, bare = [], []
        for _ in range(starts):
            bare.append(bare_start())
            house.start_box()
            ready.append(float(house.status()["ready_seconds"]))
            stage.kill("box")
        house.start_box()
        house.status()
        pid = stage.process("box").pid
        time.sleep(3)  # what follows a start (imports, the first copy) is over
        before, began = processor_seconds(pid), time.monotonic()
        time.sleep(seconds)
        idle = (processor_seconds(pid) - before) / (time.monotonic() - began)
        idler = subprocess.Popen([sys.executable, "-c", "import time; time.sleep(60)"])
        time.sleep(0.5)
        python_mb = resident_mb(idler.pid)
        idler.kill()
        idler.wait()
        return {
            "machine": platform.node(),
            "resident_mb": round(resident_mb(pid), 1),
            "idle_python_mb": round(python_mb, 1),
            "idle_percent_of_a_core": round(idle * 100, 2),
            "ready_seconds": {"median": statistics.median(ready), "largest": max(ready), "starts": starts},
            "import_asyncio_seconds": round(statistics.median(bare), 3),
        }


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=30)
    parser.add_argument("--starts", type=int, default=5)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = run(options.seconds, options.starts)
    if options.json:
        print(json.dumps(found))
        return 0
    ready = found["ready_seconds"]
    print(f"resident   {found['resident_mb']} MB of 70 (an idle Python: {found['idle_python_mb']} MB)")
    print(f"idle       {found['idle_percent_of_a_core']} % of a core, of 1 %")
    print(f"ready      median {ready['median']} s, largest {ready['largest']} s of {ready['starts']} starts, of 0.7 s")
    print(f"           (a Python that imports asyncio: {found['import_asyncio_seconds']} s)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
