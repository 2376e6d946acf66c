"""Translates between the journal's positions (epoch by id) and the pure machines' places (epoch by number)."""

from __future__ import annotations

from collections.abc import Sequence

from gateway.journal.rows import Epoch, Position
from gateway.uplink.receipts import Place, Span
from gateway.uplink.session import START


class Places:
    """The epochs as last read; `update` when a position of an unknown epoch turns up."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._ids: dict[int, str] = {}
        self._epochs: Sequence[Epoch] = ()

    def update(self, epochs: Sequence[Epoch]) -> None:
        self._epochs = sorted(epochs, key=lambda epoch: epoch.number)
        # Numbers are shifted by one: Place(0, 0) is 'before everything'.
        self._numbers = {epoch.id: epoch.number + 1 for epoch in self._epochs}
        self._ids = {number: epoch for epoch, number in self._numbers.items()}

    def knows(self, position: Position | None) -> bool:
        return position is None or position.epoch in self._numbers

    def place(self, position: Position | None) -> Place:
        """Of an epoch that the journal does not hold any more: before everything."""
        if position is None or position.epoch not in self._numbers:
            return START
        return Place(self._numbers[position.epoch], position.seq)

    def position(self, place: Place) -> Position | None:
        return Position(self._ids[place.epoch], place.seq) if place.epoch in self._ids else None

    def spans(self, head: Position | None) -> list[Span]:
        """Every epoch, oldest first; the one of `head` reaches to it."""
        spans = []
        for epoch in self._epochs:
            last = head.seq if head is not None and head.epoch == epoch.id else epoch.last
            spans.append(Span(self._numbers[epoch.id], epoch.id, epoch.first or 1, last))
        return spans

    def ids(self) -> tuple[str, ...]:
        return tuple(epoch.id for epoch in self._epochs)
