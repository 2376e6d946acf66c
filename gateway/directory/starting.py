"""How the directory starts: the list of revocations, then the keys, then the people; whatever is wrong is told.

Nothing here raises for what is on the disk: each part that cannot be had is a problem in words, and the
next part is tried without it.
"""

from __future__ import annotations

import asyncio
import functools
import sqlite3
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from gateway.clock import Clock
from gateway.directory import boxkey, copies, keyring, opening, revoked
from gateway.directory.database import Database
from gateway.directory.events import DirectoryKeysDamaged, DirectoryRestored
from gateway.directory.keyring import Keyring
from gateway.directory.opening import Opening, Use
from gateway.directory.problem import Problem
from gateway.directory.revoked import Revocation
from gateway.directory.rows import (
    CONSENT_COLUMNS,
    FACE,
    PERSON_COLUMNS,
    ConsentRow,
    Damaged,
    PersonRow,
    intact,
    rights_of,
)
from gateway.directory.snapshot import PersonRights
from gateway.errors import N_
from gateway.journal.event import Event

PAGE = 200
WRITABLE = N_("look at the folder's owner and at the disk ('loumen doctor permissions disk'); restart loumen")
InThread = Callable[[Callable[[], Any]], Awaitable[Any]]


@dataclass(slots=True)
class Started:
    """Everything that could be had, and what is wrong with the rest."""

    keys: Keyring
    log: revoked.Writer
    database: Database | None = None
    people: dict[str, PersonRights] = field(default_factory=dict)
    unreadable: int = 0
    removed_faces: frozenset[str] = frozenset()
    forgotten_externals: set[str] = field(default_factory=set)
    problems: dict[str, Problem] = field(default_factory=dict)
    events: list[Event] = field(default_factory=list)


async def open_all(folder: Path, clock: Clock, in_thread: InThread) -> Started:
    """Open the three parts in `folder`; cancelled, it leaves nothing open."""
    keys = Keyring(folder / "keys" / keyring.FILE, None)
    started = Started(keys, revoked.Writer(folder / revoked.FILE, 0))
    try:
        await _open(folder, clock, started, in_thread)
    except BaseException:
        if started.database is not None:
            await started.database.close()
        await started.keys.close()
        raise
    return started


async def _open(folder: Path, clock: Clock, started: Started, in_thread: InThread) -> None:
    keys_folder = folder / "keys"
    found = await in_thread(functools.partial(_read_log, folder, started))
    started.forgotten_externals = found.forgotten_externals()
    started.removed_faces = frozenset(face for entry in found.entries if entry.kind == "face" for face in entry.ids)
    prepared = keyring.Prepared()
    try:
        prepared = await _open_keys(keys_folder, found.forgotten(), started, in_thread)
    except (OSError, sqlite3.Error) as error:
        text = N_("the keys of the directory cannot be used ({error}): names and faces cannot be decrypted")
        mend = N_("look at keys/ in the state folder, its owner and the disk ('loumen doctor disk'); restart loumen")
        started.problems["keys"] = Problem(text, {"error": str(error)}, grave=True, mend=mend)
    opened = await _open_directory(folder, found.entries, clock.now().wall, started, in_thread)
    started.unreadable = sum(not started.keys.has(person) for person in started.people)
    _say(opened, prepared, started)


def _read_log(folder: Path, started: Started) -> revoked.Log:
    path = folder / revoked.FILE
    try:
        for needed in (folder, folder / "keys", folder / "copies"):
            needed.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = revoked.read(path)
        if found.lost:
            text = N_("{lost} entries of {path} cannot be read: check who was suspended lately")
            facts: dict[str, str | int] = {"lost": found.lost, "path": str(path)}
            mend = N_("'loumen person list' shows who may pass; suspend again whom it does not show as suspended")
            started.problems["revoked"] = Problem(text, facts, mend=mend)
        started.log = revoked.Writer(path, found.last)
        revoked.tidy(path, found)
        started.log = revoked.Writer(path, found.last)
        return found
    except OSError as error:
        text = N_("{path} cannot be used ({error}): nobody can be suspended or forgotten until it can")
        mend = N_("look at the file's owner and at the disk ('loumen doctor permissions disk'); restart loumen")
        started.problems["revoked"] = Problem(text, {"path": str(path), "error": str(error)}, mend=mend)
        return revoked.Log()


async def _open_keys(folder: Path, forgotten: set[str], started: Started, in_thread: InThread) -> keyring.Prepared:
    path = folder / keyring.FILE
    box: boxkey.BoxKey = await in_thread(
        lambda: boxkey.load_or_create(folder, keys_exist=path.exists() and path.stat().st_size > 0)
    )
    if box.problem is not None:
        started.problems["box key"] = box.problem
    prepared, writable = keyring.Prepared(), True
    try:
        prepared = await in_thread(functools.partial(keyring.prepare, folder, box.key, forgotten))
    except (OSError, sqlite3.Error) as error:
        if not path.exists():
            raise
        _say_unwritable(started, error)
        writable = False
    started.keys = Keyring(path, box.key, writable=writable)
    await started.keys.open()
    if missing := forgotten - started.keys.forgotten:  # the power went between the list and the keys
        try:
            await started.keys.destroy(missing)
        except sqlite3.Error as error:
            _say_unwritable(started, error)
    return prepared


def _say_unwritable(started: Started, error: OSError | sqlite3.Error) -> None:
    text = N_("the keys cannot be written ({error}): nobody can be added or forgotten")
    started.problems["keys refused"] = Problem(text, {"error": str(error)}, mend=WRITABLE)


@dataclass(slots=True)
class _Opened:
    """The last opening, and the first damage that led to it."""

    opening: Opening = Opening(Use.NOTHING)  # noqa: RUF009  (frozen)
    damage: str = ""
    set_aside: str = ""


async def _open_directory(
    folder: Path, entries: Sequence[Revocation], wall: datetime, started: Started, in_thread: InThread
) -> _Opened:
    """Try the file, then copy after copy, at last an empty one."""
    opened = _Opened()
    damage, bad_copies = "", set[Path]()
    while True:
        prepare = functools.partial(
            opening.prepare, folder, entries, started.keys.forgotten, wall, damage=damage, bad_copies=bad_copies
        )
        found: Opening = await in_thread(prepare)
        opened.opening = found
        opened.damage, opened.set_aside = opened.damage or found.damage, opened.set_aside or found.set_aside
        if found.use is Use.NOTHING:
            return opened
        path = folder / opening.FILE
        try:
            open_as = Database.open if found.use is Use.WRITE else Database.open_unwritable
            started.database = await open_as(path)
            started.people = await _load(started.database, entries if found.use is Use.READ else ())
            return opened
        except (sqlite3.Error, Damaged, ValueError) as error:
            damage = f"{type(error).__name__}: {error}"
            opened.damage = opened.damage or damage
            if started.database is not None:
                await started.database.close()
                started.database = None
            if found.use is Use.READ or (found.damage and found.copy is None):
                return opened
            if found.copy is not None:
                bad_copies.add(found.copy)


async def _load(database: Database, entries: Sequence[Revocation]) -> dict[str, PersonRights]:
    """Everybody's rights. `entries` could not be applied to the file. Raises sqlite3.Error, Damaged, ValueError."""
    withdrawn = {consent for entry in entries if entry.kind == "consent" for consent in entry.ids}
    consenting: set[str] = set()
    place = 0
    sql = f"SELECT place, {CONSENT_COLUMNS} FROM consents WHERE place > ? ORDER BY place LIMIT ?"  # noqa: S608
    while page := await database.read(sql, place, PAGE):
        for place, *values in page:  # noqa: B007  (the next page begins after the last place)
            consent = ConsentRow(*values)
            if not intact(consent):
                raise Damaged(consent.id)
            if consent.purpose == FACE and consent.withdrawn_at is None and consent.id not in withdrawn:
                consenting.add(consent.person)
        await asyncio.sleep(0)
    people: dict[str, PersonRights] = {}
    versions: dict[str, int] = {}
    place = 0
    sql = f"SELECT place, {PERSON_COLUMNS} FROM persons WHERE place > ? ORDER BY place LIMIT ?"  # noqa: S608
    while page := await database.read(sql, place, PAGE):
        for place, *values in page:  # noqa: B007
            row = PersonRow(*values)
            people[row.id] = rights_of(row, face=row.id in consenting)
            versions[row.id] = row.version
        await asyncio.sleep(0)
    _apply_in_memory(people, versions, entries)
    return people


def _apply_in_memory(
    people: dict[str, PersonRights], versions: Mapping[str, int], entries: Sequence[Revocation]
) -> None:
    for entry in entries:
        if entry.kind == "forget":
            people.pop(entry.person, None)
        elif entry.kind == "rights" and entry.person in people and versions[entry.person] < entry.version:
            people[entry.person] = replace(
                people[entry.person],
                active=entry.active,
                valid_from=datetime.fromisoformat(entry.valid_from) if entry.valid_from else None,
                valid_until=datetime.fromisoformat(entry.valid_until) if entry.valid_until else None,
                doors=frozenset(entry.doors),
            )


def _say(opened: _Opened, prepared: keyring.Prepared, started: Started) -> None:
    found, problems = opened.opening, started.problems
    if found.newer:
        text = N_("the directory was written by a newer release: people are recognised, nothing can be changed")
        problems["newer"] = Problem(text, mend=N_("install the newer release again: deploy.sh update"))
    if found.refused:
        text = N_("the directory cannot be written ({error}): nothing can be changed")
        problems["refused"] = Problem(text, {"error": found.refused}, mend=WRITABLE)
    if opened.damage:
        _say_restored(opened, started)
    if started.unreadable and "box key" not in problems:
        text = N_("the keys of {count} people are lost: their names and faces cannot be decrypted")
        mend = N_("put keys.db back from the backup, or forget them and enrol them anew: 'loumen person list'")
        problems["unreadable"] = Problem(text, {"count": started.unreadable}, mend=mend)
    if prepared.damage:
        text = N_("keys.db was damaged ({damage}); {saved} keys were saved from it")
        damaged: dict[str, str | int] = {"damage": prepared.damage, "saved": prepared.saved}
        mend = N_("change the SD card or disk soon; who has lost her key is enrolled anew")
        problems["keys damaged"] = Problem(text, damaged, mend=mend)
        event = DirectoryKeysDamaged(damage=prepared.damage, saved=prepared.saved, unreadable=started.unreadable)
        started.events.append(event)


def _say_restored(opened: _Opened, started: Started) -> None:
    copy = opened.opening.copy if started.database is not None else None
    if copy is not None:
        made = copies.made_at(copy)
        text = N_(
            "the directory was damaged ({damage}): the copy of {made} is used, with later revocations applied; "
            "people and faces added since are missing"
        )
        facts: dict[str, str | int] = {"damage": opened.damage, "made": made.isoformat() if made else copy.name}
        mend = N_("enter again what was added since, or import it; change the SD card or disk soon")
        started.problems["restored"] = Problem(text, facts, mend=mend)
    else:
        text = N_("the directory was damaged ({damage}) and there is no usable copy: nobody is recognised")
        mend = N_("let the platform send its people again, or import a bundle; doors open by button and command")
        started.problems["restored"] = Problem(text, {"damage": opened.damage}, grave=True, mend=mend)
    started.events.append(
        DirectoryRestored(
            copy=copy.name if copy is not None else "",
            damage=opened.damage,
            set_aside=opened.set_aside,
            people=len(started.people),
            revoked=opened.opening.revoked,
        )
    )
