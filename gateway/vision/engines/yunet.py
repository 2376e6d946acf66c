"""YuNet through OpenCV: the better detector, used where its file has been put."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from gateway.vision.engine import Face, Frame

LONG_SIDE = 320  # pixels the longer side of a frame is shrunk to; 640 costs four times as much
CLOSER = (640, 1280)  # for still pictures in which nothing was found
ENLARGED = 2  # times a small picture may be enlarged for that
SCORE = 0.4  # a face of 40 pixels is found in 38 of 45 frames, at 0.6 in 26; other things in 1 street scene of 40
OVERLAP = 0.3
CANONICAL = np.array([(47.3, 47.0), (100.6, 46.4), (72.6, 77.7), (53.1, 102.4), (96.8, 102.0)])


class Yunet:
    """Finds faces from about 20 pixels of 640 on."""

    name = "yunet"

    def __init__(self, path: Path) -> None:
        self._detector = cv2.FaceDetectorYN.create(str(path), "", (LONG_SIDE, LONG_SIDE * 3 // 4), SCORE, OVERLAP, 200)

    def find(self, frame: Frame) -> list[Face]:
        return self._at(frame, min(LONG_SIDE, max(frame.shape[:2])))

    def closer(self, picture: Frame) -> list[Face]:
        for side in CLOSER:
            if side > ENLARGED * max(picture.shape[:2]):
                break
            if found := self._at(picture, side):
                return found
        return []

    def _at(self, frame: Frame, side: int) -> list[Face]:
        """Faces of the frame with its longer side brought to `side` pixels."""
        height, width = frame.shape[:2]
        scale = side / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = cv2.resize(frame, size, interpolation=way) if size != (width, height) else frame
        self._detector.setInputSize(size)
        rows = cast("npt.NDArray[np.float32] | None", self._detector.detect(small)[1])  # OpenCV's stubs forget None
        if rows is None:
            return []
        back = np.array((width / size[0], height / size[1]))
        found = []
        for row in np.asarray(rows, np.float64):
            x, y, wide, high = (row[:4].reshape(2, 2) * back).ravel().tolist()
            points = (row[4:14].reshape(5, 2) + 0.5) * back - 0.5
            found.append(Face((x, y, wide, high), float(row[14]), points, CANONICAL))
        return found
