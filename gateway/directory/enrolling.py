"""`face.enrol` and `face.try`: from pictures or a camera to templates, or to what a door would say.

Nothing is enrolled by itself, and not every picture becomes a template: the vision process refuses a bad
reference and says why; here a face is refused that looks like somebody else's (unless a person says
that this is so: twins, brothers), or that does not look like the faces stored for her already.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TypeAlias

import msgspec

from gateway.command import Actor
from gateway.directory.commands import EnrolFace, Picture, TryFace
from gateway.directory.enroller import Enroller, as_files
from gateway.directory.faces import Faces, Likeness
from gateway.directory.people import People
from gateway.directory.store import Directory
from gateway.directory.templates import VECTOR, check_embedding
from gateway.errors import BadImage, BadRequest, N_, Refused
from gateway.vision.protocol import Enrolled, Refusal

#: Measured on passport-like pictures: none of 76,833 pairs of strangers is as near as this.
ALIKE = 0.45
#: What is farther than this from her stored faces is not taken as hers. A stranger's picture stored under her name
#: opens for years, one of her own that is refused is taken again: at 0.5 1 to 3 of 100 good pictures of hers are
#: refused and 1 to 3 of 1,000 of strangers pass; at face_recognition's own 0.6 20 to 40 (ATT, 1 to 3 stored).
NOT_HER = 0.5
#: Nearer than this to a stored one is the very same picture: a door compares with two templates, so a copy harms.
TWICE = 0.02
#: A door's or camera's name; True: the only door with a camera; False: none.
Wanted: TypeAlias = str | bool


class EnrolDone(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `face.enrol`."""

    person: str
    faces: tuple[str, ...]
    quality: tuple[float, ...]
    engine: str
    refused: tuple[Refusal, ...]


class Near(msgspec.Struct, frozen=True, kw_only=True):
    person: str
    name: str
    distance: float


class TryDone(msgspec.Struct, frozen=True, kw_only=True):
    """The answer of `face.try`. `threshold` is null where the vision process has no gallery of this door yet."""

    door: str
    best: tuple[Near, ...]
    threshold: float | None
    would_open: bool
    reason: str
    frames: int
    refused: tuple[Refusal, ...]


class Enrolling:
    """Answers the two commands. `doors`: door -> its camera, or None."""

    def __init__(
        self,
        directory: Directory,
        people: People,
        faces: Faces,
        enroller: Enroller,
        doors: Mapping[str, str | None],
        folder: Path,
    ) -> None:
        self._directory, self._people, self._faces = directory, people, faces
        self._enroller, self._doors, self._folder = enroller, doors, folder
        self._one_at_a_time = asyncio.Lock()

    async def enrol(self, command: EnrolFace, actor: Actor) -> EnrolDone:
        """Raises Refused, BadImage, VisionDown, DirectoryDown."""
        person = await self._people.find(command.person)
        if command.consent is not None:
            await self._faces.record_consent(person, command.consent, actor)
        rights = self._directory.snapshot.person(person)
        if rights is None or not rights.face:
            raise Refused(
                N_("she has not consented: no face is taken"),
                mend=N_("record her consent along with the picture (--consent), in her words: 'loumen face consent'"),
            )
        found = await self._look(command.pictures, command.camera, command.seconds)
        if not found.embeddings:
            raise _no_picture(found.refused)
        taken, refused = await self._hers(person, found, despite_likeness=command.despite_likeness)
        if not taken:
            raise _no_picture(refused)
        faces = await self._faces.add(
            person, found.engine, taken, self._model(), actor, despite_likeness=command.despite_likeness
        )
        quality = tuple(quality for _, quality in taken)
        return EnrolDone(person=person, faces=faces, quality=quality, engine=found.engine, refused=refused)

    async def try_(self, command: TryFace, _actor: Actor) -> TryDone:
        """Raises BadRequest, BadImage, VisionDown, DirectoryDown."""
        door = command.door or self._only_door(command.camera)
        if door not in self._doors:
            raise BadRequest(N_("there is no door {door}"), door=door, mend=N_("see 'loumen door list'"))
        found = await self._look(command.pictures, command.camera, command.seconds)
        if not found.embeddings:
            raise _no_picture(found.refused)
        best = await self._faces.nearest(found.engine, _mean(found.embeddings), door)
        threshold = self._enroller.status().thresholds.get(door)
        opens = threshold is not None and bool(best) and best[0].distance <= threshold
        if threshold is None:
            reason = N_("the vision process has no gallery of this door yet")
        elif not best:
            reason = N_("no enrolled person may pass this door now")
        elif opens:
            reason = N_("the door would open")
        else:
            reason = N_("the nearest person is farther than the threshold: the door would stay locked")
        return TryDone(
            door=door,
            best=tuple([await self._named(near) for near in best]),
            threshold=threshold,
            would_open=opens,
            reason=reason,
            frames=len(found.embeddings),
            refused=found.refused,
        )

    async def _named(self, near: Likeness) -> Near:
        person = await self._people.get(near.person)
        return Near(person=near.person, name=person.name, distance=round(near.distance, 4))

    async def _look(self, pictures: Sequence[Picture], camera: Wanted, seconds: float) -> Enrolled:
        """What the vision process made of the pictures, under the names that they came with."""
        if bool(pictures) is (camera is not False):
            raise BadRequest(N_("give pictures, or a camera, and not both"))
        async with self._one_at_a_time:
            if camera is not False:
                return await self._enroller.enrol(camera=self._camera_of(camera), seconds=seconds)
            async with as_files(pictures, self._folder) as paths:
                found = await self._enroller.enrol(files=list(paths.values()))
                names = {name: picture.name or name for name, picture in zip(paths, pictures, strict=True)}
        replace = msgspec.structs.replace
        return replace(
            found,
            names=tuple(names.get(name, name) for name in found.names),
            refused=tuple(replace(one, name=names.get(one.name, one.name)) for one in found.refused),
        )

    def _camera_of(self, given: Wanted) -> str:
        door = self._only_door(given) if given is True else str(given)
        camera = self._doors.get(door)
        if camera:
            return camera
        if door in self._doors.values():
            return door  # a camera's own name
        raise BadRequest(N_("there is no door '{door}' with a camera"), door=door[:64])

    def _only_door(self, camera: Wanted) -> str:
        if isinstance(camera, str) and camera in self._doors:
            return camera
        with_camera = [door for door, watched in self._doors.items() if watched]
        if len(with_camera) != 1:
            raise BadRequest(N_("say which door: {doors}"), doors=", ".join(with_camera) or "-")
        return with_camera[0]

    def _model(self) -> str:
        """One hash for the models that made the numbers."""
        return ",".join(f"{name}:{digest[:16]}" for name, digest in sorted(self._enroller.status().models.items()))

    async def _hers(
        self, person: str, found: Enrolled, *, despite_likeness: bool
    ) -> tuple[list[tuple[bytes, float]], tuple[Refusal, ...]]:
        """What may be stored, with its quality, and what not. Raises Refused where nothing of it is hers alone."""
        near = await self._faces.near(found.engine, [check_embedding(each) for each in found.embeddings], person)
        taken, refused, doubted = [], list(found.refused), []
        for embedding, quality, name, each in zip(found.embeddings, found.quality, found.names, near, strict=True):
            if each.other is not None and each.other.distance < ALIKE and not despite_likeness:
                doubted.append(await self._like_another(name, each.other))
            elif each.own is not None and each.own > NOT_HER:
                facts: dict[str, str | int | float] = {"distance": round(each.own, 2)}
                doubted.append(Refusal(name=name, why=_NOT_LIKE_HER, mend=_IS_IT_SHE, facts=facts))
            elif each.nearest_own <= TWICE:
                refused.append(Refusal(name=name, why=N_("this picture of her is stored already")))
            else:
                taken.append((embedding, quality))
        if doubted and not taken:
            first = doubted[0]
            raise Refused(first.why, where=first.name, mend=first.mend, **first.facts)
        return taken, (*refused, *doubted)

    async def _like_another(self, name: str, other: Likeness) -> Refusal:
        who = await self._people.get(other.person)
        return Refusal(
            name=name,
            why=N_("this face looks like that of {given_name} ({other}), distance {distance}"),
            mend=N_("was the same person added twice? For twins: --despite-likeness, and let the door ask for more"),
            facts={"given_name": who.name, "other": other.person[:8], "distance": round(other.distance, 2)},
        )


_NOT_LIKE_HER = N_("this face does not look like the faces stored for her (distance {distance})")
_IS_IT_SHE = N_("is it she? Take a better picture; if the stored ones are wrong, remove them: 'loumen face remove'")


def _no_picture(refused: Sequence[Refusal]) -> BadImage:
    first = refused[0] if refused else Refusal(name="", why=N_("there is no face in the picture"))
    facts = {name: fact for name, fact in first.facts.items() if name not in _OWN}  # a vision process may say anything
    return BadImage(
        first.why,
        where=first.name,
        mend=first.mend or N_("take another picture: the face from the front, well lit, sharp, alone"),
        **facts,
        refused=[msgspec.to_builtins(one) for one in refused],
    )


_OWN = frozenset({"self", "what", "where", "mend", "refused"})


def _mean(embeddings: Sequence[bytes]) -> bytes:
    """The pooled embedding, as a door pools its frames."""
    vectors = [VECTOR.unpack(check_embedding(embedding)) for embedding in embeddings]
    return VECTOR.pack(*(sum(column) / len(vectors) for column in zip(*vectors, strict=True)))
