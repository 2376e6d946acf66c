"""A barrier on a kernel's lines: command, button, fire, a car under the falling arm, a loop that is not there, SIGKILL.

    lane.py freed|driven     prints one JSON document

The drive is played: after a pulse its limit switches follow. The door beside it must notice nothing of all this.
"""

from __future__ import annotations

import contextlib
import json
import signal
import sys
import time
from pathlib import Path
from typing import Any

import gpiod
from gpiod.line import Direction

from gateway.control.client import Client
from gateway.errors import JournalDown
from tests.real.uml.guests import daemon as door
from tests.real.uml.guests.daemon import LOCK, Daemon, edges, pressed, until
from tests.real.uml.lines import Bank, Trace

OPEN, CLOSE, STOP, TOP, BOTTOM, LOOP, BEAM, BUTTON, FIRE = 5, 6, 12, 13, 16, 19, 20, 21, 26
SIDE_OPEN, SIDE_CLOSE, SIDE_BUTTON = 2, 3, 4
OUTPUTS = (LOCK, OPEN, CLOSE, STOP, SIDE_OPEN, SIDE_CLOSE)
SOCKET = Path("/run/loumen/loumen.sock")


def line(number: int, *, output: bool = False) -> str:
    bias = ', bias = "down"' * output
    return f'{{ driver = "gpio_chardev", chip = "pinctrl-bcm2711", line = {number}{bias} }}'


CONFIG = f"""{door.CONFIG}
[lane.gate]
name = "Gate"
loop = {line(LOOP)}
photocell = {line(BEAM)}
button = {line(BUTTON)}
fire = {line(FIRE)}
close_after = 0.5
stay_open = 1.0
[lane.gate.arm]
open = {line(OPEN, output=True)}
close = {line(CLOSE, output=True)}
stop = {line(STOP, output=True)}
limit_up = {line(TOP)}
limit_down = {line(BOTTOM)}
travel = 5.0
[lane.side]
name = "Side"
loop = {{ driver = "gpio_chardev", chip = "an expander that is unplugged", line = 1 }}
button = {line(SIDE_BUTTON)}
close_after = 0.5
stay_open = 0.5
[lane.side.arm]
open = {line(SIDE_OPEN, output=True)}
close = {line(SIDE_CLOSE, output=True)}
travel = 1.0
"""


class Gate:
    """The bank's barrier: what its drive does after a pulse."""

    def __init__(self, bank: Bank, trace: Trace) -> None:
        self.bank, self.trace = bank, trace
        self._seen: dict[int, float] = {}
        bank.pull(BOTTOM, high=True)
        bank.pull(BEAM, high=True)

    def pulsed(self, line: int, within: float = 15.0) -> float:
        """When the next pulse on a line began; the kernel's trace misses none, however busy the host is."""
        began = time.monotonic()
        while time.monotonic() - began < within:
            begun = [at for at, level in self.trace.sets(line) if level and at > self._seen.get(line, 0.0)]
            if begun:
                self._seen[line] = begun[0]
                return begun[0]
            time.sleep(0.02)  # looks at the kernel's trace, which announces nothing
        raise AssertionError(f"no pulse on line {line}")

    def rises(self) -> None:
        self.pulsed(OPEN)
        self.bank.pull(BOTTOM, high=False)
        self.bank.pull(TOP, high=True)
        until(self.bank, OPEN, False)

    def begins_to_fall(self) -> None:
        self.pulsed(CLOSE)
        self.bank.pull(TOP, high=False)

    def falls(self) -> None:
        self.begins_to_fall()
        self.bank.pull(BOTTOM, high=True)
        until(self.bank, CLOSE, False)

    def press(self, button: int) -> None:
        self.bank.pull(button, high=True)
        time.sleep(0.2)  # a finger on a button
        self.bank.pull(button, high=False)

    def moved(self, since: float) -> dict[int, list[bool]]:
        """The outputs that were moved since then."""
        return {number: found for number in OUTPUTS if (found := edges(self.trace, number, since))}

    def first(self, line: int, level: bool, since: float) -> float:
        return next(at for at, set_to in self.trace.sets(line) if at >= since and set_to is level)


def begun(config: Path) -> Daemon:
    daemon = Daemon(config)
    daemon.hears("control socket")
    return daemon


def raised_by_command() -> None:
    """A journal that a busy host keeps waiting refuses an order within 0.3 s; then it is given again, as people do."""
    for _ in range(20):
        with contextlib.suppress(JournalDown):
            Client(SOCKET).command("lane.raise", {"lane": "gate"})
            return
    raise AssertionError("no order was taken")


def passages(config: Path, gate: Gate, report: dict[str, Any]) -> None:
    """A command, a car under the falling arm, fire, an orderly stop."""
    at = time.monotonic()
    daemon = begun(config)
    report["moved_at_start"] = gate.moved(at)
    raised_by_command()
    gate.rises()
    gate.begins_to_fall()
    at = time.monotonic()
    gate.bank.pull(LOOP, high=True)
    stopped = gate.pulsed(STOP)
    report["closing_at_stop"] = gate.bank.level(CLOSE)
    gate.rises()
    opened = gate.first(OPEN, True, at)
    report["edge_to_stop_ms"] = round((stopped - at) * 1000)
    report["stop_before_open"] = gate.first(STOP, False, stopped) < opened
    gate.bank.pull(LOOP, high=False)
    gate.falls()

    gate.bank.pull(FIRE, high=True)
    gate.rises()
    at = time.monotonic()
    time.sleep(1.6)  # longer than the arm stays up for nobody: fire holds
    report["moved_in_fire"] = gate.moved(at)
    gate.bank.pull(FIRE, high=False)
    gate.falls()
    at = time.monotonic()
    report["stop_code"] = daemon.end(signal.SIGTERM)
    report["moved_at_stop"] = gate.moved(at)


def blind(config: Path, gate: Gate, report: dict[str, Any]) -> None:
    """A loop that somebody else holds, and one on no chip: raised, never closed; the door works; SIGKILL at rest."""
    with gpiod.request_lines(
        str(gate.bank.path), {LOOP: gpiod.LineSettings(direction=Direction.INPUT)}, consumer="somebody"
    ):
        daemon = begun(config)
        gate.press(SIDE_BUTTON)
        gate.pulsed(SIDE_OPEN)
        gate.press(BUTTON)
        gate.rises()
        at = time.monotonic()
        pressed_at, released = pressed(gate.bank)
        report["exit_to_lock_ms"] = round((released - pressed_at) * 1000)
        time.sleep(2.2)  # twice as long as an arm stays up for nobody
        report["closed_without_loop"] = gate.moved(at).keys() & {CLOSE, SIDE_CLOSE} != set()
        status = Client(SOCKET).status()
        report["faults"] = {lane["id"]: lane["faults"] for lane in status["lanes"]}
        report["why"] = {lane["id"]: lane["why"] for lane in status["lanes"]}
        report["door_faults"] = status["doors"][0]["faults"]
        until(gate.bank, LOCK, False)
        at = time.monotonic()
        daemon.end(signal.SIGKILL)
        report["moved_at_kill_at_rest"] = gate.moved(at)


def killed_in_a_pulse(config: Path, gate: Gate, report: dict[str, Any], death: str) -> None:
    """SIGKILL in the middle of a closing pulse: safe-state ends it, and the next daemon watches the arm that fell."""
    daemon = begun(config)
    gate.begins_to_fall()
    if death == "driven":
        gate.bank.pull(CLOSE, high=True)  # how gpio-sim shows a kernel that leaves a dead owner's line driven
    at = time.monotonic()
    daemon.end(signal.SIGKILL)
    report["killed_pulse_ended_ms"] = round((time.monotonic() - at) * 1000)
    last = [(number, gate.trace.sets(number)) for number in (OPEN, CLOSE, STOP)]
    report["last_set_of_the_drive"] = [sets[-1][1] for number, sets in last if sets and number != STOP]
    gate.bank.pull(CLOSE, high=False)
    gate.bank.pull(LOOP, high=True)  # the drive goes on, and a car comes: the next daemon raises the arm over it
    at = time.monotonic()
    begun(config)
    report["raised_over_a_car"] = gate.moved(at).get(OPEN)


def main(death: str) -> None:
    bank = Bank("pinctrl-bcm2711", lines=28)
    bank.pull(door.CONTACT, high=True)  # closed
    gate = Gate(bank, Trace(bank))
    config = Path("/run/gateway.toml")
    config.write_text(CONFIG)
    report: dict[str, Any] = {}
    passages(config, gate, report)
    blind(config, gate, report)
    killed_in_a_pulse(config, gate, report, death)
    print(json.dumps(report))


if __name__ == "__main__":
    main(sys.argv[1])
