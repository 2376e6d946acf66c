"""What a receiver says it holds, and what may be concluded from it. Pure.

A receipt lists, per epoch, the highest seq up to which everything is durable at the receiver
(`through`) and the ranges it holds beyond that. It moves the mark `received`, and only it does: a
broker's PUBACK says that a broker took a message, and brokers forget.

    * `through` counts what the journal itself declared lost (a new epoch's first event names those
      ranges) as held: nobody can send it any more.
    * A receipt that claims more than was sent is a lie or an accident with two boxes under one
      name: it is refused whole, moves nothing and is recorded.
    * The mark crosses from one epoch to the next only when the earlier one is held to its end.
    * `state` names the newest state message that the receiver had seen when it wrote the receipt.
      What had been acknowledged by the broker before that message went out and is still not named
      was forgotten on the way, and is sent again (see session.py).
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterable, Iterator, Mapping, Sequence
from enum import StrEnum
from typing import NamedTuple

import msgspec

MAX_EPOCHS = 16
MAX_RANGES = 64  # an epoch; the rest is told by a later receipt


class Place(NamedTuple):
    """A position in the journal, with the epoch's number for its id: places sort as they happened."""

    epoch: int
    seq: int


class Span(NamedTuple):
    """One epoch as the journal has it: `first`..`last`, both included; `last < first` when empty."""

    number: int
    id: str
    first: int
    last: int


class Ranges:
    """A set of whole numbers kept as disjoint, sorted, merged ranges."""

    def __init__(self, ranges: Iterable[tuple[int, int]] = ()) -> None:
        self._first: list[int] = []
        self._last: list[int] = []
        for first, last in ranges:
            self.add(first, last)

    def add(self, first: int, last: int | None = None) -> None:
        """Add `first`..`last`, both included."""
        last = first if last is None else last
        if last < first:
            return
        low = bisect_left(self._last, first - 1)  # the first range that touches or follows
        high = low
        while high < len(self._first) and self._first[high] <= last + 1:
            first, last = min(first, self._first[high]), max(last, self._last[high])
            high += 1
        self._first[low:high] = [first]
        self._last[low:high] = [last]

    def __contains__(self, number: object) -> bool:
        if not isinstance(number, int):
            return False
        index = bisect_left(self._last, number)
        return index < len(self._first) and self._first[index] <= number

    def __iter__(self) -> Iterator[tuple[int, int]]:
        return iter(zip(self._first, self._last, strict=True))

    def __len__(self) -> int:
        """How many numbers are in the set."""
        return sum(last - first + 1 for first, last in self)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Ranges) and list(self) == list(other)

    __hash__ = None  # type: ignore[assignment]

    @property
    def highest(self) -> int | None:
        return self._last[-1] if self._last else None

    def through(self, start: int) -> int:
        """The end of the unbroken run that begins at `start`; `start - 1` when there is none."""
        index = bisect_left(self._last, start)
        if index < len(self._first) and self._first[index] <= start:
            return self._last[index]
        return start - 1

    def beyond(self, number: int) -> list[tuple[int, int]]:
        """The ranges above `number`."""
        return [(max(first, number + 1), last) for first, last in self if last > number]

    def missing(self, start: int) -> list[tuple[int, int]]:
        """The holes between `start` and the highest number."""
        holes: list[tuple[int, int]] = []
        for first, last in self:
            if first > start:
                holes.append((start, first - 1))
            start = max(start, last + 1)
        return holes


class EpochReceipt(msgspec.Struct, frozen=True, kw_only=True):
    """What is held of one epoch."""

    epoch: str
    through: int
    ranges: tuple[tuple[int, int], ...] = ()


class Receipt(msgspec.Struct, frozen=True, kw_only=True):
    """The fields of the command `receipt`; `epoch` is the one the box said it is in.

    `giver` is a name of the receiver's own that changes when it restarts, `number` counts its receipts for
    this box: one that was overtaken by a newer one is passed over.
    """

    epoch: str
    giver: str = ""
    number: int = 0
    session: int = 0
    state: int = 0
    epochs: tuple[EpochReceipt, ...] = ()


class Lie(StrEnum):
    """Why a receipt is refused; stands in `uplink.receipt_refused.v1`."""

    MALFORMED = "malformed"
    OTHER_EPOCH = "other_epoch"
    UNKNOWN_EPOCH = "unknown_epoch"
    MORE_THAN_SENT = "more_than_sent"


def judge(receipt: Receipt, spans: Sequence[Span], sent: Mapping[int, int]) -> Lie | None:
    """None when every claim is possible. `sent` is the highest seq ever sent, by epoch number."""
    if not spans or receipt.epoch != spans[-1].id:
        return Lie.OTHER_EPOCH
    if len(receipt.epochs) > MAX_EPOCHS or len({part.epoch for part in receipt.epochs}) != len(receipt.epochs):
        return Lie.MALFORMED
    known = {span.id: span for span in spans}
    for part in receipt.epochs:
        span = known.get(part.epoch)
        if span is None:
            return Lie.UNKNOWN_EPOCH
        if not _well_formed(part):
            return Lie.MALFORMED
        claimed = part.ranges[-1][1] if part.ranges else part.through
        if claimed > max(sent.get(span.number, 0), span.first - 1):
            return Lie.MORE_THAN_SENT
    return None


def _well_formed(part: EpochReceipt) -> bool:
    if part.through < 0 or len(part.ranges) > MAX_RANGES:
        return False
    edge = part.through + 1  # a range that touched `through` would be part of it
    for first, last in part.ranges:
        if first <= edge or last < first:
            return False
        edge = last + 1
    return True


def held(receipt: Receipt, spans: Sequence[Span]) -> dict[int, Ranges]:
    """What the receipt names, by epoch number."""
    numbers = {span.id: span for span in spans}
    named: dict[int, Ranges] = {}
    for part in receipt.epochs:
        span = numbers[part.epoch]
        ranges = Ranges(part.ranges)
        ranges.add(min(span.first, 1), part.through)
        named[span.number] = ranges
    return named


def received(named: Mapping[int, Ranges], spans: Sequence[Span], floor: Place | None) -> Place | None:
    """How far everything is held, across epochs; never before `floor`."""
    mark = floor
    for span in spans:
        if mark is not None and span.number < mark.epoch:
            continue
        start = mark.seq + 1 if mark is not None and mark.epoch == span.number else span.first
        through = named[span.number].through(start) if span.number in named else start - 1
        if through >= span.first:
            mark = Place(span.number, through)
        if through < span.last:
            break
    return mark
