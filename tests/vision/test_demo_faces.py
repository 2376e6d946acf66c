"""The demo's pictures come out of one archive, and out of no other."""

from __future__ import annotations

import subprocess
import tarfile
from pathlib import Path

import pytest

from gateway.errors import ModelError
from gateway.vision import demo_faces, models


def test_another_archive_is_refused(tmp_path: Path) -> None:
    archive = tmp_path / "face_recognition-1.3.0.tar.gz"
    with tarfile.open(archive, "w:gz") as content:
        content.add(__file__, demo_faces.INSIDE + "obama.jpg")
    with pytest.raises(ModelError, match="SHA-256"):
        demo_faces.prepare(tmp_path / "faces", archive)
    assert not (tmp_path / "faces").exists()


def test_an_archive_of_the_right_name_with_another_picture_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    archive = tmp_path / "a.tar.gz"
    with tarfile.open(archive, "w:gz") as content:
        content.add(__file__, demo_faces.INSIDE + "obama.jpg")
    monkeypatch.setattr(demo_faces, "SOURCE_SHA256", models.sha256(archive))
    with pytest.raises(ModelError, match="another picture"):
        demo_faces.prepare(tmp_path / "faces", archive)


def test_without_an_index_the_mend_is_told(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refused(*_words: object, **_more: object) -> subprocess.CompletedProcess[str]:
        return subprocess.CompletedProcess([], 1, "", "looking\nERROR: no index\n")

    monkeypatch.setattr(subprocess, "run", refused)
    with pytest.raises(ModelError, match="ERROR: no index") as caught:
        demo_faces.prepare(tmp_path)
    assert "gateway.vision.demo_faces" in caught.value.render()
    with pytest.raises(ModelError, match="not there"):
        demo_faces.resident_pictures(tmp_path)


def test_what_is_there_is_not_fetched_again(monkeypatch: pytest.MonkeyPatch) -> None:
    try:
        residents, strangers = demo_faces.resident_pictures(), demo_faces.stranger_pictures()
    except ModelError:
        pytest.skip("the demo's pictures are not there: python -m gateway.vision.demo_faces")
    monkeypatch.setattr(demo_faces, "_fetch", lambda _room: pytest.fail("fetched"))
    assert demo_faces.prepare() is False
    assert len(residents) == 5
    assert len(strangers) == 1
