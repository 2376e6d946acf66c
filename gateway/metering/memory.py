"""What meters must not forget over a restart: a small file, and the readings that were kept since it was written.

The file is written every ten minutes, a while after something was found, and at the stop; readings go to
measurements.db every five minutes. At a start the newer readings are replayed into the stored state, so
a suspicion is told once; a power cut between a finding and the file tells it twice, never not at all.
"""

from __future__ import annotations

import logging
from collections.abc import Mapping
from pathlib import Path

import msgspec

from gateway.config.files import replace
from gateway.metering.watch import Refusal, Watch

LAYOUT = 1
REFUSALS = 50  # kept of each meter

log = logging.getLogger("loumen.metering")


class Remembered(msgspec.Struct, frozen=True):
    """One meter's."""

    watch: Watch
    refused: tuple[Refusal, ...] = ()


class _File(msgspec.Struct, frozen=True):
    layout: int
    meters: dict[str, Remembered]


def load(path: Path) -> dict[str, Remembered]:
    """What was stored. A missing or damaged file means that the meters begin anew from their readings."""
    try:
        stored = msgspec.json.decode(path.read_bytes(), type=_File)
    except FileNotFoundError:
        return {}
    except (OSError, msgspec.MsgspecError, UnicodeError) as error:
        log.warning("the meters' memory %s is not used: %s", path, error)
        return {}
    return stored.meters if stored.layout == LAYOUT else {}


def encode(meters: Mapping[str, Remembered]) -> bytes:
    """The file's content."""
    return msgspec.json.encode(_File(LAYOUT, dict(meters)))


def save(path: Path, content: bytes) -> None:
    """Make it durable; blocks for as long as the disk takes. Raises OSError."""
    path.parent.mkdir(parents=True, exist_ok=True)
    replace(path, content)
