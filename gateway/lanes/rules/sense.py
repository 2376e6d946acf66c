"""What the wires at a barrier mean together. Pure functions over levels; None is a wire that is gone.

A sensor is believed only when it says that it is safe: an occupied loop, a broken beam and a wire that
says nothing are all 'somebody may be under the arm' (EN 12453, 5.5: a fault of the protective device
acts as its actuation).
"""

from __future__ import annotations

from enum import Enum, auto


class Position(Enum):
    """Where the arm is, as its limit switches say."""

    TOP = auto()
    BOTTOM = auto()
    BETWEEN = auto()
    CONTRADICTION = auto()  # both limits at once, or a limit whose wire is gone
    UNFITTED = auto()  # no limit switches: arrival is judged by time, and nothing is ever 'sensed'


def position(*, up: bool | None, down: bool | None, fitted: bool) -> Position:
    """The arm's position from two limit switches."""
    if not fitted:
        return Position.UNFITTED
    if up is None or down is None or (up and down):
        return Position.CONTRADICTION
    if up:
        return Position.TOP
    return Position.BOTTOM if down else Position.BETWEEN


def free(*, loop: bool | None, beam: bool | None, loop_fitted: bool, beam_fitted: bool) -> bool:
    """Whether nothing can be under the arm: every fitted sensor says so.

    `loop` is True when a vehicle is on it; `beam` is True when the photocell sees its light. Without any
    sensor the answer is no: such a barrier is never closed by us.
    """
    if not (loop_fitted or beam_fitted):
        return False
    return (not loop_fitted or loop is False) and (not beam_fitted or beam is True)
