"""A double of the engine: a face is a coloured square on grey, a person is a colour. Milliseconds, no models."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from drivers.pictures import read_picture
from gateway.vision.computing import Computing
from gateway.vision.engine import DLIB_SPACE, Embedded, Face, Frame, Vector
from gateway.vision.gallery import Sealed
from gateway.vision.observe import Compared
from gateway.vision.quality import Quality

RED, GREEN, BLUE = (40, 40, 220), (40, 220, 40), (220, 40, 40)  # BGR
THRESHOLD = 0.4
GOOD = Quality(size=120, sharpness=1.0, yaw=0, pitch=0, exposure=0.5, contrast=0.3)
BLURRED = Quality(size=120, sharpness=0.2, yaw=0, pitch=0, exposure=0.5, contrast=0.3)


def scene(*faces: tuple[tuple[int, int, int], int, int], size: tuple[int, int] = (480, 640), side: int = 120) -> Frame:
    """A grey frame with squares of these colours, at their left and top."""
    frame = np.full((*size, 3), 96, np.uint8)
    for colour, left, top in faces:
        frame[top : top + side, left : left + side] = colour
    return frame


def vector_of(colour: Sequence[float]) -> Vector:
    """A person's numbers: two colours are more than 0.6 apart."""
    vector = np.zeros(128, np.float32)
    vector[:3] = np.asarray(colour, np.float32) / 255
    return vector


def template_of(colour: Sequence[float]) -> bytes:
    return vector_of(colour).astype("<f4").tobytes()


class DoubleEngine:
    name = "onnx"
    detector = "squares"
    space = DLIB_SPACE

    def __init__(self) -> None:
        self.models = {"squares": "0" * 64}
        self.found = self.embedded = 0

    def find(self, frame: Frame) -> list[Face]:
        self.found += 1
        coloured = (frame.max(axis=2).astype(int) - frame.min(axis=2) > 60).astype(np.uint8)
        count, _, stats, _ = cv2.connectedComponentsWithStats(coloured)
        boxes = [tuple(float(value) for value in stats[i][:4]) for i in range(1, count) if stats[i][4] > 400]
        return [Face((x, y, w, h), 1.0) for x, y, w, h in sorted(boxes, key=lambda box: -box[2])]

    def search(self, picture: Frame) -> list[Face]:
        return self.find(picture)

    def embed(self, frame: Frame, face: Face) -> Embedded:
        self.embedded += 1
        x, y, w, h = (int(value) for value in face.box)
        inner = frame[y + h // 4 : y + 3 * h // 4, x + w // 4 : x + 3 * w // 4]
        return Embedded(vector_of(inner.reshape(-1, 3).mean(axis=0)), GOOD if w >= 60 else BLURRED)


def compare(sealed: Sealed) -> Compared:
    matrix = np.asarray(sealed.matrix, np.float32).reshape(-1, 128)

    def nearest(vector: npt.NDArray[np.float32]) -> list[tuple[str, float]]:
        distances: dict[str, float] = {}
        for row, person in enumerate(sealed.index):
            distance = float(np.linalg.norm(matrix[row] - vector))
            name = sealed.people[person]
            distances[name] = min(distance, distances.get(name, 9.0))
        return sorted(distances.items(), key=lambda pair: pair[1])[:2]

    return Compared(sealed.generation, len(sealed.people), THRESHOLD, nearest)


def refusal(embedded: Embedded) -> str:
    from gateway.vision.quality import ENROLMENT

    return embedded.quality.refused_by(ENROLMENT)


def load_picture(path: Path) -> Frame:
    return read_picture(path)


def computing(engine: DoubleEngine | None = None) -> Computing:
    return Computing(engine or DoubleEngine(), compare, refusal, load_picture)
