"""BlazeFace through LiteRT: the detector that ships, from a package of the ordinary indexes.

Two of Google's nets. The full-range one (sparse, 192 x 192) finds small faces, but its points are too
rough to align by, and it misses a face that fills the picture. The short-range one (128 x 128) sees
only large faces and gives good points. So: find with the first; then look again with the second at a
window around each face; where the first finds nothing, try the second on the whole frame.

The second look is the better judge: in a window of the right size it is sure of nearly every true face, and of
hardly anything else. So the first may be very unsure. Measured (`benchmarks/small_faces.py`, 131 faces, and 114 street
scenes): of faces 32, 40, 48 and 64 pixels wide 82, 120, 121 and 131 are found, with 0.03 other things a scene. A
first look that must be sure of 0.4 by itself finds 48, 54, 81 and 114, with 0.04; HOG with one upsampling
119, 121, 121 and 121, in twenty times the time.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt
from ai_edge_litert.interpreter import Interpreter

from gateway.vision.engine import Face, Frame

UNSURE = 0.15  # of the first look at a frame: below, it is not worth a second one
SCORE = 0.4  # of the first look at a window of a still picture: there are many windows, and each has false faces
SURE = 0.6  # of the first look: less must be confirmed by the second, for a tight crop is full of false small faces
CONFIRMED = 0.6  # by the second look, where the first was not sure
CERTAIN = 0.7  # by the second look, where the first saw hardly anything (below SCORE)
SEEN = 0.5  # by the second look, where it only brings better points, or looks at a whole frame alone
TILES = (2, 4)  # for still pictures in which nothing was found: windows of a half and a quarter of its longer side
LEAST_TILE = 96  # pixels: a smaller window shows no more than the picture has
OVERLAP = 0.3
ROOM = 2.0  # side of the second look's window, in sides of the first look's box
POINTS = 4  # eyes, nose, mouth: the last two (the ears) do not help
CANONICAL = np.array([(47.0, 48.4), (100.6, 48.0), (73.1, 77.6), (73.9, 104.5)])

Floats = npt.NDArray[np.float32]


class Net:
    """One BlazeFace: a square picture in, boxes and points in 0..1 out."""

    def __init__(self, path: Path, grids: tuple[tuple[int, int], ...], threads: int) -> None:
        self._net = Interpreter(model_path=str(path), num_threads=threads)
        self._net.allocate_tensors()
        self._input = self._net.get_input_details()[0]["index"]
        self.side = int(self._net.get_input_details()[0]["shape"][1])
        outputs = {int(output["shape"][-1]): output["index"] for output in self._net.get_output_details()}
        self._boxes, self._scores = outputs[16], outputs[1]
        self._anchors = np.concatenate([_grid(side, repeated) for side, repeated in grids])

    def look(self, frame: Frame, x: float, y: float, side: float, least: float) -> list[tuple[float, Floats]]:
        """Faces in a square window of the frame: score and 8 x 2 numbers (corners, then points), in frame pixels."""
        step = side / self.side
        matrix = np.array([[step, 0, x + step / 2 - 0.5], [0, step, y + step / 2 - 0.5]])
        flags = cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP
        source, matrix = _shrunk(frame, matrix, step)
        small = cv2.warpAffine(source, matrix, (self.side, self.side), flags=flags)
        given = cv2.cvtColor(small, cv2.COLOR_BGR2RGB).astype(np.float32) * np.float32(1 / 127.5) - np.float32(1)
        self._net.set_tensor(self._input, given[None])
        self._net.invoke()
        scores = self._net.get_tensor(self._scores)[0, :, 0]
        kept = np.flatnonzero(scores > np.log(least / (1 - least)))
        if not len(kept):
            return []
        boxes = self._net.get_tensor(self._boxes)[0, kept].reshape(-1, 8, 2) / self.side
        boxes[:, 0] += self._anchors[kept]
        boxes[:, 2:] += self._anchors[kept, None]
        half = boxes[:, 1] / 2
        boxes[:, 1] = boxes[:, 0] + half
        boxes[:, 0] -= half
        sigmoid = 1 / (1 + np.exp(-np.minimum(scores[kept], 80)))
        return [(score, box * side + (x, y)) for score, box in _merged(sigmoid, boxes)]


class Blazeface:
    """Finds faces from about 32 pixels of 640 on."""

    name = "blazeface"

    def __init__(self, full_range: Path, short_range: Path, threads: int = 1) -> None:
        self._far = Net(full_range, ((48, 1),), threads)
        self._near = Net(short_range, ((16, 2), (8, 6)), threads)

    def find(self, frame: Frame) -> list[Face]:
        height, width = frame.shape[:2]
        side = float(max(height, width))
        x, y = (width - side) / 2, (height - side) / 2
        found = self._again(frame, self._far.look(frame, x, y, side, UNSURE))
        return found or [_finding(score, box) for score, box in self._near.look(frame, x, y, side, SEEN)]

    def closer(self, picture: Frame) -> list[Face]:
        height, width = picture.shape[:2]
        for parts in TILES:
            side = max(height, width) / parts
            if side < LEAST_TILE:
                break
            found = [
                one
                for y in _starts(height, side)
                for x in _starts(width, side)
                for one in self._far.look(picture, x, y, side, SCORE)
            ]
            if found:
                scores, boxes = np.array([score for score, _ in found]), np.stack([box for _, box in found])
                return self._again(picture, _merged(scores, boxes))
        return []

    def _again(self, frame: Frame, far: list[tuple[float, Floats]]) -> list[Face]:
        """The same faces with the points of the second look; what that does not confirm stays only where it is sure."""
        faces = []
        for score, box in far:
            centre, side = box[:2].mean(axis=0), float((box[1] - box[0]).max()) * ROOM
            x, y = float(centre[0]) - side / 2, float(centre[1]) - side / 2
            least = SEEN if score >= SURE else CONFIRMED if score >= SCORE else CERTAIN
            near = [one for _, one in self._near.look(frame, x, y, side, least) if _overlap(box, one[None])[0] > 0.2]
            if near:
                faces.append(_finding(score, max(near, key=lambda one: float(_overlap(box, one[None])[0]))))
            elif score >= SURE:
                faces.append(_finding(score, box))
        return faces


def _starts(length: int, side: float) -> list[float]:
    """Where windows of `side` begin that cover a length and overlap by half."""
    last = max(0.0, length - side)
    return [float(start) for start in np.linspace(0, last, 1 + round(last / side * 2))]


def _finding(score: float, box: Floats) -> Face:
    (x, y), (right, bottom) = box[:2].tolist()
    points = box[2 : 2 + POINTS].astype(np.float64) - 0.5  # from edges to pixel centres
    return Face((x, y, right - x, bottom - y), float(score), points, CANONICAL)


def _shrunk(frame: Frame, matrix: npt.NDArray[np.float64], step: float) -> tuple[Frame, npt.NDArray[np.float64]]:
    """The frame halved as long as a window's pixel covers more than two of it: plain bilinear would skip rows."""
    while step > 2 and min(frame.shape[:2]) > 2:
        height, width = frame.shape[0] // 2, frame.shape[1] // 2
        frame = np.asarray(cv2.resize(frame[: height * 2, : width * 2], (width, height), interpolation=cv2.INTER_AREA))
        matrix, step = matrix / 2, step / 2
        matrix[:, 2] -= 0.25
    return frame, matrix


def _grid(side: int, repeated: int) -> Floats:
    """The centres of a grid's cells, each told `repeated` times, row by row."""
    rows, columns = np.mgrid[0:side, 0:side].reshape(2, -1)
    return np.repeat((np.stack((columns, rows), axis=1) + 0.5) / side, repeated, axis=0).astype(np.float32)


def _overlap(box: Floats, others: Floats) -> Floats:
    """Intersection over union of one box with many; rows 0 and 1 of each are its corners."""
    low, high = np.maximum(box[0], others[:, 0]), np.minimum(box[1], others[:, 1])
    both = np.prod(np.maximum(high - low, 0), axis=1)
    union = np.prod(box[1] - box[0]) + np.prod(others[:, 1] - others[:, 0], axis=1) - both
    return np.asarray(both / np.maximum(union, 1e-12), np.float32)


def _merged(scores: Floats, boxes: Floats) -> list[tuple[float, Floats]]:
    """Boxes that overlap the best one become one, weighted by their scores; then the next best, and so on."""
    merged = []
    while len(scores):
        best = int(scores.argmax())
        same = _overlap(boxes[best], boxes) > OVERLAP
        same[best] = True
        weights = scores[same][:, None, None]
        merged.append((float(scores[best]), np.asarray((boxes[same] * weights).sum(axis=0) / weights.sum())))
        scores, boxes = scores[~same], boxes[~same]
    return merged
