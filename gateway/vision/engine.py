"""What an engine is: it finds faces in a frame and turns a face into 128 numbers.

A frame is BGR, uint8, height x width x 3, of any size. Boxes and points are in the frame's own pixels.
Nothing here waits for a camera or a network. Two engines that tell the same `space` make numbers that
may be compared with each other: who enrolled with one is known to the other.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Protocol

import numpy as np
import numpy.typing as npt

from gateway.vision.quality import Quality

Frame = npt.NDArray[np.uint8]
Vector = npt.NDArray[np.float32]
Points = npt.NDArray[np.float64]  # n x 2

DLIB_SPACE = "dlib-resnet-v1"


@dataclass(frozen=True, slots=True)
class Face:
    """One face in a frame."""

    box: tuple[float, float, float, float]  # x, y, width, height
    score: float  # the detector's own, 0..1
    points: Points | None = None  # eyes, nose, mouth corners, as far as the detector gives them
    canonical: Points | None = field(default=None, repr=False)  # where those points lie in a 150 x 150 chip


@dataclass(frozen=True, slots=True)
class Embedded:
    """A face as numbers, with what can be said about the picture they come from."""

    vector: Vector  # 128 float32
    quality: Quality


class Engine(Protocol):
    """Finds and embeds. Not safe for use from two threads at once."""

    name: str  # as in `vision.engine` of the configuration
    detector: str  # "yunet", "blazeface", "hog"
    space: str  # whose numbers may be compared
    models: dict[str, str]  # name -> sha256 of what was loaded

    def find(self, frame: Frame) -> list[Face]:
        """Every face of a camera's frame, the largest first."""
        ...

    def search(self, picture: Frame) -> list[Face]:
        """The same for a still picture: where nothing is found at once, looked at again more closely, at its price."""
        ...

    def embed(self, frame: Frame, face: Face) -> Embedded:
        """The numbers of a face that `find` told for this very frame."""
        ...
