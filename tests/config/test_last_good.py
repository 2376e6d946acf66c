"""An invalid file never keeps the daemon from starting."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gateway.config.apply import Applied
from gateway.config.last_good import COPY, FOLDER, choose, save
from gateway.config.new import text


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(text("simulated", str(tmp_path)))
    return path


def said(path: Path) -> list[str]:
    return [problem.render().splitlines()[0] for problem in choose(path).problems]


def test_a_good_file_runs_and_is_saved(file: Path) -> None:
    chosen = choose(file)
    assert (chosen.source, chosen.problems) == ("file", ())
    save(chosen)
    copy = file.parent / "state" / FOLDER / COPY
    before = copy.stat().st_ino
    save(choose(file))
    assert copy.stat().st_ino == before  # the same text is not written again


def test_the_last_good_one_runs_when_the_file_is_broken(file: Path) -> None:
    save(choose(file))
    for broken in ("[[[", "[site]\nname = 1", "\0"):
        file.write_text(file.read_text() + "\n" + broken)
        chosen = choose(file)
        assert chosen.source == "last good"
        assert list(chosen.config.door) == ["main"]
        assert said(file)[1] == "the configuration file is invalid; the last good one runs"
        save(chosen)  # what runs is the copy: it is not saved over itself


def test_a_file_that_is_not_there_is_found_by_the_state_folder_of_systemd(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    save(choose(file))
    file.unlink()
    monkeypatch.setenv("STATE_DIRECTORY", str(file.parent / "state"))
    assert choose(file).source == "last good"


def test_without_a_copy_there_are_no_doors_but_a_socket(file: Path) -> None:
    file.write_text(file.read_text() + "\nnonsense")
    chosen = choose(file)
    assert chosen.source == "minimal"
    assert not chosen.config.door
    assert chosen.config.box.run == str(file.parent / "run")
    assert chosen.config.control.socket == str(file.parent / "run" / "loumen.sock")
    assert said(file)[1] == "there is no last good configuration; no door is served"


@pytest.mark.parametrize("damage", [b"", b"noise\xff" * 10, b"# sha256 00\n[site]\n"])
def test_a_damaged_copy_is_not_believed(file: Path, damage: bytes) -> None:
    save(choose(file))
    (file.parent / "state" / FOLDER / COPY).write_bytes(damage)
    file.write_text(file.read_text() + "\nnonsense")
    assert choose(file).source == "minimal"
    assert said(file)[1].startswith("the last good configuration cannot be used (")


def test_a_copy_whose_bytes_changed_is_not_believed(file: Path) -> None:
    save(choose(file))
    copy = file.parent / "state" / FOLDER / COPY
    copy.write_text(copy.read_text().replace("line = 5", "line = 9"))
    file.write_text("nonsense\n" + file.read_text())
    assert choose(file).source == "minimal"


@settings(max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(st.binary(max_size=300), st.integers(0, 600))
def test_no_file_keeps_it_from_starting(file: Path, noise: bytes, at: int) -> None:
    good = text("simulated", str(file.parent)).encode()
    file.write_bytes(good[:at] + noise + good[at:])
    chosen = choose(file)
    assert chosen.source in {"file", "last good", "minimal"}
    assert chosen.source == "file" or chosen.problems


def test_a_folder_in_the_file_s_place(tmp_path: Path) -> None:
    assert choose(tmp_path).source == "minimal"


# --- an apply that nobody confirms


def test_an_unconfirmed_file_is_taken_back_at_the_next_start(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from gateway.clock import SystemClock

    old = file.read_text()
    applied = Applied(file.parent / "state" / FOLDER, file)
    applied.put_in_place(old.replace('name = "Main door"', 'name = "New door"'), SystemClock().now(), window=-1)
    chosen = choose(file)
    assert chosen.source == "before apply"
    assert chosen.config.door["main"].name == "Main door"
    assert file.read_text() == old
    assert "New door" in applied.refused.read_text()
    assert chosen.problems[0].what == "the new configuration was not confirmed in time and was taken back"
    assert choose(file).source == "file"


def test_where_the_file_cannot_be_written_the_old_text_runs_all_the_same(
    file: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from gateway.clock import SystemClock

    applied = Applied(file.parent / "state" / FOLDER, file)
    applied.put_in_place(file.read_text() + "\n# new\n", SystemClock().now(), window=-1)

    def read_only(_self: Applied) -> None:
        raise PermissionError(13, os.strerror(13))

    monkeypatch.setattr(Applied, "put_back", read_only)
    chosen = choose(file)
    assert chosen.source == "before apply"
    assert "the one before it runs, and the file is still new" in chosen.problems[0].render()
