"""A lane at its start: as its wires say, under its standing order, never from a default. Pure."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gateway.lanes.rules import sense
from gateway.lanes.rules.arm import Arm, Motion, Settings
from gateway.lanes.rules.inputs import Mode
from gateway.lanes.rules.lane import Lane
from gateway.lanes.rules.sense import Position
from gateway.lanes.rules.sensor import Sensor

#: Without limit switches nothing says that the arm may be falling: a car that waits at a start raises nothing.
STARTS = {
    Position.TOP: Motion.UP,
    Position.BOTTOM: Motion.DOWN,
    Position.BETWEEN: Motion.ADRIFT,
    Position.CONTRADICTION: Motion.FAULT,
    Position.UNFITTED: Motion.LOST,
}


@dataclass(frozen=True, slots=True)
class Fitted:
    """How a lane is built."""

    arm: Settings
    stuck_after: float
    loop: bool
    beam: bool


@dataclass(frozen=True, slots=True)
class Sensed:
    """What the wires say at a start; None: gone, or not fitted."""

    occupied: bool | None = None
    clear: bool | None = None
    up: bool | None = None
    down: bool | None = None
    fire: bool = False
    pressed: bool | None = None


def restored(lane: str, fitted: Fitted, sensed: Sensed, mode: Mode, faults: frozenset[str], now: float) -> Lane:
    """A lane as its wires say, under its standing order, never from a default."""
    loop = Sensor("loop", fitted.stuck_after, fitted.loop)
    beam = Sensor("photocell", fitted.stuck_after, fitted.beam)
    button = Sensor("button", fitted.stuck_after)
    up_and_down = sense.position(up=sensed.up, down=sensed.down, fitted=fitted.arm.limits)
    motion = STARTS[up_and_down]
    restored = Lane(
        lane,
        Arm(fitted.arm, motion),
        loop.says(now, clear=None if sensed.occupied is None else not sensed.occupied),
        beam.says(now, clear=sensed.clear),
        button.says(now, clear=None if sensed.pressed is None else not sensed.pressed),
        mode=mode,
        fire=sensed.fire,
        up=sensed.up,
        down=sensed.down,
        place=up_and_down,
        faults=faults,
    )
    deadline = None
    if motion is Motion.ADRIFT:
        deadline = now + fitted.arm.travel
    elif motion is Motion.UP and restored.free:
        deadline = now + fitted.arm.stay_open
    arm = replace(
        restored.arm,
        free=restored.free,
        keep_up=restored.keep_up,
        deadline=deadline,
        passed=motion is Motion.UP and not restored.free,
    )
    return replace(restored, arm=arm)
