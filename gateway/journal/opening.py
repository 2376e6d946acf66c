"""Opens `journal.db` for the daemon: looks it over, migrates it, begins a new epoch where one is due.

Runs in a thread before the journal's own connections open, with none beside it. A new random epoch
begins at creation, after a quarantine, after a restore (`journal.restored` beside the file, written by
whoever put an older copy there) and on another machine or under another box's identity (a clone): a
replaced box never uses an id again. `journal.epoch` beside the file names the epoch at hand, so that even
a file of zeros says which history it broke off.
"""

from __future__ import annotations

import hashlib
import json
import os
import secrets
import sqlite3
from collections.abc import Callable
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

import msgspec

from gateway.journal import log_check, tables
from gateway.journal.event import Event
from gateway.journal.events import EpochReason, EpochStarted, JournalGap, LostRange
from gateway.journal.rows import (
    ZERO,
    Chain,
    Epoch,
    Noted,
    Position,
    is_sound,
    iso,
    number_of,
    place,
    row_of,
    seal,
    seq_of,
)

#: What a disk or a damaged file raises; the last where SQLite's complaint quotes what it cannot read.
FAULTS = (sqlite3.Error, OSError, UnicodeDecodeError)
QUICK_CHECK_BELOW = 128 * 1024 * 1024  # bytes; larger files are checked by `loumen event verify`
TAIL = 500  # rows whose chain is checked at each opening
_SERIAL = Path("/sys/firmware/devicetree/base/serial-number")
_MACHINE_ID = Path("/etc/machine-id")

Note = Callable[[Event], Noted]


class Pending(msgspec.Struct, frozen=True, kw_only=True):
    """What a quarantine leaves in the new file for the epoch that is to begin."""

    damage: str
    aside: str
    marks_kept: bool


@dataclass(frozen=True, slots=True)
class Opened:
    """A file that is fit to be written to."""

    chain: Chain
    epochs: tuple[Epoch, ...]
    marks: dict[str, Position]
    used: dict[str, str]  # id -> expires
    damage: str = ""  # why the file before it was set aside just now
    trusted_at: int | None = None  # the newest time among the last rows that was believable


class Witness(msgspec.Struct, frozen=True, kw_only=True):
    """`journal.epoch`: the epoch at hand, told outside of the database."""

    epoch: str
    number: int
    box: str
    aside: str = ""  # a quarantine is under way: the damaged file's new name,
    damage: str = ""  # and what was wrong with it


def host_fingerprint() -> str:
    """What tells this machine from a copy of its disk: the board's serial number, else the machine id."""
    for source in (_SERIAL, _MACHINE_ID):
        with suppress(OSError):
            return hashlib.sha256(b"loumen host " + source.read_bytes()).hexdigest()[:16]
    return ""


def inspect(path: Path, *, held: bool = False) -> str:
    """What is wrong with the file, in English; empty when it may be used (or does not exist yet).

    `held` as for `quarantine.open_sound`.
    Raises sqlite3.Error or OSError when that cannot be found out now (I/O error, locked, no right).
    """
    size = path.stat().st_size if path.exists() else 0
    if size == 0:
        return "the file is empty or missing" if witness_of(path) else ""
    restored = restored_marker(path).exists()
    found = "" if held else log_check.damage(tables.wal(path))
    if found:
        return found
    log = tables.wal(path)
    has_log = log.exists() and log.stat().st_size > log_check.HEADER
    try:
        with closing(sqlite3.connect(path, timeout=2.0, isolation_level=None)) as connection:
            connection.text_factory = tables.text
            return _look_over(
                connection, size, known=witness_of(path) is not None, log_may_lack=has_log or restored or held
            )
    except sqlite3.DatabaseError as error:
        if is_damage(error) or primary_code(error) == sqlite3.SQLITE_ERROR:  # e.g. no such table
            return str(error)
        raise
    except UnicodeDecodeError as error:  # SQLite's own complaint quotes what it cannot read
        return f"unreadable: {error}"


def _look_over(connection: sqlite3.Connection, size: int, *, known: bool, log_may_lack: bool) -> str:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    (tables_there,) = connection.execute("SELECT count(*) FROM sqlite_schema").fetchone()
    if version == 0 and tables_there == 0:
        return "the file is empty" if known else ""  # created, and cut off before its first transaction
    if connection.execute("SELECT 1 FROM meta WHERE key = 'open' AND value = '1'").fetchone():
        if not log_may_lack:
            return "the write-ahead log is missing"
        # Closing this connection may take the log away: from here on it need not be there.
        connection.execute(tables.SET_META, ("open", "0"))
    if size < QUICK_CHECK_BELOW:
        (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
        if verdict != "ok":
            return str(verdict).splitlines()[0]
    for statement in tables.EVERY:  # compiled only: a column's name may be damaged too
        connection.execute("EXPLAIN " + statement, (None,) * tables.parameters(statement)).fetchall()
    return _tail(connection)


def _tail(connection: sqlite3.Connection) -> str:
    """Check the last rows' hashes and chain, and that no mark is ahead of them."""
    epochs = _sealed(connection)
    if isinstance(epochs, str):
        return epochs
    found = connection.execute(tables.SELECT_ROWS_DOWN, (0, (1 << 62), TAIL)).fetchall()
    if not epochs or not found:
        return "" if not epochs and not found else "there is an epoch without rows, or there are rows without an epoch"
    after = None
    for stored in found:
        if number_of(stored[0]) not in epochs:
            return f"a row belongs to no epoch (place {stored[0]})"
        row = row_of(stored, epochs[number_of(stored[0])])
        if not is_sound(stored, row):
            return f"row {row.epoch}/{row.seq} is damaged"
        if after and after.epoch == row.epoch:
            if after.seq == row.seq + 1 and after.previous != row.head:
                return f"the chain is broken between {row.epoch}/{row.seq} and its successor"
            gap = (stored[0] + 1, stored[0] + after.seq - row.seq - 1)
            if gap[0] <= gap[1] and not connection.execute(tables.IS_LOST, gap).fetchone():
                return f"rows behind {row.epoch}/{row.seq} are missing"
        after = row
    last = row_of(found[0], epochs[number_of(found[0][0])])
    if number_of(found[0][0]) != max(epochs):
        return "the newest epoch has no rows"
    ahead = connection.execute("SELECT name FROM mark WHERE epoch = ? AND seq > ?", (last.epoch, last.seq)).fetchone()
    return f"mark {ahead[0]!r} is ahead of the last row" if ahead else ""


def _sealed(connection: sqlite3.Connection) -> dict[int, str] | str:
    """The epochs by number, or what is wrong with them or with a mark."""
    epochs = {}
    for number, *told, check in connection.execute(
        "SELECT number, id, box, created, reason, predecessor, predecessor_last, seal FROM epoch"
    ).fetchall():
        if check != seal(number, *told):
            return f"the description of epoch {number} is damaged"
        epochs[number] = told[0]
    for name, epoch, seq, check in connection.execute("SELECT name, epoch, seq, seal FROM mark").fetchall():
        if check != seal(name, epoch, seq):
            return f"mark {name!r} is damaged"
    return epochs


def prepare(path: Path, box: str, host: str, note: Note) -> Opened:
    """Open a sound file, or create one. Raises sqlite3.Error or OSError when that fails for now."""
    _create_private(path)
    with closing(tables.connect(path)) as connection:
        tables.migrate(connection)
        meta = dict(connection.execute("SELECT key, value FROM meta").fetchall())
        pending = _pending(meta)
        reason = _epoch_due(connection, path, box, host, meta, pending)
        if reason:
            _begin(connection, reason, box, host, note, pending)
        opened = load(connection, pending.damage if pending else "")
    newest = opened.epochs[-1]
    witness = Witness(epoch=newest.id, number=newest.number, box=newest.box)
    if witness_of(path) != witness:
        write_witness(path, witness)
    restored_marker(path).unlink(missing_ok=True)
    return opened


def _pending(meta: dict[str, str]) -> Pending | None:
    if "pending" not in meta:
        return None
    try:
        return msgspec.json.decode(meta["pending"], type=Pending)
    except msgspec.DecodeError:
        return Pending(damage="unknown", aside="", marks_kept=False)


def load(connection: sqlite3.Connection, damage: str = "") -> Opened:
    """What the daemon keeps in memory of a file."""
    epochs = _epochs(connection)
    newest = epochs[-1]
    chain = Chain(newest.id, newest.number)
    for select in (tables.LAST_EVENTS, tables.LAST_BARE):
        for stored in connection.execute(select, (1,)).fetchall():
            if number_of(stored[0]) == newest.number and seq_of(stored[0]) > chain.seq:
                chain.seq, chain.head = seq_of(stored[0]), row_of(stored, newest.id).head
    marks = {
        name: Position(epoch, seq)
        for name, epoch, seq, check in connection.execute("SELECT name, epoch, seq, seal FROM mark").fetchall()
        if check == seal(name, epoch, seq)
    }
    used = dict(connection.execute("SELECT id, expires FROM used").fetchall())
    (trusted_at,) = connection.execute(tables.TRUSTED_AT, (TAIL,)).fetchone()
    return Opened(chain, epochs, marks, used, damage, trusted_at)


def _epoch_due(
    connection: sqlite3.Connection, path: Path, box: str, host: str, meta: dict[str, str], pending: Pending | None
) -> EpochReason | None:
    newest = connection.execute("SELECT box FROM epoch ORDER BY number DESC LIMIT 1").fetchone()
    if pending:
        return "quarantined"
    if newest is None:
        return "created"
    if restored_marker(path).exists():
        return "restored"
    return "cloned" if newest[0] != box or meta.get("host", host) != host else None


def _begin(
    connection: sqlite3.Connection, reason: EpochReason, box: str, host: str, note: Note, pending: Pending | None
) -> None:
    """Write a new epoch and its first rows in one transaction."""
    before = _epochs(connection)
    old = before[-1] if before else None
    epoch, number = secrets.token_hex(8), old.number + 1 if old else 1
    lost = tuple(LostRange(epoch=e.id, first=first, last=last) for e in before for first, last in e.lost)
    events: list[Event] = [
        EpochStarted(
            epoch=epoch,
            reason=reason,
            box=box,
            predecessor=old.id if old else "",
            predecessor_last=old.last if old else 0,
            predecessor_head=_head(connection, old) if old else "",
            predecessor_lost=tuple(hole for hole in lost if old and hole.epoch == old.id),
        )
    ]
    if pending:
        events.append(
            JournalGap(
                epoch=old.id if old else "",
                last=old.last if old else 0,
                lost=lost,
                damage=pending.damage,
                aside=pending.aside,
                marks_kept=pending.marks_kept,
            )
        )
    chain = Chain(epoch, number)
    rows = [chain.link(note(event)) for event in events]
    told = (epoch, box, rows[0][3], reason, old.id if old else "", old.last if old else 0)
    connection.execute("BEGIN IMMEDIATE")
    try:
        connection.execute(
            "INSERT " + tables.INSERT_EPOCH,
            (number, *told, seal(number, *told)),
        )
        connection.executemany(tables.INSERT_EVENT, rows)
        connection.execute(tables.SET_META, ("host", host))
        connection.execute("DELETE FROM meta WHERE key = 'pending'")
        if old and old.box != box:
            connection.execute("DELETE FROM mark")  # they speak of another box's history
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def _head(connection: sqlite3.Connection, epoch: Epoch) -> str:
    where = place(epoch.number, epoch.last)
    stored = connection.execute(tables.SELECT_ROWS, (where, where, 1)).fetchone()
    return row_of(stored, epoch.id).head if stored else ZERO


def _epochs(connection: sqlite3.Connection) -> tuple[Epoch, ...]:
    holes = connection.execute("SELECT first, last FROM lost ORDER BY first").fetchall()
    found = []
    for number, id_, box, created, reason, predecessor in connection.execute(
        "SELECT number, id, box, created, reason, predecessor FROM epoch ORDER BY number"
    ).fetchall():
        first, last = bounds(connection, number)
        lost = tuple((seq_of(low), seq_of(high)) for low, high in holes if number_of(low) == number)
        found.append(
            Epoch(
                id=id_,
                number=number,
                box=box,
                created=iso(created),
                reason=reason,
                first=first,
                last=last,
                predecessor=predecessor,
                lost=lost,
            )
        )
    return tuple(found)


def bounds(connection: sqlite3.Connection, number: int) -> tuple[int, int]:
    """The lowest and highest sequence number of an epoch."""
    low, high = connection.execute(tables.SELECT_BOUNDS, (place(number, 0), place(number + 1, 0) - 1)).fetchone()
    return (0, 0) if low is None else (seq_of(low), seq_of(high))


def is_damage(error: BaseException) -> bool:
    """Whether an error says that the file is no sound database."""
    found = primary_code(error) in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB)
    return found or isinstance(error, UnicodeDecodeError)


def primary_code(error: BaseException) -> int:
    code = getattr(error, "sqlite_errorcode", None)
    return code & 0xFF if isinstance(code, int) else 0


def restored_marker(path: Path) -> Path:
    return path.with_name("journal.restored")


def witness_path(path: Path) -> Path:
    return path.with_name("journal.epoch")


def witness_of(path: Path) -> Witness | None:
    """The epoch named beside the file; None where nothing readable stands there."""
    try:
        return msgspec.json.decode(witness_path(path).read_bytes(), type=Witness)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError):
        return None


def write_witness(path: Path, witness: Witness) -> None:
    """Replace `journal.epoch`, durably."""
    target = witness_path(path)
    beside = target.with_name(target.name + ".new")
    with beside.open("wb") as file:
        file.write(json.dumps(msgspec.to_builtins(witness)).encode())
        file.flush()
        os.fsync(file.fileno())
    beside.replace(target)
    sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make renames in a folder durable."""
    handle = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def _create_private(path: Path) -> None:
    """Make the folder and the file so that only this user reads them; SQLite's log files follow the file."""
    path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    with suppress(FileExistsError):
        os.close(os.open(path, os.O_CREAT | os.O_EXCL | os.O_RDWR, 0o600))
