"""dlib's 5-point shape predictor (an ensemble of regression trees, CC0) as one flat file.

The file: 64 bytes of header (magic, layout, cascades, trees, splits, features, points, zeros), then
little-endian arrays one after the other, in the order of `FIELDS`, each beginning at a multiple of
64. So it is mapped, not parsed, at start.
"""

from __future__ import annotations

import struct
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from gateway.errors import ModelError, N_
from gateway.vision.convert.dlib_file import DlibFile, damaged

MAGIC = b"LOUMENRT"
LAYOUT = 1
_HEADER = struct.Struct("<8s6I32x")


class Trees(NamedTuple):
    """The predictor. C cascades of T trees with S splits and S + 1 leaves, F features, P points."""

    initial: npt.NDArray[np.float32]  # P x 2: the shape to begin with, in the box's own units
    first: npt.NDArray[np.uint16]  # C x T x S: a split compares the feature `first`
    second: npt.NDArray[np.uint16]  # C x T x S: with the feature `second`
    threshold: npt.NDArray[np.float32]  # C x T x S
    leaves: npt.NDArray[np.float32]  # C x T x (S + 1) x 2P: what is added to the shape
    anchors: npt.NDArray[np.uint16]  # C x F: each feature lies near this point of the shape
    deltas: npt.NDArray[np.float32]  # C x F x 2: at this distance from it


def _shapes(c: int, t: int, s: int, f: int, p: int) -> list[tuple[str, tuple[int, ...]]]:
    """Type and shape of each field of Trees."""
    return [
        ("<f4", (p, 2)),
        ("<u2", (c, t, s)),
        ("<u2", (c, t, s)),
        ("<f4", (c, t, s)),
        ("<f4", (c, t, s + 1, 2 * p)),
        ("<u2", (c, f)),
        ("<f4", (c, f, 2)),
    ]


def convert(data: bytes) -> bytes:
    """The flat file for dlib's `shape_predictor_5_face_landmarks.dat`. Raises ModelError."""
    cascades, trees, splits, features, points = sizes = (15, 500, 15, 800, 5)
    file = DlibFile(data)
    file.length(1)  # the version
    initial = file.matrix(2 * points)
    first, second, threshold, leaves = [], [], [], []
    file.length(cascades)
    for _ in range(cascades):
        file.length(trees)
        for _ in range(trees):
            file.length(splits)
            for _ in range(splits):
                first.append(file.integer())
                second.append(file.integer())
                threshold.append(file.number())
            file.length(splits + 1)
            for _ in range(splits + 1):
                leaves.append(file.matrix(2 * points))
    anchors = [_counted(file, features) for _ in range(file_length(file, cascades))]
    deltas = [_vectors(file, features) for _ in range(file_length(file, cascades))]
    if file.left or max(map(max, anchors)) >= points or max(*first, *second) >= features:
        raise damaged()
    parts = (initial, first, second, threshold, leaves, anchors, deltas)
    made = bytearray(_HEADER.pack(MAGIC, LAYOUT, *sizes))
    for part, (kind, shape) in zip(parts, _shapes(*sizes), strict=True):
        made += bytes(-len(made) % 64) + np.array(part, kind).reshape(shape).tobytes()
    return bytes(made)


def file_length(file: DlibFile, expected: int) -> int:
    file.length(expected)
    return expected


def _counted(file: DlibFile, count: int) -> list[int]:
    file.length(count)
    return file.integers(count)


def _vectors(file: DlibFile, count: int) -> list[float]:
    file.length(count)
    return file.numbers(2 * count)


def read(data: bytes | memoryview) -> Trees:
    """The predictor of a flat file; the arrays are views into `data`. Raises ModelError."""
    try:
        magic, layout, *sizes = _HEADER.unpack_from(data)
        if (magic, layout) != (MAGIC, LAYOUT):
            raise ValueError("another layout")
        at, arrays = _HEADER.size, []
        for kind, shape in _shapes(*sizes):
            at += -at % 64
            count = int(np.prod(shape))
            arrays.append(np.frombuffer(data, kind, count, at).reshape(shape))
            at += arrays[-1].nbytes
    except (struct.error, ValueError) as error:
        raise ModelError(
            N_("the file of the 5-point trees is not what it should be: {error}"),
            mend=N_("prepare the models again: python -m gateway.vision.models prepare"),
            error=str(error),
        ) from error
    return Trees(*arrays)
