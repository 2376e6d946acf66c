"""The named package as everybody uses it: HOG with one upsampling, then `face_encodings`.

Ten times slower than `onnx`, and the measure of it. Its encodings are good for both engines.
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


class FaceRecognitionEngine:
    """See the module. dlib runs on one thread, whatever is asked for."""

    name = "face-recognition"
    detector = "hog"
    space = DLIB_SPACE

    def __init__(self, models: dict[str, str]) -> None:
        self.models = models
        self._package = load_package()

    def find(self, frame: Frame) -> list[Face]:
        places = self._package.face_locations(_rgb(frame))
        faces = [
            Face((float(left), float(top), float(right - left), float(bottom - top)), 1.0)
            for top, right, bottom, left in places
        ]
        return sorted(faces, key=lambda face: -face.box[2] * face.box[3])

    def search(self, picture: Frame) -> list[Face]:
        return self.find(picture)

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
