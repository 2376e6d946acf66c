"""`loumen config` as a technician uses it."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest

from gateway.config.new import text
from tests.cli.run_cli import loumen


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(text("simulated", str(tmp_path)))
    return path


def config(file: Path, *words: str, lang: str = "en_GB.UTF-8") -> subprocess.CompletedProcess[str]:
    return loumen("--config", str(file), "config", *words, home=file.parent, lang=lang)


def test_new(tmp_path: Path) -> None:
    path = tmp_path / "new.toml"
    done = loumen("config", "new", "--board", "simulated", "--output", str(path), home=tmp_path)
    assert (done.returncode, done.stdout) == (0, f"{path} is written; next: loumen config check {path}\n")
    assert loumen("config", "check", str(path), home=tmp_path).returncode == 0
    again = loumen("config", "new", "--board", "simulated", "--output", str(path), home=tmp_path)
    assert (again.returncode, again.stderr.splitlines()[0]) == (4, f"{path} exists already")
    assert loumen("config", "new", "--board", "pi5", home=tmp_path).stdout == text("pi5")
    assert loumen("config", "new", "--board", "pi7", home=tmp_path).returncode == 2
    nowhere = loumen("config", "new", "--board", "pi5", "--output", str(tmp_path / "no/x"), home=tmp_path)
    assert (nowhere.returncode, "cannot be written: No such file" in nowhere.stderr) == (1, True)


def test_check_tells_mistakes_in_both_languages_and_as_json(file: Path) -> None:
    assert config(file, "check").stdout == f"{file} can be used\n"
    file.write_text(file.read_text().replace('board = "simulated"', 'board = "pi6"'))
    done = config(file, "check")
    assert done.returncode == 1
    assert done.stderr == (
        "one mistake in gateway.toml\n"
        '  gateway.toml:14: box.board: "pi6" is not one of "other", "pi4", "pi5", "simulated"\n'
        '    mend: did you mean "pi5"?\n'
    )
    assert '"pi6" 不是 "other", "pi4", "pi5", "simulated" 之一' in config(file, "check", lang="zh_CN.UTF-8").stderr
    told = json.loads(config(file, "check", "--json").stdout)["error"]
    assert [(one["line"], one["key"]) for one in told["facts"]["mistakes"]] == [(14, "box.board")]


def test_check_against_a_machine_without_such_a_chip(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(text("pi5"))
    assert config(path, "check", "--no-machine").returncode == 0
    if Path("/dev/gpiochip0").exists():
        pytest.skip("this machine has GPIO chips")
    done = config(path, "check")
    assert done.returncode == 1
    assert "door.main.lock.output: There is no GPIO chip pinctrl-rp1 on this machine." in done.stderr


def test_show(file: Path) -> None:
    file.write_text(
        file.read_text().replace('# camera = "main"', 'camera = "main"')
        + '\n[camera.main]\ndriver = "rtsp"\nurl = "rtsp://admin:geheim@10.0.0.9/s1"\n'
    )
    shown = config(file, "show").stdout
    assert 'url = "rtsp://***@10.0.0.9/s1"' in shown
    assert "geheim" not in shown + config(file, "show", "--json").stdout
    assert config(file, "show", "--running").returncode == 3


def test_apply_and_confirm_without_a_daemon(file: Path) -> None:
    fresh = file.with_name("fresh.toml")
    fresh.write_text(file.read_text().replace("open_for = 5 ", "open_for = 7 "))
    before = file.read_text()
    refused = config(file, "apply", str(fresh))
    assert refused.returncode == 4
    assert refused.stdout == "- door.main.lock.open_for = 5.0\n+ door.main.lock.open_for = 7.0\n"
    assert file.read_text() == before

    done = config(file, "apply", str(fresh), "--yes")
    assert done.returncode == 0, done.stderr
    assert "the daemon does not run; it takes the file at its next start" in done.stdout
    assert "within 10 min 0 s, or the old file comes back by itself" in done.stdout
    assert file.read_text() == fresh.read_text()

    assert config(file, "apply", "--confirm").stdout == "confirmed: the new configuration stays\n"
    assert config(file, "apply", "--confirm").returncode == 1
    assert config(file, "apply", str(fresh), "--yes").stdout == "nothing would change\n"


def test_apply_refuses_what_check_refuses(file: Path) -> None:
    fresh = file.with_name("fresh.toml")
    before = file.read_text()
    for broken in ("", "[[[", before.replace("line = 5", "line = 17")):
        fresh.write_text(broken)
        assert config(file, "apply", str(fresh), "--yes").returncode == 1
    assert config(file, "apply", str(file), "--yes").returncode == 2
    assert config(file, "apply", str(fresh) + "x", "--yes").returncode == 1
    assert file.read_text() == before


def test_apply_mends_an_invalid_file(file: Path) -> None:
    fresh = file.with_name("fresh.toml")
    fresh.write_text(file.read_text())
    file.write_text(f"{file.read_text()}\nbroken")  # the state folder can still be read in it
    done = config(file, "apply", str(fresh), "--yes", "--json")
    told = json.loads(done.stdout)
    assert (done.returncode, told["applied"], told["restarting"]) == (0, True, False)
    assert {"key": "box.name", "before": None, "after": '"unit-1"'} in told["changed"]
