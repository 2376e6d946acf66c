"""The light at a door: on when somebody is there and it is dark. Pure: no I/O, no clock.

Theory of operation
    OFF        nobody there, or bright enough.
    ON         somebody is before the camera.
    LINGERING  nobody any more; off at the deadline.

    Whether it is dark is judged only before the lamp goes on: a lamp that brightens its own picture
    would switch itself off. An opened door or the exit button counts as somebody (the camera looks
    outwards, people come out), and so does a vision process that is gone: better a lamp too many.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from enum import Enum, auto
from typing import NamedTuple

from gateway.clock import Now
from gateway.machine import UnknownInput


class State(Enum):
    OFF = auto()
    ON = auto()
    LINGERING = auto()


class Input(Enum):
    PRESENT_DARK = auto()
    PRESENT_BRIGHT = auto()
    ABSENT = auto()
    PASSAGE = auto()
    EXPIRED = auto()


class Effect(Enum):
    LAMP_ON = auto()
    LAMP_OFF = auto()


class Step(NamedTuple):
    state: State
    effects: tuple[Effect, ...] = ()


TABLE: dict[State, dict[Input, Step]] = {
    State.OFF: {
        Input.PRESENT_DARK: Step(State.ON, (Effect.LAMP_ON,)),
        Input.PRESENT_BRIGHT: Step(State.OFF),
        Input.ABSENT: Step(State.OFF),
        Input.PASSAGE: Step(State.LINGERING, (Effect.LAMP_ON,)),
    },
    State.ON: {
        Input.PRESENT_DARK: Step(State.ON),
        Input.PRESENT_BRIGHT: Step(State.ON),
        Input.ABSENT: Step(State.LINGERING),
        Input.PASSAGE: Step(State.ON),
    },
    State.LINGERING: {
        Input.PRESENT_DARK: Step(State.ON),
        Input.PRESENT_BRIGHT: Step(State.ON),
        Input.ABSENT: Step(State.LINGERING),
        Input.PASSAGE: Step(State.LINGERING),
        Input.EXPIRED: Step(State.OFF, (Effect.LAMP_OFF,)),
    },
}


@dataclass(frozen=True, slots=True)
class Light:
    """One light. Times are monotonic seconds."""

    linger: float
    state: State = State.OFF
    deadline: float | None = None

    def advance(self, given: Input, now: Now) -> tuple[Light, tuple[Effect, ...]]:
        """The light after `given` at `now`, and what to do about it. Raises UnknownInput."""
        step = TABLE[self.state].get(given)
        if step is None:
            raise UnknownInput(self.state, given)
        if step.state is not State.LINGERING:
            deadline = None
        elif given is Input.PASSAGE or self.state is not State.LINGERING:
            deadline = now.mono + self.linger
        else:
            deadline = self.deadline
        return replace(self, state=step.state, deadline=deadline), step.effects
