"""Inside a guest: a bank of simulated GPIO lines (gpio-sim), and the trace of all that was set on them.

    bank = Bank("pinctrl-bcm2711", lines=28)      # /dev/gpiochipN appears, with this label
    bank.pull(17, high=True)                      # what hangs on the wire: an input then reads 1 (and sees an edge)
    bank.level(5)                                 # the wire now: driven by an owner, else at its pull

    trace = Trace(bank)                           # from here on
    ...
    trace.sets(5)                                 # [(seconds of CLOCK_MONOTONIC, level), ...] that drivers commanded
    trace.claims(5)                               # [(seconds, 'in' | 'out'), ...]: each (re)configuration

The trace is the kernel's own (events gpio_value and gpio_direction), not a poll: no set is too short for it.
A line whose owner dies falls back to its pull, which is the wire's doing and no set: look at `level`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path
from typing import NamedTuple

CONFIG = Path("/sys/kernel/config/gpio-sim")
TRACING = Path("/sys/kernel/tracing")
LINE = re.compile(r"\s(?P<at>\d+\.\d+): gpio_(?P<what>value|direction): (?P<gpio>\d+)\s+(?P<rest>.*)")


class Bank:
    """One chip of simulated lines; it lives until the machine halts, or until `remove`."""

    def __init__(self, label: str = "pinctrl-bcm2711", lines: int = 28, names: Mapping[int, str] | None = None) -> None:
        self.label, self.lines = label, lines
        self._device = CONFIG / label
        bank = self._device / "bank"
        bank.mkdir(parents=True)
        (bank / "num_lines").write_text(str(lines))
        (bank / "label").write_text(label)
        for line, name in (names or {}).items():
            folder = bank / f"line{line}"
            folder.mkdir()
            (folder / "name").write_text(name)
        self.plug()

    def pull(self, line: int, *, high: bool) -> None:
        """Pull the wire: an input (or a line without an owner) takes this level."""
        (self._chip / f"sim_gpio{line}" / "pull").write_text("pull-up" if high else "pull-down")

    def level(self, line: int) -> bool:
        """The wire's electrical level."""
        return (self._chip / f"sim_gpio{line}" / "value").read_text().strip() == "1"

    @property
    def first(self) -> int:
        """The number that the kernel's trace gives to line 0."""
        text = Path("/sys/kernel/debug/gpio").read_text()
        found = re.search(rf"^{self.path.name}: GPIOs (\d+)-", text, re.MULTILINE)
        assert found, text
        return int(found[1])

    def plug(self) -> None:
        """The chip appears, under its label and whatever number the kernel has left."""
        (self._device / "live").write_text("1")
        device = (self._device / "dev_name").read_text().strip()
        chip = (self._device / "bank" / "chip_name").read_text().strip()
        self.path = Path("/dev") / chip
        self._chip = Path("/sys/devices/platform") / device / chip

    def remove(self) -> None:
        """The chip vanishes, as a pulled USB expander would."""
        (self._device / "live").write_text("0")


class Value(NamedTuple):
    """One line of the trace: a wire's level was read, or set."""

    at: float
    line: int
    was_set: bool
    level: bool


class Trace:
    """Every value and direction that was set on a bank's lines from now on, with the kernel's time."""

    def __init__(self, bank: Bank) -> None:
        self._first = bank.first
        (TRACING / "trace_clock").write_text("mono")
        (TRACING / "buffer_size_kb").write_text("4096")
        (TRACING / "trace").write_text("")
        (TRACING / "events" / "gpio" / "enable").write_text("1")

    def sets(self, line: int) -> list[tuple[float, bool]]:
        """What was commanded on `line`: (time, level). Reads of the line are left out."""
        return [(at, rest.split()[1] == "1") for at, what, rest in self._of(line) if what == "value" and "set" in rest]

    def claims(self, line: int) -> list[tuple[float, str]]:
        """The direction each time it was configured."""
        return [(at, rest.split()[0]) for at, what, rest in self._of(line) if what == "direction"]

    def value(self, line: str) -> Value | None:
        """What one line of the trace says of a wire's level."""
        if (m := LINE.search(line)) is None or m["what"] != "value":
            return None
        what, level = m["rest"].split()
        return Value(float(m["at"]), int(m["gpio"]) - self._first, what == "set", level == "1")

    def _of(self, line: int) -> list[tuple[float, str, str]]:
        found = LINE.finditer((TRACING / "trace").read_text())
        return [(float(m["at"]), m["what"], m["rest"]) for m in found if int(m["gpio"]) == self._first + line]
