"""safe-state as a program against a simulated building that outlives the killed owner."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Literal

import pytest

from drivers.simulated.remote import Remote, raised
from tests.real.uml.guests.owner import LIGHT, LOCK, MAGLOCK

ROOT = Path(__file__).parents[2]
OWNER = Path(__file__).parent / "uml" / "guests" / "owner.py"
WITHIN = 2.0  # seconds from SIGKILL to rest


def safe_state(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "gateway.cli.main", "safe-state", *arguments]
    return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False, timeout=30)


def start_owner(building: Path, pins: Path) -> subprocess.Popen[str]:
    env = {**os.environ, "LOUMEN_SIMULATED": str(building), "PYTHONPATH": str(ROOT)}
    command = [sys.executable, str(OWNER), "simulated", "simulated", str(pins)]
    owner = subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True)
    assert owner.stdout is not None
    assert owner.stdout.readline() == "pulsing\n"
    return owner


def kill(owner: subprocess.Popen[str]) -> float:
    at = time.monotonic()
    os.kill(owner.pid, signal.SIGKILL)
    owner.wait()
    assert owner.stdout is not None
    owner.stdout.close()
    return at


@pytest.mark.parametrize("death", ["freed", "driven"])
def test_a_pulse_ends_and_nothing_that_rests_is_moved(death: Literal["freed", "driven"], tmp_path: Path) -> None:
    pins = tmp_path / "pins.json"
    with raised(tmp_path / "building", owner_death=death, pulls=f"{MAGLOCK}=up") as building:
        owner = start_owner(tmp_path / "building", pins)
        building.reaches(LOCK, True)
        killed = kill(owner)
        if death == "driven":
            assert building.level(LOCK)
        first = safe_state("--pins", str(pins))
        assert (first.returncode, first.stderr) == (0, "")
        assert first.stdout == "resting: main.lock, main.light, gate.lock\n"
        assert building.reaches(LOCK, False, since=killed) - killed < WITHIN
        assert safe_state("--pins", str(pins), "--json").returncode == 0
        assert [level for _, level in building.changes(LOCK)] == [True, False]
        assert building.changes(LIGHT) == building.changes(MAGLOCK) == []


def test_a_living_daemon_keeps_its_lines_and_is_named(tmp_path: Path) -> None:
    pins = tmp_path / "pins.json"
    with raised(tmp_path / "building") as building:
        owner = start_owner(tmp_path / "building", pins)
        refused = safe_state("--pins", str(pins), "--json")
        assert refused.returncode == 1
        assert "loumen:main.lock" in json.loads(refused.stdout)["problems"][0]["why"]
        assert building.level(LOCK)
        kill(owner)


def test_one_bad_entry_does_not_keep_the_others_from_rest(tmp_path: Path) -> None:
    pins = tmp_path / "pins.json"
    with raised(tmp_path / "building", owner_death="driven") as building:
        kill(start_owner(tmp_path / "building", pins))
        document = json.loads(pins.read_text())
        document["outputs"][:0] = [
            {"name": "half"},
            7,
            {**document["outputs"][0], "driver": "gpio_chardev", "name": "x"},
        ]
        pins.write_text(json.dumps(document))
        done = safe_state("--pins", str(pins))
        assert done.returncode == 1
        assert "half" in done.stderr
        assert "no GPIO chip simulated" in done.stderr
        assert not building.level(LOCK)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"outputs": 3}', "\x00\xff"])
def test_a_damaged_file_is_said_and_is_no_traceback(text: str, tmp_path: Path) -> None:
    pins = tmp_path / "pins.json"
    pins.write_text(text)
    done = safe_state("--pins", str(pins))
    assert done.returncode == 1
    assert "not a file of pins" in done.stderr
    assert "Traceback" not in done.stderr


def test_without_a_file_it_says_so(tmp_path: Path) -> None:
    done = safe_state("--pins", str(tmp_path / "none.json"))
    assert done.returncode == 1
    assert "no file of pins" in done.stderr


def test_wrong_usage_is_2() -> None:
    assert safe_state("--pins").returncode == 2
    assert safe_state("now").returncode == 2
    assert safe_state("--help").returncode == 0


def test_it_imports_nothing_of_ours_and_little_else(tmp_path: Path) -> None:
    pins = tmp_path / "pins.json"
    pins.write_text('{"layout": 1, "outputs": []}')
    program = (
        "import sys; before = set(sys.modules); from gateway.cli.main import main; main(sys.argv[1:]);"
        "print(*sorted(set(sys.modules) - before), sep='\\n')"
    )
    command = [sys.executable, "-S", "-c", program, "safe-state", "--pins", str(pins)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, env={"PYTHONPATH": str(ROOT)})
    loaded = {name for name in done.stdout.split() if "." in name or name in {"gateway", "drivers"}}
    assert {name for name in loaded if name.startswith(("gateway", "drivers"))} == {
        "gateway", "gateway.cli", "gateway.cli.main", "gateway.safe_state",
    }  # fmt: skip


def test_remote_says_what_it_cannot_do(tmp_path: Path) -> None:
    with raised(tmp_path / "building") as building, pytest.raises(RuntimeError, match="no line"):
        building.press(5000)
    with pytest.raises(OSError, match=r"refused|No such"):
        Remote(tmp_path / "building")
