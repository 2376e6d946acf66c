"""Reads a plate that lies upright: PP-OCRv4's recogniser in onnxruntime, its characters folded onto a plate's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from gateway.errors import ModelError, N_
from gateway.lanes import plates
from gateway.lanes.plates import Reading
from gateway.vision.engine import Frame
from gateway.vision.plates.beam import FAINT, search
from gateway.vision.plates.detector import Floats, session

WIDTH, HEIGHT = 202, 48
BLANK = 0  # the network's class for nothing; its characters follow, and a space is the last
_SAME = {"o": "O", "l": "1", "i": "1", "I": "1"}
#: A plate of two rows (440 x 220 mm): where the upper one lies in 202 x 96, how wide it is before the lower one.
TWO_ROWS = 2.4
UPPER, INNER, HEAD = (4, 37), (40, 162), 62


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


def extent(corners: Floats) -> tuple[float, float]:
    """How wide and how high a plate is in the frame."""
    sides = np.linalg.norm(corners - np.roll(corners, -1, axis=0), axis=1)
    return float(max(sides[0], sides[2])), float(max(sides[1], sides[3]))


def two_rows(corners: Floats) -> bool:
    """Whether a plate is so high that it may have two rows."""
    across, down = extent(corners)
    return across < TWO_ROWS * down


def in_one_row(frame: Frame, corners: Floats) -> Frame:
    """A plate of two rows with the upper one, province and city, set before the lower one."""
    whole = straight(frame, corners, 2 * HEIGHT)
    upper = cv2.resize(whole[UPPER[0] : UPPER[1], INNER[0] : INNER[1]], (HEAD, HEIGHT), interpolation=cv2.INTER_LINEAR)
    lower = cv2.resize(whole[UPPER[1] :], (WIDTH - HEAD, HEIGHT), interpolation=cv2.INTER_LINEAR)
    return np.asarray(np.hstack((upper, lower)), np.uint8)


class Recogniser:
    """`read` gives the likeliest plates of pictures of 202 x 48."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        self._session = session(path, threads)
        known = self._session.get_modelmeta().custom_metadata_map.get("character", "").splitlines()
        self._input = self._session.get_inputs()[0].name
        self._silent, self._from, self._to = _columns([*known, " "])
        self._signs = plates.SIGNS
        if len(set(self._to.tolist())) != len(set(self._signs)):
            raise ModelError(
                N_("the plate reader does not know every character of a plate"),
                where=str(path),
                mend=N_("use the file of the manifest"),
            )

    def read(self, crops: Sequence[Frame]) -> list[Reading]:
        """One reading a crop; one without candidates where nothing like a plate is written."""
        if not crops:
            return []
        batch = np.stack([crop.transpose(2, 0, 1) for crop in crops]).astype(np.float32) / 127.5 - 1
        (all_steps,) = self._session.run(None, {self._input: batch})
        return [search(self._fold(np.asarray(steps, np.float64))) for steps in all_steps]

    def _fold(self, steps: npt.NDArray[np.float64]) -> list[tuple[float, dict[str, float]]]:
        """Each step: the probability of nothing (separators are nothing), and of each sign of a plate."""
        silent = steps[:, self._silent].sum(axis=1)
        signs = steps[:, self._from] @ np.eye(len(self._signs))[self._to]  # sums what means the same
        return [
            (float(nothing), {self._signs[at]: float(row[at]) for at in np.flatnonzero(row > FAINT)})
            for nothing, row in zip(silent, signs, strict=True)
        ]


def _columns(known: Sequence[str]) -> tuple[npt.NDArray[np.intp], npt.NDArray[np.intp], npt.NDArray[np.intp]]:
    """The columns that mean nothing; those that mean a sign, and which."""
    silent, came, sign = [BLANK], [], []
    for column, character in enumerate(known, start=1):
        if not character or character in plates.SEPARATORS:
            silent.append(column)
            continue
        meant = _SAME.get(character, character)
        if meant in plates.SIGNS:
            came.append(column)
            sign.append(plates.SIGNS.index(meant))
    return np.array(silent, np.intp), np.array(came, np.intp), np.array(sign, np.intp)
