"""The lines of a configuration, one by one, with what each is for."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from gateway.config import schema
from gateway.config.mistakes import KeyPath

SOC_CHIPS = {"pinctrl-bcm2711": "pi4", "pinctrl-rp1": "pi5"}
INDICATORS = ("granted", "denied", "wait", "fault", "buzzer")
INPUTS = ("contact", "exit_button", "fire")
ARM_OUTPUTS, ARM_INPUTS = ("open", "close", "stop"), ("limit_up", "limit_down")
LANE_INPUTS = ("loop", "photocell", "button", "fire")


class Use(NamedTuple):
    """One line of the file. `name` is how the daemon and `loumen io` call it: east.lock."""

    path: KeyPath
    name: str
    conf: schema.Output | schema.Input
    is_input: bool

    @property
    def driver(self) -> str:
        return str(self.conf.__struct_config__.tag)

    @property
    def chip(self) -> str:
        return self.conf.chip if isinstance(self.conf, schema.ChardevOutput) else self.driver

    @property
    def place(self) -> tuple[str, int]:
        """Which physical line; both drivers of a Pi's header mean the same one."""
        on_header = self.driver == "gpio_rpi" or self.chip in SOC_CHIPS
        return ("bcm" if on_header else self.chip, self.conf.line)


def uses(config: schema.Gateway) -> Iterator[Use]:
    """Every line, in the order of the schema."""
    for name, door in config.door.items():
        root: KeyPath = ("door", name)
        yield Use((*root, "lock", "output"), f"{name}.lock", door.lock.output, is_input=False)
        for key in INPUTS:
            if (conf := getattr(door, key)) is not None:
                yield Use((*root, key), f"{name}.{key}", conf, is_input=True)
        for key in INDICATORS:
            if (conf := getattr(door.indicators, key)) is not None:
                yield Use((*root, "indicators", key), f"{name}.indicators.{key}", conf, is_input=False)
        if door.light is not None:
            yield Use((*root, "light", "output"), f"{name}.light", door.light.output, is_input=False)
    for name, lane in config.lane.items():
        yield from _lane(name, lane)


def _lane(name: str, lane: schema.Lane) -> Iterator[Use]:
    root: KeyPath = ("lane", name)
    for key in ARM_OUTPUTS:
        if (conf := getattr(lane.arm, key)) is not None:
            yield Use((*root, "arm", key), f"{name}.{key}", conf, is_input=False)
    for key in ARM_INPUTS:
        if (conf := getattr(lane.arm, key)) is not None:
            yield Use((*root, "arm", key), f"{name}.{key}", conf, is_input=True)
    for key in LANE_INPUTS:
        if (conf := getattr(lane, key)) is not None:
            yield Use((*root, key), f"{name}.{key}", conf, is_input=True)
    if lane.light is not None:
        yield Use((*root, "light"), f"{name}.light", lane.light, is_input=False)
