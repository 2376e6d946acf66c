"""The report, with an engine that reads the answer from the picture; and the command with the real one."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest
from numpy.typing import NDArray

from gateway.cli.main import main
from gateway.errors import BadImage, BadRequest, ModelError
from gateway.evaluate import door, faces, unseen
from gateway.evaluate.door import Rule
from gateway.evaluate.people import People
from gateway.evaluate.sources import of_folder
from gateway.vision import demo_faces, threshold
from gateway.vision.engine import DLIB_SPACE, Embedded, Face, Frame
from gateway.vision.quality import Quality

GOOD = Quality(size=120, sharpness=2.0, yaw=0.0, pitch=0.0, exposure=0.5, contrast=0.15)


class Painted:
    """Sees a face where the picture's middle is not black; its blue is the person, its green the pose."""

    name = "onnx"
    detector = "yunet"
    space = DLIB_SPACE

    def __init__(self) -> None:
        self.models: dict[str, str] = {}

    def find(self, frame: Frame) -> list[Face]:
        return [Face((0, 0, 9, 9), 1.0)] if self._middle(frame)[0] else []

    def search(self, picture: Frame) -> list[Face]:
        return self.find(picture)

    def embed(self, frame: Frame, face: Face) -> Embedded:
        person, pose, _ = self._middle(frame)
        base = np.random.default_rng(person).normal(0, 0.062, 128)
        return Embedded((base + np.random.default_rng(1000 + pose).normal(0, 0.012, 128)).astype(np.float32), GOOD)

    @staticmethod
    def _middle(frame: Frame) -> list[int]:
        return [int(value) for value in frame[frame.shape[0] // 2, frame.shape[1] // 2]]


def paint(where: Path, people: int, pictures: int, blind: int = 0) -> Path:
    for person in range(people):
        for number in range(pictures):
            seen = 0 if person == 0 and number < blind else person + 1
            frame = np.full((40, 30, 3), (seen, number * 16 + person, 0), np.uint8)
            cv2.imwrite(str(where / f"p{person}_{number}.png"), frame)
    return where


def test_the_report_has_its_counts(tmp_path: Path) -> None:
    source = of_folder(paint(tmp_path, people=12, pictures=10, blind=1))
    measured = faces.measure(Painted(), source)
    made = faces.report(Painted(), source, measured, 0.001, 200)
    found = made.document
    assert (found["images"], found["found"], found["people"]) == (120, 119, 12)
    assert (found["pairs_same"], found["pairs_different"]) == (11 * 45 + 36, 119 * 118 // 2 - 11 * 45 - 36)
    assert found["eer"] == 0
    assert found["tar_at_far"] == {"0.01": 1.0, "0.001": 1.0}
    interval = found["eer_interval"]
    assert isinstance(interval, tuple)
    assert interval[0] == 0
    assert 0 < interval[1] < 0.1
    assert isinstance(found["ms_per_face"], float)
    door = found["door"]
    assert isinstance(door, dict)
    assert (door["residents"], door["strangers"]) == (20 * 6 * 3, 20 * 6 * 3)
    assert (door["accepted"], door["let_in"], door["mistaken"], door["enrolled_each"]) == (360, 0, 0, 5)
    assert door["let_in_interval"][1] > 0.1
    gallery = found["gallery"]
    assert isinstance(gallery, dict)
    assert gallery["threshold"] < door["threshold"]
    assert gallery["fnir"] == 0
    assert 0 <= gallery["fpir"] <= gallery["fpir_interval"][1]
    json.dumps(found)


def test_the_scores_give_the_figures_again(tmp_path: Path) -> None:
    source = of_folder(paint(tmp_path, people=3, pictures=4))
    made = faces.report(Painted(), source, faces.measure(Painted(), source), 0.001, None)
    faces.write_scores(tmp_path / "scores.csv", source, made)
    with (tmp_path / "scores.csv").open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert list(rows[0]) == ["file_a", "file_b", "same", "distance"]
    assert len(rows) == 12 * 11 // 2
    assert sum(row["same"] == "1" for row in rows) == made.document["pairs_same"] == 18
    assert max(float(row["distance"]) for row in rows if row["same"] == "1") < 0.4
    assert "gallery" not in made.document
    with pytest.raises(BadRequest, match="cannot be written"):
        faces.write_scores(tmp_path / "none" / "scores.csv", source, made)


def test_where_nobody_is_found_there_are_counts_and_no_rates(tmp_path: Path) -> None:
    source = of_folder(paint(tmp_path, people=1, pictures=3, blind=3))
    found = faces.report(Painted(), source, faces.measure(Painted(), source), 0.001, 10).document
    assert (found["found"], found["pairs_same"], found["pairs_different"]) == (0, 0, 0)
    assert found["eer"] is None
    assert found["ms_per_face"] is None
    assert found["door"]["residents"] == found["door"]["strangers"] == 0  # type: ignore[index]


def test_a_picture_is_centred_unscaled_and_a_large_one_shrunk() -> None:
    small = faces.centred(np.zeros((100, 60, 3), np.uint8))
    assert small.shape == (480, 640, 3)
    assert (small == 0).all(axis=2).sum() == 6000
    large = faces.centred(np.zeros((2000, 1000, 3), np.uint8))
    assert (large == 0).all(axis=2).sum() == 480 * 240


def test_a_damaged_picture_is_named(tmp_path: Path) -> None:
    source = of_folder(paint(tmp_path, people=2, pictures=2))
    (tmp_path / "p1_1.png").write_bytes(b"noise")
    with pytest.raises(BadImage) as caught:
        faces.measure(Painted(), source)
    assert "p1_1.png" in caught.value.where


# --- the command


def demo() -> Path:
    try:
        return demo_faces.resident_pictures()[0].parent
    except ModelError:
        pytest.skip("the demo's pictures are not there: python -m gateway.vision.demo_faces")


def test_the_command_measures_a_folder(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    scores = tmp_path / "scores.csv"
    words = ["evaluate", "faces", "--folder", str(demo()), "--detector", "blazeface", "--json", "--scores", str(scores)]
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert list(found)[:6] == ["engine", "detector", "images", "found", "pairs_same", "pairs_different"]
    assert (found["engine"], found["detector"], found["images"], found["found"]) == ("onnx", "blazeface", 6, 6)
    assert found["eer"] == 0
    assert found["door"]["let_in"] == 0
    assert len(scores.read_text("utf-8").splitlines()) == 16


def test_the_command_measures_a_list_and_speaks_to_people(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "pairs.csv"
    file.write_text(
        "file_x,file_y,Decision\nresident_1.jpg,resident_2.jpg,Yes\nresident_1.jpg,stranger_1.jpg,No\n", "utf-8"
    )
    words = ["--lang", "en", "evaluate", "faces", "--pairs", str(file), "--images", str(demo())]
    assert main([*words, "--detector", "blazeface"]) == 0
    assert "equal error" in capsys.readouterr().out


@pytest.mark.parametrize(
    "words",
    [
        [],
        ["--pairs", "pairs.csv"],
        ["--folder", "/none"],
        ["--folder", ".", "--gallery", "0"],
        ["--folder", ".", "--fpir", "0.5"],
        ["--folder", ".", "--engine", "face-recognition", "--detector", "yunet"],
        ["--folder", ".", "--models", "/none"],
        ["--folder", ".", "--engine", "magic"],
    ],
)
def test_wrong_usage_is_exit_code_two(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    paint(tmp_path, people=2, pictures=1)
    monkeypatch.chdir(tmp_path)
    assert main(["evaluate", "faces", *words]) == 2
    assert "Traceback" not in capsys.readouterr().err


def test_a_folder_of_models_comes_from_the_option_the_environment_or_beside(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.cli.evaluate import extra_models

    monkeypatch.setenv("LOUMEN_MODELS", str(tmp_path))
    assert extra_models(None) == tmp_path
    other = tmp_path / "other"
    other.mkdir()
    assert extra_models(other) == other
    monkeypatch.delenv("LOUMEN_MODELS")
    beside = Path(__file__).resolve().parents[3] / "shared" / "models"
    assert extra_models(None) == (beside if beside.is_dir() else None)


def crowd(people: int, each: int = 9) -> tuple[dict[int, NDArray[np.float32]], People]:
    """People as far from each other as strangers are, with some spread of their own."""
    random = np.random.default_rng(6)
    centres = random.normal(0, 0.05, (people, 1, 128))
    vectors = (centres + random.normal(0, 0.012, (people, each, 128))).astype(np.float32)
    who = People(np.repeat(np.arange(people), each), ~np.eye(people, dtype=bool), named=True)
    return dict(enumerate(vectors)), who


def test_people_that_the_threshold_was_not_made_from_are_judged_apart() -> None:
    vectors, people = crowd(16)
    rule = Rule(0.001, "onnx", "yunet", 3, 5)
    halved = unseen.play(vectors, people, rule)
    assert halved is not None
    told = halved.document()
    assert told["halvings"] == len(halved.thresholds) == unseen.HALVINGS
    assert len(set(halved.thresholds)) > 1 or max(halved.thresholds) == threshold.CEILING
    assert (halved.residents, halved.strangers) == (unseen.HALVINGS * unseen.SPLITS * 4 * door.SHOWN,) * 2
    assert halved.let_in == 0
    few, of_few = crowd(10)
    assert unseen.play(few, of_few, rule) is None


@pytest.mark.parametrize(
    "wrong", ["--gallery=x", "--gallery=0", "--gallery=1e3", "--fpir=lots", "--fpir=0", "--fpir=nan"]
)
def test_a_number_that_is_none_is_asked_for_in_words(wrong: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--lang", "en", "evaluate", "faces", "--folder", ".", wrong]) == 2
    told = capsys.readouterr().err
    assert "a whole number from 1" in told or "a rate above 0" in told
