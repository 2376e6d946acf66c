"""The contract for rpi-lgpio on a real kernel's lines. Run inside a guest by tests/real/test_gpio_kernel.py.

The package opens one chip by number for the life of its module, so each bench opens it anew. Where it cannot
do what our own driver does, a test is replaced and says what happens instead.
"""

from __future__ import annotations

import importlib
import os
from collections.abc import Iterator
from typing import Any

import pytest

from drivers import edges, gpio_rpi
from drivers.gpio_rpi import CHIP, GpioRpi
from tests.drivers.contract import IN, Bench, GpioContract, following, run
from tests.drivers.contract_kernel import Kernel

os.environ["RPI_LGPIO_REVISION"] = "0xc03114"  # a Pi 4
GPIO: Any = pytest.importorskip("RPi.GPIO")


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    monkeypatch.setattr(edges, "LOOK", 0.2)
    monkeypatch.setattr(gpio_rpi, "CAPACITY", Kernel.keeps)
    kernel = Kernel(lambda: GpioRpi(GPIO), CHIP)
    monkeypatch.setenv("RPI_LGPIO_CHIP", kernel.bank.path.name.removeprefix("gpiochip"))
    yield kernel
    for driver in kernel.drivers:
        driver.close()
    GPIO.lgpio.gpiochip_close(GPIO._chip)
    importlib.reload(GPIO)  # it knows no other way to a new chip when the old one vanished
    kernel.close()


class TestRpiLgpio(GpioContract):
    """What every driver promises."""

    def test_must_count_what_a_slow_reader_lost(self, bench: Bench) -> None:
        """lgpio drops edges of a burst without telling when the machine is busy: never more than were set come."""

        async def scenario() -> None:
            line = self.claim_input(bench)
            for number in range(200):
                bench.set(IN, number % 2 == 0)
            (first,) = await following(line, 1)
            assert first.active
            assert line.lost < 200

        run(scenario())
