"""Where the receiver keeps what came: every event once, under its own name, before anybody is told so.

Called from one thread, the writer's. What `add` returns from is on the disk.

    double     the same event again: nothing happens (a body that was missing is filled in)
    conflict   another event under the same name: the first one stays, the finding is kept
    chain      an event that does not follow the one before it: kept, and found
    damaged    a body or header that does not match its own hash: not kept, so it is sent again
"""

from __future__ import annotations

import hashlib
import sqlite3
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import msgspec

from gateway.desk.errors import StoreDown
from gateway.desk.holdings import Holding, receipts
from gateway.desk.tables import open_for_writing
from gateway.errors import N_
from gateway.journal.events import EpochStarted, JournalClosed
from gateway.journal.rows import ZERO, head_of
from gateway.journal.statement import is_signed
from gateway.uplink.messages import Birth, CloudEvent
from gateway.uplink.receipts import EpochReceipt

_epoch_started = msgspec.json.Decoder(EpochStarted)
_journal_closed = msgspec.json.Decoder(JournalClosed)


@dataclass(slots=True)
class Added:
    """What became of a batch."""

    stored: int = 0
    doubles: int = 0
    findings: int = 0


@dataclass(slots=True)
class _Batch:
    """A transaction under way: what to put into memory once it is on the disk."""

    at: str
    added: Added = field(default_factory=Added)
    fresh: dict[tuple[str, str, int], tuple[str, str, str]] = field(default_factory=dict)  # -> bodyhash, previous, head
    closing: list[tuple[str, EpochStarted]] = field(default_factory=list)
    gone: list[tuple[str, JournalClosed, list[tuple[int, int]]]] = field(default_factory=list)  # -> never to come


class Store:
    """The desk's database. `key_of` gives a box's public key as it was admitted. Raises StoreDown."""

    def __init__(self, path: Path, key_of: Callable[[str], str] = lambda _box: "") -> None:
        self._key_of = key_of
        try:
            self._db = open_for_writing(path)
            try:
                self._holdings = self._load()
            except sqlite3.Error:
                self._db.close()
                raise
        except sqlite3.Error as error:
            raise _down(path, error) from error
        self._path = path

    def close(self) -> None:
        self._db.close()

    def _load(self) -> defaultdict[str, dict[str, Holding]]:
        holdings: defaultdict[str, dict[str, Holding]] = defaultdict(dict)
        for box, epoch, predecessor, closed, lost in self._db.execute(
            "SELECT box, epoch, predecessor, closed, lost FROM epoch"
        ):
            holding = holdings[box][epoch] = Holding(predecessor=predecessor, closed=closed)
            for first, last in msgspec.json.decode(lost):
                holding.lose(first, last)
        runs = self._db.execute(
            """SELECT box, epoch, min(seq), max(seq) FROM (
                   SELECT box, epoch, seq, seq - row_number() OVER (PARTITION BY box, epoch ORDER BY seq) AS run
                   FROM event) GROUP BY box, epoch, run"""
        )
        for box, epoch, first, last in runs:
            holdings[box].setdefault(epoch, Holding()).hold(first, last)
        return holdings

    # --- events

    def add(self, events: Sequence[tuple[str, CloudEvent]], at: str) -> Added:
        """Make a batch durable. `events` are (box, event), checked as far as their form goes."""
        batch = _Batch(at)
        try:
            self._db.execute("BEGIN IMMEDIATE")
            for box, event in events:
                self._add_one(box, event, batch)
            for box, started in batch.closing:
                self._close_predecessor(box, started)
            for box, told, holes in batch.gone:
                known_lost = self._holdings[box].get(told.epoch, Holding()).lost
                self._lose(box, told.epoch, [*known_lost, *holes])
            self._db.execute("COMMIT")
        except sqlite3.Error as error:
            self._abandon()
            raise _down(self._path, error) from error
        for box, epoch, seq in batch.fresh:
            self._holdings[box].setdefault(epoch, Holding()).add(seq)
        for box, started in batch.closing:
            self._remember_closed(box, started)
        for box, told, holes in batch.gone:
            for first, last in holes:
                self._holdings[box].setdefault(told.epoch, Holding()).lose(first, last)
        return batch.added

    def _add_one(self, box: str, event: CloudEvent, batch: _Batch) -> None:
        data = bytes(event.data)
        body = data if data and data != b"null" else None
        name = (box, event.epoch, event.seq)
        if (damage := _damage(event, body)) is not None:
            self._find(name, "damaged", damage, batch)
            return
        known = self._hashes(name, batch)
        if known is not None:
            self._again(name, event, body, known, batch)
            return
        self._db.execute(
            "INSERT INTO event (box, epoch, seq, type, at, trusted, historical, body, bodyhash, previous, head,"
            " arrived) VALUES (?,?,?,?,?,?,?,?,?,?,?,?)",
            (*name, event.type, event.time, event.trusted, event.historical, body, event.bodyhash, event.previous,
             event.head, batch.at),
        )  # fmt: skip
        if event.epoch not in self._holdings[box]:
            self._db.execute("INSERT OR IGNORE INTO epoch VALUES (?,?,'',NULL,'[]')", (box, event.epoch))
        batch.fresh[name] = (event.bodyhash, event.previous, event.head)
        batch.added.stored += 1
        self._check_neighbours(name, event, batch)
        if event.seq == 1 and event.type == EpochStarted.type_name() and body is not None:
            self._read_start(name, event, body, batch)
        elif event.type == JournalClosed.type_name() and body is not None:
            self._read_closed(name, body, batch)

    def _again(
        self,
        name: tuple[str, str, int],
        event: CloudEvent,
        body: bytes | None,
        known: tuple[str, str, str],
        batch: _Batch,
    ) -> None:
        if known != (event.bodyhash, event.previous, event.head):
            self._find(name, "conflict", f"{event.type} {event.bodyhash} {event.head}", batch)
            return
        batch.added.doubles += 1
        if body is not None:
            where = "box=? AND epoch=? AND seq=? AND body IS NULL"
            self._db.execute(f"UPDATE event SET body=? WHERE {where}", (body, *name))  # noqa: S608  (constant)

    def _hashes(self, name: tuple[str, str, int], batch: _Batch) -> tuple[str, str, str] | None:
        if name in batch.fresh:
            return batch.fresh[name]
        box, epoch, seq = name
        holding = self._holdings[box].get(epoch)
        if holding is None or seq not in holding.have:
            return None
        row = self._db.execute(
            "SELECT bodyhash, previous, head FROM event WHERE box=? AND epoch=? AND seq=?", name
        ).fetchone()
        return (row[0], row[1], row[2])

    def _check_neighbours(self, name: tuple[str, str, int], event: CloudEvent, batch: _Batch) -> None:
        box, epoch, seq = name
        before = (ZERO, ZERO, ZERO) if seq == 1 else self._hashes((box, epoch, seq - 1), batch)
        after = self._hashes((box, epoch, seq + 1), batch)
        if before is not None and before[2] != event.previous:
            self._find(name, "chain", f"follows {event.previous}, not {before[2]}", batch)
        if after is not None and after[1] != event.head:
            self._find((box, epoch, seq + 1), "chain", f"follows {after[1]}, not {event.head}", batch)

    def _find(self, name: tuple[str, str, int], kind: str, detail: str, batch: _Batch) -> None:
        batch.added.findings += 1
        self._db.execute(
            "INSERT INTO finding VALUES (?,?,?,?,?,?,1)"
            " ON CONFLICT DO UPDATE SET times=times+1, detail=excluded.detail, found=excluded.found",
            (*name, kind, detail, batch.at),
        )

    # --- epochs

    def _read_start(self, name: tuple[str, str, int], event: CloudEvent, body: bytes, batch: _Batch) -> None:
        """The first event of an epoch closes the one before."""
        try:
            started = _epoch_started.decode(body)
        except msgspec.MsgspecError:
            self._find(name, "damaged", "the epoch's first event cannot be read", batch)
            return
        if not started.predecessor:
            return
        batch.closing.append((name[0], msgspec.structs.replace(started, epoch=event.epoch)))
        last = self._hashes((name[0], started.predecessor, started.predecessor_last), batch)
        if last is not None and started.predecessor_head and last[2] != started.predecessor_head:
            detail = f"names {started.predecessor_head} as its predecessor's head, not {last[2]}"
            self._find(name, "chain", detail, batch)

    def _close_predecessor(self, box: str, started: EpochStarted) -> None:
        self._db.execute(
            "INSERT INTO epoch VALUES (?,?,?,NULL,'[]') ON CONFLICT DO UPDATE SET predecessor=excluded.predecessor",
            (box, started.epoch, started.predecessor),
        )
        self._db.execute(
            "INSERT INTO epoch VALUES (?,?,'',?,'[]') ON CONFLICT DO UPDATE SET closed=excluded.closed",
            (box, started.predecessor, started.predecessor_last),
        )
        for epoch, lost in _lost_of(started).items():
            known = self._holdings[box].get(epoch, Holding())
            self._lose(box, epoch, [*known.lost, *lost])

    def _lose(self, box: str, epoch: str, lost: list[tuple[int, int]]) -> None:
        self._db.execute(
            "INSERT INTO epoch VALUES (?,?,'',NULL,?) ON CONFLICT DO UPDATE SET lost=excluded.lost",
            (box, epoch, msgspec.json.encode(lost).decode()),
        )

    def _read_closed(self, name: tuple[str, str, int], body: bytes, batch: _Batch) -> None:
        """The box lets headers go: does what it signed fit what it told? What is missing cannot come any more."""
        box = name[0]
        try:
            told = _journal_closed.decode(body)
        except msgspec.MsgspecError:
            self._find(name, "damaged", "what the box closed cannot be read", batch)
            return
        admitted = self._key_of(box)
        signed = is_signed(box, told.epoch, told.through, told.head, told.key, told.signature)
        if not signed or (admitted and told.key != admitted):
            self._find(name, "chain", "what the box closed is not signed with its key", batch)
            return
        last = self._hashes((box, told.epoch, told.through), batch)
        if last is not None and last[2] != told.head:
            self._find(name, "chain", f"closed {told.epoch}/{told.through} with {told.head}, not {last[2]}", batch)
            return
        fresh = [seq for of, epoch, seq in batch.fresh if (of, epoch) == (box, told.epoch)]
        holes = self._holdings[box].get(told.epoch, Holding()).unheld(told.through, fresh)
        if holes:
            batch.gone.append((box, told, holes))

    def _remember_closed(self, box: str, started: EpochStarted) -> None:
        epochs = self._holdings[box]
        epochs.setdefault(started.epoch, Holding()).predecessor = started.predecessor
        epochs.setdefault(started.predecessor, Holding()).closed = started.predecessor_last
        for epoch, lost in _lost_of(started).items():
            holding = epochs.setdefault(epoch, Holding())
            for first, last in lost:
                holding.lose(first, last)

    def receipts(self, box: str, epochs: Iterable[str]) -> tuple[EpochReceipt, ...]:
        """What is durable here, of the epochs that the box still has."""
        return receipts(self._holdings[box], epochs)

    def holdings(self, box: str) -> dict[str, Holding]:
        return self._holdings[box]

    # --- boxes and commands

    def hear(self, birth: Birth, at: str, backlog: int = 0) -> bool:
        """Keep a birth, will or state message; False for old news (an older session's)."""
        with self._transaction():
            known = self._db.execute("SELECT session FROM box WHERE box=?", (birth.box,)).fetchone()
            if known is not None and birth.session < known[0]:
                return False
            if not birth.online:
                query = "UPDATE box SET online=0 WHERE box=? AND session=?"
                return self._db.execute(query, (birth.box, birth.session)).rowcount == 1
            self._db.execute(
                "INSERT INTO box VALUES (?,?,?,?,1,?,?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET name=excluded.name,"
                " version=excluded.version, session=excluded.session, online=1, challenge=excluded.challenge,"
                " state=excluded.state, epoch=excluded.epoch, epochs=excluded.epochs, head=excluded.head,"
                " backlog=excluded.backlog, last_seen=excluded.last_seen",
                (birth.box, birth.name, birth.version, birth.session, birth.challenge, birth.state, birth.epoch,
                 msgspec.json.encode(birth.epochs).decode(), birth.head, backlog, at, at),
            )  # fmt: skip
        return True

    def births(self) -> list[tuple[Birth, str]]:
        """The newest that was heard of each box, and when."""
        columns = "box, session, online, name, version, epoch, epochs, head, challenge, state, last_seen"
        found = []
        for row in self._db.execute(f"SELECT {columns} FROM box"):  # noqa: S608  (constant)
            box, session, online, name, version, epoch, epochs, head, challenge, state, last_seen = row
            birth = Birth(
                box=box,
                session=session,
                online=bool(online),
                name=name,
                version=version,
                epoch=epoch,
                epochs=tuple(msgspec.json.decode(epochs)),
                head=head,
                challenge=challenge,
                state=state,
            )
            found.append((birth, last_seen))
        return found

    def ordered(self, command_id: str, box: str, kid: str, name: str, issued: str, expires: str) -> None:
        with self._transaction():
            self._db.execute(
                "INSERT INTO command VALUES (?,?,?,?,?,?,NULL,NULL)", (command_id, box, kid, name, issued, expires)
            )

    def replied(self, command_id: str, outcome: str, at: str) -> None:
        with self._transaction():
            self._db.execute("UPDATE command SET replied=?, outcome=? WHERE id=?", (at, outcome, command_id))

    def _transaction(self) -> _Transaction:
        return _Transaction(self._db, self._path)

    def _abandon(self) -> None:
        if self._db.in_transaction:
            self._db.execute("ROLLBACK")


class _Transaction:
    """BEGIN, then COMMIT or ROLLBACK; sqlite3's errors become StoreDown."""

    def __init__(self, db: sqlite3.Connection, path: Path) -> None:
        self._db, self._path = db, path

    def __enter__(self) -> None:
        try:
            self._db.execute("BEGIN IMMEDIATE")
        except sqlite3.Error as error:
            raise _down(self._path, error) from error

    def __exit__(self, _kind: object, error: BaseException | None, _trace: object) -> None:
        try:
            self._db.execute("ROLLBACK" if error else "COMMIT")
        except sqlite3.Error as problem:
            raise _down(self._path, problem) from problem
        if isinstance(error, sqlite3.Error):
            raise _down(self._path, error) from error


def _damage(event: CloudEvent, body: bytes | None) -> str | None:
    if body is not None and hashlib.sha256(body).hexdigest() != event.bodyhash:
        return "the body does not match its hash"
    head = head_of(event.previous, event.epoch, event.seq, event.type, event.time, event.trusted, event.bodyhash)
    return None if head == event.head else "the header does not match its hash"


def _lost_of(started: EpochStarted) -> dict[str, list[tuple[int, int]]]:
    lost: dict[str, list[tuple[int, int]]] = {}
    for part in started.predecessor_lost:
        if part.epoch != started.epoch:
            lost.setdefault(part.epoch, []).append((part.first, part.last))
    return lost


def _down(path: Path, error: sqlite3.Error) -> StoreDown:
    return StoreDown(
        N_("The desk's store cannot be used: {problem}"),
        where=str(path),
        mend=N_("check the disk; boxes keep what is not confirmed"),
        problem=str(error),
    )
