"""Reads a plate that lies upright: PP-OCRv4's recogniser in onnxruntime, its characters folded onto a plate's."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gateway.errors import ModelError, N_
from gateway.lanes import plates
from gateway.lanes.plates import Reading
from gateway.vision.engine import Frame
from gateway.vision.plates.beam import FAINT, search
from gateway.vision.plates.detector import session

BLANK = 0  # the network's class for nothing; its characters follow, and a space is the last
_SAME = {"o": "O", "l": "1", "i": "1", "I": "1"}


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
