"""The USB adapters that a test plugs in, for a daemon whose PYTHONPATH begins with this folder.

A pseudo-terminal has no serial number. `ADAPTERS` names a JSON file, rows of device, serial number, name: it
stands in for what the kernel tells pyserial; everything behind that (finding, opening, losing it) is real.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from types import SimpleNamespace

from serial.tools import list_ports


def _plugged_in() -> list[SimpleNamespace]:
    rows = json.loads(Path(os.environ["ADAPTERS"]).read_text())
    return [
        SimpleNamespace(device=device, serial_number=number, description=name, name=Path(device).name)
        for device, number, name in rows
    ]


if "ADAPTERS" in os.environ:
    list_ports.comports = _plugged_in
