"""`loumen model`: what there is, whether it is right, how to get what is not."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gateway.cli.main import main
from gateway.cli.model import USES
from gateway.vision import models


def test_the_list_names_every_model_with_its_licence(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "list", "--json"]) == 0
    found = json.loads(capsys.readouterr().out)
    assert [each["name"] for each in found["models"]][-1] == "yunet"
    assert {each["state"] for each in found["models"] if each["needed"]} == {"ok"}
    assert all(each["licence"] and each["sha256"] and each["source"] for each in found["models"])
    assert (found["engine"], found["detector"]) == ("onnx", "blazeface")


def test_the_list_says_what_a_configuration_runs(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text('[vision]\nengine = "face-recognition"\n', "utf-8")
    assert main(["model", "list", "--config", str(config), "--lang", "en"]) == 0
    assert "engine face-recognition, detector hog" in capsys.readouterr().out


def test_verify_says_no_where_a_model_is_missing_or_damaged(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["model", "verify"]) == 0
    (tmp_path / models.manifest().optional_named("yunet").file).write_bytes(b"noise")
    assert main(["model", "verify", "--models", str(tmp_path)]) == 1
    monkeypatch.setattr(models, "folder", lambda: tmp_path / "none")
    assert main(["model", "verify", "--json"]) == 1
    assert json.loads(capsys.readouterr().out.splitlines()[-1])["ok"] is False


def test_a_file_that_is_no_model_is_not_put_in_place(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "other.onnx").write_bytes(b"other")
    words = ["--lang", "en", "model", "fetch", "--from", str(tmp_path / "other.onnx")]
    assert main([*words, "--models", str(tmp_path)]) == 1
    assert "none of the manifest's" in capsys.readouterr().err
    assert main([*words, "--config", str(tmp_path / "none.toml")]) == 2


def test_fetching_what_is_there_does_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["model", "fetch", "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["made"] == []


def test_what_each_model_is_for_is_in_the_catalogue() -> None:
    assert {model.use for model, _state in models.states()} == set(USES)
