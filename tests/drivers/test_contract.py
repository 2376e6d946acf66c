"""Every driver that needs no kernel passes the contract; the kernel's turn is in tests/real."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from drivers import edges
from drivers.gpio_rpi import CHIP as RPI_CHIP
from drivers.gpio_rpi import LINES as RPI_LINES
from drivers.gpio_rpi import GpioRpi
from drivers.simulated import Building, SimulatedGpio
from drivers.simulated.building import CHIP, LINES
from drivers.simulated.remote import raised
from tests.drivers.benches import FarAway, Local
from tests.drivers.contract import GpioContract
from tests.drivers.fake_rpi import FakeRpi, FakeRpiLgpio


@pytest.mark.parametrize("owner_death", ["freed", "driven"])
class TestSimulated(GpioContract):
    @pytest.fixture
    def bench(self, owner_death: str) -> Iterator[Local]:
        building = Building(owner_death="driven" if owner_death == "driven" else "freed")
        bench = Local(building, lambda: SimulatedGpio(building), CHIP, LINES)
        yield bench
        bench.close()


@pytest.mark.parametrize("owner_death", ["freed", "driven"])
class TestSimulatedElsewhere(GpioContract):
    @pytest.fixture
    def bench(self, owner_death: str, tmp_path: Path) -> Iterator[FarAway]:
        path = tmp_path / "building"
        with raised(path, owner_death="driven" if owner_death == "driven" else "freed") as remote:
            bench = FarAway(remote, lambda: SimulatedGpio(socket=str(path)), CHIP, LINES)
            yield bench
            bench.close()


class TestRpiGpio(GpioContract):
    @pytest.fixture
    def bench(self) -> Iterator[Local]:
        building = Building()
        module = FakeRpi(building)
        bench = Local(building, lambda: GpioRpi(module), RPI_CHIP, RPI_LINES)
        yield bench
        bench.close()


class TestRpiLgpio(GpioContract):
    @pytest.fixture
    def bench(self, monkeypatch: pytest.MonkeyPatch) -> Iterator[Local]:
        monkeypatch.setattr(edges, "LOOK", 0.2)
        building = Building()
        module = FakeRpiLgpio(building)
        bench = Local(building, lambda: GpioRpi(module), RPI_CHIP, RPI_LINES)
        yield bench
        bench.close()
