"""What the worker computes with, put together: an engine, its gates, its comparison. The worker's seam."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.vision.engine import Embedded, Engine, Frame
from gateway.vision.gallery import Sealed
from gateway.vision.observe import Compared


@dataclass(frozen=True, slots=True)
class Computing:
    """Everything that costs time or memory, and everything a test may replace."""

    engine: Engine
    compare: Callable[[Sealed], Compared]
    refusal: Callable[[Embedded], str]  # why a face is no reference picture; empty if it is one
    load_picture: Callable[[Path], Frame]
