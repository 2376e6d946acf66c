"""What can be told of a frame cheaply: does something move, how bright is it, is the camera frozen.

Theory of operation
    Each frame is shrunk to a grid of 32 x 24 cells. A cell stirs when a colour of it changed by more than
    STEP against the frame before, after the change of the whole picture's brightness is taken away:
    a lamp that goes on is no person. Few stirring cells are noise; more than MOST are the light.

    Detection costs a hundred times what this costs. So the detector runs on every frame while
    something stirs or a face was seen lately, and once every `idle` seconds else: a face that came
    without a movement (a picture that was swapped) is found a second late, and an empty hall costs
    next to nothing.

    A live camera never gives the same frame twice: its sensor has noise. Frames that are identical
    for FROZEN seconds mean a hung driver or stream, and are told as a problem.
"""

from __future__ import annotations

import math
import zlib
from dataclasses import dataclass
from typing import TYPE_CHECKING

import cv2
import numpy as np
import numpy.typing as npt

if TYPE_CHECKING:
    from drivers.interfaces import Frame

    Grid = npt.NDArray[np.float32]

GRID = (32, 24)
STEP = 10.0  # grey levels
FEWEST, MOST = 0.006, 0.6  # share of the cells
FROZEN = 10.0  # seconds


@dataclass(frozen=True, slots=True)
class Glance:
    """One frame at a glance."""

    brightness: float  # 0..1
    moved: bool  # something changed, the light included
    stirred: bool  # something moved that may be a person


class Watch:
    """Glances at the frames of one camera in turn."""

    def __init__(self, *, idle: float = 1.0, awake: float = 2.0) -> None:
        self._idle, self._awake = idle, awake
        self._before: Grid | None = None
        self._awake_until = -math.inf
        self._detected = -math.inf
        self._sum, self._changed = 0, math.inf

    def glance(self, frame: Frame, now: float) -> Glance:
        grid = cv2.resize(frame, GRID, interpolation=cv2.INTER_AREA).astype(np.float32)
        share = 1.0 if self._before is None else self._share(grid, self._before)
        self._before = grid
        self._remember(frame, now)
        glance = Glance(float(grid.mean()) / 255.0, share >= FEWEST, FEWEST <= share <= MOST)
        if glance.moved:
            self._awake_until = now + self._awake
        return glance

    @staticmethod
    def _share(grid: Grid, before: Grid) -> float:
        change = grid - before
        change -= change.mean(axis=(0, 1))  # the light's own
        return float((np.abs(change) > STEP).any(axis=2).mean())

    def _remember(self, frame: Frame, now: float) -> None:
        total = zlib.crc32(frame[::4, ::4].tobytes())
        if total != self._sum or self._changed == math.inf:
            self._sum, self._changed = total, now

    def due(self, now: float) -> bool:
        """Whether the detector should look at this frame; counts as looked at."""
        if now >= self._awake_until and now - self._detected < self._idle:
            return False
        self._detected = now
        return True

    @property
    def awake_until(self) -> float:
        """Until when frames are taken at the full rate."""
        return self._awake_until

    def saw_face(self, now: float) -> None:
        """A face is there: look at every frame for a while, also when nothing moves."""
        self._awake_until = max(self._awake_until, now + self._awake)

    def frozen_for(self, now: float) -> float:
        """Seconds since the picture last changed; 0 before the first."""
        return 0.0 if self._changed == math.inf else now - self._changed
