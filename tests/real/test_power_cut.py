"""The power goes while events flow: what was acknowledged is there, nothing is told twice, nothing needs repair.

A real kernel (user-mode Linux) with an ext4 disk; SIGKILL to all of it at a random moment, then the same disk
boots again. The guest's page cache dies with it, so an acknowledgement without a sync is found out: the last
test proves that with synchronous=NORMAL. 50 cuts; LOUMEN_POWER_CUTS=500, or `make nightly`, for more.

`WRITERS` names what writes: add a database by a class as described in power_cut/guest.py.
"""

from __future__ import annotations

import json
import os
import random
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.real.uml.guest import Guest, TooLate, check_disk, make_disk

SCRIPT = Path(__file__).parent / "power_cut" / "guest.py"
WRITERS = {
    "journal": "tests.real.power_cut.journal:Writer",
    "directory": "tests.real.power_cut.directory:Writer",
}
CUTS = int(os.environ.get("LOUMEN_POWER_CUTS", "50"))
REMEMBERED = 300  # acknowledgements checked at each boot; at the end all are

Acks = dict[str, list[dict[str, Any]]]


class Wrong(AssertionError):  # noqa: N818  (named for what it says)
    """What a guest found when it looked at its disk after a cut."""


class Box:
    """A disk, and what its owner was told."""

    def __init__(
        self, folder: Path, writers: Mapping[str, str], seed: int, env: Mapping[str, str] | None = None
    ) -> None:
        self.disk = make_disk(folder / "data.ext4", megabytes=64)
        self.acks: Acks = {name: [] for name in writers}
        self._plan, self._writers, self._env = folder / "plan.json", dict(writers), dict(env or {})
        self._random = random.Random(seed)
        self._turn = 0

    def write_and_cut(self) -> None:
        """Boot, let it check and write, cut the power after some acknowledgements. Raises Wrong."""
        recent = {name: acks[-REMEMBERED:] for name, acks in self.acks.items()}
        with self._boot(recent) as guest:
            wanted = self._random.randrange(1, 60)
            sound = 0
            for line in guest.lines(within=60):
                kind, name, text = (*line.split(" ", 2), "")[:3]
                if kind == "ack":
                    self.acks[name].append(json.loads(text))
                    wanted -= 1
                elif kind == "sound":
                    sound += 1
                elif kind == "wrong":
                    raise Wrong(f"boot {self._turn}, {name}: {text}")
                else:
                    raise Wrong("\n".join(guest.output[-20:] or [line]))
                if wanted <= 0 and sound == len(self._writers):
                    break
            time.sleep(self._random.random() * 0.02)  # the moment of the cut, not a wait for anything
            guest.cut()
            self._take_late(guest)

    def check(self) -> None:
        """Boot once more and check everything that was ever acknowledged. Raises Wrong."""
        with self._boot(self.acks, check=True) as guest:
            assert guest.wait(within=120) == 0, guest.output[-20:]
            if guest.output != [f"sound {name}" for name in self._writers]:
                raise Wrong("\n".join(guest.output))

    def _boot(self, acks: Acks, *, check: bool = False) -> Guest:
        self._turn += 1
        plan = {
            "writers": self._writers,
            "round": self._turn,
            "seed": self._random.randrange(1 << 30),
            "acks": acks,
            "check": check,
        }
        self._plan.write_text(json.dumps(plan))
        return Guest(SCRIPT, str(self._plan), disk=self.disk, env=self._env)

    def _take_late(self, guest: Guest) -> None:
        """Acknowledgements that came out before the cut and had not been read."""
        try:
            for line in guest.lines(within=5):
                kind, name, text = (*line.split(" ", 2), "")[:3]
                if kind == "ack":
                    self.acks[name].append(json.loads(text))
        except (TooLate, json.JSONDecodeError):
            pass  # the last line may be cut off with the power


def cut_often(folder: Path, cuts: int, *, env: Mapping[str, str] | None = None, seed: int = 11) -> Box:
    box = Box(folder, WRITERS, seed, env)
    for _ in range(cuts):
        box.write_and_cut()
    box.check()
    return box


@pytest.mark.real("kernel")
@pytest.mark.timeout(60 + 6 * CUTS)
def test_nothing_acknowledged_is_lost_by_power_cuts(tmp_path: Path) -> None:
    box = cut_often(tmp_path, CUTS)
    for name, acks in box.acks.items():
        print(f"{name}: {CUTS} power cuts, {len(acks)} acknowledged, 0 lost")
        assert len(acks) >= CUTS
    assert check_disk(box.disk) == ""


@pytest.mark.nightly
@pytest.mark.real("kernel")
@pytest.mark.timeout(3600)
def test_nothing_acknowledged_is_lost_by_500_power_cuts(tmp_path: Path) -> None:
    cut_often(tmp_path, 500, seed=12)


@pytest.mark.real("kernel")
@pytest.mark.timeout(180)
def test_the_test_would_notice_a_journal_that_does_not_sync(tmp_path: Path) -> None:
    with pytest.raises(Wrong):
        cut_often(tmp_path, 15, env={"LOUMEN_TEST_SYNCHRONOUS": "NORMAL"})
