"""What the worker computes with, put together: an engine, its gates, its comparison. The worker's seam."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from gateway.vision.engine import Embedded, Engine, Frame
from gateway.vision.gallery import Sealed
from gateway.vision.observe import Compared
from gateway.vision.quality import ENROLMENT
from gateway.vision.settings import Settings

OWN_PEOPLE = 150  # at most so many are compared with each other: a fraction of a second of the worker's loop on a Pi


@dataclass(frozen=True, slots=True)
class Computing:
    """Everything that costs time or memory, and everything a test may replace."""

    engine: Engine
    compare: Callable[[Sealed], Compared]
    refusal: Callable[[Embedded], str]  # why a face is no reference picture; empty if it is one
    load_picture: Callable[[Path], Frame]


def load(settings: Settings) -> Computing:
    """The engine of the settings, and its comparison. Raises ModelError."""
    from gateway.vision import engines, threshold
    from gateway.vision.compare import Gallery
    from gateway.vision.picture import read_reference

    vision = settings.vision
    extra = Path(vision.models) if vision.models else None
    engine = engines.load(vision.engine, extra_models=extra, bounded=True)

    def compare(sealed: Sealed) -> Compared:
        people = Gallery.of(sealed)
        own = people.impostors(vision.pooled_frames, OWN_PEOPLE) if len(people) >= threshold.OWN_PEOPLE else None
        limit = threshold.for_gallery(
            vision.false_positive_rate,
            max(1, len(people)),
            vision.pooled_frames,
            vision.engine,
            engine.detector,
            templates=max(1, people.templates),
            own=own,
        )
        return Compared(sealed.generation, len(people), limit.value, people.nearest)

    return Computing(engine, compare, lambda embedded: embedded.quality.refused_by(ENROLMENT), read_reference)
