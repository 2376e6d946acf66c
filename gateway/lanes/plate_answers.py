"""Answers the commands of the register of plates.

A plate may belong to a person of the directory. Lanes do not know the directory: who is meant is asked through
`people`, and the directory calls `forget` before it forgets somebody, so that nobody's plate outlives her.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
from collections.abc import Awaitable, Callable, Collection, Mapping, Sequence
from datetime import datetime
from itertools import islice
from zoneinfo import ZoneInfo

import msgspec

from gateway.clock import Clock
from gateway.command import Actor, Command, Handler
from gateway.dates import begin_of, end_of
from gateway.errors import BadRequest, N_, NotFound, Refused
from gateway.journal.event import Event
from gateway.lanes import commands as c
from gateway.lanes import events, listing, plates
from gateway.lanes.decision import Owners, may_pass, unowned
from gateway.lanes.register import EVERY_LANE, Vehicle
from gateway.lanes.store import RegisterStore

PARSE_WITHIN = 60.0  # seconds
SLICE = 50  # rows that are worked on at a time: a door's deadline waits for no list
#: What was given (an id, the beginning of one, a whole name) -> the ids that it may mean.
People = Callable[[Collection[str]], Awaitable[Mapping[str, Sequence[str]]]]
NOBODY = N_("there is no person '{given}'")
NOBODY_MEND = N_("see 'loumen person list'")
SEVERAL = N_("'{given}' is not one person but {count}: {ids}")
SEVERAL_MEND = N_("give the id, or enough of its beginning")


class Plates:
    """The register's handlers. `lanes`: the names of this box's lanes."""

    def __init__(
        self,
        store: RegisterStore,
        lanes: Collection[str],
        clock: Clock,
        zone: str,
        note: Callable[[Event], None],
        people: People,
        owners: Owners = unowned,
    ) -> None:
        self._store, self._lanes, self._clock, self._note = store, tuple(lanes), clock, note
        self._zone, self._people, self._owners = zone, people, owners
        self._importing = asyncio.Lock()

    def handlers(self) -> dict[type[Command], Handler]:
        """Command -> who answers it."""
        return {
            c.AddPlate: self.add,
            c.ListPlates: self.list_all,
            c.RemovePlate: self.remove,
            c.ImportPlates: self.import_,
        }

    async def add(self, command: c.AddPlate, actor: Actor) -> Vehicle:
        await self._store.wait_started()
        plate = plates.parse(command.plate)
        for lane in command.lanes:
            if lane != EVERY_LANE and lane not in self._lanes:
                known = ", ".join(self._lanes) or "-"
                raise NotFound(N_("there is no lane {lane}; this box has: {known}"), lane=lane, known=known)
        zone = ZoneInfo(self._zone)
        begin, end = begin_of(command.valid_from or "", zone), end_of(command.valid_until or "", zone)
        if begin is not None and end is not None and begin >= end:
            raise BadRequest(N_("the validity ends before it begins"), mend=N_("exchange the dates"))
        person = None if command.person is msgspec.UNSET else await self._person(command.person)
        lanes = command.lanes or (EVERY_LANE,)
        wanted = self._vehicle(plate, lanes, begin, end, "box", person, active=command.active)
        if wanted == self._store.register.get(plate):
            return wanted
        await self._store.change(put=(wanted,))
        self._note(
            events.VehicleAdded(
                vehicle=wanted.id,
                version=wanted.version,
                origin=wanted.origin,
                person=wanted.person,
                actor=actor.id,
                command_id=actor.command_id,
            )
        )
        return wanted

    async def list_all(self, command: c.ListPlates, _actor: Actor) -> c.PlatePage:
        await self._store.wait_started()
        register = self._store.register
        wanted = plates.normal(command.find)
        person = await self._person(command.person) if command.person else ""
        fitting = (
            known for known in register.after(command.after) if wanted in known.plate and person in {"", known.person}
        )
        found = list(islice(fitting, command.limit + 1))
        page = tuple(found[: command.limit])
        states = {vehicle.plate: self._state(vehicle) for vehicle in page}
        return c.PlatePage(
            plates=page, states=states, next=page[-1].plate if len(found) > command.limit else "", total=len(register)
        )

    def _state(self, vehicle: Vehicle) -> str:
        owner = self._owners(vehicle.person) if vehicle.person else None
        return may_pass(vehicle, vehicle.lanes[0], self._clock.now(), owner).code

    async def remove(self, command: c.RemovePlate, actor: Actor) -> Vehicle:
        await self._store.wait_started()
        register = self._store.register
        vehicle = register.get(plates.normal(command.plate)) or register.by_id(command.plate)
        if vehicle is None:
            raise NotFound(N_("the plate {plate} is not on the register"), plate=command.plate[:40])
        await self._store.change(gone=(vehicle.plate,))
        self._note(events.VehicleRemoved(vehicle=vehicle.id, actor=actor.id, command_id=actor.command_id))
        return vehicle

    async def import_(self, command: c.ImportPlates, actor: Actor) -> c.ImportResult:
        await self._store.wait_started()
        if self._importing.locked():
            raise Refused(N_("another list is being imported"), mend=N_("try again when it is done"))
        async with self._importing:
            found = await self._parsed(command.content)
            named = await self._people({row.person for row in found.rows if row.person})
            put, wrong = await self._wanted(found.rows, named)
            if errors := sorted((*found.errors, *wrong), key=lambda error: error.line):
                most = listing.MOST_ERRORS
                more = found.more_errors + max(0, len(errors) - most)
                return c.ImportResult(encoding=found.encoding, errors=tuple(errors[:most]), more_errors=more)
            gone: list[str] = []
            if command.replace:
                listed = {row.plate for row in found.rows}
                imported = (known.plate for known in self._store.register if known.origin == "import")
                gone = [plate for plate in imported if plate not in listed]
            added = sum(vehicle.version == 1 for vehicle in put)
            result = c.ImportResult(
                added=added,
                changed=len(put) - added,
                removed=len(gone),
                same=len(found.rows) - len(put),
                encoding=found.encoding,
            )
            if command.dry_run or not (put or gone):
                return result
            await self._store.change(put, gone)
            self._note(
                events.VehiclesImported(
                    added=result.added,
                    changed=result.changed,
                    removed=result.removed,
                    actor=actor.id,
                    command_id=actor.command_id,
                )
            )
            return result

    async def _wanted(
        self, rows: Sequence[listing.Row], named: Mapping[str, Sequence[str]]
    ) -> tuple[list[Vehicle], list[c.RowError]]:
        """The vehicles that a list changes, and what is wrong with its people. The loop has a turn every SLICE rows."""
        put: list[Vehicle] = []
        errors: list[c.RowError] = []
        for number, row in enumerate(rows):
            if number % SLICE == 0:
                await asyncio.sleep(0)
            if (error := _not_one(row, named)) is not None:
                errors.append(error)
                continue
            person = named[row.person][0] if row.person else row.person
            begin, end = _moment(row.valid_from), _moment(row.valid_until)
            vehicle = self._vehicle(row.plate, row.lanes, begin, end, "import", person)
            if vehicle is not self._store.register.get(row.plate):
                put.append(vehicle)
        return put, errors

    async def forget(self, people: Collection[str], actor: Actor) -> None:
        """Take the plates of these people off the register, durably. Raises RegisterDown."""
        await self._store.wait_started()
        theirs = self._store.register.of(frozenset(people))
        if not theirs:
            return
        await self._store.change(gone=[vehicle.plate for vehicle in theirs])
        for vehicle in theirs:
            self._note(events.VehicleRemoved(vehicle=vehicle.id, actor=actor.id, command_id=actor.command_id))

    async def _person(self, given: str) -> str:
        """The id of who is meant; empty for nobody. Raises NotFound, Refused."""
        if not given:
            return ""
        found = (await self._people([given]))[given]
        if not found:
            raise NotFound(NOBODY, mend=NOBODY_MEND, given=given[:64])
        if len(found) > 1:
            raise Refused(SEVERAL, mend=SEVERAL_MEND, where="", **_several(given, found))
        return found[0]

    def _vehicle(
        self,
        plate: str,
        lanes: tuple[str, ...],
        begin: datetime | None,
        end: datetime | None,
        origin: str,
        person: str | None,
        *,
        active: bool = True,
    ) -> Vehicle:
        """The plate's row as it is to be; the known one itself where nothing would change. No `person`: as before."""
        known = self._store.register.get(plate)
        at = self._clock.now().wall.isoformat(timespec="seconds")
        if person is None:
            person = "" if known is None else known.person
        rights = {
            "lanes": tuple(sorted(set(lanes))),
            "person": person,
            "active": active,
            "valid_from": begin,
            "valid_until": end,
        }
        if known is None:
            return Vehicle(id=secrets.token_hex(8), plate=plate, origin=origin, added_at=at, changed_at=at, **rights)  # type: ignore[arg-type]
        if all(getattr(known, name) == value for name, value in rights.items()):
            return known
        return msgspec.structs.replace(known, version=known.version + 1, changed_at=at, origin=origin, **rights)

    async def _parsed(self, content: bytes) -> listing.Listing:
        """Parsed in a child: the loop that moves arms does not wait for a spreadsheet."""
        order = msgspec.msgpack.encode(listing.Order(content=content, zone=self._zone, lanes=self._lanes))
        child = await asyncio.create_subprocess_exec(
            sys.executable,
            "-m",
            "gateway.lanes.listing",
            stdin=asyncio.subprocess.PIPE,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            async with asyncio.timeout(PARSE_WITHIN):
                said, _ = await child.communicate(order)
        except TimeoutError:
            said = b""
        finally:
            if child.returncode is None:
                child.kill()
                await child.wait()
        try:
            answer = msgspec.msgpack.decode(said, type=listing.Answer)
        except msgspec.DecodeError as error:
            raise BadRequest(N_("the list could not be read"), mend=N_("save it as CSV, in UTF-8 or GBK")) from error
        rows: list[listing.Row] = []
        for piece in answer.pieces:
            rows += msgspec.msgpack.decode(piece, type=tuple[listing.Row, ...])
            await asyncio.sleep(0)
        return msgspec.structs.replace(answer.listing, rows=tuple(rows))


def _not_one(row: listing.Row, named: Mapping[str, Sequence[str]]) -> c.RowError | None:
    """What is wrong with the person of a row."""
    if not row.person or len(found := named[row.person]) == 1:
        return None
    if not found:
        return c.RowError(line=row.line, what=NOBODY, mend=NOBODY_MEND, facts={"given": row.person[:64]})
    return c.RowError(line=row.line, what=SEVERAL, mend=SEVERAL_MEND, facts=_several(row.person, found))


def _several(given: str, found: Sequence[str]) -> dict[str, str]:
    return {"given": given[:64], "count": str(len(found)), "ids": ", ".join(person[:8] for person in found[:10])}


def _moment(text: str | None) -> datetime | None:
    return None if text is None else datetime.fromisoformat(text)
