"""The real chain on drawn cars: what it reads, and what it must not believe."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import cv2
import numpy as np
import pytest

from gateway.cli.main import main
from gateway.demo import plate_picture
from gateway.errors import BadImage, BadRequest, ModelError
from gateway.evaluate import plates as evaluation
from gateway.evaluate.metrics import wilson
from gateway.lanes.plates import Candidate, Reading
from gateway.vision import models
from gateway.vision.engine import Frame
from gateway.vision.picture import read_picture
from gateway.vision.plates import beam, load
from gateway.vision.plates.reader import PlateReader, Seen

PLATES = ("京A12345", "粤BD12345", "沪C5P2Q8", "藏A00T61", "豫S33909", "川A1234学", "琼B12345F", "粤OA9112")


@pytest.fixture(scope="module")
def reader() -> PlateReader:
    return load()


# --- the beam


def spelled(text: str, p: float = 0.9) -> list[tuple[float, dict[str, float]]]:
    """A recogniser that is so sure of a text, and says nothing between its characters."""
    steps: list[tuple[float, dict[str, float]]] = []
    for sign in text:
        steps += [(1 - p, {sign: p}), (1.0, {})]
    return steps


def test_the_beam_spells_what_was_said() -> None:
    found = beam.search(spelled("京A12345"))
    assert found.best == "京A12345"
    assert found.log_p == pytest.approx(7 * np.log(0.9))


def test_a_repeated_character_needs_a_pause() -> None:
    together = [(0.0, {sign: 1.0}) for sign in "京A112345"]
    assert beam.search(together).best == "京A12345"
    assert beam.search(spelled("京A11234", 1.0)).best == "京A11234"


def test_the_beam_walks_only_where_a_plate_can_go() -> None:
    steps = spelled("京A12345")
    steps[2] = (0.0, {"7": 0.6, "B": 0.4})  # no city is called 7
    assert beam.search(steps).best == "京B12345"
    assert beam.search(spelled("LOUMEN")).candidates == ()
    assert beam.search([]).candidates == ()


def test_an_o_is_a_zero_from_the_third_place_on_and_their_probabilities_add() -> None:
    steps = spelled("京O12345")
    steps[4] = (0.0, {"0": 0.5, "O": 0.5})
    found = beam.search(steps)
    assert found.best == "京O02345"
    assert found.log_p == pytest.approx(6 * np.log(0.9))


# --- the chain


@pytest.mark.parametrize("plate", PLATES)
def test_a_drawn_car_is_read(reader: PlateReader, plate: str) -> None:
    for frame in range(3):
        found = reader.read(plate_picture.draw(plate, frame))
        assert [(one.reading.best, one.reading.confident) for one in found] == [(plate, True)]
        assert abs(found[0].box[0] + found[0].box[2] / 2 - 640) < 40


@pytest.mark.parametrize("size", [(640, 360), (1920, 1080), (720, 1280)])
def test_frames_of_any_size_are_read(reader: PlateReader, size: tuple[int, int]) -> None:
    frame = plate_picture.draw("京A12345")
    if size[0] < size[1]:  # a camera on its side sees the lane in a band
        band = np.full((size[1], size[0], 3), 90, np.uint8)
        band[400:805] = cv2.resize(frame, (720, 405), interpolation=cv2.INTER_AREA)
        frame = band
    else:
        frame = plate_picture.draw("京A12345", size=size)
    assert reader.read(frame)[0].reading.best == "京A12345"


@pytest.mark.parametrize(
    "frame",
    [
        plate_picture.empty(),
        plate_picture.badge(),
        plate_picture.badge("TOYOTA"),
        plate_picture.badge("A12345"),
        np.zeros((480, 640, 3), np.uint8),
        np.full((480, 640, 3), 255, np.uint8),
        np.random.default_rng(1).integers(0, 256, (480, 640, 3)).astype(np.uint8),
        np.zeros((16, 16, 3), np.uint8),
        np.zeros((20, 1900, 3), np.uint8),
    ],
    ids=["no car", "badge", "a maker's badge", "half a plate", "black", "white", "noise", "tiny", "a strip"],
)
def test_what_is_no_plate_is_never_believed(reader: PlateReader, frame: Frame) -> None:
    assert [one.reading.best for one in reader.read(frame) if one.reading.confident] == []


def test_a_covered_plate_is_not_believed(reader: PlateReader) -> None:
    frame = plate_picture.draw("京A12345")
    frame[530:620, 640:780] = 30
    assert [one.reading.best for one in reader.read(frame) if one.reading.confident] == []


@pytest.mark.parametrize("kept", [0, 1, 100, 20_000])
def test_a_corrupt_picture_is_told(tmp_path: Path, reader: PlateReader, kept: int) -> None:
    """Torn files: refused with a reason, or what is left of them is not believed."""
    data = cv2.imencode(".jpg", plate_picture.draw("京A12345"))[1].tobytes()[:kept]
    path = tmp_path / "torn.jpg"
    path.write_bytes(data)
    try:
        frame = read_picture(path)
    except BadImage as error:
        harmless = str(path) in error.render()
    else:
        harmless = not any(one.reading.confident for one in reader.read(frame))
    assert harmless


def test_a_missing_model_says_how_to_make_it(tmp_path: Path) -> None:
    with pytest.raises(ModelError) as told:
        load(tmp_path)
    assert "prepare" in told.value.render()


def test_a_damaged_model_is_not_run(tmp_path: Path) -> None:
    for name in ("plate-detector", "plate-reader"):
        model = models.manifest().named(name)
        (tmp_path / model.file).write_bytes(b"x" * 100)
    with pytest.raises(ModelError, match="damaged"):
        load(tmp_path)


# --- what is measured


class Painted:
    """Reads what its list says, picture by picture."""

    def __init__(self, *reads: list[Seen]) -> None:
        self.models = {"plate-detector": "0" * 64}
        self._reads = [reads[0], *reads]  # the first picture is read twice: once without the clock

    def looks(self, picture: Frame) -> list[list[Seen]]:
        return [self._reads.pop(0)]


def seen(plate: str, log_p: float) -> Seen:
    return Seen((0, 0, 9, 9), 0.9, Reading((Candidate(plate, log_p),)))


def labelled(folder: Path, *labels: str) -> Path:
    rows = []
    for number, label in enumerate(labels):
        cv2.imwrite(str(folder / f"{number}.png"), np.zeros((40, 60, 3), np.uint8))
        rows.append(f"{number}.png,{label}\n")
    file = folder / "labels.csv"
    file.write_text("filename,plate\n" + "".join(rows), "utf-8")
    return file


def test_the_report_counts_as_it_says(tmp_path: Path) -> None:
    file = labelled(tmp_path, "京A·1O345", "京A12345", "京A12345", "京A12345", "京A12345")
    reader = Painted(
        [seen("京A10345", -0.1)],
        [seen("京A12345", -3.0), seen("粤B12345", -0.1)],  # right but unsure, and another confidently
        [seen("津A12345", -0.1)],
        [],
        [Seen((0, 0, 9, 9), 0.9, Reading(()))],
    )
    results = evaluation.measure(reader, evaluation.of_labels(file, tmp_path))
    found = evaluation.report(reader, results)
    kinds = ("images", "detected", "exact", "exact_without_province", "confident", "confident_wrong", "unreadable")
    assert [found[kind] for kind in kinds] == [5, 4, 2, 3, 3, 2, 0]
    spans = found["intervals"]
    assert isinstance(spans, dict)
    assert spans["exact"] == pytest.approx(wilson(2, 5), abs=1e-4)

    scores = tmp_path / "scores.csv"
    evaluation.write_scores(scores, results)
    with scores.open(encoding="utf-8", newline="") as file_:
        rows = list(csv.DictReader(file_))
    assert list(rows[0]) == list(evaluation.SCORES)
    assert len({row["filename"] for row in rows}) == 5
    right = {row["filename"] for row in rows if row["read"] == row["label"]}
    believed = {row["filename"] for row in rows if row["confident"] == "1"}
    wrong = {row["filename"] for row in rows if row["confident"] == "1" and row["read"] != row["label"]}
    assert (len(right), len(believed), len(wrong)) == (
        found["exact"],
        found["confident"],
        found["confident_wrong"],
    )


def test_a_picture_that_cannot_be_decoded_is_counted_and_told(tmp_path: Path) -> None:
    file = labelled(tmp_path, "京A12345", "京A12345")
    (tmp_path / "1.png").write_bytes(b"no picture")
    told: list[BadImage] = []
    reader = Painted([seen("京A12345", -0.1)])
    results = evaluation.measure(reader, evaluation.of_labels(file, tmp_path), unreadable=told.append)
    found = evaluation.report(reader, results)
    assert (found["images"], found["exact"], found["unreadable"]) == (2, 1, 1)
    assert "1.png" in told[0].render()


@pytest.mark.parametrize(
    ("text", "where", "why"),
    [
        ("filename,label\na.png,京A12345\n", ":1", "plate"),
        ("filename,plate\na.png,京A12345\n", ":2", "a.png"),
        ("filename,plate\n0.png,\n", ":2", "no label"),
        ("filename,plate\n", "", "no pictures"),
    ],
)
def test_wrong_labels_are_told_by_line(tmp_path: Path, text: str, where: str, why: str) -> None:
    labelled(tmp_path, "京A12345")
    file = tmp_path / "wrong.csv"
    file.write_text(text, "utf-8")
    with pytest.raises(BadRequest) as told:
        evaluation.of_labels(file, tmp_path)
    assert f"{file}{where}" in told.value.render()
    assert why in told.value.render()


def test_labels_in_another_encoding_are_told(tmp_path: Path) -> None:
    file = labelled(tmp_path, "京A12345")
    file.write_bytes(file.read_text("utf-8").encode("gbk"))
    with pytest.raises(BadRequest, match="UTF-8"):
        evaluation.of_labels(file, tmp_path)


def test_a_car_behind_another_is_read_but_not_confidently(tmp_path: Path) -> None:
    file = labelled(tmp_path, "京A12345")
    behind = Seen((0, 0, 9, 9), 0.9, seen("粤B12345", -0.1).reading, behind=True)
    results = evaluation.measure(Painted([seen("京A12345", -3.0), behind]), evaluation.of_labels(file, tmp_path))
    found = evaluation.report(Painted([]), results)
    assert [found[kind] for kind in ("exact", "confident", "confident_wrong")] == [1, 0, 0]


def test_the_command_prints_its_document(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    rows = ["filename,plate"]
    for plate in PLATES[:3]:
        cv2.imwrite(str(tmp_path / f"{plate[1:]}.png"), plate_picture.draw(plate))
        rows.append(f"{plate[1:]}.png,{plate}")
    (tmp_path / "labels.csv").write_text("\n".join(rows), "utf-8")
    words = ["evaluate", "plates", "--labels", str(tmp_path / "labels.csv"), "--images", str(tmp_path)]
    assert main(["--json", *words, "--scores", str(tmp_path / "s.csv")]) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found["images"], found["exact"], found["confident"], found["confident_wrong"]) == (3, 3, 3, 0)
    assert found["ms_per_image"] > 0
    assert len((tmp_path / "s.csv").read_text("utf-8").splitlines()) == 4
    assert main(words) == 0
    assert "3 / 3" in capsys.readouterr().out


def test_the_promised_figures_on_the_dev_half(shared: Path, reader: PlateReader) -> None:
    folder = shared / "data" / "plates"
    if not (folder / "plates-dev.csv").is_file():
        pytest.skip(f"no labelled plates at {folder}")
    results = evaluation.measure(reader, evaluation.of_labels(folder / "plates-dev.csv", folder))
    found = evaluation.report(reader, results)
    count, exact, wrong = found["images"], found["exact"], found["confident_wrong"]
    assert isinstance(count, int)
    assert isinstance(exact, int)
    assert isinstance(wrong, int)
    assert exact >= 0.95 * count
    assert wrong <= 2 / 128 * count
