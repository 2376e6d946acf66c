"""A service that fails is recorded, made safe and started again; a door's bug costs its door a moment, no more."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime

import pytest

from gateway.access.rules.door import Door, Grant
from gateway.clock import LoopClock
from gateway.journal.event import Event
from gateway.supervisor import HEALTHY, LONGEST, Life, ServiceRestarted, supervise
from tests.access.test_service import LOCK, rig
from tests.virtual_time import run


def clock() -> LoopClock:
    return LoopClock(datetime(2026, 11, 24, tzinfo=UTC))


def test_back_off_doubles_and_starts_anew_after_health() -> None:
    async def scenario() -> list[float]:
        notes: list[Event] = []
        runs = 0

        async def service() -> None:
            nonlocal runs
            runs += 1
            await asyncio.sleep(HEALTHY + 1 if runs == 10 else 0)
            raise RuntimeError("a secret that no event may hold")

        made_safe: list[int] = []
        task = asyncio.create_task(supervise(Life("x"), service, notes.append, clock(), lambda: made_safe.append(runs)))
        await asyncio.sleep(600)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert len(made_safe) == len(notes), "each failure makes safe first"
        told = [note for note in notes if isinstance(note, ServiceRestarted)]
        assert {note.problem for note in told} == {"RuntimeError"}
        return [note.pause for note in told]

    pauses = run(scenario())
    assert pauses[:9] == [0.5, 1, 2, 4, 8, 16, 32, LONGEST, LONGEST]
    assert pauses[9] == 0.5


def test_a_service_that_ends_by_itself_is_started_again() -> None:
    async def scenario() -> None:
        life, notes = Life("x"), list[Event]()

        async def service() -> None:
            return

        task = asyncio.create_task(supervise(life, service, notes.append, clock()))
        await asyncio.sleep(3)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert life.problem == "ended"
        assert life.restarts >= 2

    run(scenario())


def test_cancelling_ends_it() -> None:
    async def scenario() -> None:
        task = asyncio.create_task(supervise(Life("x"), lambda: asyncio.sleep(100), lambda _event: None, clock()))
        await asyncio.sleep(1)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    run(scenario())


def test_a_bug_in_a_doors_rules_rests_its_lock_and_late_grants_open_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with rig(running=False) as r:
            broken = [True]
            advance = Door._advance

            def buggy(self: Door, given: object, now: object) -> object:
                if broken and isinstance(given, Grant):
                    broken.clear()
                    raise ZeroDivisionError
                return advance(self, given, now)  # type: ignore[arg-type]

            monkeypatch.setattr(Door, "_advance", buggy)
            life, notes = Life("door.main"), list[Event]()
            supervised = asyncio.create_task(supervise(life, r.door.run, notes.append, clock(), r.door.make_safe))
            await asyncio.sleep(0.1)
            r.see("p1")
            await asyncio.sleep(0.1)
            r.see("p1", track=2)  # while the door is away: it must not open for whoever stands there later
            await asyncio.sleep(2)
            assert r.building.line(LOCK).changes == []
            assert life.restarts == 1
            r.see("p1", track=3)
            await asyncio.sleep(0.1)
            assert r.energised(), "the door opens again"
            supervised.cancel()
            await asyncio.gather(supervised, return_exceptions=True)

    run(scenario())
