"""The water of the demo's house: one meter whose register is written as a night would move it.

Half an hour of a burst passes in seconds: the configuration's own settings for it are shortened, not the rules.
"""

from __future__ import annotations

import json
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.demo.stage import Lines, Stage, StageError
from gateway.errors import N_
from gateway.metering import profiles
from gateway.metering.profile import encode

METER, UNIT, PROFILE = "flat-502", 1, "usw-dn15-dn40"
STEP = 0.2  # seconds between two writings of the register
CALM = 3.0  # seconds of a still night
BURST = 600_000  # millilitres an hour
WITHIN = 20.0
TABLES = """
[bus.cellar]
driver = "simulated"
meters = "{meters}"

[meter.{meter}]
name = "1-1-502"
bus = "cellar"
unit = {unit}
profile = "{profile}"
interval = 0.3

[metering]                   # a night in seconds
burst_lasts = 3.0
burst_window = 1.0
"""


@dataclass(slots=True)
class Water:
    """The meter on its bus."""

    meters: Path
    register: float = 1_234_000.0  # millilitres

    @staticmethod
    def tables(stage: Stage) -> str:
        """Its part of the configuration."""
        return TABLES.format(meters=stage.folder / "meters.json", meter=METER, unit=UNIT, profile=PROFILE)

    def show(self) -> None:
        """Write the registers of this moment; in one step, as a meter answers."""
        profile = profiles.load(PROFILE)
        registers = {str(place): value for place, value in encode(profile, int(self.register)).items()}
        unfinished = self.meters.with_suffix(".new")
        unfinished.write_text(json.dumps({str(UNIT): {"3": registers}}))
        unfinished.replace(self.meters)

    def night(self, box: Lines) -> dict[str, Any]:
        """A still night, then a burst; the event that tells it. Raises StageError when none comes."""
        began, still = time.monotonic(), self.register
        while (now := time.monotonic() - began) < CALM + WITHIN:
            self.register = still + BURST / 3600 * max(0.0, now - CALM)  # a busy machine writes less often, not less
            self.show()
            try:
                return dict(
                    box.wait(lambda event: event["type"] == "water.leak_suspected.v1", STEP, "the burst")["event"]
                )
            except StageError:
                continue
        raise StageError(N_("the burst was not found within {seconds} s"), seconds=CALM + WITHIN)
