"""The simulated building: history, faults, both ends of an owner, and the process that outlives a daemon."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest

from drivers.errors import LineBusy, LineGone, LineMissing
from drivers.interfaces import Bias, InputSpec, OutputSpec
from drivers.simulated import Building, SimulatedGpio
from drivers.simulated.process import pulls
from drivers.simulated.remote import raised
from tests.virtual_time import run

ROOT = Path(__file__).parents[2]
LOCK, BUTTON = 17, 22


def button(*, debounce: float = 0.0) -> InputSpec:
    return InputSpec("button", "simulated", BUTTON, active_low=True, bias=Bias.UP, debounce=debounce)


def test_history_begins_with_the_level_before_anybody_came() -> None:
    building = Building(pulls={LOCK: True})

    async def scenario() -> None:
        driver = SimulatedGpio(building)
        driver.claim_output(OutputSpec("lock", "simulated", LOCK)).pulse(3)
        await asyncio.sleep(5)

    run(scenario())
    wire = building.line(LOCK)
    assert [level for _, level in wire.history] == [True, False, True, False]
    assert wire.history[0][0] == 0.0
    assert wire.changes[2][0] - wire.changes[1][0] == pytest.approx(3, abs=0.001)


@pytest.mark.parametrize(("owner_death", "after"), [("freed", False), ("driven", True)])
def test_a_dead_owners_pulse(owner_death: str, after: bool) -> None:
    building = Building(owner_death="driven" if owner_death == "driven" else "freed")

    async def scenario() -> None:
        driver = SimulatedGpio(building)
        driver.claim_output(OutputSpec("lock", "simulated", LOCK)).pulse(3)
        driver.perish()
        await asyncio.sleep(60)  # nobody ends it any more
        assert building.line(LOCK).level is after
        SimulatedGpio(building).claim_output(OutputSpec("lock", "simulated", LOCK))
        assert not building.line(LOCK).level

    run(scenario())


def test_a_stuck_relay_is_commanded_and_does_not_move() -> None:
    building = Building()

    async def scenario() -> None:
        line = SimulatedGpio(building).claim_output(OutputSpec("lock", "simulated", LOCK))
        building.line(LOCK).stick(False)
        line.pulse(1)
        assert line.energised
        assert not building.line(LOCK).active
        building.line(LOCK).stick(None)
        assert building.line(LOCK).active

    run(scenario())


def test_a_bouncing_button_is_one_edge_when_debounced() -> None:
    building = Building()

    async def scenario() -> None:
        line = SimulatedGpio(building).claim_input(button(debounce=0.02))
        wire = building.line(BUTTON)
        wire.bounces = 7
        wire.press()
        edges = line.edges()
        assert (await anext(edges)).active
        wire.let_go()
        assert not (await anext(edges)).active
        assert len(wire.changes) > 10

    run(scenario())


def test_a_gone_line_may_be_claimed_again_when_it_is_back() -> None:
    building = Building()

    async def scenario() -> None:
        driver = SimulatedGpio(building)
        old = driver.claim_output(OutputSpec("lock", "simulated", LOCK))
        old.hold()
        building.line(LOCK).vanish()
        assert not building.line(LOCK).level
        with pytest.raises(LineMissing):
            driver.claim_output(OutputSpec("lock", "simulated", LOCK))
        building.line(LOCK).return_()
        new = driver.claim_output(OutputSpec("lock", "simulated", LOCK))
        new.pulse(1)
        with pytest.raises(LineGone):
            old.rest()
        assert building.line(LOCK).level

    run(scenario())


def test_a_foreign_holder_is_named() -> None:
    building = Building()
    building.line(LOCK).busy = "another program"
    with pytest.raises(LineBusy, match="another program"):
        SimulatedGpio(building).claim_output(OutputSpec("lock", "simulated", LOCK))


def test_waiting_for_a_level_knows_the_past() -> None:
    building = Building()

    async def scenario() -> None:
        wire, loop = building.line(LOCK), asyncio.get_running_loop()
        await asyncio.sleep(1)
        wire.set(True)
        rose = loop.time()
        await asyncio.sleep(1)
        wire.set(False)
        assert await wire.reaches(True) == rose
        assert await wire.reaches(False, since=rose) == pytest.approx(loop.time())
        asyncio.get_running_loop().call_later(5, wire.set, True)
        assert await wire.reaches(True, since=loop.time()) == pytest.approx(loop.time(), abs=0.001)

    run(scenario())


def test_pulls_are_written_as_ranges() -> None:
    assert pulls("0-2=up,9=open,11=down") == {0: True, 1: True, 2: True, 9: None, 11: False}
    assert pulls("") == {}


# --- the building as a process


def test_a_building_that_is_not_there_says_how_to_start_it(tmp_path: Path) -> None:
    with pytest.raises(LineMissing, match=r"drivers\.simulated\.process"):
        SimulatedGpio(socket=str(tmp_path / "none")).claim_output(OutputSpec("lock", "simulated", LOCK))


def test_the_environment_leads_to_the_building(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with raised(tmp_path / "b") as remote:
        monkeypatch.setenv("LOUMEN_SIMULATED", str(tmp_path / "b"))
        driver = SimulatedGpio()
        driver.claim_output(OutputSpec("lock", "simulated", LOCK))
        assert remote.holder(LOCK) == "loumen:lock"
        with pytest.raises(RuntimeError, match="Remote"):
            _ = driver.building
        driver.close()
        assert remote.holder(LOCK) == ""


def test_a_building_that_falls_takes_its_lines_along(tmp_path: Path) -> None:
    async def scenario() -> None:
        with raised(tmp_path / "b"):
            driver = SimulatedGpio(socket=str(tmp_path / "b"))
            output = driver.claim_output(OutputSpec("lock", "simulated", LOCK))
            line = driver.claim_input(button())
            reader = asyncio.ensure_future(anext(line.edges()))
            await asyncio.sleep(0)
        with pytest.raises(LineGone):
            async with asyncio.timeout(5):
                await reader
        for call in (output.hold, lambda: output.pulse(1), line.read):
            with pytest.raises(LineGone):
                call()
        with pytest.raises(LineMissing):
            driver.claim_output(OutputSpec("light", "simulated", 18))
        driver.close()

    asyncio.run(scenario())


@pytest.mark.parametrize("garbage", [b"\n", b"{}\n", b"[1]\n", b"\xff\n", b'{"do": "fly", "n": 1}\n', b"x" * 100_000])
def test_who_speaks_nonsense_is_hung_up_on_and_nobody_else(garbage: bytes, tmp_path: Path) -> None:
    with raised(tmp_path / "b") as remote, socket.socket(socket.AF_UNIX) as rude:
        rude.connect(str(tmp_path / "b"))
        rude.settimeout(5)
        rude.sendall(garbage)
        rude.shutdown(socket.SHUT_WR)
        while rude.recv(4096):
            pass
        remote.press(BUTTON)
        assert remote.level(BUTTON)


def test_it_can_be_steered_from_a_shell(tmp_path: Path) -> None:
    def steer(*words: str) -> str:
        command = [sys.executable, "-m", "drivers.simulated.remote", str(tmp_path / "b"), *words]
        return subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True).stdout

    with raised(tmp_path / "b", pulls="0-8=up"):
        steer("press", "22")
        assert json.loads(steer("level", "22")) is True
        steer("set", "5", "low")
        assert [level for _, level in json.loads(steer("history", "5"))] == [True, False]
        assert {wire["line"] for wire in json.loads(steer("lines"))} == {5, 22}


def test_a_building_that_hangs_blocks_nobody(tmp_path: Path) -> None:
    async def scenario() -> None:
        with raised(tmp_path / "b") as remote:
            driver = SimulatedGpio(socket=str(tmp_path / "b"))
            line = driver.claim_output(OutputSpec("lock", "simulated", LOCK))
            os.kill(remote.building, signal.SIGSTOP)
            worst = 0.0
            try:
                for _ in range(100_000):
                    began = time.perf_counter()
                    line.hold()
                    line.rest()
                    worst = max(worst, time.perf_counter() - began)
            except LineGone:
                pass  # once nothing more goes into the socket
            else:
                pytest.fail("the socket of a hanging building took everything")
            assert worst < 0.2
            with pytest.raises(LineMissing):
                driver.claim_output(OutputSpec("light", "simulated", 18))
            os.kill(remote.building, signal.SIGCONT)

    asyncio.run(scenario())


def test_a_level_that_never_comes_is_a_time_out(tmp_path: Path) -> None:
    with raised(tmp_path / "b") as remote:
        with pytest.raises(TimeoutError, match="line 17"):
            remote.reaches(LOCK, True, within=0.05)
        assert remote.lines()[0]["line"] == LOCK
