"""What a pulse may never do, under any sequence of calls and any time between them, in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.errors import LineGone
from drivers.interfaces import OutputSpec
from drivers.momentary import RETRY, Momentary
from drivers.refusals import line_gone
from drivers.simulated import Building, SimulatedGpio
from tests.virtual_time import run

COST = 0.0001  # seconds a turn of the loop takes in virtual time
LATE = 10 * COST

CALLS = st.lists(
    st.tuples(st.sampled_from(["pulse", "pulse", "pulse", "hold", "rest"]), st.floats(-1, 30), st.floats(0, 8)),
    max_size=40,
)


@settings(max_examples=200, deadline=None)
@given(CALLS, st.floats(0.1, 10), st.booleans())
def test_pulses_are_bounded_prolonged_and_never_shortened(
    calls: list[tuple[str, float, float]], max_on: float, active_low: bool
) -> None:
    building = Building(pulls={3: active_low})

    async def scenario() -> None:
        loop = asyncio.get_running_loop()
        driver = SimulatedGpio(building)
        line = driver.claim_output(OutputSpec("lock", "simulated", 3, active_low, max_on=max_on))
        wire = building.line(3)
        began = due = None  # of the pulse that the model believes under way
        held = False
        for verb, seconds, pause in calls:
            if due is not None and abs(due - loop.time()) <= LATE:
                await asyncio.sleep(3 * LATE)  # too near its end for the model to know
            now = loop.time()
            if due is not None and due < now:
                began = due = None
            if verb == "hold":
                line.hold()
                held, began, due = True, began if began is not None else now, None
            elif verb == "rest":
                line.rest()
                held, began, due = False, None, None
            else:
                line.pulse(seconds)
                if seconds > 0 and not held:
                    began = now if began is None else began
                    due = max(due or 0.0, min(now + seconds, began + max_on))
            assert line.energised == (held or due is not None)
            assert wire.active == line.energised
            await asyncio.sleep(pause)
            if due is not None and abs(due - loop.time()) > LATE:
                assert wire.active == (due > loop.time())
        driver.close()
        assert not wire.active

    run(scenario(), COST)
    if not any(verb == "hold" for verb, _, _ in calls):
        stretches = energised_stretches(building, active_low)
        assert all(stretch <= max_on + LATE for stretch in stretches)


def energised_stretches(building: Building, active_low: bool) -> list[float]:
    changes = building.line(3).changes
    assert [level != active_low for _, level in changes] == [count % 2 == 0 for count in range(len(changes))]
    return [off - on for (on, _), (off, _) in zip(changes[::2], changes[1::2], strict=True)]


@settings(max_examples=100, deadline=None)
@given(
    st.lists(st.sampled_from(["rest", "none", "close", "claim", "perish"]), max_size=30), st.booleans(), st.booleans()
)
def test_a_resting_line_never_sees_an_edge(steps: list[str], active_low: bool, driven: bool) -> None:
    building = Building(owner_death="driven" if driven else "freed", pulls={3: active_low})

    async def scenario() -> None:
        spec = OutputSpec("lock", "simulated", 3, active_low)
        driver = SimulatedGpio(building)
        line = driver.claim_output(spec)
        for step in steps:
            if step == "rest":
                line.rest()
            elif step == "none":
                line.pulse(0)
            else:
                driver.perish() if step == "perish" else driver.close()
                driver = SimulatedGpio(building)
                line = driver.claim_output(spec)

    run(scenario())
    assert building.line(3).changes == []


class Bus:
    """A wire behind a bus that fails when told to."""

    def __init__(self) -> None:
        self.energised, self.fails = False, False

    def write(self, energised: bool) -> None:
        if self.fails:
            raise line_gone("expander", 1, "Input/output error")
        self.energised = energised


def with_bus(scenario: Callable[[Bus, Momentary], Any], max_on: float = 10.0) -> None:
    bus = Bus()
    run(scenario(bus, Momentary(OutputSpec("lock", "expander", 1, max_on=max_on), bus.write)))


def test_a_wire_that_could_not_be_rested_is_tried_again_until_it_rests() -> None:
    async def scenario(bus: Bus, line: Momentary) -> None:
        line.pulse(1)
        await asyncio.sleep(0.5)
        bus.fails = True
        await asyncio.sleep(5)
        assert bus.energised
        assert not line.energised
        bus.fails = False
        await asyncio.sleep(RETRY + 0.01)
        assert not bus.energised

    with_bus(scenario)


def test_rest_says_that_the_wire_failed_and_goes_on_trying() -> None:
    async def scenario(bus: Bus, line: Momentary) -> None:
        line.hold()
        bus.fails = True
        with pytest.raises(LineGone):
            line.rest()
        bus.fails = False
        await asyncio.sleep(RETRY + 0.01)
        assert not bus.energised

    with_bus(scenario)


def test_a_failed_start_leaves_nothing_behind() -> None:
    async def scenario(bus: Bus, line: Momentary) -> None:
        bus.fails = True
        with pytest.raises(LineGone):
            line.pulse(1)
        assert not line.energised
        bus.fails = False
        line.pulse(1)
        assert bus.energised
        await asyncio.sleep(1.01)
        assert not bus.energised

    with_bus(scenario)


def test_a_pulse_that_no_number_bounds_is_bounded_by_max_on() -> None:
    async def scenario(bus: Bus, line: Momentary) -> None:
        line.pulse(float("inf"))
        await asyncio.sleep(2.01)
        assert not bus.energised
        line.pulse(float("nan"))
        assert not bus.energised

    with_bus(scenario, max_on=2.0)
