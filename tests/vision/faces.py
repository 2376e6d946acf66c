"""The engines and the demo's pictures for tests: each engine is loaded once for all of them."""

from __future__ import annotations

import functools
import os
from pathlib import Path

import cv2
import numpy as np
import pytest

from gateway.errors import ModelError
from gateway.vision import demo_faces, engines
from gateway.vision.engine import Engine, Frame
from gateway.vision.picture import read_picture

SHARED = Path(os.environ.get("LOUMEN_SHARED", Path(__file__).resolve().parents[3] / "shared"))


@functools.cache
def engine(name: str) -> Engine:
    """One of "yunet", "blazeface" (the onnx engine with that detector) and "hog"."""
    if name == "hog":
        return engines.load("face-recognition")
    if name == "yunet" and not (SHARED / "models").is_dir():
        pytest.skip("YuNet was not put anywhere")
    return engines.load("onnx", extra_models=SHARED / "models", detector=name)


@functools.cache
def resident(number: int, scale: float = 0.5) -> Frame:
    return _scaled(_pictures()[0][number - 1], scale)


@functools.cache
def stranger() -> Frame:
    return _scaled(_pictures()[1][0], 0.5)


def _scaled(path: Path, scale: float) -> Frame:
    shrunk = cv2.resize(read_picture(path), None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, np.uint8)


@functools.cache
def _pictures() -> tuple[list[Path], list[Path]]:
    try:
        return demo_faces.resident_pictures(), demo_faces.stranger_pictures()
    except ModelError:
        pytest.skip("the demo's pictures are not there: python -m gateway.vision.demo_faces")
