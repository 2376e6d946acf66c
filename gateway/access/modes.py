"""The standing orders of the doors."""

from __future__ import annotations

from pathlib import Path

from gateway import standing
from gateway.access.rules.lock import Mode


def load(path: Path) -> dict[str, Mode]:
    """Door -> mode; see `standing.load`."""
    return standing.load(path, Mode)


def save(path: Path, modes: dict[str, Mode]) -> None:
    """Make `modes` durable. Raises OSError."""
    standing.save(path, modes)
