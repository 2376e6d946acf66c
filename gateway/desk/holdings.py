"""What the receiver holds of one epoch of one box, and what it may therefore confirm. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field

from gateway.uplink.receipts import MAX_RANGES, EpochReceipt, Ranges


@dataclass(slots=True)
class Holding:
    """`have` is durable here; `lost` was declared lost by the box itself; `closed` is the end, once known."""

    have: Ranges = field(default_factory=Ranges)
    lost: Ranges = field(default_factory=Ranges)
    closed: int | None = None
    predecessor: str = ""
    _known: Ranges = field(default_factory=Ranges)

    def add(self, seq: int) -> None:
        self.have.add(seq)
        self._known.add(seq)

    def hold(self, first: int, last: int) -> None:
        """What the store says is there, at start."""
        self.have.add(first, last)
        self._known.add(first, last)

    def lose(self, first: int, last: int) -> None:
        self.lost.add(first, last)
        self._known.add(first, last)

    def unheld(self, through: int, fresh: Iterable[int] = ()) -> list[tuple[int, int]]:
        """What is missing up to `through`; `fresh` is about to be added."""
        known = Ranges([*self._known, *((seq, seq) for seq in fresh), (through + 1, through + 1)])
        return [hole for hole in known.missing(1) if hole[1] <= through]

    @property
    def through(self) -> int:
        """Everything up to here is held or was declared lost."""
        return self._known.through(1)

    @property
    def highest(self) -> int:
        return max(self.have.highest or 0, self.closed or 0)

    def holes(self) -> list[tuple[int, int]]:
        """What is missing and may still come."""
        known = self._known
        if self.closed is not None and self.closed not in known:
            known = Ranges([*known, (self.closed + 1, self.closed + 1)])
        return known.missing(1)

    def receipt(self, epoch: str) -> EpochReceipt:
        through = self.through
        return EpochReceipt(epoch=epoch, through=through, ranges=tuple(self._known.beyond(through)[:MAX_RANGES]))


def in_order(epochs: Mapping[str, Holding]) -> list[str]:
    """Epochs oldest first: each after the one it names as its predecessor."""

    def ancestors(epoch: str) -> int:
        seen = {epoch}
        while (epoch := epochs[epoch].predecessor) in epochs and epoch not in seen:
            seen.add(epoch)
        return len(seen)

    return sorted(epochs, key=ancestors)


def receipts(epochs: Mapping[str, Holding], asked: Iterable[str]) -> tuple[EpochReceipt, ...]:
    """What is held of the epochs that a box says it still has."""
    return tuple(
        epochs[epoch].receipt(epoch) if epoch in epochs else EpochReceipt(epoch=epoch, through=0) for epoch in asked
    )
