"""Reads the rows of a damaged SQLite file straight from its pages. Pure: bytes in, values out.

SQL reaches a row through the pages above it; one damaged page near the root hides thousands of sound ones.
But each leaf of a table describes itself, so here every page that looks like a leaf is read, whatever
stands above it, and what comes out is judged by its hashes (`salvage`). The layout is sqlite.org/fileformat2.html.
"""

from __future__ import annotations

import struct
from collections.abc import Callable, Iterator

PAGE = 2048  # of every file this program makes: a lone event costs one page of log
_LEAF = 0x0D
_LOCAL_MOST = PAGE - 35
_LOCAL_LEAST = (PAGE - 12) * 32 // 255 - 23
_MOST_PAYLOAD = 256 * 1024  # nothing in the journal is larger

Value = int | float | str | bytes | None
Record = tuple[int, list[Value]]  # rowid, columns


def records(page: bytes, fetch: Callable[[int], bytes], *, first: bool) -> Iterator[Record]:
    """The records of one page, none if it is no leaf. `first`: it is page 1; `fetch` gives overflow pages.

    Raises nothing: a cell that makes no sense is left out.
    """
    start = 100 if first else 0
    if len(page) < PAGE or page[start] != _LEAF:
        return
    (cells,) = struct.unpack_from(">H", page, start + 3)
    for index in range(min(cells, (PAGE - start - 8) // 2)):
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
    if size <= _LOCAL_MOST:
        payload = page[offset : offset + size]
    else:
        local = _LOCAL_LEAST + (size - _LOCAL_LEAST) % (PAGE - 4)
        local = local if local <= _LOCAL_MOST else _LOCAL_LEAST
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
