"""The whole daemon, a door and meters that are not pymodbus: every fault a bus knows, and the door never notices.

libmodbus answers behind a pseudo-terminal (modbus_peer.c) and behind a TCP port (modbus_tcp_peer.c); the daemon is
`loumen run`, and what is asserted is what a technician reads.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.demo.house import EXIT, LOCK, House, free_port
from gateway.demo.stage import Stage
from gateway.metering import profile as p
from gateway.metering import profiles
from tests.real import modbus_bus
from tests.real.modbus_bus import Converter, ModbusBus

REPOSITORY = Path(__file__).parents[2]
USW, TUF, XINTAI = profiles.load("usw-dn15-dn40"), profiles.load("tuf-2000m"), profiles.load("xintai")
WITHIN = 40.0
NUMBER = "FT4711"
METER = """
[meter.{id}]
name = "{id}"
bus = "{bus}"
unit = {unit}
profile = "{profile}"
interval = 0.5
"""
SETTINGS = """
[metering]
longest_pause = 2
burst_lasts = 2
burst_window = 1
profiles = "{folder}/profiles"
"""
TEN = """\
model = "Our tower"
function = "write"
words = "middle"
answers_within = 0
rolls_over_at = -1
[[total]]
address = 70000
type = "u33"
millilitres = 1
[[total]]
address = 5
type = "u32"
millilitres = -1
[[flag]]
name = "wet"
address = 1
"""


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    reason = modbus_bus.missing()
    if reason and os.environ.get("CI") == "true":
        pytest.fail(reason, pytrace=False)
    if reason:
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("peers")
    return modbus_bus.build(folder), modbus_bus.build(folder, modbus_bus.TCP)


class Site:
    """The demo's house with buses of its own."""

    def __init__(self, stage: Stage, programs: tuple[Path, Path]) -> None:
        self.stage, self.house = stage, House.build(stage)
        self.wire = ModbusBus(programs[0], stage.folder, baud=9600)
        self.converter = Converter(programs[1], free_port())
        self._adapters = stage.folder / "adapters.json"
        path = os.pathsep.join([str(Path(__file__).with_name("adapters")), str(REPOSITORY)])
        stage.env |= {"ADAPTERS": str(self._adapters), "PYTHONPATH": path}
        (stage.folder / "profiles").mkdir()

    def configure(self, *meters: tuple[str, str, int, str]) -> None:
        """Meters (id, bus, unit, profile) on a serial bus `riser` and a TCP bus `roof`."""
        text = self.house.config.read_text().replace('run = "child"', 'run = "off"')
        text = text[: text.index("[uplink]")] + f'[bus.riser]\ndriver = "serial"\nadapter = "{NUMBER}"\n'
        text += f'[bus.roof]\ndriver = "tcp"\nhost = "127.0.0.1"\nport = {self.converter.port}\n'
        text += SETTINGS.format(folder=self.stage.folder)
        for meter, bus, unit, profile in meters:
            text += METER.format(id=meter, bus=bus, unit=unit, profile=profile)
        self.house.config.write_text(text)

    def plugged(self, *ports: Path) -> None:
        """What the kernel tells of adapters."""
        rows = [[str(port), NUMBER, "FT232R USB UART"] for port in ports]
        self._adapters.write_text(json.dumps([["/dev/ttyS0", None, "n/a"], *rows]))

    def ask(self, *words: str) -> Any:
        return self.stage.ask(*words, ok=False)

    def meters(self) -> dict[str, Any]:
        return {meter["id"]: meter for meter in self.ask("meter", "list")["meters"]}

    def until(self, holds: Callable[[dict[str, Any]], bool], within: float = WITHIN) -> dict[str, Any]:
        """The meters, once they are so."""
        deadline = time.monotonic() + within
        while not holds(meters := self.meters()):
            assert time.monotonic() < deadline, meters
        return meters

    def told(self, kind: str) -> list[dict[str, Any]]:
        lines = self.stage.loumen("event", "export", "--type", kind).out.splitlines()
        return [json.loads(line)["event"] | {"id": json.loads(line)["id"]} for line in lines]

    @contextmanager
    def somebody_leaves_all_the_time(self) -> Iterator[list[float]]:
        """Presses of the exit button, and after how many seconds the lock was released."""
        waits: list[float] = []
        over = threading.Event()

        def press() -> None:
            while not over.is_set():
                pressed = time.monotonic()
                self.house.building.press(EXIT)
                waits.append(self.house.opened(pressed, 5) - pressed)
                self.house.building.let_go(EXIT)
                self.house.building.reaches(LOCK, False, since=time.monotonic(), within=10)
                over.wait(0.4)  # a button must have rested before it counts again

        somebody = threading.Thread(target=press)
        somebody.start()
        try:
            yield waits
        finally:
            over.set()
            somebody.join(20)


@pytest.fixture
def site(programs: tuple[Path, Path]) -> Iterator[Site]:
    with Stage.raised() as stage:
        built = Site(stage, programs)
        try:
            yield built
        finally:
            built.wire.unplug()
            built.converter.unplug()


def test_every_bad_meter_says_what_it_is_and_the_door_never_notices(site: Site) -> None:
    kinds = {"good": 1, "dead": 3, "other": 4, "slow": 6, "crc": 7, "ffff": 8, "echo": 9, "refuses": 11, "short": 12}
    behind = {"roof-good": 1, "roof-dead": 2, "roof-other": 3, "roof-slow": 6, "roof-refuses": 7, "roof-ffff": 8}
    site.configure(
        *((name, "riser", unit, "usw-dn15-dn40") for name, unit in kinds.items()),
        ("model", "riser", 13, "tuf-2000m"),
        ("coarse", "riser", 14, "xintai"),
        *((name, "roof", unit, "tuf-2000m") for name, unit in behind.items()),
    )
    site.wire.plug()
    site.converter.plug()
    site.plugged(site.wire.port)
    for name, unit in kinds.items():
        site.wire.meter(unit, name, p.encode(USW, 1_234_567))
    site.wire.meter(13, "good", p.encode(USW, 77_000))
    site.wire.meter(14, "good", p.encode(XINTAI, 20_000_000_000))
    for name, unit in behind.items():
        site.converter.meter(unit, name.removeprefix("roof-"), p.encode(TUF, 5_000_250))
    site.house.start_box()
    with site.somebody_leaves_all_the_time() as waits:
        found = site.until(
            lambda meters: (
                all(meters[name]["state"] == "ok" for name in ("good", "echo", "coarse", "roof-good"))
                and [meter["state"] for meter in meters.values()].count("silent") == len(meters) - 4
                and meters["slow"]["problem"] == meters["roof-slow"]["problem"] == "meter.late"
            )
        )
        _are_told(site, found)
    assert len(waits) >= 5
    assert max(waits) < 1.0, waits


def _are_told(site: Site, found: dict[str, Any]) -> None:
    assert {name: meter["problem"] for name, meter in found.items()} == {
        "good": "",
        "echo": "",
        "coarse": "",
        "dead": "meter.silent",
        "other": "meter.other",
        "slow": "meter.late",
        "crc": "meter.bad_answer",
        "short": "meter.bad_answer",
        "ffff": "ffff",
        "refuses": "meter.refused",
        "model": "wrong_model",
        "roof-good": "",
        "roof-dead": "meter.silent",
        "roof-other": "meter.other",
        "roof-slow": "meter.late",
        "roof-refuses": "meter.refused",
        "roof-ffff": "ffff",
    }
    assert found["good"]["register"] == found["echo"]["register"] == 1234.567
    assert found["roof-good"]["register"] == 5000.25
    problems = {one["part"]: one for one in site.ask("status")["problems"]}
    assert set(problems) >= {f"meter.{name}" for name, meter in found.items() if meter["problem"]}
    assert "steps of" in problems["meter.coarse"]["what"]
    slow = site.ask("meter", "read", "slow")
    assert slow["believed"] or slow["code"] == "first"
    assert slow["seconds"] > slow["answers_within"]
    assert site.ask("meter", "read", "dead")["error"]["code"] == "meter.silent"
    assert site.ask("meter", "read", "ffff")["code"] == "ffff"
    assert site.ask("meter", "read", "crc")["error"]["code"] == "meter.bad_answer"
    for name in ("ffff", "crc", "dead", "model"):
        (kept,) = site.ask("meter", "history", name)["refused"]
        assert kept["code"] == found[name]["problem"]
        assert kept["times"] >= 3
    scan = site.ask("meter", "scan", "riser", "--last", "14", "--within", "1.2")
    answers = {one["unit"]: (one["answer"], one["profile"]) for one in scan["found"]}
    assert answers[1] == answers[6] == ("registers", ""), "the slow one too, with patience"
    assert answers[4] == ("other", "")
    assert answers[7] == ("damaged", "")
    assert 3 not in answers
    assert site.ask("meter", "scan", "roof", "--last", "1", "--within", "2")["found"][0]["profile"] == "tuf-2000m"
    for language in ("zh", "en"):
        for words in (("list",), ("read", "good"), ("history", "ffff"), ("chart", "good")):
            said = site.stage.loumen("meter", *words, "--lang", language, ok=False)
            assert "Traceback" not in said.out + said.err
            assert "{" not in said.out, "a fact is missing"


def test_the_adapter_comes_back_under_another_name_and_is_known_by_its_number(site: Site) -> None:
    site.configure(("good", "riser", 1, "usw-dn15-dn40"), ("roof", "roof", 1, "tuf-2000m"))
    site.wire.plug()
    site.wire.meter(1, "good", p.encode(USW, 1_000_000))
    site.converter.meter(1, "good", p.encode(TUF, 2_000_000))
    site.plugged()
    site.house.start_box()
    site.until(lambda meters: meters["good"]["problem"] == meters["roof"]["problem"] == "bus.gone")
    (bus,) = [one for one in site.ask("status")["problems"] if one["part"] == "bus.riser"]
    assert NUMBER in str(bus["facts"])
    listed = site.ask("meter", "scan")["adapters"]
    assert [one["device"] for one in listed] == ["/dev/ttyS0"]
    with site.somebody_leaves_all_the_time() as waits:
        site.plugged(site.wire.port)
        site.converter.plug()
        site.until(lambda meters: meters["good"]["state"] == meters["roof"]["state"] == "ok")
        site.wire.unplug()
        site.converter.unplug()
        site.plugged()
        site.until(lambda meters: meters["good"]["problem"] == meters["roof"]["problem"] == "bus.gone")
        site.wire.plug("ttyUSB7")
        site.converter.plug()
        site.wire.meter(1, "good", p.encode(USW, 1_000_700))
        site.plugged(site.wire.port)
        found = site.until(lambda meters: meters["good"]["register"] == 1000.7 and not meters["roof"]["problem"])
    assert found["good"]["state"] == "ok"
    riser = next(one for one in site.ask("meter", "list")["buses"] if one["id"] == "riser")
    assert Path(riser["device"]).name == "ttyUSB7"
    assert [one["bus"] for one in site.told("meter.bus_back")].count("riser") == 2
    assert site.told("meter.silent") == [], "nobody blames the meter"
    assert max(waits) < 1.0, waits


def test_a_profile_with_ten_mistakes_costs_its_meter_only(site: Site) -> None:
    site.configure(("good", "riser", 1, "usw-dn15-dn40"), ("ours", "riser", 2, "tower"))
    bad = site.stage.folder / "profiles" / "tower.toml"
    bad.write_text(TEN)
    site.wire.plug()
    site.wire.meter(1, "good", p.encode(USW, 1_000_000))
    site.plugged(site.wire.port)
    checked = site.stage.loumen("meter", "profile", "check", str(bad), ok=False)
    assert checked.code == 1
    for place in ("1: source", "2: function", "3: words", "4: answers_within", "5: rolls_over_at"):
        assert f"tower.toml:{place}: " in checked.out
    for place in (
        "7: total[0].address",
        "8: total[0].type",
        "13: total[1].millilitres",
        "14: flag[0]",
        "15: flag[0].name",
    ):
        assert f"tower.toml:{place}" in checked.out
    site.house.start_box()
    found = site.until(lambda meters: meters["good"]["state"] == "ok")
    assert found["ours"]["state"] == "unusable"
    (problem,) = [one for one in site.ask("status")["problems"] if one["part"] == "meter.ours"]
    assert "tower" in json.dumps(problem), "it says which profile"
    said = site.stage.loumen("meter", "read", "ours", "--lang", "en", ok=False).err
    assert "mistakes: 10" in said
    assert "where: tower.toml:1: source" in said
    assert f"loumen meter profile check {bad}" in said


def test_killed_while_a_burst_runs(site: Site) -> None:
    """kill -9 just after the finding: one event, one id, the since-time it was told with, one end."""
    site.configure(("flat", "riser", 1, "usw-dn15-dn40"))
    site.wire.plug()
    site.wire.meter(1, "good", p.encode(USW, 1_000_000))
    site.plugged(site.wire.port)
    site.house.start_box()
    site.until(lambda meters: meters["flat"]["state"] == "ok")
    with _water_runs(site):
        site.until(lambda meters: bool(meters["flat"]["leaks"]))
        (told,) = site.told("water.leak_suspected")
        for _ in range(2):
            site.stage.kill("box", signal.SIGKILL)
            time.sleep(3)  # longer than the burst's window: nobody knows what ran
            site.house.start_box()
            (leak,) = site.until(lambda meters: bool(meters["flat"]["leaks"]))["flat"]["leaks"]
            assert leak["since"] == told["since"]
            site.until(_more_than(leak["litres"]))
    site.until(lambda meters: not meters["flat"]["leaks"])
    assert [one["id"] for one in site.told("water.leak_suspected")] == [told["id"]]
    (cleared,) = site.told("water.leak_cleared")
    assert cleared["since"] == told["since"]
    assert cleared["litres"] > told["litres"]


def _more_than(litres: float) -> Callable[[dict[str, Any]], bool]:
    return lambda meters: bool(meters["flat"]["leaks"][0]["litres"] > litres)


@contextmanager
def _water_runs(site: Site) -> Iterator[None]:
    """900 litres an hour, by the clock."""
    over, began = threading.Event(), time.monotonic()

    def run() -> None:
        while not over.wait(0.1):
            site.wire.meter(1, "good", p.encode(USW, 1_000_000 + round((time.monotonic() - began) * 250)))

    tap = threading.Thread(target=run)
    tap.start()
    try:
        yield
    finally:
        over.set()
        tap.join(5)
