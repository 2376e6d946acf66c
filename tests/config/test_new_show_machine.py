"""Files for boards load and check clean; what is shown has no secrets; a machine says what it lacks."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest

from drivers.errors import LineMissing, N_
from drivers.interfaces import LineInfo
from gateway.config.load import parse
from gateway.config.machine import check_machine
from gateway.config.mistakes import Finding
from gateway.config.new import BOARDS, Board, text
from gateway.config.places import places_of
from gateway.config.schema import Gateway
from gateway.config.show import flat, mask_text, toml
from gateway.locale import translator

FILE = Path("gateway.toml")


@pytest.mark.parametrize("board", BOARDS)
def test_a_new_file_is_clean(board: Board) -> None:
    loaded = parse(text(board), FILE)
    assert loaded.warnings == ()
    assert loaded.config.box.board == board


@pytest.mark.parametrize("board", BOARDS)
def test_its_comments_are_in_the_readers_language_and_the_rest_is_the_same(board: Board) -> None:
    chinese = text(board, "", translator("zh"))
    assert parse(chinese, FILE).config == parse(text(board), FILE).config
    for line, english in zip(chinese.splitlines(), text(board).splitlines(), strict=True):
        if english.lstrip("# ").partition(" = ")[0] in {"open_for", "kind", "host", "camera", "[lane.gate]"}:
            assert line.partition("   # ")[0] == english.partition("   # ")[0]
    told = [line for line in chinese.splitlines() if line.startswith("# ") and " = " not in line and "[" not in line]
    assert all(any("\u4e00" <= letter <= "\u9fff" for letter in line) for line in told), told


@pytest.mark.parametrize("board", ["pi4", "pi5"])
def test_with_its_comments_taken_away_it_is_whole_too(board: Board) -> None:
    plain = text(board)
    for key in ('camera = "main"', "[camera.main]", 'driver = "v4l2"', "device = ", "width = ", "height = "):
        plain = plain.replace(f"# {key}", key)
    plain = plain.replace("# [door.main.light]", "[door.main.light]")
    plain = plain.replace("# output = {", "output = {").replace("# linger", "linger").replace("# below", "below")
    plain = plain.replace("# [uplink]", "[uplink]").replace("# [[uplink", "[[uplink")
    plain = plain.replace("# host =", "host =").replace("# port =", "port =")
    loaded = parse(plain, FILE)
    assert loaded.warnings == ()
    assert loaded.config.uplink is not None
    assert loaded.config.door["main"].light is not None
    assert "main" in loaded.config.camera


@pytest.mark.parametrize("board", BOARDS)
def test_its_meters_are_whole_when_their_comments_are_taken_away(board: Board) -> None:
    plain = text(board)
    begin, end = plain.index("# [bus.riser]"), plain.index("[vision]")
    plain = plain[:begin] + plain[begin:end].replace("\n# ", "\n").removeprefix("# ") + plain[end:]
    loaded = parse(plain, FILE)
    assert loaded.warnings == ()
    assert loaded.config.meter["flat-502"].bus == "riser"
    assert list(loaded.config.bus) == ["riser"]


@pytest.mark.parametrize("board", BOARDS)
def test_what_is_shown_loads_again(board: Board) -> None:
    config = parse(text(board, "/tmp/b"), FILE).config
    assert parse(toml(config), FILE).config == config


@pytest.mark.parametrize(
    ("given", "masked"),
    [
        ("rtsp://u:p@h/s", "rtsp://***@h/s"),
        ("rtsp://token@h/s", "rtsp://***@h/s"),
        ("rtsp://h/s?user=a&password=b&x=1", "rtsp://h/s?user=a&password=***&x=1"),
        ("rtsp://h/a@b", "rtsp://h/a@b"),
        ("no address", "no address"),
    ],
)
def test_masks(given: str, masked: str) -> None:
    assert mask_text(given) == masked


def test_flat() -> None:
    config = parse(text("simulated") + '\n[uplink]\nbrokers = [{ host = "b.cn" }]\n', FILE).config
    shown = flat(config)
    assert shown["door.main.lock.output.line"] == "5"
    assert shown["uplink.brokers[0].host"] == '"b.cn"'
    assert shown["door.main.held_open_after"] == "30.0"


def config(more: str = "", board: Board = "simulated") -> Gateway:
    return parse(text(board) + more, FILE).config


def free(_driver: str, chip: str, line: int) -> LineInfo:
    return LineInfo(chip, line, "", "")


def keys(findings: list[Finding]) -> Mapping[str, str]:
    return {".".join(map(str, found.path)): found.what.format_map(found.facts) for found in findings}


def test_a_machine_with_everything() -> None:
    assert check_machine(config(), free) == []


def test_missing_busy_and_our_own_lines() -> None:
    def inspect(_driver: str, chip: str, line: int) -> LineInfo:
        if line == 17:
            raise LineMissing(N_("There is no GPIO chip {chip} on this machine."), chip=chip)
        return LineInfo(chip, line, "", {5: "loumen:main.lock", 6: "spi0 CS0"}.get(line, ""))

    assert keys(check_machine(config(board="pi5"), inspect)) == {
        "door.main.contact": "There is no GPIO chip pinctrl-rp1 on this machine.",
        "door.main.indicators.granted": "line 6 of pinctrl-rp1 is busy: spi0 CS0 holds it",
    }


def test_missing_cameras_folders_and_users(tmp_path: Path) -> None:
    more = f"""
[camera.a]
driver = "v4l2"
device = "/dev/null0"
[camera.b]
driver = "file"
path = "{tmp_path}"
[camera.c]
driver = "folder"
path = "{tmp_path}/.."
[camera.d]
driver = "v4l2"
device = "/dev/null"
"""
    found = keys(check_machine(config(more), free))
    assert found == {
        "camera.a.device": "there is no camera /dev/null0",
        "camera.b.path": f"there is no file {tmp_path}",
    }


def test_unknown_users_and_a_readable_password(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    body = text("simulated").replace("technicians = []", 'technicians = ["nobody-of-that-name"]')
    body += '\n[camera.x]\ndriver = "rtsp"\nurl = "rtsp://u:p@h/"\n'
    path.write_text(body)
    path.chmod(0o644)
    config_ = parse(body, path).config
    assert keys(check_machine(config_, free, path)) == {
        "control.technicians.0": "this machine has no user nobody-of-that-name",
        "camera": "the file holds a camera's password and everybody on this machine can read it",
    }
    path.chmod(0o640)
    assert list(keys(check_machine(config_, free, path))) == ["control.technicians.0"]


@pytest.mark.parametrize(
    ("told", "socket"),
    [
        ("", "/run/loumen/loumen.sock"),
        ('[box]\nrun = "/tmp/x"', "/tmp/x/loumen.sock"),
        ('[box]\nrun = "/tmp/x"\n[control]\nsocket = "/tmp/y"', "/tmp/y"),
        ('[box]\n  run = "/tmp/x"\nbroken [', "/tmp/x/loumen.sock"),
        ('[vision]\nrun = "child"\nbroken [', "/run/loumen/loumen.sock"),
        ("box = 3", "/run/loumen/loumen.sock"),
        ("[box]\nrun = 3", "/run/loumen/loumen.sock"),
        ("[" * 2000, "/run/loumen/loumen.sock"),
    ],
)
def test_places_of_broken_files(told: str, socket: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("STATE_DIRECTORY", raising=False)
    assert str(places_of(told).socket) == socket
