"""The queue's promises, for any arrivals: order, bounds, and who gives way."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gateway.journal.event import Importance
from gateway.journal.rows import Noted
from gateway.journal.waiting import Drops, Entry, Waiting

ARRIVALS = st.lists(
    st.one_of(st.tuples(st.sampled_from(Importance), st.integers(1, 300)), st.integers(0, 6)), max_size=200
)


@given(ARRIVALS)
def test_bounds_order_and_importance(arrivals: list[tuple[Importance, int] | int]) -> None:
    waiting, inside, n = Waiting(limit=20, limit_bytes=2000), list[Entry](), 0
    for arrival in arrivals:
        if isinstance(arrival, int):
            taken = waiting.take(arrival)
            assert taken == inside[:arrival]
            del inside[:arrival]
            continue
        importance, size = arrival
        n += 1
        entry = Entry(Noted(f"kind.{n}", importance, n, True, b"x" * size, b""))
        gone = waiting.put(entry)
        inside.append(entry)
        for leaver in gone:
            others = [other for other in inside if other is not leaver]
            assert all(leaver.noted.importance <= other.noted.importance for other in others)
            inside.remove(leaver)
        assert len(waiting) == len(inside) <= 20
        assert sum(len(entry.noted.body) for entry in inside) <= 2000
    assert waiting.take(1000) == inside
    assert len(waiting) == 0


def test_a_withdrawn_entry_is_passed_over() -> None:
    waiting = Waiting()
    entries = [Entry(Noted("kind", Importance.NOTICE, n, True, b"{}", b"")) for n in range(3)]
    for entry in entries:
        waiting.put(entry)
    entries[1].withdrawn = True
    assert waiting.take(10) == [entries[0], entries[2]]
    assert [entry.taken for entry in entries] == [True, False, True]


def test_drops_are_told_once_by_reason_and_type() -> None:
    drops = Drops()
    assert not drops
    for at in range(3):
        drops.count("queue", "a", at)
    drops.count("disk", "b", 9, 5)
    assert drops.total == 8
    assert drops.take() == [("queue", {"a": 3}, 0), ("disk", {"b": 5}, 9)]
    assert not drops
    assert drops.take() == []
