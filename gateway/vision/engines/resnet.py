"""The ResNet in onnxruntime: chips in, 128 numbers each out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime

from gateway.vision.engine import Frame, Vector


class Resnet:
    """dlib's net. `threads` is how many cores one call may use."""

    def __init__(self, path: Path, threads: int = 1) -> None:
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = threads
        options.inter_op_num_threads = 1
        options.execution_mode = onnxruntime.ExecutionMode.ORT_SEQUENTIAL
        options.log_severity_level = 3
        self._session = onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])

    def embed(self, chip: Frame) -> Vector:
        """The numbers of one BGR chip."""
        return np.asarray(self._run(chip[None, :, :, ::-1])[0])

    def embed_both(self, chip: Frame) -> Vector:
        """The mean over the chip and its mirror image: a little better at the price of a second pass (measured)."""
        return np.asarray(self._run(np.stack((chip[:, :, ::-1], chip[:, ::-1, ::-1]))).mean(axis=0))

    def _run(self, chips: Frame) -> Vector:
        (numbers,) = self._session.run(None, {"chips": np.ascontiguousarray(chips)})
        return np.asarray(numbers, np.float32)
