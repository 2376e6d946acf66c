"""A box with a lane as real processes: configuration, lines, commands, events, status; what the shell says."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from drivers.simulated.remote import Remote, raised
from gateway.demo.gate import BEAM, BUTTON, CLOSE, LOOP, OPEN, STOP, Gate
from gateway.demo.stage import Stage

CONFIG = """
[site]
name = "Site"
community = "test"
language = "en"

[box]
name = "box"
board = "simulated"
state = "{folder}/state"
run = "{folder}/run"

[vision]
run = "off"
"""


@dataclass
class Box:
    stage: Stage
    building: Remote
    gate: Gate
    config: Path


@contextmanager
def box() -> Iterator[Box]:
    with Stage.raised() as stage:
        building = stage.keep(raised(stage.folder / "w.sock"))
        config = stage.folder / "gateway.toml"
        config.write_text(CONFIG.format(folder=stage.folder) + Gate.tables(stage))
        stage.env |= {"LOUMEN_SIMULATED": str(stage.folder / "w.sock"), "LOUMEN_CONFIG": str(config), "LANG": "C.UTF-8"}
        gate = Gate(stage, building)
        gate.stand()
        yield Box(stage, building, gate, config)


def test_a_box_with_a_lane() -> None:
    with box() as b:
        stage = b.stage
        assert "hint" in stage.loumen("config", "check").out
        stage.start_daemon("box", b.config)
        status = stage.ask("status", ok=False)
        (lane,) = status["lanes"]
        assert (lane["commanded"], lane["sensed"], lane["under"]) == ("down", "down", "free")
        assert status["plate_vision"]["state"] == "off"
        assert "lane gate (Garage): down" in stage.loumen("status", ok=False).out
        assert "Garage" in stage.loumen("lane", "list").out

        asked = stage.ask("lane", "raise", "gate", "--reason", "parcel")
        assert asked["motion"] == "rising"
        b.gate.rises(0)
        b.building.set(LOOP, True)
        b.building.set(LOOP, False)
        b.gate.falls(0)
        assert stage.ask("lane", "show", "gate")["id"] == "gate"

        added = stage.ask("plate", "add", "粤b·12345", "--lane", "gate", "--until", "2027-01-01")
        assert added["plate"] == "粤B12345"
        good, bad = stage.folder / "good.csv", stage.folder / "bad.csv"
        good.write_bytes("车牌\n粤B54321\n京A8888学\n".encode("gbk"))
        bad.write_bytes("plate\n粤B11111\nXX\n".encode())
        assert stage.ask("plate", "import", str(good))["added"] == 2
        refused = stage.loumen("plate", "import", str(bad), ok=False)
        assert refused.code == 1
        assert "line 3" in refused.out
        assert stage.ask("plate", "list")["total"] == 3
        assert "粤B·54321" in stage.loumen("plate", "list", "--find", "54321").out
        stage.ask("plate", "remove", "粤B54321")
        assert stage.loumen("plate", "read", "--lane", "gate", ok=False).code == 1
        assert stage.loumen("lane", "raise", "side", ok=False).code == 1
        for line in ("gate.close", "gate.open"):
            assert stage.loumen("io", "pulse", line, "--yes", ok=False).code == 4, "not by hand"

        again = stage.ask("lane", "simulate", "gate", "--events")
        assert again["differs"] == {"journal": [], "rules": []}, "the rules tell the passage as the journal has it"
        dry = stage.ask("lane", "simulate", "gate", "plate", "+6 loop occupied")
        assert dry["rows"][-1]["why"].startswith("stays up: the loop")
        stage.ask("lane", "hold", "gate")
        b.gate.rises(0)
        assert "held up by an order" in stage.loumen("lane", "show", "gate").out
        assert stage.kill("box", signal.SIGTERM) == 0
        before = {line: b.building.changes(line) for line in (OPEN, CLOSE, STOP)}
        stage.start_daemon("box", b.config)
        assert stage.ask("lane", "show", "gate")["commanded"] == "held", "the order stands after a restart"
        stage.loumen("lane", "release", "gate")
        assert {line: b.building.changes(line) for line in (OPEN, CLOSE, STOP)} == before, "nothing moved meanwhile"
        assert stage.ask("plate", "list")["total"] == 2
        events = [event["type"] for event in stage.ask("event", "list", "--limit", "200")["events"]]
        assert {"lane.raised.v1", "lane.lowered.v1", "vehicle.imported.v1", "lane.mode_changed.v1"} <= set(events)
        schemas = stage.ask("event", "schema")
        assert "lane.raised.v1" in str(schemas)


def test_a_daemon_that_stops_while_the_arm_falls_raises_it() -> None:
    with box() as b:
        b.stage.start_daemon("box", b.config)
        b.building.press(BUTTON)
        b.gate.rises(0)
        b.building.set(LOOP, True)
        b.building.set(LOOP, False)
        fell = b.gate.begins_to_fall(0)
        assert b.stage.kill("box", signal.SIGTERM) == 0
        begun = [at for at, level in b.building.changes(OPEN) if level and at > fell]
        assert begun
        assert not b.building.level(OPEN)
        assert b.building.level(BEAM)


def test_who_moves_out_loses_the_lane() -> None:
    with box() as b:
        stage = b.stage
        stage.start_daemon("box", b.config)
        anna = stage.ask("person", "add", "Anna", "--home", "1-101")["person"]["id"]
        stage.ask("person", "add", "Ben")
        stage.ask("plate", "add", "粤B·12345", "--person", "Anna", "--from", "2026-01-01", "--until", "2099-12-31")
        stage.ask("plate", "add", "粤B·12346", "--person", "Ben")
        stage.ask("plate", "add", "粤B·12347")
        told = stage.loumen("plate", "list").out
        assert "Anna · 1-101" in told
        assert "2099-12-31" in told
        assert stage.ask("person", "show", "Anna")["plates"] == ["粤B12345"]
        assert stage.loumen("plate", "add", "粤B·12348", "--person", "Nobody", ok=False).code == 1
        assert stage.ask("plate", "list", "--person", "Ben")["states"] == {"粤B12346": "ok"}
        stage.loumen("person", "change", "Ben", "--suspend")
        assert stage.ask("plate", "list", "--person", "Ben")["states"] == {"粤B12346": "owner_inactive"}
        assert "owner suspended" in stage.loumen("plate", "list").out
        stage.loumen("person", "forget", "Anna", "--yes")
        assert [one["plate"] for one in stage.ask("plate", "list")["plates"]] == ["粤B12346", "粤B12347"]
        rows = stage.ask("event", "list", "--limit", "200")["events"]
        types = [event["type"] for event in rows]
        assert types.count("vehicle.removed.v1") == 1
        assert "粤B12345" not in str(rows)
        assert anna in str(rows)

        head = stage.ask("status", ok=False)["journal"]["head"]
        # A box whose lane was taken out of the file for a while forgets somebody; her plate does not come back with it.
        assert stage.kill("box", signal.SIGTERM) == 0
        whole = b.config.read_text()
        b.config.write_text(whole.partition("[lane.gate]")[0])
        stage.start_daemon("box", b.config)
        stage.loumen("person", "forget", "Ben", "--yes")
        assert stage.kill("box", signal.SIGTERM) == 0
        b.config.write_text(whole)
        stage.start_daemon("box", b.config)
        removed = stage.follow("event", "follow", "--after", head, "--type", "vehicle.removed")
        removed.wait(lambda _event: True, 20, "the removed vehicle")
        assert [one["plate"] for one in stage.ask("plate", "list")["plates"]] == ["粤B12347"]
