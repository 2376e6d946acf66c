"""The precomputed file of pins that `loumen safe-state` reads: all it needs, nothing it must work out.

It is written when the daemon has claimed its outputs, into the run folder, so it is of this boot. It must
be readable by a program that imports nothing of ours; see safe_state.py for the reader. Electrical levels
stand in it, not logical ones.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from drivers.gpio_header import HEADER_CHIPS
from drivers.interfaces import OutputSpec

FILE = "pins.json"
LAYOUT = 1


def pin(driver: str, spec: OutputSpec) -> dict[str, Any]:
    """One output as the file describes it. `chips` are labels or paths, the first that exists is meant."""
    chips = list(HEADER_CHIPS) if driver == "gpio_rpi" else [spec.chip]
    document: dict[str, Any] = {
        "name": spec.name,
        "driver": driver,
        "chips": chips,
        "line": spec.line,
        "resting": "high" if spec.active_low else "low",
        "active_low": spec.active_low,
        "bias": str(spec.bias),
    }
    if driver == "simulated":
        document["socket"] = os.environ.get("LOUMEN_SIMULATED", "")
    return document


def write_pins(path: Path, outputs: Iterable[tuple[str, OutputSpec]]) -> None:
    """Replace the file by one that lists these (driver name, output) pairs; a reader sees the old or the new."""
    document = {"layout": LAYOUT, "outputs": [pin(driver, spec) for driver, spec in outputs]}
    part = path.with_name(f"{path.name}.part")
    part.write_text(json.dumps(document, indent=1) + "\n")
    part.replace(path)
