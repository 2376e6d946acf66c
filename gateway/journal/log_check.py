"""Reads SQLite's write-ahead log without SQLite, to notice what SQLite cannot say. Pure but for one read.

After a power cut the log may end in one torn transaction: nobody was told of it, SQLite ignores it, and
so do we. But SQLite also silently ignores everything behind a damaged frame. With synchronous=FULL each
transaction is synced before the next begins, so commits *behind* a broken one were acknowledged: then the
file is damaged, and going on in it would give their numbers away a second time.

Layout (sqlite.org/fileformat2.html, 4): a header of 32 bytes, frames of 24 + page size; a frame counts when
its salts are the header's and its running checksum holds; the second word of a commit frame is not zero.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

HEADER = 32
FRAME = 24


def damage(log: Path) -> str:
    """What is wrong with a log, in English; empty when it is whole, torn at its end only, or absent."""
    try:
        data = log.read_bytes()
    except FileNotFoundError:
        return ""
    if len(data) < HEADER:
        return ""
    header = _header(data)
    if header is None:
        return "" if not any(data[HEADER:]) else "the write-ahead log's header is damaged"
    order, page, salts, sums = header
    broken, torn_commits = False, 0
    for offset in range(HEADER, len(data) - FRAME - page + 1, FRAME + page):
        frame_salts = data[offset + 8 : offset + 16]
        if not broken:
            if frame_salts != salts and not _salts_follow(data, offset, page, salts):
                break  # left over from before the log was last reused
            sums = _checksum(data[offset : offset + 8], order, sums)
            sums = _checksum(data[offset + FRAME : offset + FRAME + page], order, sums)
            broken = frame_salts != salts or struct.pack(">II", *sums) != data[offset + 16 : offset + 24]
        if broken and frame_salts == salts and data[offset + 4 : offset + 8] != b"\0\0\0\0":
            torn_commits += 1
    return f"the write-ahead log is damaged before {torn_commits} commits" if torn_commits > 1 else ""


def page_size(log: Path) -> int | None:
    """The page size that a log's header names; None where there is no sound one."""
    try:
        with log.open("rb") as file:
            beginning = file.read(HEADER)
    except OSError:
        return None
    header = _header(beginning) if len(beginning) == HEADER else None
    return header[1] if header else None


def images(log: Path, size: int) -> Iterator[tuple[int, bytes]]:
    """(page number, image) of every frame that belongs to a log's present use, checksums unseen.

    `size`: of a page, where the log's header is damaged.
    """
    try:
        data = log.read_bytes()
    except OSError:
        return
    header = _header(data) if len(data) >= HEADER else None
    page, salts = (header[1], header[2]) if header else (size, b"")
    for offset in range(HEADER, len(data) - FRAME + 1, FRAME + page):
        if not salts or data[offset + 8 : offset + 16] == salts:
            yield int.from_bytes(data[offset : offset + 4], "big"), data[offset + FRAME : offset + FRAME + page]


def _header(data: bytes) -> tuple[str, int, bytes, tuple[int, int]] | None:
    """Byte order of the checksums, page size, salts, the header's checksum; None when it is damaged."""
    magic, version, page = struct.unpack_from(">III", data)
    if magic not in (0x377F0682, 0x377F0683) or version != 3007000 or not 512 <= page <= 65536:
        return None
    order = ">" if magic & 1 else "<"
    sums = _checksum(data[:24], order, (0, 0))
    if struct.pack(">II", *sums) != data[24:32]:
        return None
    return order, page, data[16:24], sums


def _salts_follow(data: bytes, offset: int, page: int, salts: bytes) -> bool:
    """Whether a later frame carries `salts`: then the one at `offset` was overwritten, not left over."""
    step = FRAME + page
    return any(data[later + 8 : later + 16] == salts for later in range(offset + step, len(data) - step + 1, step))


def _checksum(data: bytes, order: str, sums: tuple[int, int]) -> tuple[int, int]:
    first, second = sums
    words = struct.unpack(f"{order}{len(data) // 4}I", data)
    for index in range(0, len(words), 2):
        first = (first + words[index] + second) & 0xFFFFFFFF
        second = (second + words[index + 1] + first) & 0xFFFFFFFF
    return first, second
