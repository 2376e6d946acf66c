"""A building without hardware, on equal terms with the other drivers: lines that remember what they
went through, in real or virtual time, with faults on demand.

    wire.py        the physics of one line: pull, drive, what is outside, faults, history
    building.py    the wires by number; who has claimed them; what happens when an owner dies
    driver.py      SimulatedGpio: the driver
    process.py     the building as a process of its own (it outlives a killed daemon)
    connection.py  a driver's way into such a process
    remote.py      a test's, demo's or technician's way into it: press, read, break
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from drivers.simulated.building import Building
    from drivers.simulated.driver import SimulatedGpio

__all__ = ["Building", "SimulatedGpio"]


def __getattr__(name: str) -> object:  # imported on use: `python -m drivers.simulated.process` must come first
    if name == "Building":
        from drivers.simulated import building

        return building.Building
    if name == "SimulatedGpio":
        from drivers.simulated import driver

        return driver.SimulatedGpio
    raise AttributeError(name)
