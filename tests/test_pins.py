"""The file of pins says all that safe-state needs, in electrical levels, and is replaced whole."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from drivers.interfaces import Bias, OutputSpec
from gateway.pins import write_pins
from gateway.safe_state import read_pins


def test_what_stands_in_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOUMEN_SIMULATED", "/run/building")
    path = tmp_path / "pins.json"
    write_pins(
        path,
        [
            ("gpio_chardev", OutputSpec("main.lock", "pinctrl-rp1", 17, active_low=True, bias=Bias.UP)),
            ("gpio_rpi", OutputSpec("side.lock", "gpio_rpi", 5)),
            ("simulated", OutputSpec("gate.lock", "simulated", 6)),
        ],
    )
    kernel, rpi, simulated = read_pins(str(path))
    assert kernel == {
        "name": "main.lock",
        "driver": "gpio_chardev",
        "chips": ["pinctrl-rp1"],
        "line": 17,
        "resting": "high",
        "active_low": True,
        "bias": "up",
    }
    assert rpi["chips"] == ["pinctrl-rp1", "pinctrl-bcm2711", "pinctrl-bcm2835"]
    assert (simulated["socket"], simulated["resting"]) == ("/run/building", "low")
    assert json.loads(path.read_text())["layout"] == 1


def test_it_is_replaced_whole(tmp_path: Path) -> None:
    path = tmp_path / "pins.json"
    write_pins(path, [("simulated", OutputSpec("a", "simulated", 1))])
    before = path.stat().st_ino
    write_pins(path, [])
    assert path.stat().st_ino != before
    assert read_pins(str(path)) == []
    assert list(tmp_path.iterdir()) == [path]
