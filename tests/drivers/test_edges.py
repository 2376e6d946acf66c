"""Edges are debounced by their own times, kept for a slow reader, and counted when they are not."""

from __future__ import annotations

import asyncio
import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers.edges import Debouncer, EdgeQueue
from drivers.errors import LineGone
from drivers.interfaces import Edge
from drivers.refusals import line_gone
from tests.virtual_time import run

GAPS = st.lists(st.integers(1, 400), max_size=60)  # milliseconds between changes


@given(GAPS, st.integers(0, 200), st.booleans())
def test_an_edge_is_a_level_that_lasted(gaps: list[int], quiet: int, first: bool) -> None:
    debouncer, edges, at, level = Debouncer(quiet, first), list[Edge](), 0, first
    expected = list[Edge]()
    stable = first
    for gap, lasts in zip(gaps, [*gaps[1:], 10_000], strict=False):
        at, level = at + gap, not level
        edge = debouncer.change(at, level)
        edges += [edge] if edge else []
        if lasts >= quiet and level != stable:
            expected.append(Edge(level, at + quiet))
            stable = level
    edge = debouncer.settle(at + 10_000)
    edges += [edge] if edge else []
    assert edges == expected
    assert all(a.active != b.active for a, b in itertools.pairwise(edges))
    assert debouncer.deadline is None


def test_a_press_that_came_and_went_while_the_loop_stood_still_is_not_lost() -> None:
    async def scenario() -> None:
        queue = EdgeQueue(0.02, active=False)
        now = asyncio.get_running_loop().time()
        queue.change(now + 0.001, active=True)
        queue.change(now + 0.101, active=False)
        await asyncio.sleep(1)
        pressed, let_go = await anext(queue), await anext(queue)
        assert (pressed.active, let_go.active) == (True, False)
        assert pressed.at == pytest.approx(now + 0.021)
        assert let_go.at == pytest.approx(now + 0.121)

    run(scenario())


def test_an_edge_arrives_when_its_quiet_time_is_over() -> None:
    async def scenario() -> None:
        queue = EdgeQueue(0.5, active=False)
        loop = asyncio.get_running_loop()
        queue.change(loop.time(), active=True)
        edge = await anext(queue)
        assert loop.time() - edge.at <= 0.001

    run(scenario())


@given(st.integers(0, 50), st.integers(1, 20))
def test_what_is_lost_is_counted_and_what_is_kept_is_the_newest(count: int, capacity: int) -> None:
    queue = EdgeQueue(0, active=False, capacity=capacity)
    for number in range(count):
        queue.change(number, number % 2 == 0)

    async def scenario() -> list[float]:
        return [(await anext(queue)).at for _ in range(min(count, capacity))]

    assert run(scenario()) == list(range(max(0, count - capacity), count))
    assert queue.lost == max(0, count - capacity)


def test_a_gone_line_gives_what_waits_and_then_says_so() -> None:
    async def scenario() -> None:
        queue = EdgeQueue(0, active=False)
        queue.change(1.0, active=True)
        queue.end(line_gone("chip", 1, "gone"))
        assert await anext(queue) == Edge(True, 1.0)
        for _ in range(2):
            with pytest.raises(LineGone):
                await anext(queue)

    run(scenario())
