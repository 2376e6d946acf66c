"""The whole daemon on a kernel's lines: start, exit button, fire, stop, SIGKILL at rest and in a pulse.

    daemon.py freed|driven     prints one JSON document

As the unit does by ExecStopPost, this init runs `loumen safe-state` whenever the daemon has ended.
"""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from tests.real.uml.lines import Bank, Trace

LOCK, LAMP, CONTACT, EXIT, FIRE = 17, 18, 22, 23, 24
CONFIG = """
[site]
name = "Bench"
community = "bench"
[box]
name = "unit-1"
state = "/run/data/state"
run = "/run/loumen"
[vision]
run = "off"
[door.main]
name = "Unit 1"
lock = { output = { driver = "gpio_chardev", chip = "pinctrl-bcm2711", line = 17, bias = "down" }, open_for = 2.0 }
# Inputs keep their pulls: gpio-sim takes a claimed bias for the wire, and would overwrite what hangs on it.
contact = { driver = "gpio_chardev", chip = "pinctrl-bcm2711", line = 22 }
exit_button = { driver = "gpio_chardev", chip = "pinctrl-bcm2711", line = 23 }
fire = { driver = "gpio_chardev", chip = "pinctrl-bcm2711", line = 24 }
[door.main.indicators]
granted = { driver = "gpio_chardev", chip = "pinctrl-bcm2711", line = 18, bias = "down" }
"""
LOUMEN = [sys.executable, "-m", "gateway.cli.main"]


class Daemon:
    """One run of the daemon; ready when systemd would hear READY=1."""

    def __init__(self, config: Path) -> None:
        self._notify = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        address = "/run/notify"
        Path(address).unlink(missing_ok=True)
        self._notify.bind(address)
        self._notify.settimeout(60)
        self.process = subprocess.Popen(
            [*LOUMEN, "run", "--config", str(config)], env={**os.environ, "NOTIFY_SOCKET": address}
        )
        self.hears("READY=1")

    def hears(self, wanted: str) -> None:
        while wanted not in self._notify.recv(4096).decode():
            pass

    def end(self, number: signal.Signals) -> int:
        self.process.send_signal(number)
        code = self.process.wait(20)
        subprocess.run([*LOUMEN, "safe-state", "--pins", "/run/loumen/pins.json"], check=False, capture_output=True)
        return code


def pressed(bank: Bank) -> tuple[float, float]:
    """Press the exit button until the lock is released; when it was pressed, and when released."""
    at = time.monotonic()
    bank.pull(EXIT, high=True)
    released = until(bank, LOCK, True)
    bank.pull(EXIT, high=False)
    return at, released


def until(bank: Bank, line: int, level: bool, within: float = 10.0) -> float:
    """When the wire had the level; the guest's kernel ticks every 10 ms, so looking more often is no use."""
    began = time.monotonic()
    while bank.level(line) is not level:
        if time.monotonic() - began > within:
            raise AssertionError(f"line {line} did not become {level}")
        time.sleep(0.01)  # looks at a wire, which nobody announces
    return time.monotonic()


def edges(trace: Trace, line: int, since: float) -> list[bool]:
    """What was set on a line since a moment, without sets to the level it had."""
    levels = [level for at, level in trace.sets(line) if at >= since]
    return [level for before, level in zip([False, *levels], levels, strict=False) if level != before]


def main(death: str) -> None:
    bank = Bank("pinctrl-bcm2711", lines=28)
    bank.pull(CONTACT, high=True)  # closed
    trace = Trace(bank)
    config = Path("/run/gateway.toml")
    config.write_text(CONFIG)
    report: dict[str, Any] = {}

    began = time.monotonic()
    daemon = Daemon(config)
    report["ready_seconds"] = round(time.monotonic() - began, 2)
    report["edges_at_start"] = edges(trace, LOCK, began)
    at, released = pressed(bank)
    report["exit_to_lock_ms"] = round((released - at) * 1000)
    report["open_seconds"] = round(until(bank, LOCK, False) - at, 2)

    at = time.monotonic()
    bank.pull(FIRE, high=True)
    until(bank, LOCK, True)
    time.sleep(4)  # longer than a grant: fire holds
    report["fire_holds"] = bank.level(LOCK)
    bank.pull(FIRE, high=False)
    until(bank, LOCK, False)

    at = time.monotonic()
    report["stop_code"] = daemon.end(signal.SIGTERM)
    report["edges_at_stop"] = edges(trace, LOCK, at)

    daemon = Daemon(config)
    at = time.monotonic()
    report["kill_at_rest_code"] = daemon.end(signal.SIGKILL)
    report["edges_at_kill_at_rest"] = edges(trace, LOCK, at)
    report["level_after_kill_at_rest"] = bank.level(LOCK)

    daemon = Daemon(config)
    pressed(bank)
    if death == "driven":
        bank.pull(LOCK, high=True)  # how gpio-sim shows a kernel that leaves a dead owner's line driven
    at = time.monotonic()
    daemon.end(signal.SIGKILL)
    report["killed_pulse_ended_ms"] = round((time.monotonic() - at) * 1000)
    report["killed_pulse_set_to_rest"] = [level for when, level in trace.sets(LOCK) if when >= at][-1:] == [False]
    bank.pull(LOCK, high=False)

    bank.pull(FIRE, high=True)  # a start during a fire releases from what is sensed
    daemon = Daemon(config)
    report["fire_at_start"] = until(bank, LOCK, True) > 0
    at = time.monotonic()
    daemon.end(signal.SIGTERM)
    report["rests_at_stop_in_fire"] = not bank.level(LOCK)
    events = subprocess.run(
        [*LOUMEN, "event", "verify", "--config", str(config), "--json"], capture_output=True, text=True, check=False
    )
    report["verify"] = events.returncode
    print(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1])
