"""`kill -9` at any moment: what was acknowledged stands, what was forgotten is gone, and the start is clean."""

from __future__ import annotations

import random
import shutil
import subprocess
import sys
import threading
from pathlib import Path

import pytest

from tests.directory.house import NAMES, files_holding, opened, run

PROGRAM = Path(__file__).with_name("directory_acknowledging.py")


class Known:
    """What the program has acknowledged; `asked` may or may not have happened."""

    def __init__(self) -> None:
        self.active: dict[str, bool] = {}
        self.faces: dict[str, set[str]] = {}
        self.forgotten: set[str] = set()
        self.asked: tuple[str, str] | None = None

    def hear(self, line: str) -> None:
        match line.split():
            case ["added", person]:
                self.active[person], self.faces[person] = True, set()
            case ["ask", what, person]:
                self.asked = (what, person)
            case ["suspended" | "resumed" as what, person]:
                self.active[person] = what == "resumed"
                self.asked = None
            case ["enrolled", person, face]:
                self.faces[person].add(face)
            case ["forgotten", person]:
                self.forgotten.add(person)
                self.active.pop(person, None)
                self.faces.pop(person, None)
                self.asked = None


def killed(folder: Path, known: Known, seed: int, after: float) -> None:
    """Run the program, kill it `after` seconds of acknowledgements, hear everything it said."""
    process = subprocess.Popen(
        [sys.executable, str(PROGRAM), str(folder), str(seed)], stdout=subprocess.PIPE, text=True
    )
    assert process.stdout is not None
    first = process.stdout.readline()
    assert first.startswith("started ok"), first
    timer = threading.Timer(after, process.kill)
    timer.start()
    for line in process.stdout:
        if line.endswith("\n"):
            known.hear(line)
    process.wait()
    timer.join()
    process.stdout.close()


async def check(folder: Path, known: Known) -> None:
    async with opened(folder) as house:
        health = house.directory.health()
        assert health.state == "ok", [problem.render() for problem in health.problems]
        snapshot = house.directory.snapshot
        assert not known.forgotten & snapshot.people.keys()
        what, whom = known.asked or ("", "")
        for person, active in known.active.items():
            rights = snapshot.person(person)
            if person == whom and what == "forgotten":
                if rights is None:
                    known.forgotten.add(person)
                continue
            assert rights is not None, f"{person} was acknowledged and is lost"
            assert rights.active == active or person == whom
            assert known.faces[person] <= {line.id for line in await house.faces.lines(person)}
            assert (await house.people.get(person)).readable
        for person in set(known.active) - set(snapshot.people):
            del known.active[person], known.faces[person]
        known.active.update({person: rights.active for person, rights in snapshot.people.items()})
        for person in snapshot.people:
            known.faces.setdefault(person, set())
        known.asked = None


def loop(folder: Path, rounds: int) -> int:
    known, choose = Known(), random.Random(7)
    for seed in range(rounds):
        killed(folder, known, seed, choose.uniform(0.0, 0.4))
        run(check(folder, known))
        if seed % 5 == 4:  # the directory is lost: its copies must not bring anybody back
            after = folder.with_name("lost")
            shutil.copytree(folder, after)
            (after / "directory.db").write_bytes(b"noise" * 1000)
            run(nobody_back(after, known))
            shutil.rmtree(after)
    assert files_holding(folder, *(name.encode() for name in NAMES)) == []
    return len(known.forgotten)


async def nobody_back(folder: Path, known: Known) -> None:
    async with opened(folder) as house:
        assert not known.forgotten & house.directory.snapshot.people.keys()
        for person, active in known.active.items():
            rights = house.directory.snapshot.person(person)
            assert rights is None or not rights.active or active


def test_killed_at_any_moment(tmp_path: Path) -> None:
    assert loop(tmp_path / "state", 20) > 0


@pytest.mark.nightly
@pytest.mark.timeout(1800)
def test_killed_at_any_moment_for_long(tmp_path: Path) -> None:
    assert loop(tmp_path / "state", 300) > 0
