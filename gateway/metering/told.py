"""What was told of leaks before a restart: read in the journal, from the place that the memory names on.

The memory file is up to two hours old when the power goes; the journal is not. A finding that stands in the
journal was told, so it stands in the meter too, with the since-time it was told with, and nobody hears
of one leak under two ids. Without a memory only the newest `RECENT` rows are looked at.
"""

from __future__ import annotations

import logging
from datetime import datetime
from typing import NamedTuple, Protocol

import msgspec

from gateway.errors import JournalDown
from gateway.journal.event import Event
from gateway.journal.rows import Position, Row
from gateway.metering import events

RECENT = 5000  # about a day of a busy box
AT_ONCE = 200

Finding = events.LeakSuspected | events.LeakCleared
_KINDS = {kind.type_name() for kind in (events.LeakSuspected, events.LeakCleared)}
_decoder: msgspec.json.Decoder[Finding] = msgspec.json.Decoder(Finding)

log = logging.getLogger("loumen.metering")


class Journal(Protocol):
    """What metering needs of the journal."""

    @property
    def head(self) -> Position | None: ...

    def note(self, event: Event) -> None: ...

    async def read(self, after: Position | None, limit: int = AT_ONCE) -> list[Row]: ...


class Told(NamedTuple):
    """A finding, and when it was written (UTC seconds)."""

    finding: Finding
    at: float


async def findings(journal: Journal, after: Position | None) -> dict[tuple[str, str], Told]:
    """The last word on each meter and rule behind `after`; nothing where the journal cannot be read."""
    found: dict[tuple[str, str], Told] = {}
    head = journal.head
    if head is None:
        return found
    if after is None or after.epoch != head.epoch:
        after = Position(head.epoch, max(0, head.seq - RECENT))
    try:
        while rows := await journal.read(after, AT_ONCE):
            for row in rows:
                if row.type in _KINDS and row.body is not None:
                    finding = _decoder.decode(row.body)
                    found[finding.meter, finding.rule] = Told(finding, datetime.fromisoformat(row.at).timestamp())
            after = rows[-1].position
    except (JournalDown, msgspec.MsgspecError) as error:
        log.warning("what was told of leaks is not read: %s", error)
    return found
