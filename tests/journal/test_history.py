"""Any history of notes, records, marks, closings and power cuts: nothing acknowledged is lost or told twice."""

from __future__ import annotations

import asyncio
import shutil
import tempfile
from datetime import timedelta
from pathlib import Path

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st
from hypothesis.stateful import Bundle, RuleBasedStateMachine, initialize, invariant, precondition, rule

from gateway.clock import Now
from gateway.errors import AlreadyUsed
from gateway.journal import closing
from gateway.journal.rows import Position
from gateway.journal.store import Journal
from gateway.journal.verify import verify_file
from tests.journal.samples import (
    START,
    Alarm,
    Chatter,
    Ordered,
    Passed,
    everything,
    journal_at,
    memory_folder,
    numbers,
    power_cut,
)

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
KINDS = st.sampled_from([Chatter, Passed, Ordered, Alarm])


class History(RuleBasedStateMachine):
    """One box. A power cut is a copy of the files as they lie on the disk, taken while the journal runs."""

    positions: Bundle[Position] = Bundle("positions")

    @initialize()
    def begin(self) -> None:
        self.runner = asyncio.Runner()
        self.small = pytest.MonkeyPatch()
        for name, value in (("CLOSE_AT", 30), ("STAY", 5), ("SLICE", 20)):
            self.small.setattr(closing, name, value)
        self.folder = Path(tempfile.mkdtemp(dir=memory_folder()))
        self.life = 0
        self.n = 0
        self.noted: set[int] = set()
        self.acknowledged: dict[Position, int] = {}
        self.heads: dict[Position, str] = {}
        self.used: set[str] = set()
        self.mark: Position | None = None
        self.retained = 0  # up to here bodies, and perhaps headers, may be gone
        self.journal: Journal | None = None
        self.early: Journal | None = None
        self.start()

    @property
    def here(self) -> Path:
        return self.folder / str(self.life)

    def start(self) -> None:
        self.journal = self.early or journal_at(self.here, key=lambda: KEY)
        self.early = None
        self.runner.run(self.journal.start())
        for once in self.used:
            assert self.journal.used(once)
        assert self.runner.run(self.journal.mark("up")) == self.mark

    @rule(kind=KINDS, count=st.integers(1, 450))
    def note(self, kind: type[Passed], count: int) -> None:
        journal = self.journal or self.early or journal_at(self.here, key=lambda: KEY)
        if self.journal is None:
            self.early = journal  # noted before the start
        for _ in range(count):
            self.n += 1
            journal.note(kind(n=self.n))
            self.noted.add(self.n)

    @precondition(lambda self: self.journal is not None)
    @rule(target=positions, once=st.sampled_from(["", "a", "b", "c"]))
    def record(self, once: str) -> Position:
        assert self.journal
        self.n += 1
        try:
            position = self.runner.run(self.journal.record(Ordered(n=self.n), once=once, within=30))
        except AlreadyUsed:
            assert once in self.used
            return next(iter(self.acknowledged))
        assert once not in self.used
        self.used |= {once} - {""}
        self.acknowledged[position] = self.n
        return position

    @precondition(lambda self: self.journal is not None)
    @rule(position=positions)
    def set_mark(self, position: Position) -> None:
        assert self.journal
        self.runner.run(self.journal.set_mark("up", position))
        if self.mark is None or position.seq > self.mark.seq:
            self.mark = position

    @precondition(lambda self: self.journal is not None and self.mark is not None)
    @rule(days=st.sampled_from([1, 400]))
    def retain(self, days: int) -> None:
        """Bodies that were received and are old go, and then their headers, on a signed statement."""
        assert self.journal
        later = Now(0, 0, START + timedelta(days=days), trusted=False)  # used ids are not the matter here
        self.runner.run(self.journal.retain(self.mark, later))
        if days > 300 and self.mark is not None:
            self.retained = max(self.retained, self.mark.seq)

    @precondition(lambda self: self.journal is not None)
    @rule()
    def close(self) -> None:
        assert self.journal
        self.runner.run(self.journal.close(within=30))
        self.journal = None

    @precondition(lambda self: self.journal is None)
    @rule()
    def reopen(self) -> None:
        self.start()

    @precondition(lambda self: self.journal is not None)
    @rule()
    def lose_power(self) -> None:
        assert self.journal
        power_cut(self.here, self.folder / str(self.life + 1))
        self.runner.run(self.journal.close())
        self.life += 1
        self.start()

    @invariant()
    def nothing_is_lost_or_told_twice(self) -> None:
        if self.journal is None:
            return
        rows = self.runner.run(everything(self.journal))
        first = rows[0].seq
        assert first <= self.retained + 1
        assert [row.seq for row in rows] == list(range(first, first + len(rows)))
        found = numbers(rows)
        assert len(found) == len(set(found))
        assert found == sorted(found)
        assert set(found) <= self.noted | set(self.acknowledged.values())
        by_position = dict(zip([row.position for row in rows], rows, strict=True))
        for position, n in self.acknowledged.items():
            if position.seq <= self.retained:
                continue
            row = by_position[position]
            assert numbers([row]) == [n]
            assert self.heads.setdefault(position, row.head) == row.head

    def teardown(self) -> None:
        if not hasattr(self, "runner"):
            return
        if self.journal is not None:
            self.runner.run(self.journal.close())
        elif (self.here / "journal.db").exists():
            assert verify_file(self.here / "journal.db").ok
        self.runner.close()
        self.small.undo()
        shutil.rmtree(self.folder)


History.TestCase.settings = settings(
    max_examples=25, stateful_step_count=25, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
TestHistory = History.TestCase
