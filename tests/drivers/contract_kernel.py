"""The contract on a real kernel's lines. Run inside a guest by tests/real/test_gpio_kernel.py, not on the host."""

from __future__ import annotations

import asyncio
import errno
import itertools
import time
from collections.abc import Callable, Iterator

import pytest

from drivers import edges, gpio_chardev
from drivers.errors import LineBusy, LineGone, LineMissing
from drivers.gpio_chardev import ChardevOutput, GpioChardev
from drivers.interfaces import Bias, GpioDriver, InputSpec, OutputSpec
from tests.drivers.contract import IN, OUT, GpioContract, following, run
from tests.real.uml.lines import Bank, Trace

TICK = 0.02  # seconds; the simulated lines' interrupts come with the kernel's 100 Hz tick

_numbers = itertools.count()


class Kernel:
    """A new bank of simulated lines, under a label of its own."""

    grain = 0.06
    keeps = 64
    lines = 28

    def __init__(self, make: Callable[[], GpioDriver] = GpioChardev, chip: str = "") -> None:
        self.bank = Bank(f"bench-{next(_numbers)}", lines=self.lines)
        self.chip = chip or self.bank.label
        self.trace = Trace(self.bank)
        self._make = make
        self.drivers: list[GpioDriver] = []
        self._there = True

    def driver(self) -> GpioDriver:
        self.drivers.append(self._make())
        return self.drivers[-1]

    def set(self, line: int, level: bool) -> None:
        self.bank.pull(line, high=level)
        time.sleep(TICK)  # until its interrupt has come: the stimulus, not the driver, needs it

    def level(self, line: int) -> bool:
        return self.bank.level(line)

    def changes(self, line: int) -> list[tuple[float, bool]]:
        found: list[tuple[float, bool]] = []
        level = False  # a new bank is pulled low
        for at, given in self.trace.sets(line):
            if given != level:
                found.append((at, given))
            level = given
        return found

    def vanish(self, line: int) -> None:
        self._there = False
        self.bank.remove()

    async def reaches(self, line: int, level: bool) -> float:
        async with asyncio.timeout(5):
            while self.bank.level(line) != level:  # noqa: ASYNC110  (sysfs tells nobody)
                await asyncio.sleep(0.005)
        return time.monotonic()

    def close(self) -> None:
        for driver in self.drivers:
            driver.close()
        if self._there:
            self.bank.remove()  # the kernel has 512 numbers for all lines


@pytest.fixture
def bench(monkeypatch: pytest.MonkeyPatch) -> Iterator[Kernel]:
    monkeypatch.setattr(edges, "LOOK", 0.2)
    monkeypatch.setattr(gpio_chardev, "BUFFER", Kernel.keeps)
    kernel = Kernel()
    yield kernel
    kernel.close()


class TestChardev(GpioContract):
    """What every driver promises."""


def test_a_chip_is_found_by_label_and_by_path_wherever_it_moved(bench: Kernel) -> None:
    other = Kernel()
    driver = bench.driver()
    line = driver.claim_output(OutputSpec("lock", other.chip, OUT))
    line.hold()
    assert (bench.level(OUT), other.level(OUT)) == (False, True)
    driver.claim_output(OutputSpec("lock", str(bench.bank.path), OUT)).hold()
    assert bench.level(OUT)
    with pytest.raises(LineMissing) as refused:
        driver.inspect("pinctrl-nowhere", 1)
    assert other.chip in str(refused.value)
    driver.close()
    other.close()


def test_a_claim_is_one_request_that_makes_it_an_output(bench: Kernel) -> None:
    bench.driver().claim_output(OutputSpec("lock", bench.chip, OUT, active_low=True, bias=Bias.UP))
    assert [way for _, way in bench.trace.claims(OUT)] == ["out"]
    assert [level for _, level in bench.trace.sets(OUT)] == [True]


def test_stamps_are_the_kernels_own(bench: Kernel) -> None:
    async def scenario() -> None:
        line = bench.driver().claim_input(InputSpec("button", bench.chip, IN, bias=Bias.DOWN, debounce=0))
        before = time.monotonic()
        bench.bank.pull(IN, high=True)
        (edge,) = await following(line, 1)
        assert before <= edge.at <= time.monotonic()

    run(scenario())


def test_three_hundred_edges_arrive_all(bench: Kernel) -> None:
    async def scenario() -> None:
        line = bench.driver().claim_input(InputSpec("wiegand", bench.chip, IN, bias=Bias.DOWN, debounce=0))
        for number in range(300):
            waiting = asyncio.create_task(following(line, 1))
            bench.bank.pull(IN, high=number % 2 == 0)
            (edge,) = await waiting
            assert edge.active == (number % 2 == 0)
        assert line.lost == 0

    run(scenario())


def test_edges_that_nobody_fetches_any_more_are_bounded_and_counted(bench: Kernel) -> None:
    async def scenario() -> None:
        line = bench.driver().claim_input(InputSpec("chatter", bench.chip, IN, bias=Bias.DOWN, debounce=0))
        count = 4 * Kernel.keeps
        for number in range(count):
            bench.set(IN, number % 2 == 0)
            if number == 0:
                await following(line, 1)
            await asyncio.sleep(0)  # the loop goes on, and its reader reads
        fetched = 1
        while fetched + line.lost < count:
            await following(line, 1)
            fetched += 1
        assert line.lost >= count - 2 * Kernel.keeps - 1

    run(scenario())


def test_a_pulse_whose_chip_vanishes_ends_in_an_error_and_no_timer(bench: Kernel) -> None:
    async def scenario() -> None:
        driver = bench.driver()
        line = driver.claim_output(OutputSpec("lock", bench.chip, OUT))
        line.pulse(0.1)
        bench.vanish(OUT)
        await asyncio.sleep(0.2)  # beyond the pulse's end, which cannot be written
        with pytest.raises(LineGone):
            line.rest()
        driver.close()

    run(scenario())


def test_a_chip_that_was_pulled_out_and_put_back_is_claimed_again(bench: Kernel) -> None:
    async def scenario() -> None:
        driver = bench.driver()
        output, entry = OutputSpec("lock", bench.chip, OUT), InputSpec("button", bench.chip, IN, bias=Bias.DOWN)
        lock, button = driver.claim_output(output), driver.claim_input(entry)
        bench.bank.remove()
        with pytest.raises(LineGone):
            lock.hold()
        with pytest.raises(LineGone):
            button.read()
        with pytest.raises(LineGone):
            driver.claim_output(output)
        with pytest.raises(LineMissing):
            driver.claim_output(output)  # no chip of this label is there now
        bench.bank.plug()
        driver.claim_output(output).hold()
        assert bench.level(OUT)
        again = driver.claim_input(entry)
        bench.bank.pull(IN, high=True)
        (edge,) = await following(again, 1)
        assert edge.active

    run(scenario())


def test_a_claim_that_failed_does_not_stand_in_its_own_way(bench: Kernel, monkeypatch: pytest.MonkeyPatch) -> None:
    """An expander that answered once with an error: its line is claimed anew, and rests meanwhile."""

    async def scenario() -> None:
        driver, spec = bench.driver(), OutputSpec("lock", bench.chip, OUT)
        line = driver.claim_output(spec)
        assert isinstance(line, ChardevOutput)
        with monkeypatch.context() as broken:
            broken.setattr(line, "_request", Broken(line._request))
            with pytest.raises(LineGone):
                line.hold()
        with pytest.raises(LineBusy):
            bench.driver().claim_output(spec)
        driver.claim_output(spec).hold()
        assert bench.level(OUT)

    run(scenario())


class Broken:
    """A request whose register access fails."""

    def __init__(self, request: object) -> None:
        self._request = request

    def set_value(self, line: int, value: object) -> None:
        raise OSError(errno.EIO, "Input/output error")
