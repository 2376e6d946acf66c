"""The two things an uplink remembers beside its marks: how far sessions are numbered, and that it is paused.

Numbers are reserved in blocks: a box that dials twice a minute for a month would else write 40 MB a day for them.
"""

from __future__ import annotations

import logging
import time
from pathlib import Path

import msgspec

from gateway.identity import replace_file

log = logging.getLogger(__name__)


BLOCK = 64  # sessions reserved by one write; a restart skips the rest of its block


class Remembered(msgspec.Struct, frozen=True):
    session: int = 0  # no higher number was ever given out
    paused: bool = False


class Memory:
    """A small file beside the identity. A full or broken disk costs a number, never the connection."""

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            self.now = msgspec.json.decode(path.read_bytes(), type=Remembered)
        except FileNotFoundError:
            self.now = Remembered()
        except (OSError, msgspec.MsgspecError) as error:
            log.warning("the uplink's memory is unreadable, it begins anew: %s", error)
            # Higher than any count of sessions: a lower number than before would pass for old news.
            self.now = Remembered(session=int(time.time()))
        self.session = self.now.session  # the last that was given out

    def next_session(self) -> int:
        """A number that is higher than any before."""
        if self.session >= self.now.session:
            self._keep(msgspec.structs.replace(self.now, session=self.session + BLOCK))
        self.session += 1
        return self.session

    def pause(self, *, paused: bool) -> None:
        self._keep(msgspec.structs.replace(self.now, paused=paused))

    def _keep(self, remembered: Remembered) -> None:
        self.now = remembered
        try:
            replace_file(self._path, msgspec.json.encode(remembered))
        except OSError as error:
            log.warning("the uplink's memory cannot be written: %s", error)
