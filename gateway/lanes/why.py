"""Why an arm stays where it is, in words: what a technician before a barrier asks first. Pure.

A text is a message id with its facts. `seconds` from now says when the lane acts by itself; None: not before
something happens.
"""

from __future__ import annotations

from typing import NamedTuple

from gateway.errors import N_
from gateway.lanes.rules.arm import Motion
from gateway.lanes.rules.inputs import Mode
from gateway.lanes.rules.lane import Lane
from gateway.lanes.rules.sense import Position
from gateway.lanes.rules.sensor import Sensor

LOOP_SAYS = {
    "occupied": N_("stays up: the loop says that something is on it"),
    "silent": N_("stays up: the loop's line says nothing"),
    "restless": N_("stays up: the loop changes faster than traffic can, and is not believed"),
}
BEAM_SAYS = {
    "occupied": N_("stays up: something breaks the photocell's beam"),
    "silent": N_("stays up: the photocell's line says nothing"),
    "restless": N_("stays up: the photocell changes faster than traffic can, and is not believed"),
    "blind": N_("stays up: the photocell saw none of the last vehicles, and is not believed"),
}
NO_SENSOR = N_("stays up: with neither loop nor photocell it is never closed")
FIRE = N_("up because of fire, until the fire input clears")
HELD = N_("held up by an order, until 'loumen lane release {lane}'")
UNUSED = N_("stays up until it was used once: the drive had failed before")
CLOSES = N_("comes down in {seconds} s, unless something is under it then")
RISES = N_("goes up; it must arrive within {seconds} s")
FALLS = N_("comes down; it must arrive within {seconds} s, and whatever comes under it stops and raises it")
ADRIFT = N_("moved without an order: for {seconds} s whatever comes under it stops and raises it")
LOST = N_("nobody knows where the arm is: it stays until somebody may pass, then it is raised")
LATE = N_("stopped, because it did not arrive in time; the next grant tries to raise it")
LIMITS = N_("stopped, because its limit switches contradict each other; the next grant tries to raise it")
TRIED_AGAIN = N_("it must be up and is not: raising is tried again in {seconds} s")


class Why(NamedTuple):
    """A message id, its facts, and in how many seconds the lane acts by itself."""

    text: str = ""
    facts: dict[str, str] = {}  # noqa: RUF012  (a default that nobody changes)
    seconds: float | None = None


def why(lane: Lane, now: float) -> Why:
    """Why the arm is where it is, and what comes next. Empty for an arm that rests at the bottom."""
    arm = lane.arm
    left = None if arm.deadline is None else max(0.0, arm.deadline - now)
    match arm.motion:
        case Motion.DOWN:
            return Why()
        case Motion.RISING:
            return _timed(RISES, left)
        case Motion.LOWERING:
            return _timed(FALLS, left)
        case Motion.UP:
            return _up(lane, left)
        case Motion.ADRIFT:
            return _timed(ADRIFT, left)
        case _ if lane.keep_up and lane.retry_at is not None:
            return _timed(TRIED_AGAIN, max(0.0, lane.retry_at - now))
        case Motion.LOST:
            return Why(LOST)
        case _:
            return Why(LIMITS if lane.position is Position.CONTRADICTION else LATE)


def _up(lane: Lane, left: float | None) -> Why:
    if lane.fire:
        return Why(FIRE)
    if lane.mode is Mode.HELD:
        return Why(HELD, {"lane": lane.id})
    for sensor, says in ((lane.loop, LOOP_SAYS), (lane.beam, BEAM_SAYS)):
        if sensor.fitted and sensor.believed is not True:
            return Why(says[_doubt(sensor)])
    if not (lane.loop.fitted or lane.beam.fitted):
        return Why(NO_SENSOR)
    return Why(UNUSED) if left is None else _timed(CLOSES, left)


def _doubt(sensor: Sensor) -> str:
    if sensor.restless:
        return "restless"
    if sensor.blind:
        return "blind"
    return "silent" if sensor.clear is None else "occupied"


def _timed(text: str, left: float | None) -> Why:
    return Why(text, {"seconds": f"{left or 0.0:.1f}"}, left)
