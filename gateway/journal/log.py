"""The length of the open journal's write-ahead log, and what it costs the disk: read from the log's own frames.

The log has its length from the start (`lengthen`), and a checkpoint must come before its frames pass that: each sync
of a file that grows costs ext4 five blocks of its own. How many frames a transaction takes only SQLite knows, and
Python's module does not tell (an estimate from the rows' sizes was 2.4 times too low on a box's days).

Layout (sqlite.org/fileformat2.html, 4): a header of 32 bytes with two salts, frames of 24 bytes + page size that begin
with the page's number and carry the same salts. When the log is used anew the salts change.
"""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path

from gateway.journal.log_check import FRAME, HEADER

_BLOCK = 4096  # what a disk is written by


def lengthen(path: Path, frames: int, page: int) -> None:
    """Give the log its length at once.

    What stands behind its last frame SQLite does not look at. A full disk may refuse; the log then grows as it must.
    """
    with suppress(OSError), path.open("r+b") as file:
        missing = HEADER + frames * (FRAME + page) - file.seek(0, os.SEEK_END)
        file.write(bytes(max(0, missing)))
        file.flush()
        os.fsync(file.fileno())


class Log:
    """`frames`: not yet copied into the file. `written`: bytes of the disk's blocks since this was made."""

    def __init__(self, path: Path, page: int) -> None:
        self._file = path.open("rb", buffering=0)
        self._page = page
        self._salts = b""
        self._seen = self._copied = 0
        self._pages: set[int] = set()
        self.written = 0
        self.look()
        self.written = 0

    @property
    def frames(self) -> int:
        return self._seen - self._copied

    def look(self) -> None:
        """Count what the last transaction wrote. Raises OSError."""
        salts = os.pread(self._file.fileno(), 8, 16)
        if salts != self._salts:  # used anew: all of it had been copied into the file, each page once
            self.written += len({page * self._page // _BLOCK for page in self._pages}) * max(_BLOCK, self._page)
            self._salts, self._seen, self._copied = salts, 0, 0
            self._pages.clear()
        before = self._offset()
        while (head := os.pread(self._file.fileno(), 16, self._offset()))[8:] == salts:
            self._seen += 1
            self._pages.add(int.from_bytes(head[:4], "big"))
        if self._offset() > before:
            self.written += ((self._offset() - 1) // _BLOCK - before // _BLOCK + 1) * _BLOCK

    def copied(self, frames: int) -> None:
        """A checkpoint has copied so many frames. From the loop, while a later transaction may be counted: a number."""
        self._copied = min(self._seen, frames)

    def close(self) -> None:
        self._file.close()

    def _offset(self) -> int:
        return HEADER + self._seen * (FRAME + self._page)
