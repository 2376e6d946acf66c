"""The whole house as processes, from photograph to receipt; each of them is killed at random moments.

Daemon, vision process, mosquitto with mutual TLS, desk: SIGKILL, then started again, while the exit
button, faces, and commands from desk and command line go on. At the end the desk holds exactly the
journal: the same events under the same ids, in the same order, with the same bodies. LOUMEN_LONG=1 kills a
hundred times.
"""

from __future__ import annotations

import json
import os
import random
import shutil
import signal
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.access.rules.lock import EXIT_REST
from gateway.demo.house import CONTACT, EXIT, LOCK, House
from gateway.demo.stage import Stage, StageError
from gateway.errors import LoumenError
from gateway.vision import models
from gateway.vision.demo_faces import resident_pictures, stranger_pictures

LONG = os.environ.get("LOUMEN_LONG") == "1"
KILLS = int(os.environ.get("LOUMEN_KILLS", "100" if LONG else "6"))
SEED = int(os.environ.get("LOUMEN_SEED", "11"))
PARTS = ("box", "vision", "broker", "desk", "broker that forgets")

pytestmark = [pytest.mark.real("mosquitto"), pytest.mark.timeout(3600 if LONG else 300)]


class RealHouse(House):
    """The demo's house with Debian's broker, which keeps what it queues on its disk."""

    def start_broker(self) -> None:
        folder = self.desk / "broker"
        queued = folder / "queued"
        queued.mkdir(exist_ok=True)
        conf = folder / "test.conf"
        text = (
            (folder / "mosquitto.conf").read_text().replace(f"listener {self.port}", f"listener {self.port} 127.0.0.1")
        )
        conf.write_text(
            f"{text}user root\npersistence true\npersistence_location {queued}/\nautosave_interval 1\n"
            "autosave_on_changes false\n"
        )
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
        assert program
        self.stage.start("broker", (program, "-c", str(conf)), until="running")

    def forget(self) -> None:
        """What the broker has acknowledged and still holds is gone."""
        shutil.rmtree(self.desk / "broker" / "queued")

    def worker(self) -> int:
        """The vision worker of this house's daemon; 0 while there is none."""
        parents: dict[int, int] = {}
        workers: list[int] = []
        for entry in Path("/proc").iterdir():
            try:
                pid = int(entry.name)
                parents[pid] = int((entry / "stat").read_text().rpartition(")")[2].split()[1])
                line = (entry / "cmdline").read_bytes().split(b"\0")
            except (ValueError, OSError):
                continue
            if b"gateway.vision.worker" in line and b"gateway.vision.supervise" not in line:
                workers.append(pid)
        box = self.stage.process("box").pid
        return next((pid for pid in workers if parents.get(parents.get(pid, 0)) == box), 0)


class Life(threading.Thread):
    """What residents, strangers, clerks and technicians do all day. `pause` holds them."""

    def __init__(self, house: House, dice: random.Random) -> None:
        super().__init__(daemon=True)
        self.house, self.dice = house, dice
        self.pause, self.over = threading.Lock(), threading.Event()
        self.opened_by_command = 0
        self.problem: BaseException | None = None

    def run(self) -> None:
        try:
            while not self.over.is_set():
                with self.pause:
                    self.dice.choice((self._leave, self._leave, self._come_home, self._ring, self._desk, self._here))()
                self.over.wait(self.dice.uniform(0.02, 0.5))
        except BaseException as error:  # noqa: BLE001  (told by the test)
            self.problem = error

    def end(self) -> None:
        self.over.set()
        self.join(60)
        assert self.problem is None, self.problem

    def _leave(self) -> None:
        self.house.building.press(EXIT)
        self.over.wait(0.1)
        self.house.building.let_go(EXIT)
        self.house.building.set(CONTACT, False)
        self.over.wait(0.1)
        self.house.building.set(CONTACT, True)

    def _come_home(self) -> None:
        self.house.show(self.dice.choice(resident_pictures()[2:4]))

    def _ring(self) -> None:
        self.house.show(stranger_pictures()[0])

    def _desk(self) -> None:
        asked = ("desk", "command", "--within", "3", self.house.box, "door.open", "--door", "main", "--reason", "x")
        self._count(self.house.stage.loumen(*asked, ok=False).code)

    def _here(self) -> None:
        self._count(self.house.stage.loumen("door", "open", "main", "--reason", "parcel", ok=False).code)

    def _count(self, code: int) -> None:
        self.opened_by_command += code == 0


@pytest.fixture
def house() -> Iterator[RealHouse]:
    try:
        for name in ("dlib-resnet", "dlib-trees-5", "blazeface-full-range", "blazeface-short-range"):
            models.checked(models.manifest().named(name), models.folder())
        resident_pictures(), stranger_pictures()
    except LoumenError as error:
        pytest.skip(str(error))
    with Stage.raised() as stage:
        made = RealHouse.build(stage)
        assert isinstance(made, RealHouse)
        made.enrol()
        made.start_broker()
        made.start_desk()
        made.start_box()
        yield made


def test_each_part_is_killed_and_the_desk_holds_exactly_the_journal(house: RealHouse) -> None:
    resident = enrol_resident(house)
    dice = random.Random(SEED)
    life = Life(house, random.Random(SEED + 1))
    life.start()
    killed = []
    for number in range(KILLS):
        part = PARTS[number % len(PARTS)] if number < len(PARTS) else dice.choice(PARTS)
        life.over.wait(dice.uniform(0.3, 4.0))  # the moment is the test
        kill(house, part, life)
        killed.append(part)
        with life.pause:
            opens_by_its_button(house, f"after the kill of {killed}")
    life.end()
    the_resident_comes_home(house, resident)
    rows = the_desk_holds_the_journal(house)
    kinds = [row["type"] for row in rows]
    assert "journal.gap.v1" not in kinds
    assert len({row["epoch"] for row in rows}) == 1
    assert kinds.count("daemon.started.v1") == 1 + killed.count("box")
    marks = orders(rows, "command.accepted.v1")  # durable before the relay moves; what became of it is only noted
    assert len(marks) == len(set(marks)) >= life.opened_by_command > 0
    assert set(orders(rows, "command.done.v1")) <= set(marks)
    assert house.stage.ask("event", "verify")["ok"]
    assert_nothing_secret_was_said(house)


def orders(rows: list[dict[str, Any]], kind: str) -> list[str]:
    """The ids of the orders to open, as this kind of event has them."""
    return [
        row["event"]["command_id"] for row in rows if row["type"] == kind and row["event"]["command"] == "door.open"
    ]


def enrol_resident(house: RealHouse) -> str:
    until(lambda: house.status()["vision"]["state"] == "up", 60, "the vision process")
    added = house.stage.ask("person", "add", "林晓梅", "--home", "1-1-502", "--door", "main", "--consent")
    person = str(added["person"]["id"])
    house.stage.ask("face", "enrol", person, *(str(picture) for picture in resident_pictures()[:2]))
    return person


def kill(house: RealHouse, part: str, life: Life) -> None:
    """SIGKILL, and a new start where nobody else starts it."""
    if part == "vision":
        if pid := house.worker():  # else it is still on its way back
            os.kill(pid, signal.SIGKILL)
        return
    name = part.split(maxsplit=1)[0]
    house.stage.kill(name, signal.SIGKILL)
    if part == "broker that forgets":
        house.forget()
    if name == "broker":
        with life.pause:
            opens_by_its_button(house, "without a broker")
    {"box": house.start_box, "broker": house.start_broker, "desk": house.start_desk}[name]()


def opens_by_its_button(house: House, when: str) -> None:
    house.building.let_go(EXIT)
    time.sleep(2 * EXIT_REST)  # a button counts when it had rested
    house.building.reaches(LOCK, False, since=time.monotonic(), within=10)
    pressed = time.monotonic()
    house.building.press(EXIT)
    try:
        house.opened(pressed, 5)
    except TimeoutError:
        now = time.monotonic()
        wires = {
            line: [(round(at - now, 3), up) for at, up in house.building.changes(line)[-6:]] for line in (EXIT, LOCK)
        }
        last = house.stage.loumen("event", "list", "--limit", "12", ok=False).out
        pytest.fail(f"the exit button does not open {when}: {wires}\n{last}\n{house.stage.log('box')[-1000:]}")
    finally:
        house.building.let_go(EXIT)


def the_resident_comes_home(house: House, resident: str) -> None:
    """The vision process came back as well: her face opens the door."""

    def opened() -> bool:
        house.show(resident_pictures()[2])
        rows = house.stage.ask("event", "list", "--limit", "5", "--type", "door.opened")["events"]
        return any(row["event"].get("person") == resident and row["seq"] > before for row in rows)

    before = house.stage.ask("event", "list", "--limit", "1")["events"][0]["seq"]
    until(opened, 60, "the resident's face")


def the_desk_holds_the_journal(house: House) -> list[dict[str, Any]]:
    """Compare both sides until they agree; what they disagreed on at the end is the failure."""
    ours: list[dict[str, Any]] = []
    theirs: list[dict[str, Any]] = []
    deadline = time.monotonic() + 60
    while time.monotonic() < deadline:
        house.stage.loumen("sync", "status", ok=False)
        ours, theirs = lines(house, "event", "export"), lines(house, "desk", "events", "--box", house.box, "--json")
        if list(map(told, ours)) == list(map(told, theirs)):
            break
    missing = sorted({row["id"] for row in ours} ^ {row["id"] for row in theirs})
    way = house.stage.loumen("sync", "status", "--json", ok=False).out + house.stage.log("desk")[-1500:]
    assert list(map(told, ours)) == list(map(told, theirs)), (len(ours), len(theirs), missing[:5], missing[-1:], way)
    assert [row["event"] for row in ours] == [row["body"] for row in theirs]
    (box,) = (box for box in house.stage.ask("desk", "boxes")["boxes"] if box["box"] == house.box)
    assert box["findings"] == 0
    assert [hole for epoch in box["epochs"] for hole in epoch["holes"]] == []
    return ours


def told(row: dict[str, Any]) -> tuple[object, ...]:
    return row["id"], row["type"], row["at"], row["body_sha256"], row["previous"], row["head"]


def lines(house: House, *words: str) -> list[dict[str, Any]]:
    return [json.loads(line) for line in house.stage.loumen(*words).out.splitlines()]


def assert_nothing_secret_was_said(house: House) -> None:
    """Neither a log nor an event names a person or shows a face or a key."""
    said = "".join(house.stage.log(name) for name in ("box", "desk", "broker"))
    said += house.stage.loumen("event", "export").out
    for secret in ("林晓梅", "1-1-502", "PRIVATE KEY", "Traceback"):
        assert secret not in said, said[said.index(secret) - 500 :][:1000]


def until(true: Any, within: float, thing: str) -> None:
    deadline = time.monotonic() + within
    while not true():
        if time.monotonic() > deadline:
            raise StageError(f"{thing} did not come within {within} s")
        time.sleep(0.2)  # looks at other processes, which nobody announces
