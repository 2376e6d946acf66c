"""The drive's three lines, whatever is ordered and whatever is lost: open and close are never energised together."""

from __future__ import annotations

import asyncio
import itertools

from hypothesis import given, settings
from hypothesis import strategies as st

from drivers.registry import Drivers
from drivers.simulated.building import Building
from drivers.simulated.driver import SimulatedGpio
from gateway.lanes.outputs import LaneOutputs
from gateway.lanes.rules.inputs import (
    Drive,
    Pulse,
)
from gateway.lines import Lines
from gateway.machine import LineFault
from tests.lanes.site import CLOSE, OPEN, STOP, arm, config
from tests.virtual_time import run

LINES = {Pulse.OPEN: OPEN, Pulse.CLOSE: CLOSE, Pulse.STOP: STOP}
ORDERS = st.lists(
    st.tuples(
        st.sampled_from([*Pulse, "rest", "vanish", "return"]),
        st.sampled_from(list(Pulse)),
        st.sampled_from([0.0, 0.01, 0.1, 0.26, 0.4, 1.0]),
    ),
    max_size=30,
)


def overlap(building: Building, one: int, other: int) -> float:
    """Seconds in which both wires were energised."""
    edges = sorted(
        [(at, level, 0) for at, level in building.line(one).changes]
        + [(at, level, 1) for at, level in building.line(other).changes],
        key=lambda edge: (edge[0], edge[1]),
    )
    levels, since, both = [False, False], 0.0, 0.0
    for at, level, wire in edges:
        if all(levels):
            both += at - since
        levels[wire], since = level, at
    return both


@settings(max_examples=150, deadline=None)
@given(ORDERS, st.booleans())
def test_open_and_close_are_never_energised_together(orders: list[tuple[str, Pulse, float]], three_wires: bool) -> None:
    async def scenario() -> None:
        building = Building()
        faults: list[LineFault] = []
        lines = Lines(Drivers({"simulated": SimulatedGpio(building)}))
        lane = config(arm=arm() if three_wires else arm(stop=None))
        outputs = LaneOutputs("gate", lane, lines, lambda _event: None, faults.append, lambda: True)
        outputs.claim()
        for order, line, pause in orders:
            wire = building.line(LINES[line])
            if order == "rest":
                outputs.rest()
            elif order == "vanish":
                wire.vanish()
            elif order == "return":
                wire.return_()
                outputs.claim_missing()
            else:
                outputs.perform(Drive(Pulse(order)))
            await asyncio.sleep(pause)
        await asyncio.sleep(outputs.busy() + 5)
        assert overlap(building, OPEN, CLOSE) == 0
        for number in LINES.values():
            assert not building.line(number).level, "every pulse ends"
            ups = building.line(number).changes
            for (begin, level), (end, _) in itertools.pairwise(ups):
                assert not level or end - begin <= 0.52

    run(scenario())


def test_a_stop_is_over_before_the_opening_begins() -> None:
    async def scenario() -> None:
        building = Building()
        lines = Lines(Drivers({"simulated": SimulatedGpio(building)}))
        outputs = LaneOutputs("gate", config(), lines, lambda _event: None, lambda _fault: None, lambda: True)
        outputs.claim()
        for pulse in (Pulse.CLOSE, Pulse.STOP, Pulse.OPEN):
            outputs.perform(Drive(pulse))
        assert building.line(STOP).level
        assert not building.line(CLOSE).level
        await asyncio.sleep(outputs.busy() + 0.1)
        stopped, opened = building.line(STOP).changes, building.line(OPEN).changes
        assert stopped[1][0] < opened[0][0] < stopped[0][0] + 0.4
        assert overlap(building, STOP, OPEN) == 0

    run(scenario())


def test_an_opening_ends_a_closing_pulse_in_the_same_instant() -> None:
    """Whoever raises a falling arm without a stop (a fault of the machine, the daemon's end) waits for no pulse."""

    async def scenario() -> None:
        building = Building()
        lines = Lines(Drivers({"simulated": SimulatedGpio(building)}))
        outputs = LaneOutputs("gate", config(), lines, lambda _event: None, lambda _fault: None, lambda: True)
        outputs.claim()
        outputs.perform(Drive(Pulse.CLOSE))
        await asyncio.sleep(0.1)
        outputs.open()
        assert not building.line(CLOSE).level
        assert building.line(OPEN).level

    run(scenario())


def test_a_withheld_closing_moves_nothing() -> None:
    async def scenario() -> None:
        building = Building()
        lines = Lines(Drivers({"simulated": SimulatedGpio(building)}))
        outputs = LaneOutputs("gate", config(), lines, lambda _event: None, lambda _fault: None, lambda: False)
        outputs.claim()
        outputs.perform(Drive(Pulse.CLOSE))
        assert building.line(CLOSE).changes == []

    run(scenario())
