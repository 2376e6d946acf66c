"""A daemon's outputs on a chip, for safe-state's tests: the lock is pulsed, the others rest.

owner.py CHIP PINS [BIAS]      writes the file of pins, starts a long pulse, says 'pulsing', waits to be killed
"""

from __future__ import annotations

import asyncio
import sys
from pathlib import Path

from drivers.interfaces import Bias, OutputSpec
from drivers.registry import Drivers
from gateway.pins import write_pins

LOCK, LIGHT, MAGLOCK = 17, 18, 19


async def main(driver: str, chip: str, pins: Path) -> None:
    gpio = Drivers().gpio(driver)
    specs = [
        OutputSpec("main.lock", chip, LOCK, bias=Bias.DOWN, max_on=60),
        OutputSpec("main.light", chip, LIGHT, bias=Bias.DOWN),
        OutputSpec("gate.lock", chip, MAGLOCK, active_low=True, bias=Bias.UP),
    ]
    lines = [gpio.claim_output(spec) for spec in specs]
    write_pins(pins, [(driver, spec) for spec in specs])
    lines[0].pulse(60)
    print("pulsing", flush=True)
    await asyncio.Event().wait()


if __name__ == "__main__":
    asyncio.run(main(sys.argv[1], sys.argv[2], Path(sys.argv[3])))
