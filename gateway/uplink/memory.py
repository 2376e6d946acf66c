"""The two things an uplink remembers beside its marks: the last session's number, and that it is paused."""

from __future__ import annotations

import logging
import time
from pathlib import Path

import msgspec

from gateway.identity import replace_file

log = logging.getLogger(__name__)


class Remembered(msgspec.Struct, frozen=True):
    session: int = 0
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

    def next_session(self) -> int:
        """A number that is higher than any before."""
        self._keep(msgspec.structs.replace(self.now, session=self.now.session + 1))
        return self.now.session

    def pause(self, *, paused: bool) -> None:
        self._keep(msgspec.structs.replace(self.now, paused=paused))

    def _keep(self, remembered: Remembered) -> None:
        self.now = remembered
        try:
            replace_file(self._path, msgspec.json.encode(remembered))
        except OSError as error:
            log.warning("the uplink's memory cannot be written: %s", error)
