"""How much the daemon makes its disk write in a day: all databases, their logs, copies and small files.

The kernel counts it: `write_bytes` of /proc/self/io are the bytes of the blocks (4 KB) that this process and
the children it waited for made dirty, which is what reaches an SD card, and not what was handed to write(2)
(proc(5)). The file system's own journal is not in it.
"""

from __future__ import annotations

from contextlib import suppress
from datetime import date
from pathlib import Path

from gateway.clock import Clock

_IO = Path("/proc/self/io")


class Written:
    """Ask now and then, else a day's beginning passes unseen."""

    def __init__(self, clock: Clock, source: Path = _IO) -> None:
        self._clock, self._source = clock, source
        self._day: date | None = None
        self._before = 0

    def today(self) -> int | None:
        """Bytes since midnight at the site, or since the start; None where the kernel does not count them."""
        total = self._total()
        if total is None:
            return None
        day = self._clock.now().local.date()
        if self._day is None:
            self._day = day
        elif day != self._day:
            self._day, self._before = day, total
        return total - self._before

    def _total(self) -> int | None:
        with suppress(OSError, ValueError):
            for line in self._source.read_text().splitlines():
                name, _, count = line.partition(":")
                if name == "write_bytes":
                    return int(count)
        return None
