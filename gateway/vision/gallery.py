"""A door's gallery as a sealed file: who is compared at this door, with a generation and a hash.

The daemon writes it (bytes in, bytes out: no numpy there), the worker maps it read-only. A file is
never changed: a new generation is a new file beside the old one, renamed into place when it is
whole, mode 0440. All numbers are little-endian; every part begins at a multiple of 64.

    header     64 bytes: magic "LOUMENGA", u32 layout (1), u32 dims, u64 generation, u32 people,
               u32 rows, u32 length of the names, zeros
    names      space (whose numbers, `protocol.SPACES`), door, then the people's ids: each a u16 length and UTF-8
    index      a u32 a row: whose template it is (the person's place in the names)
    matrix     rows x dims float32
    trailer    SHA-256 of everything before it; the Gallery message repeats it

Whole files, no deltas: a door has some 200 people, 512 kB at five templates each, written and hashed
in a few milliseconds; even 10,000 people are 25 MB on tmpfs, and changes come by the day, not by the
second. A delta would need its own hash chain and a second way to be wrong for nothing gained.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import hmac
import mmap
import struct
import sys
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

MAGIC = b"LOUMENGA"
LAYOUT = 1
DIMS = 128
TEMPLATE = DIMS * 4
KEPT = 2  # generations of a door that stay: the worker may be about to open the one before the newest
SLICE = 64 * 1024  # written and hashed at a time: under half a millisecond on a Pi
_HEADER = struct.Struct("<8sIIQIII28x")


class GalleryRefused(Exception):  # noqa: N818  (named for what it says)
    """The file is not the sealed gallery that was promised."""


# --- the daemon's side


def parts(space: str, door: str, generation: int, templates: Sequence[tuple[str, bytes]]) -> Iterator[bytes]:
    """The file's bytes but for the trailer. Raises ValueError for a template that is not 512 bytes."""
    places: dict[str, int] = {}
    index = array("I", (places.setdefault(person, len(places)) for person, _ in templates))
    if sys.byteorder == "big":
        index.byteswap()
    names = b"".join(struct.pack("<H", len(name)) + name for name in map(str.encode, (space, door, *places)))
    yield _HEADER.pack(MAGIC, LAYOUT, DIMS, generation, len(places), len(templates), len(names))
    yield _padded(names)
    yield _padded(index.tobytes())
    for person, template in templates:
        if len(template) != TEMPLATE:
            raise ValueError(f"a template of {person} has {len(template)} bytes, not {TEMPLATE}")
        yield template


def _padded(part: bytes) -> bytes:
    return part + bytes(-len(part) % 64)


def path_of(folder: Path, door: str, generation: int) -> Path:
    """Where that generation lies."""
    return folder / f"{door}.{generation}.gallery"


async def write(
    folder: Path, space: str, door: str, generation: int, templates: Sequence[tuple[str, bytes]]
) -> tuple[Path, str]:
    """Write one generation and remove those before its predecessor; returns its path and SHA-256.

    Yields to the event loop after each slice. Raises OSError (no room), ValueError (a bad template).
    """
    path = path_of(folder, door, generation)
    unfinished = path.with_suffix(".unfinished")
    digest = hashlib.sha256()
    try:
        unfinished.unlink(missing_ok=True)
        with unfinished.open("wb") as file:
            waiting = bytearray()
            for part in parts(space, door, generation, templates):
                waiting += part
                if len(waiting) >= SLICE:
                    digest.update(waiting)
                    file.write(waiting)
                    waiting.clear()
                    await asyncio.sleep(0)
            digest.update(waiting)
            file.write(waiting)
            file.write(digest.digest())
        unfinished.chmod(0o440)
        unfinished.rename(path)
    finally:
        unfinished.unlink(missing_ok=True)
    for old in sorted(generations(folder, door))[:-KEPT]:
        path_of(folder, door, old).unlink(missing_ok=True)
    return path, digest.hexdigest()


def generations(folder: Path, door: str) -> list[int]:
    """Which generations of a door lie in the folder."""
    found = []
    for path in folder.glob(f"{door}.*.gallery"):
        with contextlib.suppress(ValueError):
            found.append(int(path.name.removeprefix(f"{door}.").removesuffix(".gallery")))
    return found


# --- the worker's side


@dataclass(frozen=True, slots=True)
class Sealed:
    """A mapped gallery. `index` and `matrix` are read-only views into the file."""

    space: str
    door: str
    generation: int
    people: tuple[str, ...]
    index: memoryview[int]  # u32, one a row
    matrix: memoryview[float]  # float32, rows x DIMS
    sha256: str


def read(path: Path, sha256: str) -> Sealed:
    """Map a gallery and check all of it. Raises GalleryRefused."""
    try:
        with path.open("rb") as file:
            data = memoryview(mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ))
    except (OSError, ValueError) as error:  # ValueError: an empty file cannot be mapped
        raise GalleryRefused(f"{path} cannot be mapped: {error}") from error
    if len(data) < _HEADER.size + 32:
        raise GalleryRefused(f"{path} has only {len(data)} bytes")
    found = hashlib.sha256(data[:-32]).digest()
    if not (hmac.compare_digest(found, data[-32:]) and found.hex() == sha256):
        raise GalleryRefused(f"{path} does not have the promised SHA-256")
    magic, layout, dims, generation, people, rows, length = _HEADER.unpack_from(data)
    if (magic, layout, dims) != (MAGIC, LAYOUT, DIMS):
        raise GalleryRefused(f"{path} has layout {layout} with {dims} dims; {LAYOUT} with {DIMS} is understood")
    index_at = _HEADER.size + length + -length % 64
    matrix_at = index_at + rows * 4 + -(rows * 4) % 64
    if matrix_at + rows * TEMPLATE + 32 != len(data):
        raise GalleryRefused(f"{path} has {len(data)} bytes, which is not what its header says")
    names = list(_names(bytes(data[_HEADER.size : _HEADER.size + length])))
    if len(names) != people + 2:
        raise GalleryRefused(f"{path} names {len(names) - 2} people, its header {people}")
    index: memoryview[int] = data[index_at : index_at + rows * 4].cast("I")
    if rows and max(index) >= people:
        raise GalleryRefused(f"{path} has a row of nobody")
    matrix: memoryview[float] = data[matrix_at : matrix_at + rows * TEMPLATE].cast("f")
    return Sealed(names[0], names[1], generation, tuple(names[2:]), index, matrix, sha256)


def _names(table: bytes) -> Iterator[str]:
    at = 0
    try:
        while at < len(table):
            (length,) = struct.unpack_from("<H", table, at)
            name = table[at + 2 : at + 2 + length]
            if len(name) != length:
                raise GalleryRefused("a name runs over the end of its table")
            yield name.decode()
            at += 2 + length
    except (struct.error, UnicodeDecodeError) as error:
        raise GalleryRefused(f"the names cannot be read: {error}") from error
