"""The demo's house: a simulated building, a box, a community with its desk and broker.

Everything is set up with the commands that a technician types; nothing is prepared behind their back.
"""

from __future__ import annotations

import shutil
import socket
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from drivers.simulated.remote import Remote, raised
from gateway.demo.gate import Gate
from gateway.demo.stage import LOUMEN, Lines, Stage
from gateway.demo.water import Water

LOCK, CONTACT, EXIT, FIRE, GRANTED, DENIED = 17, 22, 23, 24, 5, 6
COMMUNITY = "demo"
CONFIG = """\
[site]
name = "Demo"
community = "{community}"
language = "en"

[box]
name = "unit-1"
board = "simulated"
state = "{folder}/state"
run = "{folder}/run"

[door.main]
name = "Unit 1"
contact = {{ driver = "simulated", line = {contact} }}
exit_button = {{ driver = "simulated", line = {exit} }}
fire = {{ driver = "simulated", line = {fire} }}
camera = "front"

[door.main.lock]
output = {{ driver = "simulated", line = {lock} }}
kind = "fail-secure"
open_for = 1.0

[door.main.indicators]
granted = {{ driver = "simulated", line = {granted} }}
denied = {{ driver = "simulated", line = {denied} }}

[camera.front]
driver = "folder"
path = "{folder}/frames"

[vision]
run = "child"
models = "{models}"

[uplink]
protocol = "3.1.1"  # all that the demo's broker speaks
backoff_max = 2.0
[[uplink.brokers]]
host = "localhost"
port = {port}
"""


def free_port() -> int:
    """A TCP port that nobody uses at this moment."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


@dataclass(slots=True)
class House:
    """The house on a stage. `building` presses buttons and watches wires."""

    stage: Stage
    building: Remote
    gate: Gate
    water: Water
    config: Path
    desk: Path
    port: int
    box: str = ""

    @classmethod
    def build(cls, stage: Stage, models: str = "") -> House:
        """Building, configuration, community; nothing runs yet but the building."""
        folder, port = stage.folder, free_port()
        (folder / "frames").mkdir()
        wires = folder / "wires.sock"
        building = stage.keep(raised(wires))
        config = folder / "gateway.toml"
        config.write_text(
            CONFIG.format(
                folder=folder,
                models=models,
                port=port,
                community=COMMUNITY,
                lock=LOCK,
                contact=CONTACT,
                exit=EXIT,
                fire=FIRE,
                granted=GRANTED,
                denied=DENIED,
            )
            + Gate.tables(stage)
            + Water.tables(stage)
        )
        stage.env |= {"LOUMEN_SIMULATED": str(wires), "LOUMEN_CONFIG": str(config), "LOUMEN_DESK": str(folder / "desk")}
        water = Water(folder / "meters.json")
        house = cls(stage, building, Gate(stage, building), water, config, folder / "desk", port)
        house.gate.stand()
        house.water.show()
        house.building.set(CONTACT, True)  # closed
        return house

    def enrol(self) -> None:
        """A community, and this box in it: desk init, enrol, desk admit, enrol --accept."""
        folder, stage = self.stage.folder, self.stage
        init = ("desk", "init", "--community", COMMUNITY, "--host", "localhost", "--port", str(self.port))
        root = stage.ask(*init, "--protocol", "3.1.1")["root"]
        asked = stage.ask("enrol", "--output", str(folder / "request.json"))
        self.box = asked["box"]
        bundle = str(folder / "bundle.json")
        admit = ("desk", "admit", str(folder / "request.json"), "--output", bundle)
        stage.ask(*admit, "--fingerprint", asked["fingerprint"])
        stage.ask("enrol", "--accept", bundle, "--root", root)

    def start_broker(self) -> None:
        """The community's broker, in pure Python."""
        argv = (sys.executable, "-m", "gateway.desk.broker", "--folder", str(self.desk), "--port", str(self.port))
        self.stage.start("broker", argv, until="listening")

    def start_desk(self) -> None:
        """`loumen desk run`."""
        self.stage.start("desk", (*LOUMEN, "desk", "run", "--lang", "en"), until="The desk is ready")

    def start_box(self) -> None:
        """`loumen run`."""
        self.stage.start_daemon("box", self.config)

    def at_desk(self) -> Lines:
        """What arrives at the desk from now on."""
        return self.stage.follow("desk", "events", "--follow", "--last", "100")

    def at_box(self) -> Lines:
        """What happens at the box from now on."""
        return self.stage.follow("event", "follow")

    def eavesdropper(self) -> Lines:
        """Somebody in the broker."""
        argv = (sys.executable, "-m", "gateway.demo.eavesdropper", "--desk", str(self.desk), "--box", self.box)
        return self.stage.listen(argv)

    def show(self, picture: Path) -> float:
        """Hold a picture before the camera; since when, by the building's clock."""
        frames = self.stage.folder / "frames"
        for old in frames.iterdir():
            old.unlink()
        unfinished = self.stage.folder / picture.name
        shutil.copyfile(picture, unfinished)
        at = time.monotonic()
        unfinished.rename(frames / picture.name)
        return at

    def opened(self, since: float, within: float = 15.0) -> float:
        """When the lock was released, at or after `since`. Raises an error when it was not."""
        return self.building.reaches(LOCK, True, since=since, within=within)

    def edges(self, since: float) -> list[tuple[float, bool]]:
        """What the lock's wire did since a moment."""
        return [(at, level) for at, level in self.building.changes(LOCK) if at >= since]

    def status(self) -> Any:
        """`loumen status --json`."""
        return self.stage.ask("status", ok=False)  # 1 where a person should look at something
