"""`loumen person` and `loumen face` against a real directory behind a real control socket."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.dispatch import dispatch
from gateway.locale import moment
from tests.cli.people_box import box
from tests.directory.house import TestIdentity, TestVision, embedding

Loumen = Callable[..., tuple[int, Any]]


@pytest.fixture
def vision() -> TestVision:
    return TestVision(embeddings=(embedding(1),), drift=0.03)


@pytest.fixture
def loumen(tmp_path: Path, vision: TestVision, capsys: pytest.CaptureFixture[str]) -> Iterator[Loumen]:
    """Runs a command line with --json (or without, `words=True`); its exit code and document (or text)."""
    with box(tmp_path, vision) as socket:

        def call(*line: object, words: bool = False) -> tuple[int, Any]:
            given = [str(word) for word in line]
            code = dispatch([*given, "--socket", str(socket), "--yes", *(["--lang", "en"] if words else ["--json"])])
            said = capsys.readouterr()
            return code, said.out + said.err if words else json.loads(said.out)

        yield call


def test_a_person_from_adding_to_forgetting(loumen: Loumen) -> None:
    code, added = loumen("person", "add", "王小明", "--home", "3-2-501", "--door", "main", "--until", "2027-01-31")
    assert code == 0
    person = added["person"]["id"]
    code, listed = loumen("person", "list")
    assert (code, listed["total"], listed["people"][0]["name"]) == (0, 1, "王小明")
    code, words = loumen("person", "list", "--search", "王", words=True)
    assert code == 0
    assert "王小明" in words
    assert "3-2-501" in words
    code, changed = loumen("person", "change", "王小明", "--suspend")
    assert (code, changed["person"]["active"]) == (0, False)
    code, words = loumen("person", "show", person[:8], words=True)
    assert "suspended" in words
    code, done = loumen("person", "forget", "王小明")
    assert (code, done) == (0, {"person": person, "forgotten": True})
    code, error = loumen("person", "show", "王小明")
    assert (code, error["error"]["code"]) == (1, "not_found")


def test_wrong_use_is_told_as_such(loumen: Loumen) -> None:
    code, error = loumen("person", "add", "王小明", "--door", "后门")
    assert (code, error["error"]["code"]) == (2, "request")
    code, error = loumen("person", "add", "王小明", "--door", "nowhere")
    assert (code, error["error"]["facts"]["doors"]) == (2, "main, garage")
    code, error = loumen("person", "add", "王小明", "--until", "明年")
    assert code == 2
    code, error = loumen("person", "change", "王小明")
    assert code == 2
    code, error = loumen("person", "add", "小小", "--under-14", "--consent")
    assert code == 2
    code, listed = loumen("person", "list")
    assert listed["total"] == 0


def test_faces_from_pictures_a_folder_and_a_camera(loumen: Loumen, vision: TestVision, tmp_path: Path) -> None:
    loumen("person", "add", "李秀英", "--all-doors")
    folder = tmp_path / "照片"
    folder.mkdir()
    for number in range(12):
        (folder / f"{number}.jpg").write_bytes(b"jpeg%d" % number)
    (folder / "说明.txt").write_text("不是照片")
    code, error = loumen("face", "enrol", "李秀英", folder / "0.jpg")
    assert (code, error["error"]["code"]) == (4, "refused")
    code, done = loumen("face", "enrol", "李秀英", folder / "0.jpg", "--consent")
    assert (code, len(done["faces"]), vision.seen) == (0, 1, [b"jpeg0"])
    code, done = loumen("face", "enrol", "李秀英", "--folder", folder)
    assert (code, len(done["faces"])) == (0, 2)  # one a request here: the double answers with one face each
    code, done = loumen("face", "enrol", "李秀英", "--camera")
    assert (code, vision.asked[-1]) == (0, "porch")
    code, listed = loumen("face", "list", "李秀英")
    assert len(listed["faces"]) == 4
    code, words = loumen("face", "try", folder / "1.jpg", "--door", "main", words=True)
    assert code == 0
    assert "李秀英" in words
    assert "0.420" in words
    vision.embeddings = (embedding(9),)
    code, tried = loumen("face", "try", folder / "1.jpg", "--door", "main")
    assert (code, tried["would_open"]) == (1, False)
    code, done = loumen("face", "remove", "李秀英", listed["faces"][0]["id"])
    assert len(done["removed"]) == 1
    code, done = loumen("face", "remove", "李秀英", "--withdraw-consent")
    assert (len(done["removed"]), done["withdrawn"]) == (3, 1)


def test_bad_pictures_have_a_reason(loumen: Loumen, vision: TestVision, tmp_path: Path) -> None:
    loumen("person", "add", "李秀英", "--all-doors", "--consent")
    huge = tmp_path / "huge.jpg"
    with huge.open("wb") as file:
        file.truncate(100 * 1024 * 1024)
    code, error = loumen("face", "enrol", "李秀英", huge)
    assert (code, error["error"]["code"]) == (1, "image")
    code, error = loumen("face", "enrol", "李秀英", tmp_path / "没有.jpg")
    assert (code, error["error"]["code"]) == (2, "request")
    empty = tmp_path / "empty.jpg"
    empty.touch()
    code, error = loumen("face", "enrol", "李秀英", empty)
    assert (code, error["error"]["code"]) == (1, "image")
    (folder := tmp_path / "空").mkdir()
    code, words = loumen("face", "enrol", "李秀英", "--folder", folder, words=True)
    assert code == 2
    assert "no picture in" in words
    vision.embeddings, vision.refused = (), ("the face is blurred",)
    picture = tmp_path / "模糊.jpg"
    picture.write_bytes(b"x")
    code, words = loumen("face", "enrol", "李秀英", picture, words=True)
    assert code == 1
    assert "the face is blurred" in words
    assert "模糊.jpg" in words
    code, done = loumen("face", "enrol", "李秀英", picture, huge, empty)
    assert (code, done["faces"]) == (1, [])
    assert {refused["name"]: refused["why"] for refused in done["refused"]} == {
        "huge.jpg": "{file} has more than {most} MB",
        "empty.jpg": "the picture is empty",
        "模糊.jpg": "the face is blurred",
    }
    code, words = loumen("face", "enrol", "李秀英", picture, huge, empty, words=True)
    assert "no picture was taken" in words
    assert "huge.jpg has more than 10 MB" in words


@pytest.mark.parametrize("seconds", ["nan", "-5", "0", "1e9"])
def test_a_camera_looks_for_seconds_not_for_years(loumen: Loumen, seconds: str) -> None:
    loumen("person", "add", "李秀英", "--all-doors", "--consent")
    code, words = loumen("face", "enrol", "李秀英", "--camera", f"--seconds={seconds}", words=True)
    assert code == 2
    assert "1 to 60 seconds" in words


def test_a_consents_moment_is_told_by_the_sites_clock(loumen: Loumen) -> None:
    loumen("person", "add", "李秀英", "--all-doors")
    code, words = loumen("face", "consent", "李秀英", "--consented-on", "2026-05-05T23:30", words=True)
    assert code == 0
    given = datetime.fromisoformat(loumen("person", "show", "李秀英")[1]["consents"][0]["given_at"])
    assert moment(given.isoformat()) in words


def test_one_bad_picture_does_not_stop_the_others(loumen: Loumen, vision: TestVision, tmp_path: Path) -> None:
    loumen("person", "add", "李秀英", "--all-doors", "--consent")
    good, empty = tmp_path / "good.jpg", tmp_path / "empty.jpg"
    good.write_bytes(b"x")
    empty.touch()
    code, words = loumen("face", "enrol", "李秀英", empty, good, words=True)
    assert code == 0
    assert "1 faces are stored" in words
    assert "not taken: empty.jpg: the picture is empty" in words
    vision.drift = 0.0
    vision.embeddings = (embedding(1), embedding(1))
    loumen("face", "enrol", "李秀英", good)
    code, words = loumen("face", "enrol", "李秀英", good, words=True)
    assert code == 1
    assert "stored already" in words


def test_a_picture_may_follow_any_option(loumen: Loumen, vision: TestVision, tmp_path: Path) -> None:
    picture = tmp_path / "1.jpg"
    picture.write_bytes(b"x")
    loumen("person", "add", "李秀英", "--all-doors")
    code, done = loumen("face", "enrol", "李秀英", "--despite-likeness", picture, "--consent", picture)
    assert (code, len(done["faces"]), len(vision.files)) == (0, 1, 2)


def test_whom_a_face_looks_like_is_told_by_name(loumen: Loumen, vision: TestVision, tmp_path: Path) -> None:
    picture = tmp_path / "1.jpg"
    picture.write_bytes(b"x")
    for name in ("李秀英", "张伟"):
        loumen("person", "add", name, "--all-doors", "--consent")
    loumen("face", "enrol", "李秀英", picture)
    code, words = loumen("face", "enrol", "张伟", picture, words=True)
    assert code == 4
    assert "looks like that of 李秀英" in words
    vision.embeddings = (embedding(2),)
    assert loumen("face", "enrol", "张伟", picture)[0] == 0
    code, words = loumen("face", "enrol", "李秀英", picture, words=True)  # a neighbour's face under her name
    assert code == 4
    assert "looks like that of 张伟" in words


def test_people_travel_between_two_boxes(loumen: Loumen, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    bundle, here, there = tmp_path / "people.bundle", tmp_path / "here.key", tmp_path / "there.key"
    other = tmp_path / "other"
    other.mkdir()
    loumen("person", "add", "王小明", "--all-doors", "--consent")
    loumen("person", "add", "李秀英", "--all-doors")
    one = tmp_path / "one.bundle"
    here.write_text(json.dumps(loumen("person", "key")[1]))
    with box(other, TestVision(), TestIdentity("unit-2")) as socket:
        capsys.readouterr()
        assert dispatch(["person", "key", "--socket", str(socket)]) == 0
        there.write_text(capsys.readouterr().out)
        code, done = loumen("person", "export", "--to", there, bundle)
        assert (code, done["people"], done["size"]) == (0, 2, bundle.stat().st_size)
        code, done = loumen("person", "export", one, "--to", there, "李秀英")  # words and options in any order
        assert (code, done["people"]) == (0, 1)
        line = ["person", "import", str(bundle), "--from", str(here), "--socket", str(socket), "--json"]
        assert dispatch(line) == 0
        assert json.loads(capsys.readouterr().out)["added"] == 2
        assert dispatch(line) == 0
        assert json.loads(capsys.readouterr().out)["unchanged"] == 2
        wrong = [*line[:4], str(there), *line[5:]]
        assert dispatch(wrong) == 4
        capsys.readouterr()
        changed = bundle.read_bytes()
        bundle.write_bytes(changed[:-80] + bytes([changed[-80] ^ 1]) + changed[-79:])
        assert dispatch([*line[:-1], "--lang", "zh"]) == 4
        assert "不是由指定的网关签名的" in capsys.readouterr().err
        for size, words in ((0, "is empty"), (100 << 20, "has 100 MB")):
            with bundle.open("wb") as file:
                file.truncate(size)
            assert dispatch([*line[:-1], "--lang", "en"]) == 2
            assert words in capsys.readouterr().err
    assert loumen("person", "export", "--to", bundle, tmp_path / "x")[0] == 2
