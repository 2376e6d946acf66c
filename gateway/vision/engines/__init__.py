"""The engines, loaded by name. Heavy packages are imported here and in no other process than vision's."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from gateway.errors import ModelError, N_
from gateway.vision import models
from gateway.vision.engines.quiet import quiet

if TYPE_CHECKING:
    from gateway.vision.engine import Engine

NAMES = ("onnx", "face-recognition")
DETECTORS = ("yunet", "blazeface")


def load(
    name: str,
    models_dir: Path | None = None,
    extra_models: Path | None = None,
    threads: int = 1,
    detector: str = "",
    *,
    bounded: bool = False,
) -> Engine:
    """An engine, ready. Raises ModelError.

    `extra_models` is where YuNet may have been put; `detector` insists on one, else the better one that is there runs.
    `bounded`: a look takes about the same time at every picture, as a door's process needs it.
    """
    with quiet():
        if name == "onnx":
            return _onnx(models_dir or models.folder(), extra_models, threads, detector)
        if name == "face-recognition":
            return _face_recognition(bounded=bounded)
    raise ModelError(
        N_("there is no face engine '{name}'"),
        mend=N_("use one of: {allowed}"),
        name=name,
        allowed=", ".join(NAMES),
    )


def _onnx(folder: Path, extra: Path | None, threads: int, wanted: str) -> Engine:
    import cv2

    from gateway.vision.convert import trees
    from gateway.vision.engines.landmark import Landmarks
    from gateway.vision.engines.onnx import Detector, OnnxEngine
    from gateway.vision.engines.resnet import Resnet

    cv2.setNumThreads(threads)
    content = models.manifest()
    used: dict[str, str] = {}

    def path(model_name: str) -> Path:
        model = content.named(model_name)
        used[model_name] = model.sha256
        return models.checked(model, folder)

    yunet = None if wanted == "blazeface" else models.put(content.optional_named("yunet"), extra)
    if yunet is not None:
        from gateway.vision.engines.yunet import Yunet

        used["yunet"] = content.optional_named("yunet").sha256
        finder: Detector = Yunet(yunet)
    elif wanted == "yunet":
        raise ModelError(
            N_("the detector YuNet is wanted, and its file {file} was not put anywhere"),
            where=str(extra or ""),
            mend=N_("get it from {upstream} and name its folder"),
            file=content.optional_named("yunet").file,
            upstream=content.optional_named("yunet").upstream,
        )
    else:
        from gateway.vision.engines.blazeface import Blazeface

        finder = Blazeface(path("blazeface-full-range"), path("blazeface-short-range"), threads)
    landmarks = Landmarks(trees.read(path("dlib-trees-5").read_bytes()))
    return OnnxEngine(finder, landmarks, Resnet(path("dlib-resnet"), threads), used)


def _face_recognition(*, bounded: bool) -> Engine:
    from gateway.vision.engines.face_recognition import FaceRecognitionEngine

    named = (models.manifest().named(name) for name in ("dlib-resnet", "dlib-trees-5"))
    return FaceRecognitionEngine({model.name: model.source_sha256 for model in named}, bounded=bounded)
