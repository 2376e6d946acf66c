"""Lines by name: the configuration's outputs and inputs, claimed through their drivers.

The one register of what this box holds and of what it cannot have, with the reason: `io`, `status` and
`doctor` show it, the pins file of `safe-state` is made from it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

import msgspec

from drivers.interfaces import Bias, InputLine, InputSpec, OutputLine, OutputSpec
from drivers.registry import Drivers
from gateway.config import schema
from gateway.errors import DriverError

log = logging.getLogger("loumen.lines")


@dataclass(frozen=True, slots=True)
class HeldOutput:
    """An output that is claimed. `use` is 'lock', 'indicator', 'light' or 'arm'."""

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


@dataclass(frozen=True, slots=True)
class Missing:
    """A line that is wanted and cannot be used, and why: a busy one's error names the holder."""

    name: str
    driver: str
    use: str
    spec: OutputSpec | InputSpec
    error: DriverError


class Why(msgspec.Struct, frozen=True, kw_only=True):
    """Why a line cannot be used: message ids with their facts."""

    what: str = ""
    where: str = ""
    mend: str = ""
    facts: dict[str, Any] = {}


def why(error: DriverError) -> Why:
    """An error as the control socket tells it."""
    return Why(what=error.what, where=error.where, mend=error.mend, facts=error.facts)


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


def use_of(name: str) -> str:
    """What an input is: 'main.contact' is a contact."""
    return name.rpartition(".")[2]


class Lines:
    """Claims lines and remembers them by name ('main.lock', 'main.contact')."""

    def __init__(self, drivers: Drivers) -> None:
        self._drivers = drivers
        self.outputs: dict[str, HeldOutput] = {}
        self.inputs: dict[str, HeldInput] = {}
        self.missing: dict[str, Missing] = {}
        self.claimed: Callable[[], None] = lambda: None  # told of each output that is claimed

    def output(self, name: str, conf: schema.Output, use: str, max_on: float) -> OutputLine:
        """Claim an output at rest. Raises DriverError."""
        driver, spec = driver_of(conf), output_spec(name, conf, max_on)
        try:
            line = self._drivers.gpio(driver).claim_output(spec)
        except DriverError as error:
            self._miss(Missing(name, driver, use, spec, error))
            raise
        self.outputs[name] = HeldOutput(name, driver, use, line)
        self.missing.pop(name, None)
        self.claimed()
        return line

    def input(self, name: str, conf: schema.Input) -> InputLine:
        """Claim an input. Raises DriverError."""
        driver, spec = driver_of(conf), input_spec(name, conf)
        try:
            line = self._drivers.gpio(driver).claim_input(spec)
        except DriverError as error:
            self._miss(Missing(name, driver, use_of(name), spec, error))
            raise
        self.inputs[name] = HeldInput(name, driver, line)
        self.missing.pop(name, None)
        return line

    def lost(self, name: str, error: DriverError) -> None:
        """A line that was claimed does not work any more; until it is claimed again."""
        if (output := self.outputs.get(name)) is not None:
            self._miss(Missing(name, output.driver, output.use, output.line.spec, error))
        elif (given := self.inputs.get(name)) is not None:
            self._miss(Missing(name, given.driver, use_of(name), given.line.spec, error))

    def trouble(self, name: str) -> DriverError | None:
        """Why a line cannot be used; None where it can."""
        missing = self.missing.get(name)
        return missing.error if missing is not None else None

    def whys(self, owner: str, names: Iterable[str]) -> dict[str, Why]:
        """Of a door's or lane's lines at fault: why, as far as it is known."""
        return {name: why(found) for name in names if (found := self.trouble(f"{owner}.{name}")) is not None}

    def _miss(self, missing: Missing) -> None:
        """A line is tried again every few seconds: its trouble is logged once."""
        before = self.trouble(missing.name)
        self.missing[missing.name] = missing
        if before is None or str(before) != str(missing.error):
            log.warning("%s: %s", missing.name, missing.error)
