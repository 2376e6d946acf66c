"""What happens in the demo's house, step by step. Each step holds or the demo fails, with the reason."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from gateway.access.decision import REASONS as AT_DOORS
from gateway.cli.words import line_name
from gateway.demo.gate import BEAM, HOME, LOOP, NEIGHBOURS
from gateway.demo.house import DENIED, EXIT, LOCK, House
from gateway.demo.stage import Lines, StageError
from gateway.errors import N_
from gateway.lanes.decision import REASONS as AT_LANES
from gateway.locale import tell
from gateway.vision.demo_faces import resident_pictures, stranger_pictures

RECEIPT_WITHIN = 20.0  # seconds from an event to the desk's receipt for it
QUIET = 4.0  # seconds a stranger stands before the door; the worker judges three frames a second or more


@dataclass(slots=True)
class Story:
    """The steps, in order; each returns what it saw, in words that are printed beside the tick."""

    house: House
    resident: str = ""
    desk: Lines | None = None
    box: Lines | None = None
    spy: Lines | None = None

    def steps(self) -> list[tuple[str, Callable[[], str]]]:
        """What is told, and what is done."""
        return [
            (N_("A community, its broker and its desk; this box is admitted"), self.begin),
            (N_("The daemon starts; its doors are ready"), self.start),
            (N_("A resident consents and is enrolled from two portraits"), self.enrol),
            (N_("Her face opens the door"), self.face),
            (N_("A stranger's face does not"), self.stranger),
            (N_("A car comes home: its plate is read, and the barrier opens"), self.car),
            (N_("The arm does not come down on what is under it"), self.under),
            (N_("A night of the water meter: the burst is found"), self.burst),
            (N_("The desk opens the door with a signed command"), self.command),
            (N_("The same command, sent again by somebody in the broker, opens nothing"), self.replay),
            (N_("The broker is killed; the exit button opens all the same"), self.offline),
            (N_("The broker comes back, and nothing is missing at the desk"), self.online),
            (N_("The journal is whole, and the daemon stops in order"), self.end),
        ]

    def begin(self) -> str:
        self.house.enrol()
        self.house.start_broker()
        self.house.start_desk()
        return self.house.box

    def start(self) -> str:
        self.house.start_box()
        self.desk, self.box = self.house.at_desk(), self.house.at_box()
        self._at_desk("daemon.started.v1", RECEIPT_WITHIN)
        self.box.wait(_faces_started, 60, "the vision process")
        status = self.house.status()
        engine, detector = status["vision"]["engine"], status["vision"]["detector"]
        facts = {"seconds": status["ready_seconds"], "memory": status["resident_kb"] // 1024}
        said = N_("doors ready after {seconds} s, {memory} MB; detector {detector} ({engine})")
        return tell(said, {**facts, "engine": engine, "detector": detector})

    def enrol(self) -> str:
        stage = self.house.stage
        added = stage.ask("person", "add", "林晓梅", "--home", "1-1-502", "--door", "main", "--consent")
        self.resident = added["person"]["id"]
        pictures = [str(picture) for picture in resident_pictures()[:2]]
        stage.ask("face", "enrol", self.resident, *pictures)
        self._at_box("face.enrolled.v1", 20)
        return self.resident

    def face(self) -> str:
        shown = self.house.show(resident_pictures()[2])
        opened = self.house.opened(shown)
        event = self._at_box("door.opened.v1", 5)
        if event["person"] != self.resident:
            raise StageError(N_("the door opened for {person}, who is not the resident"), person=event["person"])
        self._at_desk("door.opened.v1", RECEIPT_WITHIN)
        self._received()
        said = N_("{seconds} s from the picture to the relay; distance {distance}, allowed {threshold}")
        facts = {name: f"{event[name]:.3f}" for name in ("distance", "threshold")}
        return tell(said, {**facts, "seconds": f"{opened - shown:.2f}"})

    def stranger(self) -> str:
        self._closed()
        shown = self.house.show(stranger_pictures()[0])
        event = self._at_box("door.refused.v1", 20)
        try:
            self.house.opened(shown, QUIET)
        except TimeoutError:
            denied = self.house.building.changes(DENIED)
            said = N_("refused, with the red lamp: {why}; distance {distance}")
            if not denied:
                said = N_("refused, and no lamp said so: {why}; distance {distance}")
            return tell(said, {"why": AT_DOORS[str(event["code"])], "distance": f"{event['distance']:.3f}"})
        raise StageError(N_("the door opened for a stranger"))

    def car(self) -> str:
        gate, stage = self.house.gate, self.house.stage
        vehicle = stage.ask("plate", "add", HOME)["id"]
        gate.arrive(NEIGHBOURS)
        refused = self._at_box("lane.refused.v1", 40)
        gate.leave()
        came = gate.arrive(HOME)
        opened = gate.rises(came)
        event = self._at_box("lane.raised.v1", 5)
        if event["vehicle"] != vehicle:
            raise StageError(N_("the barrier opened for {vehicle}, which is not the car"), vehicle=event["vehicle"])
        gate.leave()
        self._at_desk("lane.raised.v1", RECEIPT_WITHIN)
        said = N_("{plate} after {seconds} s; {other}: {why}")
        facts = {"plate": HOME, "other": NEIGHBOURS, "why": AT_LANES[str(refused["code"])]}
        return tell(said, {**facts, "seconds": f"{opened - came:.2f}"})

    def under(self) -> str:
        gate, building = self.house.gate, self.house.building
        building.set(LOOP, True)
        gate.stays(QUIET, since=time.monotonic())
        building.set(LOOP, False)
        left = time.monotonic()
        gate.begins_to_fall(left)
        broken = time.monotonic()
        building.set(BEAM, False)  # a child runs after the car
        stopped, opened = gate.told_to_stop(broken)
        event = self._at_box("lane.reversed.v1", 5)
        building.set(BEAM, True)
        gate.falls(opened)
        self._at_box("lane.lowered.v1", 5)
        self._at_desk("lane.reversed.v1", RECEIPT_WITHIN)
        facts = {"what": line_name(str(event["because"])), "ms": f"{1000 * (stopped - broken):.0f}"}
        return tell(N_("{what}: stopped and raised after {ms} ms"), facts)

    def burst(self) -> str:
        assert self.box is not None
        event = self.house.water.night(self.box)
        self._at_desk("water.leak_suspected.v1", RECEIPT_WITHIN)
        return tell(N_("meter {meter}: {litres} L ran"), {"meter": event["meter"], "litres": event["litres"]})

    def command(self) -> str:
        spy = self.spy = self.house.eavesdropper()
        spy.wait(lambda said: "listening" in said, 20, "the eavesdropper")
        asked = time.monotonic()
        self.house.stage.ask("desk", "command", self.house.box, "door.open", "--door", "main", "--reason", "parcel")
        opened = self.house.opened(asked, 10)
        event = self._at_box("door.opened.v1", 5)
        spy.wait(lambda said: "heard" in said, 10, "the command in the broker")
        said = N_("{seconds} s from the desk to the relay; {actor} stands in the journal")
        return tell(said, {"seconds": f"{opened - asked:.2f}", "actor": event["actor"]})

    def replay(self) -> str:
        self._closed()
        replayed = time.monotonic()
        assert self.spy is not None
        self.spy.say("again")
        self.spy.wait(lambda said: "replayed" in said, 10, "the replayed command at the broker")
        refused = self._at_box("command.refused.v1", 10)
        if self.house.edges(replayed):
            raise StageError(N_("the replayed command moved the lock"))
        return tell(N_("refused, and recorded as '{reason}'"), {"reason": refused["reason"]})

    def offline(self) -> str:
        self.house.stage.kill("broker")
        for _ in range(3):
            pressed = time.monotonic()
            self.house.building.press(EXIT)
            self.house.opened(pressed, 5)
            self.house.building.let_go(EXIT)
            self._closed()
            self._at_box("door.opened.v1", 5)
        return tell(N_("{count} presses, {count} openings"), {"count": 3})

    def online(self) -> str:
        self.house.start_broker()
        for _ in range(3):
            self._at_desk("door.opened.v1", 40)
        self._received()
        boxes = self.house.stage.ask("desk", "boxes")["boxes"]
        held = next(box for box in boxes if box["box"] == self.house.box)
        holes = [hole for epoch in held["epochs"] for hole in epoch["holes"]]
        if holes or held["findings"]:
            raise StageError(N_("the desk misses {holes} and found {findings}"), holes=holes, findings=held["findings"])
        return tell(N_("events at the desk: {count}"), {"count": held["events"]})

    def end(self) -> str:
        import signal

        code = self.house.stage.kill("box", signal.SIGTERM)
        if code != 0:
            raise StageError(N_("the daemon ended with {code}"), code=code)
        verified = self.house.stage.ask("event", "verify")
        return tell(N_("events in the journal: {count}"), {"count": verified["rows"]})

    # --- what steps have in common

    def _at_box(self, kind: str, within: float) -> dict[str, object]:
        assert self.box is not None
        event = self.box.wait(lambda event: _type(event) == kind, within, kind)
        body = event["event"]
        return dict(body)

    def _at_desk(self, kind: str, within: float) -> None:
        assert self.desk is not None
        self.desk.wait(lambda event: _type(event) == kind, within, f"{kind} at the desk")

    def _closed(self) -> None:
        """Wait until the lock rests again."""
        self.house.building.reaches(LOCK, False, since=time.monotonic(), within=10)

    def _received(self) -> None:
        """Wait until the desk's receipt names everything that the box has."""
        assert self.desk is not None
        until = time.monotonic() + RECEIPT_WITHIN
        while (status := self.house.stage.ask("sync", "status"))["backlog"]:
            if time.monotonic() > until:
                raise StageError(N_("no receipt for {backlog} events"), backlog=status["backlog"])


def _faces_started(event: dict[str, Any]) -> bool:
    """A box with a lane has a second vision process, for plates."""
    return _type(event) == "vision.started.v1" and event["event"]["group"] == "doors"


def _type(event: dict[str, object]) -> object:
    return event.get("type")
