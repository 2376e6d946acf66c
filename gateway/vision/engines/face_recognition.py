"""The named package as everybody uses it: HOG with one upsampling, then `face_encodings`.

Ten times slower than `onnx`, and the measure of it. Its encodings are good for both engines.

HOG takes its time by the pixel: 0.4 s at 640 x 480, 4 s at 2300 x 1400 and ten on a Pi, in which the process says
nothing and counts as hung. So a door's process has what is larger shrunk for finding, as the other detectors do
(`bounded`); the chip is cut from the picture as it is. Where it is the measure of others, it is left as it comes.
"""

from __future__ import annotations

import contextlib
import io
from typing import TYPE_CHECKING

import cv2
import numpy as np

from gateway.errors import ModelError, N_
from gateway.vision.engine import DLIB_SPACE, Embedded, Face, Frame
from gateway.vision.engines.geometry import chip
from gateway.vision.engines.onnx import quality

if TYPE_CHECKING:
    from types import ModuleType


LONGEST = 640  # pixels of a side in which faces are looked for
CLOSER = 1280  # in a still picture in which none was found


class FaceRecognitionEngine:
    """See the module. dlib runs on one thread, whatever is asked for."""

    name = "face-recognition"
    detector = "hog"
    space = DLIB_SPACE

    def __init__(self, models: dict[str, str], *, bounded: bool = False) -> None:
        self.models, self._bounded = models, bounded
        self._package = load_package()

    def find(self, frame: Frame) -> list[Face]:
        return self._within(frame, LONGEST if self._bounded else max(frame.shape[:2]))

    def search(self, picture: Frame) -> list[Face]:
        found = self.find(picture)
        if found or not self._bounded or max(picture.shape[:2]) <= LONGEST:
            return found
        return self._within(picture, CLOSER)

    def _within(self, frame: Frame, longest: int) -> list[Face]:
        scale = min(1.0, longest / max(frame.shape[:2]))
        small = frame
        if scale < 1:
            height, width = (max(1, round(side * scale)) for side in frame.shape[:2])
            small = np.asarray(cv2.resize(frame, (width, height), interpolation=cv2.INTER_AREA), np.uint8)
        faces = [
            Face((left / scale, top / scale, (right - left) / scale, (bottom - top) / scale), 1.0)
            for top, right, bottom, left in self._package.face_locations(_rgb(small))
        ]
        return sorted(faces, key=lambda face: -face.box[2] * face.box[3])

    def embed(self, frame: Frame, face: Face) -> Embedded:
        x, y, width, height = face.box
        place = (int(y), int(x + width), int(y + height), int(x))
        rgb = _rgb(frame)
        (vector,) = self._package.face_encodings(rgb, [place])
        (shape,) = self._package.api._raw_face_landmarks(rgb, [place], model="small")
        points = np.array([complex(part.x, part.y) for part in shape.parts()])
        return Embedded(np.asarray(vector, np.float32), quality(chip(frame, points), points, frame, face))


def load_package() -> ModuleType:
    """The package. It says `quit()` where its models are missing: that becomes an error. Raises ModelError."""
    try:
        with contextlib.redirect_stdout(io.StringIO()):
            import face_recognition
    except (ImportError, SystemExit) as error:
        raise ModelError(
            N_("the package face_recognition cannot be used: {error}"),
            mend=N_("install requirements/models.txt without dependencies, or use the engine 'onnx'"),
            error=str(error) or "its models are missing",
        ) from error
    package: ModuleType = face_recognition
    return package


def _rgb(frame: Frame) -> Frame:
    return np.asarray(cv2.cvtColor(frame, cv2.COLOR_BGR2RGB), np.uint8)
