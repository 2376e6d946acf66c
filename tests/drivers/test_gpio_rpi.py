"""What is special about the module RPi.GPIO, in both of its incarnations."""

from __future__ import annotations

import pytest

from drivers import gpio_rpi
from drivers.errors import DriverError, LineBusy, LineMissing
from drivers.gpio_rpi import CHIP, GpioRpi
from drivers.interfaces import Bias, InputSpec, OutputSpec
from drivers.simulated import Building
from tests.drivers.fake_rpi import FakeRpi, FakeRpiLgpio


def test_which_package_is_installed_is_looked_at() -> None:
    assert not GpioRpi(FakeRpi(Building())).supports_inputs
    assert GpioRpi(FakeRpiLgpio(Building())).supports_inputs


def test_a_closed_output_stays_driven_at_rest() -> None:
    building = Building(pulls={17: True})
    driver = GpioRpi(FakeRpi(building))
    driver.claim_output(OutputSpec("lock", CHIP, 17)).hold()
    driver.close()
    assert not building.line(17).level  # `cleanup` would have let it float, or rise to its pull


def test_a_bias_of_an_output_is_no_error_though_it_has_none() -> None:
    driver = GpioRpi(FakeRpi(Building()))
    driver.claim_output(OutputSpec("lock", CHIP, 17, bias=Bias.DOWN))
    driver.close()


def test_a_line_that_the_kernel_has_lent_is_busy_for_registers_too(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpio_rpi, "kernel_holder", lambda line: "1-wire" if line == 4 else "")
    with pytest.raises(LineBusy, match="1-wire"):
        GpioRpi(FakeRpi(Building())).claim_output(OutputSpec("lock", CHIP, 4))


def test_lgpios_busy_is_a_busy_line(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gpio_rpi, "kernel_holder", lambda _line: "somebody")
    building = Building()
    building.line(4).busy = "somebody"
    driver = GpioRpi(FakeRpiLgpio(building))
    with pytest.raises(LineBusy, match="somebody"):
        driver.claim_output(OutputSpec("lock", CHIP, 4))
    with pytest.raises(LineBusy, match="somebody"):
        driver.claim_input(InputSpec("button", CHIP, 4))


def test_a_refused_setup_is_a_missing_line(monkeypatch: pytest.MonkeyPatch) -> None:
    module = FakeRpi(Building())

    def refuse(*_arguments: object, **_settings: object) -> None:
        raise RuntimeError("No access to /dev/mem. Try running as root!")

    monkeypatch.setattr(module, "setup", refuse)
    with pytest.raises(LineMissing, match="No access to /dev/mem"):
        GpioRpi(module).claim_output(OutputSpec("lock", CHIP, 4))


def test_a_module_that_does_not_run_here_says_so(monkeypatch: pytest.MonkeyPatch) -> None:
    module = FakeRpi(Building())

    def refuse(_mode: int) -> None:
        raise RuntimeError("Cannot determine SOC peripheral base address")  # RPi.GPIO on a Pi 5

    monkeypatch.setattr(module, "setmode", refuse)
    with pytest.raises(DriverError, match="Cannot determine SOC peripheral base address"):
        GpioRpi(module)
