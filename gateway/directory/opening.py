"""What happens to `directory.db` before it is used. Blocks: runs in a thread, once a start.

Found                    what is done
    whole                    it is used, with `revoked.log` applied once more
    not there, no copies     a new box: an empty one is made
    damaged, or lost         set aside; the newest copy that is whole takes its place, with
                             `revoked.log` applied before anybody reads it
    damaged, no whole copy   an empty one: nobody is recognised, and `status` says so
    disk full or read-only   it is read as it is and nothing can be changed
    from a newer release     the same: never rewritten by a release that does not know it
"""

from __future__ import annotations

import sqlite3
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime
from enum import Enum, auto
from pathlib import Path

from gateway.directory import copies, rows
from gateway.directory.revoked import Revocation
from gateway.directory.rows import CONSENT_COLUMNS, PERSON_COLUMNS, ConsentRow, PersonRow, intact, sealed

FILE = "directory.db"
SET_ASIDE_KEPT = 4
#: What says that the disk refuses, not that the file is damaged.
_REFUSED = {
    sqlite3.SQLITE_CANTOPEN,
    sqlite3.SQLITE_READONLY,
    sqlite3.SQLITE_FULL,
    sqlite3.SQLITE_PERM,
    sqlite3.SQLITE_BUSY,
    sqlite3.SQLITE_LOCKED,
    sqlite3.SQLITE_AUTH,
}


class Use(Enum):
    WRITE = auto()
    READ = auto()
    NOTHING = auto()


@dataclass(frozen=True, slots=True)
class Opening:
    """How the file was found and what was done about it."""

    use: Use
    damage: str = ""  # why it was set aside
    set_aside: str = ""  # under which name
    copy: Path | None = None  # which copy took its place
    revoked: int = 0  # how many revocations were applied to it
    refused: str = ""  # why it cannot be written
    newer: int = 0  # the version of a newer release's file


def refused_by_disk(error: sqlite3.Error) -> bool:
    return (getattr(error, "sqlite_errorcode", 0) or 0) & 0xFF in _REFUSED


def prepare(
    folder: Path,
    entries: Sequence[Revocation],
    forgotten: Collection[str],
    wall: datetime,
    *,
    damage: str = "",
    bad_copies: Collection[Path] = (),
) -> Opening:
    """See the table above. `damage`: the caller found it damaged while reading. Raises nothing of the disk's."""
    path = folder / FILE
    try:
        version = 0
        if not damage:
            damage, version = _look_at(path, has_copies=bool(copies.newest_first(folder / "copies")))
        if version > rows.VERSION:
            return Opening(Use.READ, newer=version)
        aside, copy = "", None
        if damage:
            aside = _set_aside(path, wall)
            copy = _newest_whole_copy(folder / "copies", bad_copies)
            if copy is not None:
                copies.take_back(copy, path)
        applied = _make_ready(path, entries, forgotten)
        return Opening(Use.WRITE, damage=damage, set_aside=aside, copy=copy, revoked=applied)
    except sqlite3.Error as error:
        if not refused_by_disk(error) and not damage:
            return prepare(folder, entries, forgotten, wall, damage=str(error), bad_copies=bad_copies)
        return Opening(Use.READ if path.exists() and not damage else Use.NOTHING, damage=damage, refused=str(error))
    except OSError as error:
        return Opening(Use.READ if path.exists() and not damage else Use.NOTHING, damage=damage, refused=str(error))


def _look_at(path: Path, *, has_copies: bool) -> tuple[str, int]:
    """What is wrong with the file (empty: nothing), and its version."""
    if not path.exists() or path.stat().st_size == 0:
        return ("the file is gone" if has_copies else ""), 0
    try:
        connection = sqlite3.connect(path, isolation_level=None)
        try:
            (version,) = connection.execute("PRAGMA user_version").fetchone()
            (verdict,) = connection.execute("PRAGMA quick_check(1)").fetchone()
            if verdict == "ok" and version == 0:
                return ("it has no tables" if has_copies else ""), 0
            return ("" if verdict == "ok" else str(verdict)), int(version)
        finally:
            connection.close()
    except sqlite3.Error as error:
        if refused_by_disk(error):
            raise
        return str(error), 0


def _newest_whole_copy(folder: Path, bad_copies: Collection[Path]) -> Path | None:
    for copy in copies.newest_first(folder):
        if copy not in bad_copies:
            try:
                damage, version = _look_at(copy, has_copies=True)
            except sqlite3.Error:
                continue
            if not damage and 0 < version <= rows.VERSION:
                return copy
    return None


def _set_aside(path: Path, wall: datetime) -> str:
    """Rename the damaged file and its WAL; the oldest beyond SET_ASIDE_KEPT go. Returns the new name."""
    earlier = sorted(path.parent.glob(f"{FILE}.damaged-*"), key=lambda found: found.stat().st_mtime_ns)
    name = f"{FILE}.damaged-{wall:%Y%m%dT%H%M%SZ}-{len(earlier)}"
    for old in [found for found in earlier if not found.name.endswith("-wal")][: -SET_ASIDE_KEPT + 1 or None]:
        old.unlink(missing_ok=True)
        old.with_name(old.name + "-wal").unlink(missing_ok=True)
    wal = path.with_name(FILE + "-wal")
    if wal.exists():
        wal.rename(path.with_name(name + "-wal"))
    path.with_name(FILE + "-shm").unlink(missing_ok=True)
    if not path.exists():
        return ""
    path.rename(path.with_name(name))
    return name


def _make_ready(path: Path, entries: Sequence[Revocation], forgotten: Collection[str]) -> int:
    """Tables, migrations, revocations; all in one transaction."""
    created = not path.exists()
    connection = sqlite3.connect(path, isolation_level=None)
    try:
        if created:
            path.chmod(0o600)
        for setting in ("journal_mode=WAL", "synchronous=FULL", "secure_delete=ON", "foreign_keys=ON"):
            connection.execute(f"PRAGMA {setting}")
        (version,) = connection.execute("PRAGMA user_version").fetchone()
        if version == 0:
            connection.executescript(f"BEGIN IMMEDIATE;{rows.SCHEMA}PRAGMA user_version={rows.VERSION};COMMIT;")
        connection.execute("BEGIN IMMEDIATE")
        applied = apply(connection, entries, forgotten)
        connection.execute("COMMIT")
        if applied:
            connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
        return applied
    finally:
        connection.close()


def apply(connection: sqlite3.Connection, entries: Sequence[Revocation], forgotten: Collection[str]) -> int:
    """Do to the file what was ordered since it was written; returns how many orders changed anything."""
    applied = 0
    gone = set(forgotten) | {entry.person for entry in entries if entry.kind == "forget"}
    for person in gone:
        applied += connection.execute("DELETE FROM persons WHERE id = ?", (person,)).rowcount
    for entry in entries:
        match entry.kind:
            case "forget":
                pass
            case "rights":
                applied += _apply_rights(connection, entry)
            case "face":
                for face in entry.ids:
                    applied += connection.execute("DELETE FROM faces WHERE id = ?", (face,)).rowcount
            case "consent":
                applied += _apply_consent(connection, entry)
    return applied


def _apply_rights(connection: sqlite3.Connection, entry: Revocation) -> int:
    found = connection.execute(f"SELECT {PERSON_COLUMNS} FROM persons WHERE id = ?", (entry.person,)).fetchone()  # noqa: S608
    if found is None or (row := PersonRow(*found)).version >= entry.version or not intact(row):
        return 0  # a row that is not intact is found by whoever reads it next: the file is then damaged
    row = sealed(
        row._replace(
            version=entry.version,
            active=int(entry.active),
            valid_from=entry.valid_from,
            valid_until=entry.valid_until,
            doors=rows.doors_text(entry.doors),
        )
    )
    connection.execute(rows.PUT_PERSON, row)
    return 1


def _apply_consent(connection: sqlite3.Connection, entry: Revocation) -> int:
    applied = 0
    for consent in entry.ids:
        found = connection.execute(f"SELECT {CONSENT_COLUMNS} FROM consents WHERE id = ?", (consent,)).fetchone()  # noqa: S608
        if found is not None and (row := ConsentRow(*found)).withdrawn_at is None and intact(row):
            connection.execute(rows.PUT_CONSENT, sealed(row._replace(withdrawn_at=entry.at)))
            applied += 1
    return applied
