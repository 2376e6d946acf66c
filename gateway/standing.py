"""Standing orders, kept across restarts: a small file of each capability's own.

Not the journal: a door or a lane starts before the journal is open, and must not need it. Written whole,
synced and renamed before the order is acknowledged.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable, Mapping
from enum import StrEnum
from pathlib import Path
from typing import TypeVar

from gateway.errors import N_, Refused
from gateway.uninterrupted import uninterrupted

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


class Keeper:
    """One file of orders; an order is written and given before the next one is looked at."""

    def __init__(self, path: Path) -> None:
        self._path, self._ordering = path, asyncio.Lock()

    async def order(self, orders: Callable[[], Mapping[str, StrEnum]], give: Callable[[], Awaitable[None]]) -> None:
        """Make the orders durable, asked for when it is this one's turn, then give it. Raises Refused.

        To its end, whoever hangs up: an order that is on the disk and was never given would begin with the next start.
        """
        await uninterrupted(self._order(orders, give))

    async def _order(self, orders: Callable[[], Mapping[str, StrEnum]], give: Callable[[], Awaitable[None]]) -> None:
        async with self._ordering:
            try:
                await asyncio.to_thread(save, self._path, orders())
            except OSError as error:
                raise Refused(
                    N_("the order could not be stored: {problem}"), problem=error.strerror, where=str(self._path)
                ) from error
            await give()
