"""What the wires of a lane mean: its queues, and from a level to an input."""

from __future__ import annotations

from collections.abc import Callable

import msgspec

from gateway import wire
from gateway.config import schema
from gateway.lanes.rules.arm import Settings
from gateway.lanes.rules.inputs import (
    Beam,
    Button,
    Fire,
    Given,
    LimitDown,
    LimitUp,
    Loop,
)
from gateway.lanes.rules.start import Fitted
from gateway.lines import Lines
from gateway.machine import LineFault
from gateway.wire import Meaning

#: The lane's queues, the most urgent first: how many inputs each may have waiting. A queue a wire: a loop that
#: rattles pushes no edge of the photocell out.
SOURCES = {
    "guard": 2,
    "fire": 8,
    "loop": 16,
    "photocell": 16,
    "limit_up": 8,
    "limit_down": 8,
    "line": 12,
    "button": 8,
    "command": 16,
    "vision": 4,
    "tick": 1,
}
#: A wire that is cut picks up the mains' hum: half a period is 10 ms, and must be seen, not smoothed away.
GUARD_DEBOUNCE = 0.005
#: What must be asked once more before a closing pulse.
GUARDS = ("loop", "photocell", "fire")

MEANINGS: dict[str, Meaning[Given]] = {
    "fire": Meaning("fire", Fire),
    "loop": Meaning("loop", Loop, Loop(None)),
    "photocell": Meaning("photocell", Beam, Beam(None)),
    "limit_up": Meaning("limit_up", LimitUp, LimitUp(None)),
    "limit_down": Meaning("limit_down", LimitDown, LimitDown(None)),
    "button": Meaning("button", Button, Button(None)),
}


def fitted(config: schema.Lane) -> dict[str, schema.Input]:
    """The inputs that this lane has, by name."""
    inputs = {
        "fire": config.fire,
        "loop": _protective(config.loop),
        "photocell": _protective(config.photocell),
        "limit_up": config.arm.limit_up,
        "limit_down": config.arm.limit_down,
        "button": config.button,
    }
    return {name: conf for name, conf in inputs.items() if conf is not None}


def built(config: schema.Lane) -> Fitted:
    """How the lane is built, as its rules need to know it."""
    arm = Settings(
        travel=config.arm.travel,
        close_after=config.close_after,
        stay_open=config.stay_open,
        limits=config.arm.limit_up is not None and config.arm.limit_down is not None,
    )
    return Fitted(arm, config.stuck_after, loop=config.loop is not None, beam=config.photocell is not None)


def _protective(conf: schema.Input | None) -> schema.Input | None:
    return None if conf is None else msgspec.structs.replace(conf, debounce=min(conf.debounce, GUARD_DEBOUNCE))


def wire_of(
    lane: str, name: str, conf: schema.Input, lines: Lines, put: Callable[[str, Given], bool]
) -> wire.Wire[Given]:
    """The lane's input line `name`."""
    return wire.Wire(lane, name, conf, lines, MEANINGS[name], put, LineFault)
