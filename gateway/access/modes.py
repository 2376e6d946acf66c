"""The standing orders of the doors, kept across restarts.

A small file of its own and not the journal: a door starts before the journal is open, and must not
need it. Written whole, synced and renamed before the order is acknowledged.
"""

from __future__ import annotations

import json
import os
from pathlib import Path

from gateway.access.rules.lock import Mode


def load(path: Path) -> dict[str, Mode]:
    """Door -> mode. A missing or damaged file means that no order stands: doors then run by their rules."""
    try:
        stored = json.loads(path.read_bytes())
        return {str(door): Mode(mode) for door, mode in stored.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def save(path: Path, modes: dict[str, Mode]) -> None:
    """Make `modes` durable; blocks for as long as the disk takes. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        file.write(json.dumps({door: mode.value for door, mode in modes.items()}).encode())
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
