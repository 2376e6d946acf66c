"""Edge to relay on a kernel's lines (user-mode Linux, gpio-sim): the real daemon against a bare gpiod loop.

    python benchmarks/kernel_latency.py [--rounds N] [--json]

One guest, one run: the daemon's exit button and the bare loop's line are pressed in turns, the daemon idle otherwise.
Microseconds between the kernel's own stamps: from the entry of the line's interrupt to the driver being told to set the
output. Both without debounce. `alone` is the bare loop before the daemon was started. The guest has one processor and
100 ticks a second, and gpio-sim's interrupts come with a tick: where the daemon's own look at its inputs (each second)
saw the press before, it is counted apart. Not measured here: a real chip's registers, a Raspberry Pi.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import platform
import random
import statistics
import sys
import tempfile
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from tests.real.uml import build
from tests.real.uml.guest import Guest, make_disk

GUEST = Path(build.__file__).parent / "guests" / "latency.py"
LIMIT = 4.0


def p99(values: list[float]) -> float:
    """The nearest rank."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(len(ordered) * 0.99))]


def figures(values: list[float]) -> dict[str, float]:
    """Count, median, p99 and the largest, in microseconds."""
    return {"count": len(values), "p50_us": statistics.median(values), "p99_us": p99(values), "max_us": max(values)}


def interval(values: list[float], rival: list[float], resamples: int = 1000) -> list[float]:
    """95 % of the ratio of the two p99, by bootstrap."""
    random.seed(1)
    ratios = sorted(
        p99(random.choices(values, k=len(values))) / p99(random.choices(rival, k=len(rival))) for _ in range(resamples)
    )
    return [round(ratios[int(resamples * 0.025)], 2), round(ratios[int(resamples * 0.975)], 2)]


def measure(rounds: int) -> tuple[dict[str, list[float]], dict[str, int]]:
    """Boot, press, read the trace: microseconds by program, and how often it had answered before the interrupt."""
    with tempfile.TemporaryDirectory(prefix="lm-") as folder:
        disk = make_disk(Path(folder) / "data.ext4", megabytes=64)
        with Guest(GUEST, str(rounds), disk=disk) as guest:
            code = guest.wait(within=60 + rounds * 3)
    assert code == 0, guest.output
    told = json.loads(guest.output[-1])
    return told["found"], told["ahead"]


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--rounds", type=int, default=400)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if not build.kernel().exists() and build.missing():
        print(f"no user-mode kernel: {build.missing()}", file=sys.stderr)
        return 1
    build.build()
    with contextlib.suppress(PermissionError):
        os.nice(-20)  # for the guest: what else this machine does is not measured
    found, ahead = measure(options.rounds)
    result: dict[str, Any] = {"machine": platform.node(), **{name: figures(values) for name, values in found.items()}}
    result["ahead"] = ahead
    for name, rival in (("ratio", "bare"), ("ratio_alone", "bare_alone")):
        result[name] = round(p99(found["daemon"]) / p99(found[rival]), 2)
        result[f"{name}_interval"] = interval(found["daemon"], found[rival])
    if options.json:
        print(json.dumps(result))
        return 0
    for name, what in (("bare_alone", "bare loop alone"), ("bare", "bare loop"), ("daemon", "daemon")):
        row = result[name]
        times = f"p50 {row['p50_us']:7.1f}  p99 {row['p99_us']:7.1f}  max {row['max_us']:8.1f} us"
        print(f"{what:16} n {row['count']:4}  {times}")
    print(f"answered before the interrupt (not in these figures): {ahead['daemon']} of the daemon's presses")
    low, high = result["ratio_interval"]
    print(f"the daemon's p99 is {result['ratio']} times the bare loop's ({low} to {high}; wanted: at most {LIMIT:g})")
    low, high = result["ratio_alone_interval"]
    print(f"  and {result['ratio_alone']} times that of the bare loop alone ({low} to {high})")
    return 0


if __name__ == "__main__":
    sys.exit(main())
