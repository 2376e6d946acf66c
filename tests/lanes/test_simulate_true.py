"""What `lane simulate` shows is what a lane does: the same stories, played and on simulated lines in virtual time."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from gateway.lanes.inputs import built
from gateway.lanes.simulate import Simulation, Step
from gateway.lanes.story import STORIES, parsed
from tests.lanes.site import BEAM, BUTTON, CLOSE, DOWN, FIRE, LOOP, OPEN, OURS, STOP, TRAVEL, Site, config, site
from tests.virtual_time import run

PULSES = {OPEN: "open", CLOSE: "close", STOP: "stop"}
AFTERWARDS = 60.0
NEAR = 0.6  # seconds: a stop's pulse before an opening, debounce, the site's arm that moves in steps


def happens(s: Site, step: Step) -> None:
    """A step of a story, on the site's wires."""
    wires: dict[tuple[str, str], Callable[[], object]] = {
        ("plate", ""): lambda: s.read(OURS, track=int(step.at)),
        ("button", ""): lambda: s.set(BUTTON, True),
        ("loop", "occupied"): lambda: s.set(LOOP, True),
        ("loop", "free"): lambda: s.set(LOOP, False),
        ("photocell", "occupied"): lambda: s.set(BEAM, False),
        ("photocell", "cut"): lambda: s.building.line(BEAM).vanish(),
        ("fire", "on"): lambda: s.set(FIRE, True),
        ("fire", "off"): lambda: s.set(FIRE, False),
        ("arm", "halfway"): lambda: s.put_by_hand(0.5),
        ("arm", "jams"): lambda: setattr(s, "jammed", True),
        ("arm", "freed"): lambda: setattr(s, "jammed", False),
        ("limit_down", "on"): lambda: s.building.line(DOWN).stick(True),
        ("limit_down", "well"): lambda: s.building.line(DOWN).stick(None),
    }
    if (step.what, step.how) == ("photocell", "free"):
        if s.building.line(BEAM).gone:
            s.building.line(BEAM).return_()
        s.set(BEAM, True)
    else:
        wires[step.what, step.how]()


def on_wires(steps: list[Step]) -> tuple[list[tuple[str, float]], list[str]]:
    """Which pulses the drive had, when, and what was noted."""
    found: tuple[list[tuple[str, float]], list[str]] = ([], [])

    async def scenario() -> None:
        async with site() as s:
            began = asyncio.get_running_loop().time()
            for step in steps:
                await asyncio.sleep(began + step.at - asyncio.get_running_loop().time())
                happens(s, step)
            await asyncio.sleep(AFTERWARDS)
            edges = [
                (at - began, name) for line, name in PULSES.items() for at, up in s.building.line(line).changes if up
            ]
            found[0].extend((name, at) for at, name in sorted(edges))
            found[1].extend(s.types())

    run(scenario())
    return found


@pytest.mark.parametrize("story", sorted(set(STORIES) - {"restart"}))
def test_what_is_shown_is_what_it_does(story: str) -> None:
    steps = parsed(STORIES[story].splitlines())
    pulses, told = on_wires(steps)
    assert pulses[0][0] == "open"
    rows = list(Simulation("gate", built(config()), TRAVEL).play(steps))
    last = steps[-1].at + AFTERWARDS
    shown = [(pulse, row.at) for row in rows for pulse in row.pulses if row.at <= last]
    assert [pulse for pulse, _ in shown] == [pulse for pulse, _ in pulses]
    for (pulse, at), (_, really) in zip(shown, pulses, strict=True):
        assert really == pytest.approx(at, abs=NEAR), pulse
    events = [event.type_name() for row in rows if row.at <= last for event in row.events]
    assert sorted(events) == sorted(told)
