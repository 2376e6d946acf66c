"""Number plates: found, set upright and read. Heavy packages are imported here and in no daemon."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gateway.vision import models
from gateway.vision.engines.quiet import quiet

if TYPE_CHECKING:
    from gateway.vision.plates.reader import PlateReader

MODELS = ("plate-detector", "plate-reader")


def load(models_dir: Path | None = None, threads: int = 1) -> PlateReader:
    """The chain, ready. Raises ModelError."""
    import cv2

    from gateway.vision.plates.detector import Detector
    from gateway.vision.plates.reader import PlateReader
    from gateway.vision.plates.recogniser import Recogniser

    cv2.setNumThreads(threads)
    content, folder = models.manifest(), models_dir or models.folder()
    find, read = (content.named(name) for name in MODELS)
    with quiet():
        detector = Detector(models.checked(find, folder), threads)
        recogniser = Recogniser(models.checked(read, folder), threads)
    return PlateReader(detector, recogniser, {model.name: model.sha256 for model in (find, read)})
