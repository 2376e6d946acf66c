"""The barrier of the demo's house: its lines, the arm that its drive moves, and the cars that come.

The arm is played here, as a real one answers its drive: a limit switch lets go when it begins to move, the other
one closes when it has arrived.
"""

from __future__ import annotations

import time
from dataclasses import dataclass

from drivers.simulated.remote import Remote
from gateway.demo.stage import Stage, StageError
from gateway.errors import N_

OPEN, CLOSE, STOP, TOP, BOTTOM, LOOP, BEAM, BUTTON = 12, 13, 16, 18, 19, 20, 21, 25
HOME = "粤B·D6789"
NEIGHBOURS = "粤B·D6780"  # one character from it
TABLES = """
[lane.gate]
name = "Garage"
camera = "drive"
loop = {{ driver = "simulated", line = {loop} }}
photocell = {{ driver = "simulated", line = {beam} }}
button = {{ driver = "simulated", line = {button} }}
close_after = 0.5
stay_open = 8.0

[lane.gate.arm]
open = {{ driver = "simulated", line = {open} }}
close = {{ driver = "simulated", line = {close} }}
stop = {{ driver = "simulated", line = {stop} }}
limit_up = {{ driver = "simulated", line = {top} }}
limit_down = {{ driver = "simulated", line = {bottom} }}
travel = 5.0

[camera.drive]
driver = "folder"
path = "{folder}/drive"
"""


@dataclass(slots=True)
class Gate:
    """The barrier in the building."""

    stage: Stage
    building: Remote

    @staticmethod
    def tables(stage: Stage) -> str:
        """Its part of the configuration."""
        (stage.folder / "drive").mkdir()
        return TABLES.format(
            folder=stage.folder,
            open=OPEN,
            close=CLOSE,
            stop=STOP,
            top=TOP,
            bottom=BOTTOM,
            loop=LOOP,
            beam=BEAM,
            button=BUTTON,
        )

    def stand(self) -> None:
        """Down, with nobody near."""
        self.building.set(BOTTOM, True)
        self.building.set(BEAM, True)

    def arrive(self, plate: str) -> float:
        """A car with this plate stops before the camera; since when."""
        from gateway.demo.plate_picture import save

        made = save(plate, self.stage.folder / "cars")
        at = time.monotonic()
        for picture in made:
            picture.rename(self.stage.folder / "drive" / picture.name)
        return at

    def leave(self) -> None:
        """The street before the camera is empty again."""
        for picture in (self.stage.folder / "drive").iterdir():
            picture.unlink()

    def rises(self, since: float, within: float = 20.0) -> float:
        """The drive is told to open, and the arm goes up; when it was told."""
        at = self.building.reaches(OPEN, True, since=since, within=within)
        self.building.set(BOTTOM, False)
        self.building.set(TOP, True)
        return at

    def begins_to_fall(self, since: float, within: float = 15.0) -> float:
        """The drive is told to close, and the arm leaves its upper limit; when it was told."""
        at = self.building.reaches(CLOSE, True, since=since, within=within)
        self.building.set(TOP, False)
        return at

    def falls(self, since: float) -> None:
        """The same, to the end."""
        self.begins_to_fall(since)
        self.building.set(BOTTOM, True)

    def stays(self, seconds: float, since: float) -> None:
        """Nothing closes for so long. Raises StageError."""
        try:
            self.building.reaches(CLOSE, True, since=since, within=seconds)
        except TimeoutError:
            return
        raise StageError(N_("the arm came down on a car"))

    def told_to_stop(self, since: float) -> tuple[float, float]:
        """When the drive was told to stop, and when to open again."""
        stopped = self.building.reaches(STOP, True, since=since, within=5)
        opened = self.building.reaches(OPEN, True, since=since, within=5)
        self.building.set(TOP, True)
        return stopped, opened
