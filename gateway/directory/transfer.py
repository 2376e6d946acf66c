"""`person.export` and `person.import`: streams between the directory and the bundle children.

The daemon neither parses nor encrypts a bundle. It decrypts a person at a time for the child that
writes, and writes batches of 50 from the child that reads; the pipe holds the child back. An import
that is cut off has taken whole people only, says how many, and is simply begun again.
"""

from __future__ import annotations

import asyncio
import base64
import contextlib
import os
import secrets
import sys
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import msgspec

from gateway.command import Actor
from gateway.directory import boxes, bundle, children
from gateway.directory.bundle import BundledConsent, BundledFace, BundledPerson
from gateway.directory.children import Answer, Bad, End, Order, Record, RecordRefused
from gateway.directory.commands import MAX_PIECE, ExportPeople, ImportPeople, ReadBundle, WriteBundle
from gateway.directory.events import DirectoryExported, DirectoryImported
from gateway.directory.faces import Faces
from gateway.directory.people import BATCH, People, Person
from gateway.directory.rows import FACE_COLUMNS, FaceRow, stamp
from gateway.directory.sealing import Unreadable
from gateway.directory.store import Directory
from gateway.directory.taking import Taking
from gateway.directory.templates import field
from gateway.errors import BadRequest, LoumenError, N_, NotFound, Refused

KEPT_BUNDLES = 4
TOLD_REFUSALS = 50
_READER, _WRITER = "gateway.directory.bundle_reader", "gateway.directory.bundle_writer"


class ExportDone(msgspec.Struct, frozen=True, kw_only=True):
    """`bundle` is fetched in pieces with `bundle.read`. `unreadable`: left out, their keys are lost."""

    bundle: str
    size: int
    people: int
    faces: int
    unreadable: int
    receiver: str


class RefusedRecord(msgspec.Struct, frozen=True):
    person: str
    why: str


class ImportDone(msgspec.Struct, frozen=True, kw_only=True):
    """`refused` tells the first of `refused_count`."""

    origin: str
    added: int
    changed: int
    unchanged: int
    faces: int
    refused_count: int
    refused: tuple[RefusedRecord, ...]
    complete: bool
    problem: str = ""


class Transfer:
    """Answers the commands of bundles. `folder` is on tmpfs."""

    def __init__(
        self, directory: Directory, people: People, faces: Faces, identity: boxes.Identity, folder: Path
    ) -> None:
        self._directory, self._people, self._faces = directory, people, faces
        self._identity, self._folder = identity, folder

    # --- out

    async def export(self, command: ExportPeople, actor: Actor) -> ExportDone:
        """Raises BadRequest, Refused, DirectoryDown."""
        receiver = boxes.read(command.to)
        wanted = [await self._people.find(given) for given in command.people]
        self._make_room()
        name = secrets.token_hex(16)
        order = Order(
            path=str(self._path(name)),
            other=receiver,
            own=boxes.document(self._identity),
            private=self._identity.signing_key().private_bytes_raw(),
            created=stamp(self._directory.wall()) or "",
        )
        people = faces = unreadable = 0
        texts = dict(await self._directory.read("SELECT version, text FROM wordings LIMIT 1000"))
        async with _child(_WRITER, order) as process:
            assert process.stdin is not None
            with contextlib.suppress(ConnectionError):  # the child has given up and says why
                async for person in self._wanted(wanted):
                    record = await self._bundled(person, texts) if person.readable else None
                    if record is None:
                        unreadable += 1
                        continue
                    people, faces = people + 1, faces + len(record.faces)
                    process.stdin.write(bundle.frame(children.encode(record)))
                    await process.stdin.drain()
                process.stdin.close()
            answer = await _next(process)
        if not isinstance(answer, End):
            why = answer.why if isinstance(answer, Bad) else ""
            raise Refused(N_("the bundle could not be written: {why}"), why=why or "-")
        self._directory.note(
            DirectoryExported(
                receiver=receiver.box, people=people, faces=faces, actor=actor.id, command_id=actor.command_id
            )
        )
        size = self._path(name).stat().st_size
        return ExportDone(
            bundle=name, size=size, people=people, faces=faces, unreadable=unreadable, receiver=receiver.box
        )

    async def _wanted(self, ids: list[str]) -> AsyncIterator[Person]:
        if ids:
            for name in ids:
                yield await self._people.get(name)
            return
        async for page in self._people.pages():
            for _, person in page:
                yield person

    async def _bundled(self, person: Person, texts: dict[str, str]) -> BundledPerson | None:
        """Everything of hers, in the open: it goes into the child's pipe and nowhere else."""
        try:
            cipher = self._directory.cipher(person.id)
            sql = f"SELECT {FACE_COLUMNS} FROM faces WHERE person = ? ORDER BY place LIMIT 40"  # noqa: S608
            stored = [FaceRow(*found) for found in await self._directory.read(sql, person.id)]
            faces = tuple(
                BundledFace(
                    engine=row.engine,
                    embedding=cipher.open(field(row.id, row.engine), row.embedding),
                    quality=row.quality,
                    model=row.model,
                    added_at=row.added_at,
                )
                for row in stored
            )
        except Unreadable:
            return None
        consents = tuple(
            BundledConsent(
                purpose=consent.purpose,
                wording=consent.wording,
                text=texts.get(consent.wording, ""),
                guardian=consent.guardian,
                recorded_by=consent.recorded_by,
                given_at=consent.given_at,
                withdrawn_at=consent.withdrawn_at,
            )
            for consent in await self._faces.consents(person.id)
        )
        return BundledPerson(
            id=person.id,
            version=person.version,
            name=person.name,
            home=person.home,
            phone=person.phone,
            doors=person.doors,
            active=person.active,
            valid_from=person.valid_from,
            valid_until=person.valid_until,
            under_14=person.under_14,
            faces=faces,
            consents=consents,
        )

    # --- in

    async def import_(self, command: ImportPeople, actor: Actor) -> ImportDone:
        """Raises BadRequest, NotFound, Refused (nothing was taken). What went wrong later stands in the answer."""
        sender = boxes.read(command.sender)
        path = self._path(command.bundle)
        if not path.exists():
            raise NotFound(N_("there is no such bundle to import"))
        if sender.box == self._identity.uuid:
            raise Refused(N_("this bundle is from this very box"))
        order = Order(
            path=str(path),
            other=sender,
            own=boxes.document(self._identity),
            private=self._identity.sealing_key().private_bytes_raw(),
        )
        taking = Taking(self._directory, self._people, f"import:{sender.box}", command.doors)
        problem, last = "", None
        try:
            async with _child(_READER, order) as process:
                last = await self._stream(process, taking, actor)
        except LoumenError as error:
            problem = error.render()
        finally:
            complete = isinstance(last, End) and not problem
            if complete:
                path.unlink(missing_ok=True)
            self._note(taking, complete=complete, actor=actor)
        counts = taking.counts
        if isinstance(last, Bad):
            problem = last.why
            if not (counts.added or counts.changed or counts.unchanged or counts.refused):
                raise Refused(
                    N_("the bundle cannot be imported: {why}"),
                    mend=N_("was it made for this box, by the box of --from, and copied whole?"),
                    why=last.why,
                )
        elif not complete and not problem:
            problem = "the reading child ended early"
        return ImportDone(
            origin=f"import:{sender.box}",
            added=counts.added,
            changed=counts.changed,
            unchanged=counts.unchanged,
            faces=counts.faces,
            refused_count=len(counts.refused),
            refused=tuple(RefusedRecord(person, why) for person, why in counts.refused[:TOLD_REFUSALS]),
            complete=complete,
            problem=problem,
        )

    async def _stream(self, process: asyncio.subprocess.Process, taking: Taking, actor: Actor) -> Answer | None:
        """Take what the child says; its last word, or None where it just ended. Raises DirectoryDown."""
        assert process.stdin is not None
        process.stdin.close()
        waiting: list[BundledPerson] = []
        while True:
            answer = await _next(process)
            match answer:
                case Record():
                    waiting.append(answer.person)
                    if answer.note:
                        taking.counts.refused.append((answer.person.id, answer.note))
                case RecordRefused():
                    taking.counts.refused.append((answer.person or f"#{answer.place + 1}", answer.why))
            if waiting and (len(waiting) >= BATCH or not isinstance(answer, (Record, RecordRefused))):
                await taking.take(waiting, actor)
                waiting = []
            if not isinstance(answer, (Record, RecordRefused)):
                return answer
            await asyncio.sleep(0)

    def _note(self, taking: Taking, *, complete: bool, actor: Actor) -> None:
        counts = taking.counts
        self._directory.note(
            DirectoryImported(
                origin=taking.origin,
                added=counts.added,
                changed=counts.changed,
                unchanged=counts.unchanged,
                refused=len(counts.refused),
                complete=complete,
                actor=actor.id,
                command_id=actor.command_id,
            )
        )

    # --- pieces between the command line and the run folder

    async def read(self, command: ReadBundle, _actor: Actor) -> dict[str, Any]:
        """A piece; the bundle is removed with its last one. Raises NotFound."""
        path = self._path(command.bundle)
        try:
            with path.open("rb") as file:
                size = os.fstat(file.fileno()).st_size
                file.seek(command.offset)
                data = file.read(MAX_PIECE)
        except FileNotFoundError as error:
            raise NotFound(N_("there is no such bundle")) from error
        if command.offset + len(data) >= size:
            path.unlink(missing_ok=True)
        return {"data": base64.b64encode(data).decode(), "size": size}

    async def write(self, command: WriteBundle, _actor: Actor) -> dict[str, Any]:
        """Add a piece at the end. Raises BadRequest."""
        path = self._path(command.bundle)
        if command.offset == 0:
            self._make_room()
        flags = os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC | (os.O_TRUNC if command.offset == 0 else 0)
        with os.fdopen(os.open(path, flags, 0o600), "ab") as file:
            size = os.fstat(file.fileno()).st_size
            if size != command.offset or size + len(command.data) > bundle.MAX_BUNDLE:
                raise BadRequest(N_("the bundle is {size} bytes long here: this piece does not fit"), size=size)
            file.write(command.data)
        return {"size": size + len(command.data)}

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}.bundle"

    def _make_room(self) -> None:
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        found = sorted(self._folder.glob("*.bundle"), key=lambda path: path.stat().st_mtime_ns)
        for old in found[: -KEPT_BUNDLES + 1]:
            old.unlink(missing_ok=True)


@contextlib.asynccontextmanager
async def _child(module: str, order: Order) -> AsyncIterator[asyncio.subprocess.Process]:
    """A bundle child that has its order; dead when the block ends."""
    kept = {name: os.environ[name] for name in ("PATH", "PYTHONPATH", "LANG", "TMPDIR") if name in os.environ}
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        module,
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
        env=kept,
        limit=64 * 1024,
    )
    try:
        assert process.stdin is not None
        process.stdin.write(bundle.frame(children.encode(order)))
        with contextlib.suppress(ConnectionError):
            await process.stdin.drain()
        yield process
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.kill()
        assert process.stdout is not None
        while await process.stdout.read(65536):  # what it had said already: the pipe closes when it is empty
            pass
        await process.wait()


async def _next(process: asyncio.subprocess.Process) -> Answer | None:
    """The child's next answer; None when it ended or speaks nonsense."""
    assert process.stdout is not None
    try:
        length = int.from_bytes(await process.stdout.readexactly(4), "big")
        if length > bundle.MAX_RECORD:
            return None
        answer: Answer = children.decode_answer(await process.stdout.readexactly(length))
        return answer
    except (asyncio.IncompleteReadError, msgspec.DecodeError):
        return None
