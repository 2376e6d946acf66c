"""SIGKILL in the middle of a pulse, on a kernel that frees the line or on one that leaves it driven.

    safe_state.py freed|driven     prints one JSON document

gpio-sim frees a dead owner's line to its pull. A line that stays driven is had from it by turning the pull to
the energised side once the line is claimed: the wire then keeps its level when the owner dies, without an edge.
"""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

from tests.real.uml.guests.owner import LIGHT, LOCK, MAGLOCK
from tests.real.uml.lines import Bank, Trace

OWNER = Path(__file__).with_name("owner.py")
PINS = Path("/run/pins.json")
SAFE_STATE = [sys.executable, "-m", "gateway.cli.main", "safe-state", "--json", "--pins", str(PINS)]


def safe_state() -> dict[str, object]:
    done = subprocess.run(SAFE_STATE, capture_output=True, text=True, check=False)
    return {"code": done.returncode, **json.loads(done.stdout or "{}"), "stderr": done.stderr}


def main(death: str) -> None:
    bank = Bank("pinctrl-bcm2711", lines=28)
    for resting_high in (MAGLOCK,):
        bank.pull(resting_high, high=True)
    trace = Trace(bank)
    owner = subprocess.Popen(
        [sys.executable, str(OWNER), "gpio_chardev", bank.label, str(PINS)], stdout=subprocess.PIPE, text=True
    )
    assert owner.stdout is not None
    assert owner.stdout.readline() == "pulsing\n"
    owned = safe_state()
    if death == "driven":
        bank.pull(LOCK, high=True)
    killed = time.monotonic()
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    left = bank.level(LOCK)
    first = safe_state()
    rested = [at for at, level in trace.sets(LOCK) if at > killed and not level]
    again = safe_state()
    report = {
        "owned": owned,
        "left_energised": left,
        "first": first,
        "again": again,
        "milliseconds": round((rested[0] - killed) * 1000, 1) if rested else None,
        "after": bank.level(LOCK),
        "lock": [level for _, level in trace.sets(LOCK)],
        "light": [level for _, level in trace.sets(LIGHT)],
        "maglock": [level for _, level in trace.sets(MAGLOCK)],
        "levels": [bank.level(LIGHT), bank.level(MAGLOCK)],
        "ways": [way for line in (LOCK, LIGHT, MAGLOCK) for _, way in trace.claims(line)],
    }
    print(json.dumps(report))


main(sys.argv[1])
