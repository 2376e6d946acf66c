"""Ranges behave as sets; a receipt is believed only as far as it can be true."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.uplink.receipts import EpochReceipt, Lie, Place, Ranges, Receipt, Span, held, judge, received

NUMBERS = st.integers(1, 40)
PAIRS = st.lists(st.tuples(NUMBERS, st.integers(0, 6)), max_size=20)
OLD, NEW = Span(1, "old", 1, 10), Span(2, "new", 1, 5)


@given(PAIRS)
def test_ranges_are_a_set(pairs: list[tuple[int, int]]) -> None:
    ranges, numbers = Ranges(), set[int]()
    for first, more in pairs:
        ranges.add(first, first + more)
        numbers |= set(range(first, first + more + 1))
    assert {n for first, last in ranges for n in range(first, last + 1)} == numbers
    assert all((n in ranges) == (n in numbers) for n in range(60))
    assert len(ranges) == len(numbers)
    assert ranges.highest == max(numbers, default=None)
    edges = list(ranges)
    assert all(last + 1 < following for (_, last), (following, _) in pairwise(edges))
    through = ranges.through(1)
    assert set(range(1, through + 1)) <= numbers
    assert through + 1 not in numbers
    holes = {n for first, last in ranges.missing(1) for n in range(first, last + 1)}
    assert holes == set(range(1, max(numbers, default=0) + 1)) - numbers
    assert {n for first, last in ranges.beyond(20) for n in range(first, last + 1)} == {n for n in numbers if n > 20}


def receipt(*epochs: EpochReceipt, epoch: str = "new") -> Receipt:
    return Receipt(epoch=epoch, epochs=epochs)


@pytest.mark.parametrize(
    ("given_receipt", "lie"),
    [
        (receipt(EpochReceipt(epoch="new", through=5)), None),
        (receipt(EpochReceipt(epoch="new", through=0, ranges=((2, 2), (4, 5)))), None),
        (receipt(EpochReceipt(epoch="new", through=6)), Lie.MORE_THAN_SENT),
        (receipt(EpochReceipt(epoch="new", through=0, ranges=((3, 6),))), Lie.MORE_THAN_SENT),
        (receipt(EpochReceipt(epoch="other", through=1)), Lie.UNKNOWN_EPOCH),
        (receipt(EpochReceipt(epoch="new", through=1), epoch="old"), Lie.OTHER_EPOCH),
        (receipt(EpochReceipt(epoch="new", through=-1)), Lie.MALFORMED),
        (receipt(EpochReceipt(epoch="new", through=1, ranges=((2, 3),))), Lie.MALFORMED),
        (receipt(EpochReceipt(epoch="new", through=0, ranges=((4, 3),))), Lie.MALFORMED),
        (receipt(EpochReceipt(epoch="new", through=0, ranges=((4, 4), (3, 3)))), Lie.MALFORMED),
        (receipt(EpochReceipt(epoch="new", through=1), EpochReceipt(epoch="new", through=2)), Lie.MALFORMED),
        (receipt(*(EpochReceipt(epoch=str(n), through=0) for n in range(17))), Lie.MALFORMED),
        (receipt(EpochReceipt(epoch="new", through=0, ranges=tuple((n, n) for n in range(2, 200, 2)))), Lie.MALFORMED),
    ],
)
def test_a_receipt_that_cannot_be_true_is_refused(given_receipt: Receipt, lie: Lie | None) -> None:
    assert judge(given_receipt, [OLD, NEW], {1: 10, 2: 5}) is lie


def mark(*epochs: EpochReceipt, floor: Place | None = None) -> Place | None:
    return received(held(receipt(*epochs), [OLD, NEW]), [OLD, NEW], floor)


def test_the_mark_crosses_an_epoch_only_when_the_old_one_is_whole() -> None:
    whole, half = EpochReceipt(epoch="old", through=10), EpochReceipt(epoch="old", through=9)
    new = EpochReceipt(epoch="new", through=3)
    assert mark(whole, new) == Place(2, 3)
    assert mark(half, new) == Place(1, 9)
    assert mark(new) is None
    assert mark(new, floor=Place(1, 10)) == Place(2, 3)
    assert mark(whole) == Place(1, 10)


def test_the_mark_never_goes_back() -> None:
    assert mark(EpochReceipt(epoch="old", through=2), floor=Place(1, 7)) == Place(1, 7)
    assert mark(EpochReceipt(epoch="old", through=0), floor=Place(2, 1)) == Place(2, 1)
    assert mark(EpochReceipt(epoch="new", through=0, ranges=((2, 4),)), floor=Place(2, 1)) == Place(2, 4)
