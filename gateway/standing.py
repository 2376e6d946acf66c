"""Standing orders, kept across restarts: a small file of each capability's own.

Not the journal: a door or a lane starts before the journal is open, and must not need it. Written whole,
synced and renamed before the order is acknowledged.
"""

from __future__ import annotations

import json
import os
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

ModeT = TypeVar("ModeT", bound=StrEnum)


def load(path: Path, kind: type[ModeT]) -> dict[str, ModeT]:
    """Name -> mode. A missing or damaged file means that no order stands: all then run by their rules."""
    try:
        stored = json.loads(path.read_bytes())
        return {str(name): kind(mode) for name, mode in stored.items()}
    except (OSError, ValueError, AttributeError):
        return {}


def save(path: Path, modes: Mapping[str, StrEnum]) -> None:
    """Make `modes` durable; blocks for as long as the disk takes. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    new = path.with_suffix(".new")
    with new.open("wb") as file:
        file.write(json.dumps({name: mode.value for name, mode in modes.items()}).encode())
        file.flush()
        os.fsync(file.fileno())
    new.replace(path)
    folder = os.open(path.parent, os.O_RDONLY)
    try:
        os.fsync(folder)
    finally:
        os.close(folder)
