"""Reads the rows of a damaged SQLite file straight from its pages. Pure: bytes in, values out.

SQL reaches a row through the pages above it; one damaged page near the root hides thousands of sound ones.
But each leaf of a table describes itself, so here every page that looks like a leaf is read, whatever
stands above it, and what comes out is judged by its hashes (`salvage`). The layout is sqlite.org/fileformat2.html.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

#: Of every file this program makes. A lone event costs the disk the blocks that its frame of the log touches: of
#: 4 KB blocks 1.3 with this size, 1.5 with the 2 KB of the first files, 2 with 4 KB. A file keeps its size.
PAGE = 1024
FIRST = 2048  # of files that the first releases made
_MAGIC = b"SQLite format 3\0"
_LEAF = 0x0D
_MOST_PAYLOAD = 256 * 1024  # nothing in the journal is larger

Value = int | float | str | bytes | None
Record = tuple[int, list[Value]]  # rowid, columns


def size_of(beginning: bytes) -> int | None:
    """The page size that a file states in its first bytes; None where they are damaged."""
    size = int.from_bytes(beginning[16:18], "big") if beginning.startswith(_MAGIC) else 0
    return size if 512 <= size <= 32768 and size & (size - 1) == 0 else None


def likely_size(data: bytes) -> int:
    """The page size of a file whose beginning is damaged, by where its leaves begin."""
    leaves = {size: sum(map(_looks_like_leaf, _cut(data, size))) for size in (PAGE, FIRST)}
    return PAGE if leaves[PAGE] > 1.5 * leaves[FIRST] else FIRST  # in a file of small pages every other one is odd


def _cut(data: bytes, size: int) -> Iterator[bytes]:
    return (data[at : at + 8] for at in range(0, len(data) - size + 1, size))


def _looks_like_leaf(header: bytes) -> bool:
    cells, content = struct.unpack_from(">HH", header, 3)
    return header[0] == _LEAF and 0 < cells < FIRST // 4 and cells < content <= FIRST


def records(page: bytes, fetch: Callable[[int], bytes], *, first: bool) -> Iterator[Record]:
    """The records of one page, none if it is no leaf. `first`: it is page 1; `fetch` gives overflow pages.

    Raises nothing: a cell that makes no sense is left out.
    """
    start = 100 if first else 0
    if len(page) <= start + 8 or page[start] != _LEAF:
        return
    (cells,) = struct.unpack_from(">H", page, start + 3)
    for index in range(min(cells, (len(page) - start - 8) // 2)):
        (offset,) = struct.unpack_from(">H", page, start + 8 + 2 * index)
        try:
            yield _cell(page, offset, fetch)
        except (IndexError, ValueError, struct.error):
            continue


def _cell(page: bytes, offset: int, fetch: Callable[[int], bytes]) -> Record:
    size, offset = _varint(page, offset)
    rowid, offset = _varint(page, offset)
    if not 0 < size <= _MOST_PAYLOAD:
        raise ValueError("no payload of the journal's")
    most, least = len(page) - 35, (len(page) - 12) * 32 // 255 - 23
    if size <= most:
        payload = page[offset : offset + size]
    else:
        local = least + (size - least) % (len(page) - 4)
        local = local if local <= most else least
        payload = page[offset : offset + local]
        (following,) = struct.unpack_from(">I", page, offset + local)
        while len(payload) < size:
            further = fetch(following)
            (following,) = struct.unpack_from(">I", further)
            payload += further[4 : 4 + size - len(payload)]
    if len(payload) != size:
        raise ValueError("cut off")
    return rowid, _columns(payload)


def _columns(payload: bytes) -> list[Value]:
    header, offset = _varint(payload, 0)
    kinds = []
    while offset < header:
        kind, offset = _varint(payload, offset)
        kinds.append(kind)
    values: list[Value] = []
    for kind in kinds:
        value, offset = _value(payload, offset, kind)
        values.append(value)
    return values


def _value(payload: bytes, offset: int, kind: int) -> tuple[Value, int]:
    if kind == 0:
        return None, offset
    if kind in (8, 9):
        return kind - 8, offset
    size = (0, 1, 2, 3, 4, 6, 8, 8)[kind] if kind < 8 else (kind - 12) // 2
    raw = payload[offset : offset + size]
    if kind in (10, 11) or len(raw) != size:
        raise ValueError("no column of the journal's")
    if kind == 7:
        return struct.unpack(">d", raw)[0], offset + size
    if kind < 7:
        return int.from_bytes(raw, "big", signed=True), offset + size
    return (raw.decode() if kind % 2 else raw), offset + size


def _varint(data: bytes, offset: int) -> tuple[int, int]:
    value = 0
    for index in range(8):
        byte = data[offset + index]
        value = value << 7 | byte & 0x7F
        if byte < 0x80:
            return value, offset + index + 1
    value = value << 8 | data[offset + 8]
    return (value - (1 << 64) if value >> 63 else value), offset + 9
