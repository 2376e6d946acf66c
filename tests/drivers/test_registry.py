"""Driver names lead to classes, on first use, and never to another driver than the one that was asked for."""

from __future__ import annotations

import importlib.metadata
import subprocess
import sys
from importlib.metadata import EntryPoint
from pathlib import Path

import pytest

from drivers import registry
from drivers.errors import DriverError, UnknownDriver
from drivers.interfaces import OutputSpec
from drivers.registry import Drivers
from drivers.simulated import Building, SimulatedGpio

ROOT = Path(__file__).parents[2]


def test_a_driver_is_made_once() -> None:
    drivers = Drivers()
    assert drivers.gpio("simulated") is drivers.gpio("simulated")


def test_an_unknown_name_is_told_the_known_ones() -> None:
    with pytest.raises(UnknownDriver, match="gpio_chardev, gpio_rpi, simulated"):
        Drivers().gpio("gpio_chardv")
    with pytest.raises(UnknownDriver, match="v4l2"):
        registry.camera("simulated")


def test_a_driver_that_cannot_be_loaded_says_why_and_no_other_takes_its_place(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "gpiod", None)
    monkeypatch.delitem(sys.modules, "drivers.gpio_chardev", raising=False)
    with pytest.raises(DriverError, match="gpiod"):
        Drivers().gpio("gpio_chardev")


def test_a_third_party_driver_comes_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    entry = EntryPoint("acme", "drivers.simulated.driver:SimulatedGpio", registry.GROUP)
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: (entry,) if group == registry.GROUP else ())
    assert isinstance(Drivers().gpio("acme"), SimulatedGpio)
    assert "acme" in registry.known()


def test_close_rests_every_driver() -> None:
    building = Building(owner_death="driven")
    drivers = Drivers({"simulated": SimulatedGpio(building)})
    drivers.gpio("simulated").claim_output(OutputSpec("lock", "simulated", 3)).hold()
    drivers.close()
    drivers.close()
    assert [level for _, level in building.line(3).changes] == [True, False]


def test_nothing_is_imported_before_it_is_used() -> None:
    heavy = ("gpiod", "cv2", "RPi", "numpy")
    program = f"import sys, drivers.registry; print(*(name for name in sys.modules if name.startswith({heavy})))"
    done = subprocess.run([sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=True)
    assert done.stdout.split() == []


def test_every_name_of_ours_has_its_class() -> None:
    for place in (*registry.GPIO.values(), *registry.CAMERAS.values()):
        module, _, name = place.partition(":")
        assert f"class {name}" in (ROOT / f"{module.replace('.', '/')}.py").read_text()
