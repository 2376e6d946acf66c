"""Whatever happens to the files, nobody who was forgotten comes back, and nobody suspended passes again.

A state machine over real files: people are added, enrolled, suspended, resumed and forgotten; copies are
made; the box is restarted, loses power (its files are taken as they are at that moment), loses its
directory, goes back to an old copy by hand; a step of an order fails in the middle.
"""

from __future__ import annotations

import asyncio
import contextlib
import functools
import shutil
import sqlite3
import tempfile
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any, TypeVar

from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, consumes, invariant, multiple, rule

from gateway.directory.people import Changes
from gateway.directory.sealing import Unreadable
from gateway.errors import DirectoryDown, LoumenError
from tests.directory.house import CLERK, NAMES, SPACE, House, SetClock, embedding, opened

T = TypeVar("T")


class Box(RuleBasedStateMachine):
    people = Bundle("people")
    gone = Bundle("gone")

    def __init__(self) -> None:
        super().__init__()
        self.root = Path(tempfile.mkdtemp(prefix="lm-"))
        self.folder = self.root / "0"
        self.runner = asyncio.Runner()
        self.clock = SetClock()
        self.count = 0
        self.forgotten: dict[str, bytes] = {}  # id -> her wrapped key
        self.suspended: set[str] = set()
        self.house: House
        self.stack: contextlib.AsyncExitStack
        self.up()

    def run(self, work: Coroutine[Any, Any, T]) -> T:
        return self.runner.run(work)

    def up(self) -> None:
        async def start() -> None:
            self.stack = contextlib.AsyncExitStack()
            self.house = await self.stack.enter_async_context(opened(self.folder, self.clock))

        self.run(start())

    def down(self) -> None:
        self.run(self.stack.aclose())

    def wrapped(self, person: str) -> bytes:
        return self.house.directory.keys._wrapped.get(person, b"")

    # --- people

    @rule(target=people, name=st.sampled_from(NAMES))
    def add(self, name: str) -> str:
        return self.run(self.house.add(name))

    @rule(person=people, seed=st.integers(0, 5))
    def enrol(self, person: str, seed: int) -> None:
        with contextlib.suppress(LoumenError):  # gone with a lost directory, or ten faces already
            self.run(self.house.enrol(person, seed))

    @rule(person=people)
    def suspend(self, person: str) -> None:
        with contextlib.suppress(LoumenError):
            self.run(self.house.people.change(person, Changes(active=False), CLERK))
            self.suspended.add(person)

    @rule(person=people)
    def resume(self, person: str) -> None:
        with contextlib.suppress(LoumenError):
            self.run(self.house.people.change(person, Changes(active=True), CLERK))
            self.suspended.discard(person)

    @rule(target=gone, person=consumes(people))
    def forget(self, person: str) -> str:
        key = self.wrapped(person)
        self.run(self.house.people.forget([person], CLERK))
        self.forgotten[person] = key
        return person

    @rule(target=gone, person=consumes(people), step=st.sampled_from(["forbid", "destroy", "write", "empty_log"]))
    def forget_with_a_failing_step_and_a_power_cut(self, person: str, step: str) -> object:
        """Not acknowledged: she may be there or not after the cut, but asking again must end it."""
        key = self.wrapped(person)
        directory = self.house.directory
        where: object = {"forbid": directory, "destroy": directory.keys, "write": directory.database}.get(
            step, directory.database
        )
        original: Callable[..., Any] = getattr(where, step)

        @functools.wraps(original)
        async def failing(*_arguments: object, **_named: object) -> None:
            raise sqlite3.OperationalError("disk I/O error")

        setattr(where, step, failing)
        acknowledged = True
        try:
            self.run(self.house.people.forget([person], CLERK))
        except DirectoryDown:
            acknowledged = False
        finally:
            setattr(where, step, original)
        assert not acknowledged
        rights = directory.snapshot.person(person)
        assert rights is None or not rights.active
        self.power_cut()
        self.run(self.house.people.forget([person], CLERK))
        self.forgotten[person] = key
        return multiple(person)

    # --- the box

    @rule()
    def copy(self) -> None:
        self.clock.later(hours=1)
        self.run(self.house.directory.copy())

    @rule()
    def restart(self) -> None:
        self.down()
        self.up()

    @rule()
    def power_cut(self) -> None:
        self.count += 1
        after = self.root / str(self.count)
        shutil.copytree(self.folder, after)
        self.down()
        shutil.rmtree(self.folder)
        self.folder = after
        self.up()

    @rule(person=people, how=st.sampled_from(["noise", "gone", "old copy"]))
    def suspend_between_a_copy_and_a_loss(self, person: str, how: str) -> None:
        self.copy()
        self.suspend(person)
        self.lose_the_directory(how)

    @rule(target=gone, person=consumes(people), how=st.sampled_from(["noise", "gone", "old copy"]))
    def forget_between_a_copy_and_a_loss(self, person: str, how: str) -> str:
        self.copy()
        self.forget(person)
        self.lose_the_directory(how)
        return person

    @rule(how=st.sampled_from(["noise", "gone", "old copy"]))
    def lose_the_directory(self, how: str) -> None:
        self.down()
        path = self.folder / "directory.db"
        copies = sorted((self.folder / "copies").glob("directory-*.db"))
        if how == "noise":
            path.write_bytes(b"noise" * 2000)
        elif how == "gone":
            path.unlink()
        elif copies:
            shutil.copyfile(copies[0], path)
        self.up()

    @rule()
    def damage_the_keys(self) -> None:
        self.down()
        path = self.folder / "keys" / "keys.db"
        data = bytearray(path.read_bytes())
        data[:100] = b"\0" * 100
        path.write_bytes(data)
        self.up()

    # --- what holds

    @invariant()
    def nobody_forgotten_is_there(self) -> None:
        snapshot = self.house.directory.snapshot
        assert not self.forgotten.keys() & snapshot.people.keys()
        for person in self.forgotten:
            try:
                self.house.directory.cipher(person)
            except Unreadable:
                continue
            raise AssertionError(f"{person} has a key")

    @invariant()
    def nobody_suspended_passes(self) -> None:
        for person in self.suspended:
            rights = self.house.directory.snapshot.person(person)
            assert rights is None or not rights.active

    @invariant()
    def whoever_is_compared_is_somebody(self) -> None:
        faces = {embedding(seed) for seed in range(6)}
        for person, template in self.run(self.house.directory.templates("main", SPACE)):
            assert person in self.house.directory.snapshot.people
            assert template in faces

    def teardown(self) -> None:
        self.down()
        needles = [key for key in self.forgotten.values() if key]
        needles += [name.encode() for name in NAMES] + [embedding(seed)[:16] for seed in range(6)]
        for path in self.folder.rglob("*"):
            if path.is_file():
                data = path.read_bytes()
                for needle in needles:
                    assert needle not in data, (path, needle)
        self.runner.close()
        shutil.rmtree(self.root)


TestNobodyComesBack = Box.TestCase
TestNobodyComesBack.settings = settings(max_examples=25, stateful_step_count=25, deadline=None)
