"""Lines by name: the configuration's outputs and inputs, claimed through their drivers.

The one register of what this box holds: `io` shows it, the pins file of `safe-state` is made from it.
"""

from __future__ import annotations

from dataclasses import dataclass

from drivers.interfaces import Bias, InputLine, InputSpec, OutputLine, OutputSpec
from drivers.registry import Drivers
from gateway.config import schema


@dataclass(frozen=True, slots=True)
class HeldOutput:
    """An output that is claimed. `use` is 'lock', 'indicator' or 'light'."""

    name: str
    driver: str
    use: str
    line: OutputLine


@dataclass(frozen=True, slots=True)
class HeldInput:
    """An input that is claimed."""

    name: str
    driver: str
    line: InputLine


def driver_of(conf: schema.Output | schema.Input) -> str:
    """The driver's name: the tag of the configuration's type."""
    return str(conf.__struct_config__.tag)


def _chip(conf: schema.Output | schema.Input) -> str:
    return conf.chip if isinstance(conf, schema.ChardevOutput) else driver_of(conf)


def output_spec(name: str, conf: schema.Output, max_on: float) -> OutputSpec:
    """What the driver needs of an output's configuration."""
    return OutputSpec(name, _chip(conf), conf.line, conf.active_low, Bias(conf.bias), max_on)


def input_spec(name: str, conf: schema.Input) -> InputSpec:
    """What the driver needs of an input's configuration."""
    return InputSpec(name, _chip(conf), conf.line, conf.active_low, Bias(conf.bias), conf.debounce)


class Lines:
    """Claims lines and remembers them by name ('main.lock', 'main.contact')."""

    def __init__(self, drivers: Drivers) -> None:
        self._drivers = drivers
        self.outputs: dict[str, HeldOutput] = {}
        self.inputs: dict[str, HeldInput] = {}

    def output(self, name: str, conf: schema.Output, use: str, max_on: float) -> OutputLine:
        """Claim an output at rest. Raises DriverError."""
        driver = driver_of(conf)
        line = self._drivers.gpio(driver).claim_output(output_spec(name, conf, max_on))
        self.outputs[name] = HeldOutput(name, driver, use, line)
        return line

    def input(self, name: str, conf: schema.Input) -> InputLine:
        """Claim an input. Raises DriverError."""
        driver = driver_of(conf)
        line = self._drivers.gpio(driver).claim_input(input_spec(name, conf))
        self.inputs[name] = HeldInput(name, driver, line)
        return line
