"""Similarities between point sets, and the chip that the ResNet was trained on.

A similarity is two complex numbers: z -> turn * z + shift. Points are complex too, x + iy: least
squares over similarities is then one division.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import cv2
import numpy as np
import numpy.typing as npt

from gateway.vision.engine import Frame, Points

Complexes = npt.NDArray[np.complex128]
SIDE = 150

# dlib's reference for five points (right eye's corners, left eye's corners, nose), with its padding of 0.25
_REFERENCE = np.array(
    [
        (0.8595674595992, 0.2134981538014),
        (0.6460604764104, 0.2289674387677),
        (0.1205750620789, 0.2137274526848),
        (0.3340850613712, 0.2290642403242),
        (0.4901123135679, 0.6277975316475),
    ]
)


class Similarity(NamedTuple):
    """z -> turn * z + shift."""

    turn: complex
    shift: complex

    def at(self, x: float, y: float) -> complex:
        return self.turn * complex(x, y) + self.shift

    def matrix(self) -> npt.NDArray[np.float64]:
        """As 2 x 3 for OpenCV."""
        return np.array(
            [
                [self.turn.real, -self.turn.imag, self.shift.real],
                [self.turn.imag, self.turn.real, self.shift.imag],
            ]
        )


def complexes(points: Points) -> Complexes:
    return np.asarray(points[:, 0] + 1j * points[:, 1])


CHIP = complexes((_REFERENCE + 0.25) / 1.5 * SIDE)


def fit(source: Complexes, target: Complexes) -> Similarity:
    """The similarity that takes `source` nearest to `target`, by least squares."""
    a, b = source - source.mean(), target - target.mean()
    turn = complex(np.vdot(a, b) / np.vdot(a, a))
    return Similarity(turn, complex(target.mean() - turn * source.mean()))


def window(frame: Frame, inverse: Similarity, side: int) -> Frame:
    """A square picture of `side` pixels; `inverse` takes its pixels to the frame's. Black outside the frame."""
    warped = cv2.warpAffine(frame, inverse.matrix(), (side, side), flags=cv2.INTER_LINEAR | cv2.WARP_INVERSE_MAP)
    return np.asarray(warped, np.uint8)


def chip(frame: Frame, points: Complexes) -> Frame:
    """The 150 x 150 picture that dlib would cut for these five points (`get_face_chip`, padding 0.25)."""
    turned = fit(CHIP, points)
    centre, scale = turned.at(SIDE / 2, SIDE / 2), abs(turned.turn)
    size = SIDE * scale
    if size / 2 > SIDE:  # only then dlib shrinks first, and only the part that is seen need be shrunk
        frame, corner = _around(frame, centre, size)
        centre -= corner
        while size / 2 > SIDE:
            frame, centre, size = np.asarray(cv2.pyrDown(frame), np.uint8), centre / 2, size / 2
    step = turned.turn / scale * (size - 1) / (SIDE - 1)
    middle = complex((SIDE - 1) / 2, (SIDE - 1) / 2)
    return window(frame, Similarity(step, centre - step * middle), SIDE)


_FACE = (np.linspace(30, 120, 16)[None] + 1j * np.linspace(25, 135, 16)[:, None]).ravel()  # of the chip


def inside(turned: Similarity, shape: tuple[int, ...]) -> float:
    """The share of a face that lies in a frame of this shape; `turned` takes the chip to the frame."""
    places = turned.turn * _FACE + turned.shift
    across, down = places.real, places.imag
    return float(((across >= 0) & (across <= shape[1] - 1) & (down >= 0) & (down <= shape[0] - 1)).mean())


def misfit(turned: Similarity, found: Complexes, canonical: Complexes) -> float:
    """How far a detector's points lie from where they belong in a chip that was cut by better points."""
    return float(np.abs((found - turned.shift) / turned.turn - canonical).mean())


def _around(frame: Frame, centre: complex, size: float) -> tuple[Frame, complex]:
    """The part of the frame that a turned square of `size` may touch, and its corner."""
    height, width = frame.shape[:2]
    reach = size * 0.75 + 16
    left, top = max(0, math.floor(centre.real - reach)), max(0, math.floor(centre.imag - reach))
    right, bottom = min(width, math.ceil(centre.real + reach)), min(height, math.ceil(centre.imag + reach))
    if right - left < 2 or bottom - top < 2:
        return frame, 0j
    return np.ascontiguousarray(frame[top:bottom, left:right]), complex(left, top)
