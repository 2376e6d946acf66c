"""What the journal says about itself: epochs, gaps, drops, and when the clock became believable."""

from __future__ import annotations

from typing import ClassVar, Literal

import msgspec

from gateway.journal.event import Event, Importance

EpochReason = Literal["created", "quarantined", "restored", "cloned"]
DropReason = Literal["queue", "disk", "cap", "invalid"]


class LostRange(msgspec.Struct, frozen=True, kw_only=True):
    """Events of an epoch that can no longer be read, both ends included."""

    epoch: str
    first: int
    last: int


class EpochStarted(Event, frozen=True, kw_only=True, tag="journal.epoch_started.v1"):
    """The first event of every epoch. It closes its predecessor: nothing beyond `predecessor_last` will come."""

    importance: ClassVar[Importance] = Importance.RECORD
    epoch: str
    reason: EpochReason
    box: str = ""
    predecessor: str = ""
    predecessor_last: int = 0  # the last sequence number that can still be read
    predecessor_head: str = ""  # its head hash, so that the chain goes on across epochs
    predecessor_lost: tuple[LostRange, ...] = ()


class JournalGap(Event, frozen=True, kw_only=True, tag="journal.gap.v1"):
    """A damaged journal was set aside; `lost` are the holes below `last`, in all of its epochs."""

    importance: ClassVar[Importance] = Importance.RECORD
    epoch: str  # the epoch that ended; empty when its name was unreadable
    last: int
    lost: tuple[LostRange, ...] = ()
    damage: str = ""  # what was wrong with the file, in English
    aside: str = ""  # the name under which the file was kept
    marks_kept: bool = True


class JournalDropped(Event, frozen=True, kw_only=True, tag="journal.dropped.v1"):
    """Events that were not (or no longer) kept, by type.

    queue    10,000 were waiting for a slow disk
    disk     the disk was full; bodies of stored events gave way
    cap      `journal.max_mb` was reached with nothing received left to remove
    invalid  an event could not be written as JSON, or was too large: a programming error
    """

    importance: ClassVar[Importance] = Importance.RECORD
    reason: DropReason
    counts: dict[str, int]
    since: str
    until: str


class JournalClosed(Event, frozen=True, kw_only=True, tag="journal.closed.v1"):
    """The box signed that its events of `epoch` up to `through` end in `head`; their headers may now go too.

    Who holds the heads can contradict it. Signed is (box, epoch, through, head); see `closing`.
    """

    importance: ClassVar[Importance] = Importance.RECORD
    epoch: str
    through: int
    head: str
    key: str  # the box's public Ed25519 key, base64
    signature: str


class ClockSynchronised(Event, frozen=True, kw_only=True, tag="clock.synchronised.v1"):
    """The wall clock became believable; earlier events of this boot are wrong by `offset`."""

    importance: ClassVar[Importance] = Importance.RECORD
    offset: float  # seconds the wall clock was moved since the daemon's start
    source: Literal["ntp", "clock_chip"]


EVENTS: tuple[type[Event], ...] = (EpochStarted, JournalGap, JournalDropped, JournalClosed, ClockSynchronised)
