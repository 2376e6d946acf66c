"""Face templates: 128 little-endian float32 each, opaque here but for a check that they are numbers."""

from __future__ import annotations

import asyncio
import math
import secrets
import struct
from collections.abc import AsyncIterator, Awaitable, Callable
from collections.abc import Set as AbstractSet
from typing import Any, Protocol

from gateway.directory.rows import FaceRow, sealed
from gateway.directory.sealing import Cipher, Unreadable
from gateway.errors import BadImage, N_

VECTOR = struct.Struct("<128f")
BATCH = 25  # templates opened before the loop has a turn


class Source(Protocol):
    """Of the directory, what reading templates needs."""

    @property
    def removed_faces(self) -> frozenset[str]: ...

    @property
    def read(self) -> Callable[..., Awaitable[list[tuple[Any, ...]]]]: ...

    def cipher(self, person: str) -> Cipher: ...


def check_embedding(embedding: bytes) -> bytes:
    """The embedding, if it is one. Raises BadImage."""
    if len(embedding) != VECTOR.size or not all(map(math.isfinite, VECTOR.unpack(embedding))):
        raise BadImage(N_("the vision process gave no usable numbers for this face"))
    return embedding


def face_row(
    cipher: Cipher, person: str, engine: str, embedding: bytes, quality: float, model: str, at: str, *, face: str = ""
) -> FaceRow:
    """A template's row. `engine` names whose numbers they are; the ciphertext is bound to it."""
    face = face or secrets.token_hex(8)
    return sealed(
        FaceRow(
            id=face,
            person=person,
            origin="box",
            engine=engine,
            embedding=cipher.seal(field(face, engine), embedding),
            quality=float(quality),
            model=model,
            added_at=at,
        )
    )


def field(face: str, engine: str) -> str:
    """What the ciphertext is bound to, beside the person."""
    return f"face:{face}:{engine}"


async def opened(directory: Source, engine: str, people: AbstractSet[str]) -> AsyncIterator[tuple[str, bytes]]:
    """(person, embedding) of these people for this engine, in the order of enrolment.

    Who is forgotten while this goes on, whose key is lost or whose row is damaged is left out.
    """
    after = 0
    sql = f"SELECT place, id, person, embedding FROM faces WHERE place > ? AND engine = ? ORDER BY place LIMIT {BATCH}"  # noqa: S608
    while page := await directory.read(sql, after, engine):
        for after, face, person, sealed_embedding in page:  # noqa: B007  (the next page begins after the last place)
            if person not in people or face in directory.removed_faces:
                continue
            try:
                embedding = directory.cipher(person).open(field(face, engine), sealed_embedding)
            except Unreadable:
                continue
            if len(embedding) == VECTOR.size:
                yield person, embedding
        await asyncio.sleep(0)
