"""The contract of drivers/interfaces.py as tests, one a MUST or MAY. Every GPIO driver passes them all.

A module gives a subclass a fixture `bench`: the driver under test, and a way to what is outside of it.
Real time: the same tests run against a kernel's lines.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Coroutine
from typing import Any, Protocol

import pytest

from drivers.errors import LineBusy, LineGone, LineMissing
from drivers.interfaces import Bias, Edge, GpioDriver, InputLine, InputSpec, OutputSpec

OUT, IN, OTHER = 17, 22, 23
DEBOUNCE = 0.08
LATE = 0.2  # seconds by which a busy machine may be late; how late the loop itself may be is proved in virtual time


class Bench(Protocol):
    """The wires around a driver. Levels are electrical."""

    chip: str
    lines: int
    grain: float  # seconds by which this bench's clocks and eyes may be off
    keeps: int  # edges that wait for a slow reader, at most

    def driver(self) -> GpioDriver:
        """A new driver on the same wires; the bench closes it."""

    def set(self, line: int, level: bool) -> None:
        """Drive an input from outside."""

    def level(self, line: int) -> bool:
        """What a meter shows."""

    def changes(self, line: int) -> list[tuple[float, bool]]:
        """Every level that this line was given since the bench was built, without the first."""

    def vanish(self, line: int) -> None:
        """Pull out the line's board. For a bench that cannot: pytest.skip."""

    async def reaches(self, line: int, level: bool) -> float:
        """When the wire shows `level`; at most 5 s from now."""


def run(scenario: Coroutine[Any, Any, None]) -> None:
    async def bounded() -> None:
        async with asyncio.timeout(30):
            await scenario

    asyncio.run(bounded())


async def following(line: InputLine, count: int, within: float = 5) -> list[Edge]:
    edges = line.edges()
    async with asyncio.timeout(within):
        return [await anext(edges) for _ in range(count)]


class GpioContract:
    """Inherit, and give a fixture `bench`."""

    def output(self, bench: Bench, *, active_low: bool = False, max_on: float = 10.0, name: str = "lock") -> OutputSpec:
        return OutputSpec(name, bench.chip, OUT, active_low, Bias.UP if active_low else Bias.DOWN, max_on)

    def input(self, bench: Bench, *, active_low: bool = False, debounce: float = 0.0) -> InputSpec:
        return InputSpec("button", bench.chip, IN, active_low, Bias.UP if active_low else Bias.DOWN, debounce)

    def claim_input(self, bench: Bench, *, active_low: bool = False, debounce: float = 0.0) -> InputLine:
        driver = bench.driver()
        if not driver.supports_inputs:
            pytest.skip("this driver has no inputs: MAY")
        return driver.claim_input(self.input(bench, active_low=active_low, debounce=debounce))

    # --- MUST claim an output at its resting level in one request

    def test_must_claim_at_the_resting_level_without_an_edge(self, bench: Bench) -> None:
        bench.driver().claim_output(self.output(bench))
        assert not bench.level(OUT)
        assert bench.changes(OUT) == []

    def test_must_claim_an_inverted_output_high(self, bench: Bench) -> None:
        line = bench.driver().claim_output(self.output(bench, active_low=True))
        assert bench.level(OUT)
        assert not line.energised
        assert [level for _, level in bench.changes(OUT)] in ([], [True])  # it was low before: at most that one edge

    def test_must_claim_again_without_an_edge(self, bench: Bench) -> None:
        first = bench.driver()
        first.claim_output(self.output(bench))
        first.close()
        bench.driver().claim_output(self.output(bench))
        assert bench.changes(OUT) == []

    # --- MUST leave an output resting when it closes, MUST NOT move a line that rests

    def test_must_rest_at_close(self, bench: Bench) -> None:
        async def scenario() -> None:
            driver = bench.driver()
            line = driver.claim_output(self.output(bench))
            line.hold()
            await bench.reaches(OUT, True)
            driver.close()
            await bench.reaches(OUT, False)
            driver.close()

        run(scenario())
        assert [level for _, level in bench.changes(OUT)] == [True, False]

    def test_must_never_move_a_line_that_rests(self, bench: Bench) -> None:
        async def scenario() -> None:
            driver = bench.driver()
            line = driver.claim_output(self.output(bench))
            for _ in range(3):
                line.rest()
                line.pulse(0)
                line.pulse(-1)
            driver.close()
            driver.close()

        run(scenario())
        assert bench.changes(OUT) == []

    # --- MUST end a momentary output by itself

    def test_must_end_a_pulse(self, bench: Bench) -> None:
        async def scenario() -> None:
            line = bench.driver().claim_output(self.output(bench))
            began = time.monotonic()
            line.pulse(0.2)
            assert line.energised
            await bench.reaches(OUT, True)
            ended = await bench.reaches(OUT, False)
            assert 0.2 - bench.grain <= ended - began <= 0.2 + LATE
            assert not line.energised

        run(scenario())
        assert [level for _, level in bench.changes(OUT)] == [True, False]

    def test_must_end_an_inverted_pulse_high(self, bench: Bench) -> None:
        async def scenario() -> None:
            line = bench.driver().claim_output(self.output(bench, active_low=True))
            line.pulse(0.1)
            await bench.reaches(OUT, False)
            await bench.reaches(OUT, True)

        run(scenario())

    def test_must_end_at_max_on_whatever_its_caller_does(self, bench: Bench) -> None:
        async def scenario() -> None:
            line = bench.driver().claim_output(self.output(bench, max_on=0.3))
            line.pulse(60)
            waiting = asyncio.create_task(bench.reaches(OUT, False))
            while not waiting.done():
                line.pulse(0.25)
                await asyncio.wait([waiting], timeout=0.02)
            line.rest()

        run(scenario())
        (rose, _), (fell, _), *_later = bench.changes(OUT)  # a look may miss so short a rest
        assert fell - rose <= 0.3 + LATE

    def test_must_prolong_a_pulse_and_never_shorten_it(self, bench: Bench) -> None:
        async def scenario() -> None:
            line = bench.driver().claim_output(self.output(bench))
            began = time.monotonic()
            line.pulse(0.1)
            line.pulse(0.3)
            line.pulse(0.05)
            await bench.reaches(OUT, True)
            ended = await bench.reaches(OUT, False)
            assert 0.3 - bench.grain <= ended - began <= 0.3 + LATE

        run(scenario())
        assert [level for _, level in bench.changes(OUT)] == [True, False]

    def test_must_hold_until_rest_and_a_pulse_does_not_end_it(self, bench: Bench) -> None:
        async def scenario() -> None:
            line = bench.driver().claim_output(self.output(bench, max_on=0.1))
            other = bench.driver().claim_output(OutputSpec("light", bench.chip, OTHER, bias=Bias.DOWN))
            line.pulse(0.05)
            line.hold()
            line.pulse(0.05)
            other.pulse(0.25)
            await bench.reaches(OTHER, True)
            await bench.reaches(OTHER, False)  # far beyond max_on
            assert line.energised
            assert bench.level(OUT)
            line.rest()
            await bench.reaches(OUT, False)

        run(scenario())
        assert [level for _, level in bench.changes(OUT)] == [True, False]

    # --- MUST read and stamp

    def test_must_apply_the_bias_and_read_logical_levels(self, bench: Bench) -> None:
        plain = self.claim_input(bench)
        assert not plain.read()
        inverted = bench.driver().claim_input(
            InputSpec("fire", bench.chip, OTHER, active_low=True, bias=Bias.UP, debounce=0.0)
        )
        assert not inverted.read()
        bench.set(OTHER, False)
        assert inverted.read()

    def test_must_stamp_edges_with_their_own_time_even_when_handed_over_late(self, bench: Bench) -> None:
        async def scenario() -> None:
            line = self.claim_input(bench)
            set_at = []
            for level in (True, False, True):
                set_at.append(time.monotonic())
                bench.set(IN, level)
                time.sleep(3 * bench.grain)  # noqa: ASYNC251  (the reader is late: that is what is tested)
            set_at.append(time.monotonic())
            edges = await following(line, 3)
            assert [edge.active for edge in edges] == [True, False, True]
            for edge, earliest, latest in zip(edges, set_at, set_at[1:], strict=False):
                assert earliest <= edge.at <= latest

        run(scenario())

    def test_must_hand_over_edges_as_they_come(self, bench: Bench) -> None:
        async def scenario() -> None:
            line = self.claim_input(bench, active_low=True)
            for level in (False, True, False, True):
                waiting = asyncio.create_task(following(line, 1))
                await asyncio.sleep(0)
                bench.set(IN, level)
                assert [edge.active for edge in await waiting] == [not level]
                assert line.read() == (not level)

        run(scenario())

    def test_must_tell_edges_as_they_come(self, bench: Bench) -> None:
        async def scenario() -> None:
            line = self.claim_input(bench)
            bench.set(IN, True)
            heard = asyncio.Queue[Edge]()
            telling = asyncio.create_task(line.hand_over(heard.put_nowait))
            async with asyncio.timeout(5):
                assert (await heard.get()).active
                with pytest.raises(RuntimeError):
                    await line.hand_over(heard.put_nowait)
                bench.set(IN, False)
                assert not (await heard.get()).active
            telling.cancel()
            await asyncio.wait([telling])
            bench.set(IN, True)
            (edge,) = await following(line, 1)
            assert edge.active
            assert heard.empty()

        run(scenario())

    def test_must_say_to_who_is_told_that_an_input_is_gone(self, bench: Bench) -> None:
        async def scenario() -> None:
            line = self.claim_input(bench)
            telling = asyncio.create_task(line.hand_over(lambda _edge: None))
            await asyncio.sleep(0)
            bench.vanish(IN)
            async with asyncio.timeout(10):
                with pytest.raises(LineGone):
                    await telling

        run(scenario())

    def test_must_debounce(self, bench: Bench) -> None:
        async def scenario() -> None:
            line = self.claim_input(bench, debounce=DEBOUNCE)
            began = time.monotonic()
            for level in (True, False, True, False, True):
                bench.set(IN, level)
            (edge,) = await following(line, 1)
            assert edge.active
            assert edge.at - began >= DEBOUNCE - bench.grain / 4
            bench.set(IN, False)
            (edge,) = await following(line, 1)
            assert not edge.active

        run(scenario())

    def test_must_count_what_a_slow_reader_lost(self, bench: Bench) -> None:
        async def scenario() -> None:
            line = self.claim_input(bench)
            count = min(bench.keeps + 16, 1200)
            for number in range(count):
                bench.set(IN, number % 2 == 0)
            edges = await following(line, 1)
            while len(edges) + line.lost < count:
                edges += await following(line, 1)
            assert line.lost >= count - bench.keeps
            assert len(edges) + line.lost == count
            stamps = [edge.at for edge in edges]
            assert stamps == sorted(stamps)

        run(scenario())

    def test_must_have_one_reader_a_line(self, bench: Bench) -> None:
        async def scenario() -> None:
            line = self.claim_input(bench)
            reader = asyncio.create_task(following(line, 1))
            await asyncio.sleep(0)
            with pytest.raises(RuntimeError):
                await following(line, 1)
            bench.set(IN, True)
            await reader

        run(scenario())

    def test_must_go_on_after_a_reader_was_cancelled(self, bench: Bench) -> None:
        async def scenario() -> None:
            line = self.claim_input(bench)
            reader = asyncio.create_task(following(line, 1))
            await asyncio.sleep(0)
            reader.cancel()
            await asyncio.wait([reader])
            bench.set(IN, True)
            (edge,) = await following(line, 1)
            assert edge.active

        run(scenario())

    # --- MUST raise only LineMissing, LineBusy, LineGone

    def test_must_say_that_a_chip_is_missing(self, bench: Bench) -> None:
        with pytest.raises(LineMissing):
            bench.driver().claim_output(OutputSpec("lock", "pinctrl-nowhere", OUT))
        with pytest.raises(LineMissing):
            bench.driver().inspect("/dev/null", OUT)

    def test_must_say_that_a_line_is_missing(self, bench: Bench) -> None:
        driver = bench.driver()
        for number in (bench.lines, bench.lines + 100):
            with pytest.raises(LineMissing):
                driver.claim_output(OutputSpec("lock", bench.chip, number))
            with pytest.raises(LineMissing):
                driver.claim_input(InputSpec("button", bench.chip, number))
            with pytest.raises(LineMissing):
                driver.inspect(bench.chip, number)

    def test_must_name_the_holder_of_a_busy_line_and_leave_it_alone(self, bench: Bench) -> None:
        driver = bench.driver()
        line = driver.claim_output(self.output(bench, name="main.lock"))
        with pytest.raises(LineBusy) as refused:
            bench.driver().claim_output(self.output(bench, name="thief"))
        assert refused.value.facts["holder"] == "loumen:main.lock"
        assert "loumen:main.lock" in str(refused.value)
        assert not line.energised
        assert bench.changes(OUT) == []

    def test_must_free_its_lines_at_close(self, bench: Bench) -> None:
        driver = bench.driver()
        driver.claim_output(self.output(bench))
        assert driver.inspect(bench.chip, OUT).consumer == "loumen:lock"
        driver.close()
        other = bench.driver()
        assert other.inspect(bench.chip, OUT).consumer == ""
        other.claim_output(self.output(bench, name="next"))

    def test_must_say_that_an_output_is_gone(self, bench: Bench) -> None:
        async def scenario() -> None:
            driver = bench.driver()
            line = driver.claim_output(self.output(bench))
            bench.vanish(OUT)
            with pytest.raises(LineGone):
                line.pulse(1)
            with pytest.raises(LineGone):
                line.hold()
            assert not line.energised
            driver.close()

        run(scenario())

    def test_must_say_that_an_input_is_gone(self, bench: Bench) -> None:
        async def scenario() -> None:
            line = self.claim_input(bench)
            reader = asyncio.create_task(following(line, 1, within=10))
            await asyncio.sleep(0)
            bench.vanish(IN)
            with pytest.raises(LineGone):
                line.read()
            with pytest.raises(LineGone):
                await reader

        run(scenario())

    # --- MUST NOT block the loop, MAY lack inputs

    def test_must_not_block_longer_than_a_register_access(self, bench: Bench) -> None:
        async def scenario() -> None:
            line = bench.driver().claim_output(self.output(bench))
            spent = []
            for _ in range(20):
                began = time.perf_counter()
                line.pulse(1)
                line.rest()
                spent.append(time.perf_counter() - began)
            assert sorted(spent)[10] < 0.005

        run(scenario())

    def test_may_lack_inputs_and_then_says_so(self, bench: Bench) -> None:
        driver = bench.driver()
        if driver.supports_inputs:
            driver.claim_input(self.input(bench))
            return
        with pytest.raises(LineMissing) as refused:
            driver.claim_input(self.input(bench))
        assert "gpio_chardev" in str(refused.value)
