"""Work in a thread that nobody leaves half done."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Mapping
from pathlib import Path

import pytest

from gateway import standing
from gateway.access.rules.lock import Mode
from gateway.standing import Keeper
from gateway.uninterrupted import uninterrupted


def test_who_is_cancelled_waits_for_the_end() -> None:
    async def scenario() -> None:
        entered, leave, ended = threading.Event(), threading.Event(), threading.Event()

        def work() -> None:
            entered.set()
            leave.wait(10)
            ended.set()

        task = asyncio.create_task(uninterrupted(asyncio.to_thread(work)))
        await asyncio.to_thread(entered.wait, 10)
        task.cancel()
        await asyncio.sleep(0)
        assert not task.done()
        leave.set()
        with pytest.raises(asyncio.CancelledError):
            await task
        assert ended.is_set()

    asyncio.run(scenario())


def test_what_it_gives_and_raises() -> None:
    async def scenario() -> None:
        assert await uninterrupted(asyncio.to_thread(int, "7")) == 7
        with pytest.raises(ValueError, match="invalid literal"):
            await uninterrupted(asyncio.to_thread(int, "seven"))

    asyncio.run(scenario())


def test_a_failure_after_a_cancellation_is_not_called_unheard(caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        entered, leave = threading.Event(), threading.Event()

        def work() -> None:
            entered.set()
            leave.wait(10)
            raise OSError("disk full")

        task = asyncio.create_task(uninterrupted(asyncio.to_thread(work)))
        await asyncio.to_thread(entered.wait, 10)
        task.cancel()
        asyncio.get_running_loop().call_soon(leave.set)
        with pytest.raises(asyncio.CancelledError):
            await task
        assert "never retrieved" not in caplog.text

    asyncio.run(scenario())


def test_an_order_whose_sender_hung_up_is_whole_before_the_next_is_written(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def scenario() -> None:
        entered, leave, inside = threading.Event(), threading.Event(), threading.Lock()
        save = standing.save

        def slow(path: Path, modes: Mapping[str, Mode]) -> None:
            assert inside.acquire(blocking=False), "two write one file"
            entered.set()
            leave.wait(10)
            save(path, modes)
            inside.release()

        monkeypatch.setattr(standing, "save", slow)
        given: list[int] = []

        async def give(order: int) -> None:
            assert standing.load(tmp_path / "orders.json", Mode) == {"main": modes[order]}
            given.append(order)

        keeper = Keeper(tmp_path / "orders.json")
        modes = list(Mode)
        hung_up = asyncio.create_task(keeper.order(lambda: {"main": modes[0]}, lambda: give(0)))
        await asyncio.to_thread(entered.wait, 10)
        hung_up.cancel()
        following = asyncio.create_task(keeper.order(lambda: {"main": modes[1]}, lambda: give(1)))
        await asyncio.sleep(0)
        leave.set()
        await following
        assert hung_up.cancelled()
        assert given == [0, 1]  # what is on the disk was given, too

    asyncio.run(scenario())
