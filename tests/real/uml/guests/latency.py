"""From an edge to a line that is set, by the kernel's own trace: the real daemon and a bare gpiod loop, in turns.

    latency.py ROUNDS      prints one JSON document: microseconds, by program
    latency.py bare        the rival: waits for an edge, sets a line

Begin: the kernel enters the interrupt of the claimed line (its consumer's name stands in the trace). End: the driver is
told to set the output. Both stamps are the kernel's, of one clock, and neither program knows of them.
"""

from __future__ import annotations

import json
import os
import re
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import gpiod
from gpiod.line import Direction, Edge, Value

from tests.real.uml.lines import TRACING, Bank, Trace

CHIP = "pinctrl-bcm2711"
LOCK, EXIT, BARE_OUT, BARE_IN = 17, 23, 5, 6
REST = 0.6  # seconds: a press counts at once when the button had rested for 0.3
CONFIG = f"""
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
lock = {{ output = {{ driver = "gpio_chardev", chip = "{CHIP}", line = {LOCK}, bias = "down" }}, open_for = 0.1 }}
exit_button = {{ driver = "gpio_chardev", chip = "{CHIP}", line = {EXIT}, debounce = 0 }}
"""
ENTRY = re.compile(r"\s(?P<at>\d+\.\d+): irq_handler_entry: irq=\d+ name=(?P<name>\S+)")


def bare(chip: str) -> None:
    """Nothing but gpiod, in the same language: what no gateway written in it can beat."""
    inputs = gpiod.LineSettings(direction=Direction.INPUT, edge_detection=Edge.BOTH)
    outputs = gpiod.LineSettings(direction=Direction.OUTPUT, output_value=Value.INACTIVE)
    with (
        gpiod.request_lines(chip, {BARE_IN: inputs}, consumer="bare") as button,
        gpiod.request_lines(chip, {BARE_OUT: outputs}, consumer="bare-out") as relay,
    ):
        print("waiting", flush=True)
        while True:
            for event in button.read_edge_events():
                active = event.event_type is gpiod.EdgeEvent.Type.RISING_EDGE
                relay.set_value(BARE_OUT, Value.ACTIVE if active else Value.INACTIVE)


def start_daemon() -> subprocess.Popen[bytes]:
    """The whole daemon, once it is ready."""
    config, address = Path("/run/gateway.toml"), "/run/notify"
    config.write_text(CONFIG)
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as ear:
        ear.bind(address)
        ear.settimeout(60)
        daemon = subprocess.Popen(
            [sys.executable, "-m", "gateway.cli.main", "run", "--config", str(config)],
            env={**os.environ, "NOTIFY_SOCKET": address, "LOUMEN_LOG": "WARNING"},
        )
        while b"READY=1" not in ear.recv(4096):
            pass
    return daemon


def until(true: Callable[[], bool], what: str) -> None:
    """The guest's kernel ticks every 10 ms, so looking more often is no use."""
    end = time.monotonic() + 10
    while not true():
        assert time.monotonic() < end, what
        time.sleep(0.01)  # looks at a wire, which nobody announces


def press(bank: Bank, button: int, relay: int) -> None:
    """One rising edge, and the wait until the relay has followed it and rests again."""
    bank.pull(button, high=True)
    until(lambda: bank.level(relay), f"line {relay} was not set")
    bank.pull(button, high=False)
    until(lambda: not bank.level(relay), f"line {relay} did not rest")


class Stamps(Trace):
    """The trace with the entries of the lines' interrupts."""

    def __init__(self, bank: Bank) -> None:
        super().__init__(bank)
        event = TRACING / "events" / "irq" / "irq_handler_entry"
        (event / "filter").write_text('name ~ "loumen:*" || name ~ "bare*"')
        (event / "enable").write_text("1")

    def latencies(self, consumer: str, button: int, relay: int) -> tuple[list[float], int]:
        """Microseconds from the entry of the interrupt of each press to the relay's set, and how often it was ahead.

        Ahead: the simulated line has its new level at once and its interrupt at the kernel's next tick. What looks at
        its inputs by itself in those 10 ms, as the daemon does each second, has answered before the interrupt.
        """
        found: list[float] = []
        ahead = 0
        entered = pressed = None
        for line in (TRACING / "trace").read_text().splitlines():
            if entry := ENTRY.search(line):
                if entry["name"] == consumer:
                    entered = float(entry["at"])
            elif (value := self.value(line)) and value.line == button and entered is not None:
                pressed, entered = (entered if value.level else None), None
            elif value and value.line == relay and value.was_set and value.level:
                if pressed is None:
                    ahead += 1
                else:
                    found.append(round((value.at - pressed) * 1e6, 1))
                pressed = None
        return found, ahead


def main(rounds: int) -> None:
    bank = Bank(CHIP, lines=28)
    rival = subprocess.Popen([sys.executable, __file__, "bare", str(bank.path)], stdout=subprocess.PIPE)
    assert rival.stdout is not None
    assert rival.stdout.readline() == b"waiting\n"
    stamps = Stamps(bank)
    for _ in range(max(20, rounds // 4)):
        press(bank, BARE_IN, BARE_OUT)
    found, ahead = {"bare_alone": stamps.latencies("bare", BARE_IN, BARE_OUT)[0]}, {}
    daemon = start_daemon()
    time.sleep(8)  # what follows a start (imports, the databases' files) is over
    stamps = Stamps(bank)
    for turn in range(rounds):
        rested = time.monotonic() + REST
        press(bank, BARE_IN, BARE_OUT)
        time.sleep(max(0.0, rested - time.monotonic()))  # the button's rest
        press(bank, EXIT, LOCK)
        if turn % 50 == 0:
            print("round", turn, flush=True)
    found["bare"], ahead["bare"] = stamps.latencies("bare", BARE_IN, BARE_OUT)
    found["daemon"], ahead["daemon"] = stamps.latencies("loumen:main.exit_button", EXIT, LOCK)
    daemon.kill()
    rival.kill()
    print(json.dumps({"found": found, "ahead": ahead}))


if sys.argv[1] == "bare":
    bare(sys.argv[2])
else:
    main(int(sys.argv[1]))
