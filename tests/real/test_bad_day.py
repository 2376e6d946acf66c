"""Bad input to a real daemon, one day each: a clear message, and a door that still opens by what still works."""

from __future__ import annotations

import json
import random
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.house import CONTACT, EXIT, LOCK, House
from gateway.demo.stage import Stage

WITHIN = 20.0


@pytest.fixture
def house() -> Iterator[House]:
    """A box that nobody has admitted anywhere; it does not run yet."""
    with Stage.raised() as stage:
        yield House.build(stage)


def opens(house: House) -> None:
    pressed = time.monotonic()
    house.building.press(EXIT)
    house.opened(pressed, 5)
    house.building.let_go(EXIT)
    house.building.reaches(LOCK, False, since=time.monotonic(), within=10)


def problem(house: House, part: str) -> dict[str, Any]:
    """The problem that `status` tells of a part, once it is there."""
    deadline, problems = time.monotonic() + WITHIN, list[dict[str, Any]]()
    while time.monotonic() < deadline:
        problems = told(house)
        if found := [one for one in problems if one["part"] == part and one["severity"] == "bad"]:
            return found[0]
        time.sleep(0.1)  # looks at another process
    pytest.fail(f"no problem of {part}: {problems}")


def told(house: House) -> list[dict[str, Any]]:
    """The problems of `status`, which ends with 1 while there is a bad one."""
    return list(house.stage.ask("status", ok=False)["problems"])


def events(house: House) -> list[str]:
    return [json.loads(line)["type"] for line in house.stage.loumen("event", "export").out.splitlines()]


def stopped_after_a_day(house: House) -> Path:
    """A box that has run, with people and a journal; its state folder."""
    house.start_box()
    opens(house)
    deadline = time.monotonic() + WITHIN
    while house.stage.loumen("person", "add", "Li", "--door", "main", ok=False).code:
        assert time.monotonic() < deadline
    house.stage.kill("box", signal.SIGTERM)
    return house.stage.folder / "state"


def noise(path: Path) -> None:
    for beside in path.parent.glob(f"{path.name}-*"):
        beside.unlink()
    path.write_bytes(random.Random(3).randbytes(path.stat().st_size))


def test_a_second_daemon_is_refused_and_moves_no_line(house: House) -> None:
    house.start_box()
    first = house.stage.process("box")
    opens(house)
    edges = house.building.changes(LOCK)
    second = house.stage.loumen("run", "--config", str(house.config), ok=False)
    assert second.code == 1
    assert f"pid {first.pid}" in second.err
    assert "mend:" in second.err
    assert "Traceback" not in second.err
    assert house.building.changes(LOCK) == edges
    opens(house)


def test_a_journal_of_noise_is_set_aside(house: House) -> None:
    state = stopped_after_a_day(house)
    noise(state / "journal.db")
    house.start_box()
    opens(house)
    kinds = events(house)
    assert "journal.gap.v1" in kinds
    assert house.stage.ask("event", "verify")["ok"]


def test_a_directory_of_noise_is_said_loudly(house: House) -> None:
    state = stopped_after_a_day(house)
    noise(state / "directory.db")
    house.start_box()
    opens(house)
    assert "Traceback" not in house.stage.log("box")
    assert "nobody is recognised" in problem(house, "directory")["what"]


@pytest.mark.parametrize("spoil", [lambda path: path.write_bytes(b""), lambda path: None], ids=["empty", "absent"])
def test_a_camera_without_pictures(house: House, spoil: Callable[[Path], object]) -> None:
    video = house.stage.folder / "day.mp4"
    spoil(video)
    text = house.config.read_text()
    folder = f'driver = "folder"\npath = "{house.stage.folder}/frames"'
    assert folder in text
    house.config.write_text(text.replace(folder, f'driver = "file"\npath = "{video}"'))
    house.start_box()
    opens(house)
    assert str(video) in json.dumps(problem(house, "camera.front"))


def test_a_busy_line_names_its_holder(house: House) -> None:
    house.building.occupy(CONTACT, "somebody's script")
    house.start_box()
    opens(house)
    assert problem(house, "door.main.contact")["facts"]["holder"] == "somebody's script"
    assert "somebody's script" in house.stage.log("box")


def test_a_lock_line_that_is_busy_is_claimed_when_it_is_free(house: House) -> None:
    house.building.occupy(LOCK, "somebody's script")
    house.start_box()
    assert problem(house, "door.main.lock")["facts"]["holder"] == "somebody's script"
    assert "somebody's script" in house.stage.log("box")
    house.building.occupy(LOCK, "")
    deadline = time.monotonic() + WITHIN
    while house.building.holder(LOCK) == "" and time.monotonic() < deadline:
        time.sleep(0.1)  # looks at another process
    opens(house)
