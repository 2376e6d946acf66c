"""Meters in `config check`: what they never show at their interval, and what this machine lacks for them."""

from __future__ import annotations

from pathlib import Path

import msgspec

from drivers.interfaces import LineInfo
from gateway.config import schema
from gateway.config.check_meters import check_meters
from gateway.config.machine import check_machine
from gateway.config.mistakes import Finding


def config(bus: dict[str, object], **meters: dict[str, object]) -> schema.Gateway:
    document = {
        "site": {"name": "Garden", "community": "garden-1"},
        "box": {"name": "unit-1"},
        "bus": {"riser": bus},
        "meter": {
            name: {"name": name, "bus": "riser", "unit": place, "profile": "tuf-2000m", **meter}
            for place, (name, meter) in enumerate(meters.items(), 1)
        },
    }
    return msgspec.convert(document, schema.Gateway)


def told(findings: list[Finding]) -> list[tuple[str, str, str]]:
    return [
        (".".join(map(str, one.path)), one.severity, one.what.format_map(one.facts))
        for one in findings
        if one.path[0] in {"bus", "meter"}
    ]


def free(_driver: str, _chip: str, _line: int) -> LineInfo:
    raise AssertionError("this box has no lines")


TCP: dict[str, object] = {"driver": "tcp", "host": "10.0.0.5"}


def test_an_interval_at_which_a_detector_is_blind_is_said() -> None:
    meters = config(TCP, often={"interval": 300}, seldom={"interval": 600}, hourly={"interval": 3600})
    assert told(list(check_meters(meters, {"riser"}))) == [
        (
            "meter.seldom.interval",
            "warning",
            "read every 600 s, this meter never shows high flow: flow is judged over 300 s",
        ),
        (
            "meter.hourly.interval",
            "warning",
            "read every 3600 s, this meter never shows high flow and the still hour: flow is judged over 300 s",
        ),
    ]


def test_a_profile_that_is_not_there_or_is_none_is_said_before_the_daemon_starts(tmp_path: Path) -> None:
    (tmp_path / "tower.toml").write_text('model = ""\nwords = "middle"\n')
    meters = config(TCP, good={}, typo={"profile": "tuf2000m"}, bad={"profile": "tower"})
    meters = msgspec.structs.replace(meters, metering=schema.Metering(profiles=str(tmp_path)))
    assert told(check_machine(meters, free)) == [
        ("meter.typo.profile", "error", "there is no profile tuf2000m"),
        ("meter.bad.profile", "error", "4 mistakes in tower.toml"),
    ]


def test_an_adapter_that_is_not_plugged_in_is_a_warning() -> None:
    (found,) = told(check_machine(config({"driver": "serial", "adapter": "FT4711"}), free))
    assert found == ("bus.riser.adapter", "warning", "no adapter with the serial number FT4711 is plugged in")
