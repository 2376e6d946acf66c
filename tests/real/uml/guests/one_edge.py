"""One edge of a real kernel, seen by gpiod; one pulse, seen by the kernel's trace."""

from __future__ import annotations

from datetime import timedelta

import gpiod
from gpiod.line import Direction, Edge, Value

from tests.real.uml.lines import Bank, Trace

bank = Bank("pinctrl-bcm2711", lines=28, names={17: "contact"})
trace = Trace(bank)
with gpiod.Chip(str(bank.path)) as chip:
    print("label", chip.get_info().label)
    print("name", chip.get_line_info(17).name)
    with chip.request_lines({17: gpiod.LineSettings(edge_detection=Edge.BOTH)}, consumer="loumen-test") as request:
        bank.pull(17, high=True)
        assert request.wait_edge_events(timedelta(seconds=2))
        for event in request.read_edge_events():
            print("edge", event.line_offset, event.event_type.name)
    resting = gpiod.LineSettings(direction=Direction.OUTPUT, output_value=Value.INACTIVE)
    with chip.request_lines({5: resting}, consumer="loumen-test") as request:
        request.set_value(5, Value.ACTIVE)
        print("high", bank.level(5))
        request.set_value(5, Value.INACTIVE)
    print("after", bank.level(5))
print("sets", [level for _, level in trace.sets(5)], [way for _, way in trace.claims(5)])
