"""What meters must not forget over a restart: a small file, and what was written elsewhere since.

The file is written every two hours, a while after something was found, and at the stop; readings go to
measurements.db in batches of minutes, findings to the journal at once. At a start the newer readings are
replayed into the stored state, and the newer findings of the journal have the last word (told.py). So a
suspicion is told once. Only where the journal itself lost it, it is told again: never not at all.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec

from gateway.config.files import replace
from gateway.journal.rows import Position
from gateway.metering.watch import Refusal, Watch

LAYOUT, READABLE = 2, (1, 2)  # 1 knew no place in the journal
REFUSALS = 20  # kept of each meter; the same in a row counts once

log = logging.getLogger("loumen.metering")


class Remembered(msgspec.Struct, frozen=True):
    """One meter's."""

    watch: Watch
    refused: tuple[Refusal, ...] = ()


class Memory(msgspec.Struct, frozen=True):
    """The file. `journal`: the newest event that was durable when this was written, or older."""

    layout: int = LAYOUT
    journal: Position | None = None
    meters: dict[str, Remembered] = {}


def load(path: Path) -> Memory:
    """What was stored. A missing or damaged file means that the meters begin anew from their readings."""
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=Memory)
    except FileNotFoundError:
        return Memory()
    except (OSError, msgspec.MsgspecError, UnicodeError) as error:
        log.warning("the meters' memory %s is not used: %s", path, error)
        return Memory()
    return stored if stored.layout in READABLE else Memory()


def encode(meters: Mapping[str, Remembered], journal: Position | None) -> bytes:
    """The file's content."""
    return msgspec.json.encode(Memory(LAYOUT, journal, dict(meters)))


def save(path: Path, content: bytes) -> None:
    """Make it durable; blocks for as long as the disk takes. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, content)
