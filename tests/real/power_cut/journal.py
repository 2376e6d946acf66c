"""The journal's part under power cuts: events, single-use ids, marks (some riding), retention, closing, checkpoints.

LOUMEN_TEST_SYNCHRONOUS=NORMAL weakens the journal, to prove that the test would notice.
"""

from __future__ import annotations

import os
import random
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, ClassVar

import msgspec
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.clock import Now, SystemClock
from gateway.config import schema
from gateway.errors import AlreadyUsed
from gateway.journal import closing, file, tables
from gateway.journal.event import Event, Importance
from gateway.journal.rows import Position, Row
from gateway.journal.store import Journal
from tests.journal.samples import verified_beside

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
BOX = "00000000-0000-4000-8000-000000000001"


class Told(Event, frozen=True, kw_only=True, tag="test.told.v1"):
    importance: ClassVar[Importance] = Importance.ACCESS
    n: int
    text: str = ""


class Writer:
    """`acknowledged` things: {"at": [epoch, seq], "head", "n"}, with "once" or with "mark" where there was one."""

    def __init__(self, folder: Path, turn: int, seed: int) -> None:
        file.CHECKPOINT_FRAMES = 40  # so that power goes during checkpoints too,
        closing.CLOSE_AT, closing.STAY, closing.SLICE = 60, 20, 15  # and while headers go
        if weaker := os.environ.get("LOUMEN_TEST_SYNCHRONOUS"):
            tables.WRITER_PRAGMAS = tuple(
                pragma.replace("synchronous = FULL", f"synchronous = {weaker}") for pragma in tables.WRITER_PRAGMAS
            )
        self._random = random.Random(seed)
        self._n = turn * 1_000_000
        self._path = folder / "journal.db"
        self._sent: Position | None = None
        self._riding = 0  # the place of marks that the next acknowledgement makes durable
        self._journal = Journal(
            self._path, SystemClock(), BOX, schema.Journal(keep_days=1), host="the box", key=lambda: KEY
        )

    async def open(self) -> None:
        await self._journal.start()
        await self._journal.wait_beyond(None)

    async def check(self, acknowledged: list[dict[str, Any]]) -> str:
        epochs = await self._journal.epochs()
        if len(epochs) != 1:
            return f"a new epoch began: {epochs}"
        verification = await verified_beside(self._journal, self._path.parent)
        if not verification.ok:
            return " / ".join(fault.render() for fault in verification.faults)
        rows = {(row.epoch, row.seq): row for row in await self._rows()}
        ns = [msgspec.json.decode(row.body)["n"] for row in rows.values() if row.body and row.type == Told.type_name()]
        if len(ns) != len(set(ns)):
            return "an event was told twice under two ids"
        received = await self._journal.mark("up")
        self._sent = await self._journal.mark("sent")
        if (first := min(seq for _epoch, seq in rows)) > 1 and (received is None or received.seq < first - 1):
            return f"headers are gone up to {first - 1} and {received} was received"
        for ack in acknowledged:
            if wrong := self._missing(ack, rows, received):
                return wrong
        return ""

    def _missing(self, ack: dict[str, Any], rows: dict[tuple[str, int], Row], received: Position | None) -> str:
        row = rows.get(tuple(ack["at"]))
        if row is None and ack["at"][1] < min(seq for _epoch, seq in rows):
            return ""  # closed; what may be closed was looked at above
        if row is None or row.head != ack["head"]:
            return f"lost or changed: {ack}, found {row}"
        if row.body is not None and msgspec.json.decode(row.body)["n"] != ack["n"]:
            return f"another event under this id: {ack}"
        if row.body is None and (received is None or row.seq > received.seq):
            return f"a body that nobody had received is gone: {ack}"
        if "once" in ack and not self._journal.used(ack["once"]):
            return f"a single-use id may be used again: {ack}"
        sent = self._sent
        if "mark" in ack and (sent is None or sent.seq < ack["mark"]):
            return f"the other mark went back to {sent}: {ack}"
        if "mark" in ack and (received is None or received.seq < ack["mark"]):
            return f"the mark went back to {received}: {ack}"
        return ""

    async def write(self) -> dict[str, Any]:
        for _ in range(self._random.randrange(4)):
            self._journal.note(Told(n=self._next()))
        n, once = self._next(), f"id {self._n}" if self._random.random() < 0.2 else ""
        told = Told(n=n, text="x" * self._random.choice([0, 40, 400, 6000]))
        at = await self._journal.record(told, once=once, expires="2099-01-01T00:00:00+00:00" if once else "", within=30)
        (row,) = await self._journal.read(Position(at.epoch, at.seq - 1), 1)
        ack: dict[str, Any] = {"at": list(at), "head": row.head, "n": n}
        if once:
            ack["once"] = once
            try:
                await self._journal.record(told, once=once, within=30)
            except AlreadyUsed:
                pass
            else:
                raise AssertionError(once)
        if self._riding:
            ack["mark"] = self._riding
            self._riding = 0
        if self._random.random() < 0.1:
            await self._journal.set_marks({"sent": at, "up": at})
            ack["mark"] = at.seq
        elif self._random.random() < 0.3:
            self._journal.note_marks({"sent": at, "up": at})
            self._riding = at.seq
        if self._random.random() < 0.05:
            later = Now(0.0, 0.0, datetime.now(UTC) + timedelta(days=2), trusted=False)
            await self._journal.retain(await self._journal.mark("up"), later)
        return ack

    async def close(self) -> None:
        await self._journal.close()

    def _next(self) -> int:
        self._n += 1
        return self._n

    async def _rows(self) -> list[Row]:
        rows: list[Row] = []
        while more := await self._journal.read(rows[-1].position if rows else None, 500):
            rows += more
        return rows
