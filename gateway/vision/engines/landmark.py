"""dlib's 5-point regression trees in numpy: from a detector's rough points to the ones dlib aligns by.

Alignment decides the accuracy: the ResNet was trained on chips cut by these very trees. They want
dlib's own detection box, which another detector does not give; so the face is first turned upright
by the detector's points and the box is put where dlib's detector would have put it (measured).

Each cascade looks at 800 grey values near the current points, asks 500 trees, and moves the points by
what their leaves say. A tree has 15 splits: all of them are asked at once, the answers are packed into
a 16-bit number, and a table says to which leaf they lead. That is 1 ms for 15 cascades and not 8.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from gateway.vision.convert.trees import Trees
from gateway.vision.engine import Face, Frame
from gateway.vision.engines.geometry import Complexes, Similarity, complexes, fit, window

WINDOW = 230.0  # canonical units (a chip has 150) that the upright picture shows
PIXELS = 220  # of the upright picture
CENTRE = 75 + 75j
BOX_CENTRE = 71.8 + 71.2j  # where dlib's detector would put its box
BOX_SIDE = 125.0


class Landmarks:
    """Refines a detector's points to dlib's five points."""

    def __init__(self, trees: Trees) -> None:
        self._initial = complexes(trees.initial.astype(np.float64))
        self._initial_centred = self._initial - self._initial.mean()
        self._anchors = trees.anchors.astype(np.intp)
        self._deltas = trees.deltas[..., 0].astype(np.float64) + 1j * trees.deltas[..., 1]
        cascades, count, splits = trees.threshold.shape
        self._first = _sixteen(trees.first, 0, np.intp)
        self._second = _sixteen(trees.second, 0, np.intp)
        self._threshold = _sixteen(trees.threshold, np.inf, np.float32)
        self._leaf_of = _leaf_table(splits)
        self._leaves = trees.leaves.reshape(cascades, count * (splits + 1), -1)
        self._root = np.arange(count, dtype=np.intp) * (splits + 1)

    def refine(self, frame: Frame, face: Face) -> Complexes:
        """The five points of the face, in the frame's pixels."""
        if face.points is None or face.canonical is None:
            raise ValueError("this face has no points: another engine found it")
        upright = fit(complexes(face.canonical), complexes(face.points))
        step = WINDOW / PIXELS
        corner = CENTRE - complex(1, 1) * step * (PIXELS - 1) / 2
        inverse = Similarity(upright.turn * step, upright.at(corner.real, corner.imag))
        grey = _grey(window(frame, inverse, PIXELS))
        side = BOX_SIDE / step
        origin = (BOX_CENTRE - corner) / step - complex(1, 1) * side / 2
        points = self.predict(grey, origin, side)
        return np.asarray(inverse.turn * points + inverse.shift)

    def predict(self, grey: npt.NDArray[np.int32], origin: complex, side: float) -> Complexes:
        """The trees' five points in a grey picture, for a square box given by its corner and side."""
        height, width = grey.shape
        flat = np.append(grey.ravel(), np.int32(0))  # the last one stands for everything outside
        shape = self._initial.copy()
        for cascade in range(len(self._deltas)):
            moved = np.vdot(self._initial_centred, shape - shape.mean())
            turn = moved / np.vdot(self._initial_centred, self._initial_centred)
            near = (turn * self._deltas[cascade] + shape[self._anchors[cascade]]) * side + (origin + (0.5 + 0.5j))
            column, row = np.floor(near.real).astype(np.intp), np.floor(near.imag).astype(np.intp)
            inside = (column >= 0) & (column < width) & (row >= 0) & (row < height)
            values = flat[np.where(inside, row * width + column, height * width)]
            answers = values[self._first[cascade]] - values[self._second[cascade]] > self._threshold[cascade]
            packed = np.packbits(answers, axis=1).view(">u2")[:, 0]
            leaves = self._leaves[cascade][self._root + self._leaf_of[packed]]
            total = leaves.sum(axis=0)
            shape = shape + total[0::2] + 1j * total[1::2]
        return np.asarray(shape * side + origin)


def _grey(picture: Frame) -> npt.NDArray[np.int32]:
    """Grey as dlib makes it: the plain mean of the three colours, rounded down."""
    sums = cv2.transform(picture.astype(np.float32), np.ones((1, 3), np.float32))
    return (sums.astype(np.int32) // 3).reshape(picture.shape[:2])


def _sixteen(values: npt.NDArray[np.generic], filler: float, kind: npt.DTypeLike) -> npt.NDArray[np.generic]:
    """One more column, so that a tree's answers fill two bytes."""
    padded = np.full((*values.shape[:2], 16), filler, kind)
    padded[..., : values.shape[2]] = values
    return padded


def _leaf_table(splits: int) -> npt.NDArray[np.uint8]:
    """Which leaf each combination of answers leads to: left to 2i+1 on yes, right to 2i+2 on no."""
    answers = np.arange(1 << 16, dtype=np.int64)
    node = np.zeros(1 << 16, np.int64)
    while node.min() < splits:
        node = 2 * node + 2 - (answers >> (15 - node) & 1)
    return (node - splits).astype(np.uint8)
