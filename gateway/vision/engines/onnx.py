"""The fast engine: YuNet or BlazeFace, dlib's 5-point trees in numpy, dlib's ResNet in onnxruntime.

Its numbers are face_recognition's own, for an eighth of the time: an enrolment made with either
engine is good for both.
"""

from __future__ import annotations

from typing import Protocol

import cv2
import numpy as np

from gateway.vision.engine import DLIB_SPACE, Embedded, Face, Frame
from gateway.vision.engines.geometry import CHIP, Complexes, chip, complexes, fit, inside, misfit
from gateway.vision.engines.landmark import BOX_SIDE, Landmarks
from gateway.vision.engines.resnet import Resnet
from gateway.vision.quality import Quality, measure


class Detector(Protocol):
    """Finds faces with points good enough to start the trees from."""

    @property
    def name(self) -> str: ...

    def find(self, frame: Frame) -> list[Face]: ...

    def closer(self, picture: Frame) -> list[Face]: ...


class OnnxEngine:
    """See the module. `mirrored` takes the mean over the chip and its mirror image."""

    name = "onnx"
    space = DLIB_SPACE

    def __init__(
        self,
        detector: Detector,
        landmarks: Landmarks,
        resnet: Resnet,
        models: dict[str, str],
        *,
        mirrored: bool = True,
    ) -> None:
        self.detector, self.models = detector.name, models
        self._detector, self._landmarks, self._resnet, self._mirrored = detector, landmarks, resnet, mirrored

    def find(self, frame: Frame) -> list[Face]:
        return _largest_first(self._detector.find(frame))

    def search(self, picture: Frame) -> list[Face]:
        return self.find(picture) or _largest_first(self._detector.closer(picture))

    def embed(self, frame: Frame, face: Face) -> Embedded:
        points = self._landmarks.refine(frame, face)
        cut = chip(frame, points)
        vector = self._resnet.embed_both(cut) if self._mirrored else self._resnet.embed(cut)
        return Embedded(vector, quality(cut, points, frame, face))


def _largest_first(faces: list[Face]) -> list[Face]:
    return sorted(faces, key=lambda face: -face.box[2] * face.box[3])


def quality(cut: Frame, points: Complexes, frame: Frame, face: Face) -> Quality:
    """The measures of a chip that was cut by these points."""
    turned, off = fit(CHIP, points), 0.0
    if face.points is not None and face.canonical is not None:
        off = misfit(turned, complexes(face.points), complexes(face.canonical))
    grey = cv2.cvtColor(cut, cv2.COLOR_BGR2GRAY).astype(np.float32)
    return measure(grey, points, BOX_SIDE * abs(turned.turn), inside=inside(turned, frame.shape), misfit=off)
