"""Meters that are not pymodbus: libmodbus on a pseudo-terminal, with every fault a wire knows; and the daemon on it."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
import time
from collections.abc import Coroutine, Iterator
from pathlib import Path
from typing import Any, TypeVar

import pytest

from drivers.errors import AnswersLate, BadAnswer, BusGone, DriverError, NoAnswer, UnitRefused
from drivers.interfaces import Function, Span
from drivers.modbus import SerialBus
from drivers.serial_port import Adapter
from gateway.metering import profile as p
from gateway.metering import profiles
from tests.real import modbus_bus
from tests.real.modbus_bus import ModbusBus

REPOSITORY = Path(__file__).parents[2]
SPAN = Span(Function.HOLDING, 4, 4)
WORDS = {4: 0, 5: 0, 6: 18, 7: 54919}  # 1,234,567 mL
T = TypeVar("T")


@pytest.fixture(scope="module")
def program(tmp_path_factory: pytest.TempPathFactory) -> Path:
    reason = modbus_bus.missing()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    if reason:
        pytest.skip(reason)
    return modbus_bus.build(tmp_path_factory.mktemp("peer"))


@pytest.fixture
def wire(program: Path, tmp_path: Path) -> Iterator[ModbusBus]:
    with ModbusBus(program, tmp_path, baud=9600) as bus:
        yield bus


def asking(wire: ModbusBus, work: Coroutine[Any, Any, T], bus: SerialBus) -> T:
    async def scenario() -> T:
        await bus.open()
        try:
            return await work
        finally:
            bus.close()

    return asyncio.run(scenario())


def test_registers_of_both_functions_arrive(wire: ModbusBus) -> None:
    wire.meter(1, "good", WORDS)
    bus = SerialBus(port=str(wire.port))

    async def ask() -> list[tuple[int, ...]]:
        return [await bus.ask(1, Span(function, 4, 4), 1.0) for function in Function]

    assert asking(wire, ask(), bus) == [(0, 0, 18, 54919)] * 2


@pytest.mark.parametrize(
    ("kind", "error", "words"),
    [
        ("dead", NoAnswer, "unit 1 does not answer"),
        ("slow", NoAnswer, "unit 1 does not answer"),
        ("crc", BadAnswer, "the answer of unit 1 is damaged: 01 03 08"),
        ("other", BadAnswer, "unit 2 answered instead of unit 1"),
        ("short", BadAnswer, "damaged"),
        ("refuses", UnitRefused, "refuses to answer: it failed (exception 4)"),
    ],
)
def test_faults_are_told_apart_and_the_next_answer_is_right(
    wire: ModbusBus, kind: str, error: type[DriverError], words: str
) -> None:
    wire.meter(1, kind, WORDS)
    wire.meter(2, "good", {4: 0, 5: 0, 6: 0, 7: 7})
    bus = SerialBus(port=str(wire.port))

    async def ask() -> tuple[int, ...]:
        with pytest.raises(error) as caught:
            await bus.ask(1, SPAN, 0.3)
        assert words in str(caught.value)
        return await bus.ask(2, SPAN, 1.5)  # a slow meter's late answer may come into this one

    assert asking(wire, ask(), bus) == (0, 0, 0, 7)


def test_a_late_answer_is_known_as_such_and_blames_nobody_else(wire: ModbusBus) -> None:
    wire.meter(1, "slow", WORDS)
    wire.meter(2, "crc", WORDS)
    wire.meter(3, "dead")
    bus = SerialBus(port=str(wire.port))

    async def ask() -> None:
        with pytest.raises(NoAnswer) as first:
            await bus.ask(1, SPAN, 0.3)
        assert first.value.code == "meter.silent"
        with pytest.raises(BadAnswer) as other:
            await bus.ask(2, SPAN, 1.5)
        assert other.value.code == "meter.bad_answer", "unit 1 came late into it"
        with pytest.raises(AnswersLate, match="unit 1 answers too late"):
            await bus.ask(1, SPAN, 0.3)
        with pytest.raises(NoAnswer) as dead:
            await bus.ask(3, SPAN, 1.5)
        assert dead.value.code == "meter.silent"
        assert await bus.ask(1, SPAN, 1.5) == (0, 0, 18, 54919)

    asking(wire, ask(), bus)


@pytest.mark.parametrize("kind", ["echo", "noise"])
def test_echo_and_noise_before_an_answer_are_skipped(wire: ModbusBus, kind: str) -> None:
    wire.meter(1, kind, WORDS)
    bus = SerialBus(port=str(wire.port))
    assert asking(wire, bus.ask(1, SPAN, 1.0), bus) == (0, 0, 18, 54919)


def test_the_wire_is_silent_between_frames(wire: ModbusBus) -> None:
    wire.meter(1, "good", WORDS)
    bus = SerialBus(port=str(wire.port))

    async def ask() -> float:
        await bus.ask(1, SPAN, 1.0)
        began = time.monotonic()
        await bus.ask(1, SPAN, 1.0)
        return time.monotonic() - began

    least = (3.5 + 8 + 3.5 + 5 + 8) * 11 / 9600
    assert asking(wire, ask(), bus) >= least


def test_a_parity_on_a_pseudo_terminal_is_told_as_what_it_is(wire: ModbusBus) -> None:
    bus = SerialBus(port=str(wire.port), parity="even")
    with pytest.raises(BusGone, match="knows no parity even: it is a pseudo-terminal"):
        asyncio.run(bus.open())


def test_an_adapter_comes_back_under_another_name(program: Path, tmp_path: Path) -> None:
    with ModbusBus(program, tmp_path) as wire:
        wire.meter(1, "good", WORDS)
        bus = SerialBus(
            adapter="FT4711", present=lambda: [Adapter(str(wire.port), "FT4711", "USB")] if wire.port.exists() else []
        )

        async def scenario() -> tuple[str, str]:
            await bus.open()
            first = bus.device
            await bus.ask(1, SPAN, 1.0)
            wire.unplug()
            with pytest.raises(BusGone, match="is gone"):
                await bus.ask(1, SPAN, 1.0)
            with pytest.raises(BusGone, match="no adapter with the serial number FT4711"):
                await bus.open()
            wire.plug("ttyUSB1")
            await bus.open()
            assert await bus.ask(1, SPAN, 1.0) == (0, 0, 18, 54919)
            second = bus.device
            bus.close()
            return first, second

        first, second = asyncio.run(scenario())
        assert (Path(first).name, Path(second).name) == ("ttyUSB0", "ttyUSB1")


def test_two_masters_at_one_port_are_refused(wire: ModbusBus) -> None:
    async def scenario() -> None:
        first, second = SerialBus(port=str(wire.port)), SerialBus(port=str(wire.port))
        await first.open()
        with pytest.raises(BusGone, match="in use by somebody else"):
            await second.open()
        first.close()

    asyncio.run(scenario())


# --- the whole daemon


CONFIG = """
healthy_seconds = 1
[site]
name = "Garden"
community = "garden-1"
[box]
name = "unit-1"
board = "simulated"
state = "{folder}/state"
run = "{folder}/run"
[vision]
run = "off"
[bus.riser]
driver = "serial"
port = "{folder}/by-id"
[metering]
burst_lasts = 2
burst_window = 1
still = 3600
longest_pause = 2
"""
METER = """
[meter.{name}]
name = "{name}"
bus = "riser"
unit = {unit}
profile = "{profile}"
interval = 0.3
"""


class Daemon:
    """`loumen run` as a process, and its command line."""

    def __init__(self, folder: Path, meters: dict[str, tuple[int, str]]) -> None:
        self._config = folder / "gateway.toml"
        tables = [METER.format(name=name, unit=unit, profile=profile) for name, (unit, profile) in meters.items()]
        self._config.write_text(CONFIG.format(folder=folder) + "".join(tables))
        self.process = subprocess.Popen(self._words("run"), cwd=REPOSITORY, stderr=subprocess.DEVNULL)

    def _words(self, *words: str) -> list[str]:
        return [sys.executable, "-m", "gateway.cli.main", *words, "--config", str(self._config), "--lang", "en"]

    def ask(self, *words: str) -> Any:
        done = subprocess.run(
            self._words(*words, "--json"), cwd=REPOSITORY, capture_output=True, text=True, check=False, timeout=60
        )
        return json.loads(done.stdout.splitlines()[0]) if done.stdout else None

    def meters(self) -> dict[str, Any]:
        document = self.ask("meter", "list")
        return {meter["id"]: meter for meter in document["meters"]} if document and "meters" in document else {}

    def until(self, holds: Any, within: float = 30.0) -> dict[str, Any]:
        until = time.monotonic() + within
        while True:
            meters = self.meters()
            if meters and holds(meters):
                return meters
            assert time.monotonic() < until, meters
            time.sleep(0.2)  # a process is asked again

    def events(self) -> list[dict[str, Any]]:
        done = subprocess.run(
            self._words("event", "list", "--json"), cwd=REPOSITORY, capture_output=True, text=True, check=True
        )
        document = json.loads(done.stdout)
        rows = document["events"] if isinstance(document, dict) else document
        return [row.get("event", row) for row in rows]

    def stop(self) -> int:
        self.process.terminate()
        return self.process.wait(10)

    def kill(self) -> None:
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait(10)


def test_the_daemon_reads_what_is_right_and_tells_what_is_wrong(program: Path, tmp_path: Path) -> None:
    usw, tuf = profiles.load("usw-dn15-dn40"), profiles.load("tuf-2000m")
    link = tmp_path / "by-id"
    meters = {"good": (1, "usw-dn15-dn40"), "split": (2, "tuf-2000m"), "dead": (3, "usw-dn15-dn40")}
    meters |= {"other": (4, "usw-dn15-dn40"), "crc": (6, "usw-dn15-dn40"), "absent": (7, "usw-dn15-dn40")}
    with ModbusBus(program, tmp_path) as wire:
        link.symlink_to(wire.port)
        wire.meter(1, "good", p.encode(usw, 1_000_000))
        wire.meter(2, "good", p.encode(tuf, 5_000_250))
        wire.meter(3, "dead")
        wire.meter(4, "other", p.encode(usw, 3_000))
        wire.meter(6, "crc", p.encode(usw, 3_000))
        wire.meter(7, "ffff")
        daemon = Daemon(tmp_path, meters)
        try:
            _the_story(daemon, wire, link)
            assert daemon.stop() == 0
        finally:
            daemon.kill()


def _the_story(daemon: Daemon, wire: ModbusBus, link: Path) -> None:
    usw = profiles.load("usw-dn15-dn40")
    found = daemon.until(
        lambda meters: (
            meters["good"]["state"] == meters["split"]["state"] == "ok"
            and all(meters[name]["state"] == "silent" for name in ("dead", "other", "crc", "absent"))
        )
    )
    assert (found["good"]["register"], found["split"]["register"]) == (1000.0, 5000.25)
    problems = {name: meter["problem"] for name, meter in found.items()}
    assert problems["dead"] == "meter.silent"
    assert (problems["other"], problems["crc"]) == ("meter.other", "meter.bad_answer")
    assert problems["absent"] == "ffff"
    assert daemon.ask("meter", "read", "split")["values"]["flow"] == 0.0

    wire.unplug()
    link.unlink()
    daemon.until(lambda _: any(event["type"] == "meter.bus_gone.v1" for event in daemon.events()))
    wire.plug("ttyUSB7")
    link.symlink_to(wire.port)
    daemon.until(lambda _: any(event["type"] == "meter.bus_back.v1" for event in daemon.events()))

    register, began = 1_000_000, time.monotonic()
    while not (leaks := [event for event in daemon.events() if event["type"] == "water.leak_suspected.v1"]):
        register = 1_000_000 + round((time.monotonic() - began) * 400)
        wire.meter(1, "good", p.encode(usw, register))
        assert time.monotonic() - began < 40
    assert leaks[0]["meter"] == "good"
    assert leaks[0]["rule"] == "burst"
    assert 0 < leaks[0]["litres"] <= register / 1000 - 1000
    assert daemon.meters()["good"]["leaks"][0]["rule"] == "burst"
    refused = daemon.ask("meter", "history", "absent")["refused"]
    assert refused[-1]["code"] == "ffff"


def test_a_restart_counts_the_water_of_the_gap(program: Path, tmp_path: Path) -> None:
    usw = profiles.load("usw-dn15-dn40")
    link = tmp_path / "by-id"
    with ModbusBus(program, tmp_path) as wire:
        link.symlink_to(wire.port)
        wire.meter(1, "good", p.encode(usw, 1_000_000))
        daemon = Daemon(tmp_path, {"good": (1, "usw-dn15-dn40")})
        try:
            daemon.until(lambda meters: meters["good"]["state"] == "ok")
            assert daemon.stop() == 0
            wire.meter(1, "good", p.encode(usw, 1_000_700))
            again = Daemon(tmp_path, {"good": (1, "usw-dn15-dn40")})
            try:
                meters = again.until(lambda meters: meters["good"]["register"] == 1000.7)
                assert meters["good"]["total"] == 1000.7, "the water of the gap is counted"
                again.process.kill()
            finally:
                again.kill()
        finally:
            daemon.kill()
