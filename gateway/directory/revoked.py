"""`revoked.log`: what was forbidden or deleted, one line each, synced before anybody is told that it is done.

A copy of the directory is older than the directory. Used alone it would let in whoever was suspended
since, and show whoever was deleted. So a copy is only ever used with this list applied, and it is
applied at each start besides: a power cut between this list and the database changes nothing.

A line is its number (from 1), a checksum, and JSON. Noise costs the lines it hits, not the others; a line that
was being written when the power went is not there, and was acknowledged to nobody. Missing numbers
tell that something was lost. Dates of rights are in UTC; there are no names here, only random ids.

`forget` entries stay for ever. Others give way to later ones of the same person when the file is
tidied: only the last rights count.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

import msgspec

from gateway.directory.files import sync_folder, write_whole

FILE = "revoked.log"
TIDY_ABOVE = 256 * 1024


class Revocation(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One entry. `forget`: the person; `rights`: all of hers as of `version`; `face`, `consent`: ids."""

    kind: Literal["forget", "rights", "face", "consent"]
    person: str
    at: str
    external: str = ""  # of a person whom the platform had sent and this box forgot
    version: int = 0
    active: bool = True
    valid_from: str | None = None
    valid_until: str | None = None
    doors: tuple[str, ...] = ()
    ids: tuple[str, ...] = ()


@dataclass(slots=True)
class Log:
    """What stands in the file, in order, and how much of it could not be read."""

    entries: list[Revocation] = field(default_factory=list)
    lost: int = 0
    last: int = 0  # the highest number seen

    def forgotten(self) -> set[str]:
        return {entry.person for entry in self.entries if entry.kind == "forget"}

    def forgotten_externals(self) -> set[str]:
        return {entry.external for entry in self.entries if entry.kind == "forget" and entry.external}


_encode = msgspec.json.Encoder().encode
_decode = msgspec.json.Decoder(Revocation).decode


def line(number: int, entry: Revocation) -> bytes:
    body = _encode(entry)
    return b"%d %08x %s\n" % (number, zlib.crc32(b"%d " % number + body), body)


def read(path: Path) -> Log:
    """All that can be read. Raises OSError, but not for a file that does not exist yet."""
    log = Log()
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return log
    *whole, torn = data.split(b"\n")
    numbers: set[int] = set()
    damaged_at_the_end = 0
    for text in whole:
        found = _parse(text)
        if found is None:
            damaged_at_the_end += bool(text)
            continue
        damaged_at_the_end = 0
        numbers.add(found[0])
        log.entries.append(found[1])
    if (found := _parse(torn)) is not None:  # only its line feed is missing
        numbers.add(found[0])
        log.entries.append(found[1])
    log.last = max(numbers, default=0)
    log.lost = log.last - len(numbers) + damaged_at_the_end
    return log


def _parse(text: bytes) -> tuple[int, Revocation] | None:
    number, _, rest = text.partition(b" ")
    checksum, _, body = rest.partition(b" ")
    try:
        if int(checksum, 16) != zlib.crc32(number + b" " + body):
            return None
        return int(number), _decode(body)
    except (ValueError, msgspec.DecodeError):
        return None


class Writer:
    """Appends. Blocks while the disk syncs: the directory runs it in its own thread."""

    def __init__(self, path: Path, last: int) -> None:
        self._path, self.last = path, last

    def append(self, entries: Sequence[Revocation]) -> None:
        """Durable when it returns. Raises OSError."""
        created = not self._path.exists()
        handle = os.open(self._path, os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            size = os.fstat(handle).st_size
            torn = size > 0 and os.pread(handle, 1, size - 1) != b"\n"
            lines = b"\n" * torn + b"".join(line(self.last + 1 + place, entry) for place, entry in enumerate(entries))
            written = os.write(handle, lines)
            if written != len(lines):
                raise OSError(f"only {written} of {len(lines)} bytes were written")
            os.fsync(handle)
        finally:
            os.close(handle)
        if created:
            sync_folder(self._path.parent)
        self.last += len(entries)


def tidy(path: Path, log: Log) -> None:
    """Rewrite a long file without what later entries have replaced. Raises OSError."""
    if not path.exists() or path.stat().st_size <= TIDY_ABOVE:
        return
    forgotten = log.forgotten()
    latest = {entry.person: entry for entry in log.entries if entry.kind == "rights"}
    kept = [
        entry
        for entry in log.entries
        if entry.kind == "forget"
        or (entry.person not in forgotten and (entry.kind != "rights" or latest[entry.person] is entry))
    ]
    if len(kept) < len(log.entries):
        write_whole(path, b"".join(line(number, entry) for number, entry in enumerate(kept, start=1)))
        log.entries[:], log.last, log.lost = kept, len(kept), 0
