"""Answers the commands of people and faces: who is meant, what each role may read, and nothing decided here."""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import msgspec

from gateway.command import Actor, Command, Handler, Role
from gateway.directory import boxes, commands
from gateway.directory.enroller import Enroller, sweep
from gateway.directory.enrolling import Enrolling
from gateway.directory.faces import Consent, FaceLine, Faces
from gateway.directory.people import Changes, Draft, People, Person
from gateway.directory.snapshot import EVERY_DOOR
from gateway.directory.store import Directory
from gateway.directory.transfer import Transfer
from gateway.errors import BadRequest, N_


class PersonLine(msgspec.Struct, frozen=True, kw_only=True):
    """One person in a list."""

    id: str
    name: str
    home: str
    doors: tuple[str, ...]
    active: bool
    valid_from: str | None
    valid_until: str | None
    origin: str
    faces: int
    consent: bool
    readable: bool


class PeoplePage(msgspec.Struct, frozen=True, kw_only=True):
    """`next` is the `after` of the next page; 0: this is the last. `total` counts everybody."""

    people: tuple[PersonLine, ...]
    next: int
    total: int


class PersonShown(msgspec.Struct, frozen=True, kw_only=True):
    person: Person
    consents: tuple[Consent, ...]
    faces: tuple[FaceLine, ...]


class DirectoryService:
    """The handlers. `doors`: each door and its camera, or None; `run_dir` is on tmpfs."""

    def __init__(
        self,
        directory: Directory,
        enroller: Enroller,
        identity: boxes.Identity,
        *,
        doors: Mapping[str, str | None],
        run_dir: Path,
    ) -> None:
        self._directory, self._identity, self._doors = directory, identity, doors
        self._pictures = run_dir / "enrol"
        self.people = People(directory)
        self.faces = Faces(directory, self.people)
        self._enrolling = Enrolling(directory, self.people, self.faces, enroller, doors, self._pictures)
        self._transfer = Transfer(directory, self.people, self.faces, identity, run_dir / "bundles")

    def handlers(self) -> dict[type[Command], Handler]:
        """The table. Removes pictures that a killed daemon has left."""
        with contextlib.suppress(OSError):
            sweep(self._pictures)
        handlers: dict[type[Command], Handler] = {
            commands.AddPerson: self.add,
            commands.ChangePerson: self.change,
            commands.ListPeople: self.list,
            commands.ShowPerson: self.show,
            commands.ForgetPerson: self.forget,
            commands.ShowBoxKey: self.key,
            commands.ExportPeople: self._transfer.export,
            commands.ImportPeople: self._transfer.import_,
            commands.ReadBundle: self._transfer.read,
            commands.WriteBundle: self._transfer.write,
            commands.EnrolFace: self._enrolling.enrol,
            commands.TryFace: self._enrolling.try_,
            commands.RecordConsent: self.consent,
            commands.ListFaces: self.list_faces,
            commands.RemoveFaces: self.remove_faces,
        }
        return {kind: self._once_started(handler) for kind, handler in handlers.items()}

    def _once_started(self, handler: Handler) -> Handler:
        """A command that comes in the first second waits until the files are open."""

        async def answer(command: Any, actor: Actor) -> Any:
            await self._directory.wait_started()
            return await handler(command, actor)

        return answer

    # --- people

    async def add(self, command: commands.AddPerson, actor: Actor) -> PersonShown:
        self._check_doors(command.doors)
        if command.under_14 and command.consent is not None and not command.consent.guardian.strip():
            raise BadRequest(
                N_("for a child under 14 a guardian consents"), mend=N_("say who: give the guardian's name")
            )
        if command.consent is not None:
            await self.faces.wording_of(command.consent)  # before anything is stored
        draft = Draft(
            name=command.name,
            home=command.home,
            phone=command.phone,
            doors=command.doors,
            valid_from=command.valid_from,
            valid_until=command.valid_until,
            under_14=command.under_14,
        )
        person = await self.people.add(draft, actor)
        if command.consent is not None:
            await self.faces.record_consent(person.id, command.consent, actor)
        return await self._shown(person.id, actor)

    async def change(self, command: commands.ChangePerson, actor: Actor) -> PersonShown:
        if command.doors is not msgspec.UNSET:
            self._check_doors(command.doors)
        person = await self.people.find(command.person)
        given = {name: getattr(command, name) for name in Changes.__struct_fields__}
        await self.people.change(person, Changes(**given), actor)
        return await self._shown(person, actor)

    async def list(self, command: commands.ListPeople, _actor: Actor) -> PeoplePage:
        found: list[Person] = []
        after, more = command.after, False
        wanted = command.search.casefold()
        async for page in self.people.pages(command.after):
            for place, person in page:
                if len(found) == command.limit:
                    more = True
                    break
                after = place
                if not wanted or wanted in person.name.casefold() or wanted in person.home.casefold():
                    found.append(person)
            if more:
                break
        counts = await self.faces.counts([person.id for person in found])
        lines = tuple(_line(person, counts.get(person.id, 0)) for person in found)
        return PeoplePage(people=lines, next=after if more else 0, total=len(self._directory.snapshot.people))

    async def show(self, command: commands.ShowPerson, actor: Actor) -> PersonShown:
        return await self._shown(await self.people.find(command.person), actor)

    async def _shown(self, person: str, actor: Actor) -> PersonShown:
        found = await self.people.get(person)
        if actor.role is Role.TECHNICIAN and len(found.phone) > 7:  # she installs doors; she calls nobody
            masked = found.phone[:3] + "*" * (len(found.phone) - 7) + found.phone[-4:]
            found = msgspec.structs.replace(found, phone=masked)
        return PersonShown(
            person=found,
            consents=tuple(await self.faces.consents(person)),
            faces=tuple(await self.faces.lines(person)),
        )

    async def forget(self, command: commands.ForgetPerson, actor: Actor) -> dict[str, Any]:
        person = await self.people.find(command.person)
        gone = await self.people.forget([person], actor)
        return {"person": person, "forgotten": bool(gone)}

    async def key(self, _command: commands.ShowBoxKey, _actor: Actor) -> boxes.KeyDocument:
        return boxes.document(self._identity)

    def _check_doors(self, doors: tuple[str, ...]) -> None:
        for door in doors:
            if door != EVERY_DOOR and door not in self._doors:
                raise BadRequest(
                    N_("there is no door '{door}' in the configuration"),
                    mend=N_("the doors are: {doors}; '*' stands for all"),
                    door=door,
                    doors=", ".join(self._doors) or "-",
                )

    # --- faces

    async def consent(self, command: commands.RecordConsent, actor: Actor) -> Consent:
        person = await self.people.find(command.person)
        return await self.faces.record_consent(person, command.consent, actor)

    async def list_faces(self, command: commands.ListFaces, _actor: Actor) -> dict[str, Any]:
        person = await self.people.find(command.person) if command.person else ""
        return {"faces": await self.faces.lines(person)}

    async def remove_faces(self, command: commands.RemoveFaces, actor: Actor) -> dict[str, Any]:
        person = await self.people.find(command.person)
        if command.withdraw_consent:
            before = [line.id for line in await self.faces.lines(person)]
            withdrawn = await self.faces.withdraw_consent(person, actor)
            left = await self.faces.remove(person, (), actor)
            return {"person": person, "removed": before or list(left), "withdrawn": withdrawn}
        removed = await self.faces.remove(person, command.faces, actor)
        return {"person": person, "removed": list(removed), "withdrawn": 0}


def _line(person: Person, faces: int) -> PersonLine:
    return PersonLine(
        id=person.id,
        name=person.name,
        home=person.home,
        doors=person.doors,
        active=person.active,
        valid_from=person.valid_from,
        valid_until=person.valid_until,
        origin=person.origin,
        faces=faces,
        consent=person.face_consent,
        readable=person.readable,
    )
