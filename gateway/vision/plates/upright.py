"""Sets plates upright: warps by corners, a little wider ones, and the rows of a high plate put side by side.

The detector's corners are right to a few hundredths of a plate's width, and on a plate of two rows they cut
into the upper row more often than not (seen on the plates that `benchmarks/plates_unseen.py` hangs into
scenes). So a plate that is high is tried with its upper edge where it was found and higher up, and the gap
between its rows is looked for in the picture.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from gateway.vision.engine import Frame

Floats = npt.NDArray[np.float32]

WIDTH, HEIGHT = 202, 48
#: A second warp of a plate, in parts of its width and height: the left edge, where the province stands, is cut most.
WIDER = (0.05, 0.0, 0.03, 0.0)  # left, up, right, down
#: A plate of two rows (440 x 220 mm): wider than high by less than this, or the quad is a plate's of one row.
TWO_ROWS = 2.8
UPWARD = (0.0, 0.1, 0.2)  # how far up a high plate's upper edge is tried
_SIDE = 0.02
#: The upper row in 202 x 96: where the province and the city stand across; where the gap below it may lie.
_PROVINCE, _CITY = slice(44, 93), slice(109, 158)
_GAP, _USUAL = slice(24, 50), 36
_TOP, _HEAD = 3, 62  # pixels of rim; how wide province and city are before the lower row


def straight(frame: Frame, corners: Floats, height: int = HEIGHT) -> Frame:
    """The plate as seen from before it. A large one is warped large, then shrunk: plain sampling would skip pixels."""
    across, down = extent(corners)
    times = int(min(8, max(1, round(max(across / WIDTH, down / height)))))
    target = np.array([(0, 0), (WIDTH, 0), (WIDTH, height), (0, height)], np.float32) * times
    matrix = cv2.getPerspectiveTransform(np.asarray(corners, np.float32), target)
    warped = cv2.warpPerspective(frame, matrix, (WIDTH * times, height * times), flags=cv2.INTER_LINEAR)
    if times > 1:
        warped = cv2.resize(warped, (WIDTH, height), interpolation=cv2.INTER_AREA)
    return np.asarray(warped, np.uint8)


def wider(frame: Frame, corners: Floats) -> Frame:
    """The plate with a little of what is beside it."""
    return straight(frame, grown(corners, *WIDER))


def extent(corners: Floats) -> tuple[float, float]:
    """How wide and how high a plate is in the frame."""
    sides = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
    return float(max(sides[0], sides[2])), float(max(sides[1], sides[3]))


def grown(corners: Floats, left: float, up: float, right: float, down: float) -> Floats:
    """The corners moved outwards, in parts of the plate's width and height."""
    across = (corners[1] - corners[0] + corners[2] - corners[3]) / 2
    along = (corners[3] - corners[0] + corners[2] - corners[1]) / 2
    out = ((-left, -up), (right, -up), (right, down), (-left, down))
    return np.asarray([at + x * across + y * along for at, (x, y) in zip(corners, out, strict=True)], np.float32)


def two_rows(corners: Floats) -> bool:
    """Whether a plate is so high that it may have two rows."""
    across, down = extent(corners)
    return across < TWO_ROWS * down


def in_one_row(frame: Frame, corners: Floats) -> list[Frame]:
    """Province and city set before the lower row: one picture for each upper edge that is tried."""
    made = []
    for up in UPWARD:
        whole = straight(frame, grown(corners, _SIDE, up, _SIDE, _SIDE), 2 * HEIGHT)
        gap = _gap(whole)
        upper = np.hstack((whole[_TOP:gap, _PROVINCE], whole[_TOP:gap, _CITY]))
        head = cv2.resize(upper, (_HEAD, HEIGHT), interpolation=cv2.INTER_LINEAR)
        lower = cv2.resize(whole[gap:], (WIDTH - _HEAD, HEIGHT), interpolation=cv2.INTER_LINEAR)
        made.append(np.asarray(np.hstack((head, lower)), np.uint8))
    return made


def _gap(whole: Frame) -> int:
    """The line between the rows: where least is written, rather where it usually is."""
    grey = cv2.cvtColor(whole, cv2.COLOR_BGR2GRAY).astype(np.float32)
    written = np.abs(np.diff(grey[:, 20:182], axis=1)).mean(axis=1)
    smooth = np.convolve(np.pad(written, 1, mode="edge"), np.full(3, 1 / 3), "valid")
    away = np.abs(np.arange(_GAP.start, _GAP.stop) - _USUAL)
    return int(_GAP.start + np.argmin(smooth[_GAP] + 0.002 * smooth.max() * away))
