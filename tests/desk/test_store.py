"""The desk's store: once, durable, with its holes, its findings and its closed epochs."""

from __future__ import annotations

import contextlib
import hashlib
import random
import sqlite3
from pathlib import Path
from typing import Any

import msgspec
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from hypothesis import given
from hypothesis import strategies as st

from gateway.desk.errors import StoreDown
from gateway.desk.holdings import Holding, in_order
from gateway.desk.reading import reading
from gateway.desk.store import Store
from gateway.journal.events import EpochStarted, JournalClosed, LostRange
from gateway.journal.rows import ZERO, head_of
from gateway.journal.statement import public, signature
from gateway.uplink.messages import Birth, CloudEvent, Unreadable, read_birth, read_event, read_reply, read_state
from gateway.uplink.receipts import EpochReceipt

BOX = "0f8f3f4e-0000-4000-8000-000000000001"
AT = "2026-05-01T12:00:00.000000+00:00"


def chain(epoch: str, bodies: list[bytes], kind: str = "test.happened.v1", previous: str = ZERO) -> list[CloudEvent]:
    """The events that a journal would send for these bodies."""
    events = []
    for seq, body in enumerate(bodies, start=1):
        digest = hashlib.sha256(body).hexdigest()
        kind_here = msgspec.json.decode(body).get("type", kind)
        head = head_of(previous, epoch, seq, kind_here, AT, True, digest)
        events.append(
            CloudEvent(
                specversion="1.0",
                id=f"{BOX}/{epoch}/{seq}",
                source="/x",
                type=kind_here,
                time=AT,
                epoch=epoch,
                seq=seq,
                bodyhash=digest,
                previous=previous,
                head=head,
                historical=False,
                trusted=True,
                data=msgspec.Raw(body),
            )
        )
        previous = head
    return events


def numbers(count: int) -> list[bytes]:
    return [b'{"type":"test.happened.v1","number":%d}' % number for number in range(count)]


def on_box(events: list[CloudEvent]) -> list[tuple[str, CloudEvent]]:
    return [(BOX, event) for event in events]


@pytest.fixture
def store(tmp_path: Path) -> Any:
    with contextlib.closing(Store(tmp_path / "desk.db")) as opened:
        yield opened


def test_in_any_order_and_again_and_again_each_is_kept_once(store: Store, tmp_path: Path) -> None:
    events = chain("e1", numbers(50))
    mixed = events * 3
    random.Random(1).shuffle(mixed)
    added = [store.add(on_box(mixed[at : at + 7]), AT) for at in range(0, len(mixed), 7)]
    assert sum(part.stored for part in added) == 50
    assert sum(part.doubles for part in added) == 100
    assert sum(part.findings for part in added) == 0
    assert store.receipts(BOX, ["e1"]) == (EpochReceipt(epoch="e1", through=50),)
    with reading(tmp_path / "desk.db") as look:
        assert [event["body"]["number"] for event in look.history(BOX)] == list(range(50))


def test_holes_are_known_and_survive_a_restart(store: Store, tmp_path: Path) -> None:
    events = chain("e1", numbers(10))
    store.add(on_box(events[:3] + events[5:6] + events[8:]), AT)
    expected = (EpochReceipt(epoch="e1", through=3, ranges=((6, 6), (9, 10))),)
    assert store.receipts(BOX, ["e1"]) == expected
    store.close()
    with contextlib.closing(Store(tmp_path / "desk.db")) as again:
        assert again.receipts(BOX, ["e1"]) == expected
        assert again.holdings(BOX)["e1"].holes() == [(4, 5), (7, 8)]


def test_the_same_name_with_another_body_is_a_conflict_and_the_first_one_stays(store: Store, tmp_path: Path) -> None:
    store.add(on_box(chain("e1", numbers(3))), AT)
    other = chain("e1", [b'{"number":7}'])
    for _ in range(2):
        assert store.add(on_box(other), AT).findings == 1
    with reading(tmp_path / "desk.db") as look:
        (found,) = look.findings()
        assert (found["kind"], found["seq"], found["times"]) == ("conflict", 1, 2)
        assert next(look.history(BOX))["body"]["number"] == 0


def test_a_conflict_within_one_batch(store: Store) -> None:
    added = store.add(on_box(chain("e1", numbers(1)) + chain("e1", [b'{"number":7}'])), AT)
    assert (added.stored, added.findings) == (1, 1)


@pytest.mark.parametrize(
    "change", [{"data": msgspec.Raw(b"{}")}, {"type": "x"}, {"trusted": False}, {"time": "later"}, {"head": "f" * 64}]
)
def test_an_event_that_does_not_match_its_hashes_is_not_kept(store: Store, change: dict[str, Any]) -> None:
    (event,) = chain("e1", numbers(1))
    added = store.add(on_box([msgspec.structs.replace(event, **change)]), AT)
    assert (added.stored, added.findings) == (0, 1)
    assert store.receipts(BOX, ["e1"])[0].through == 0


@pytest.mark.parametrize("order", [1, -1])
def test_a_broken_chain_is_found_whichever_side_comes_first(store: Store, order: int) -> None:
    good, forged = chain("e1", numbers(3)), chain("e1", [b"{}", b"{}", b"{}"])
    added = [store.add(on_box([event]), AT) for event in [good[0], forged[1]][::order]]
    assert sum(part.findings for part in added) == 1


def test_a_body_that_retention_removed_is_filled_in_when_it_comes_after_all(store: Store, tmp_path: Path) -> None:
    (event,) = chain("e1", numbers(1))
    store.add(on_box([msgspec.structs.replace(event, data=msgspec.Raw(b"null"))]), AT)
    with reading(tmp_path / "desk.db") as look:
        assert next(look.history(BOX))["body"] is None
    assert store.add(on_box([event]), AT).doubles == 1
    with reading(tmp_path / "desk.db") as look:
        assert next(look.history(BOX))["body"] == {"type": "test.happened.v1", "number": 0}


def start(**named: Any) -> bytes:
    return msgspec.json.encode(EpochStarted(epoch="e2", reason="quarantined", **named))


def test_a_new_epochs_first_event_closes_the_old_one_with_what_it_lost(store: Store, tmp_path: Path) -> None:
    old = chain("e1", numbers(10))
    store.add(on_box(old[:4]), AT)
    lost = (LostRange(epoch="e1", first=5, last=8),)
    new = chain(
        "e2", [start(predecessor="e1", predecessor_last=10, predecessor_head=old[9].head, predecessor_lost=lost)]
    )
    store.add(on_box(new), AT)
    assert store.receipts(BOX, ["e1", "e2"])[0].through == 8
    assert store.holdings(BOX)["e1"].holes() == [(9, 10)]
    assert store.add(on_box(old[8:]), AT).findings == 0
    assert store.receipts(BOX, ["e1"])[0].through == 10
    assert store.holdings(BOX)["e1"].holes() == []
    store.close()
    with contextlib.closing(Store(tmp_path / "desk.db")) as again:
        assert again.receipts(BOX, ["e1", "e2"]) == (
            EpochReceipt(epoch="e1", through=10),
            EpochReceipt(epoch="e2", through=1),
        )
    with reading(tmp_path / "desk.db") as look:
        assert [event["epoch"] for event in look.history(BOX)] == ["e1"] * 6 + ["e2"]
        assert [epoch["closed"] for epoch in look.epochs(BOX)] == [True, False]


def test_a_new_epoch_on_another_history_is_found(store: Store) -> None:
    old = chain("e1", numbers(2))
    new = chain("e2", [start(predecessor="e1", predecessor_last=2, predecessor_head="a" * 64)])
    assert store.add(on_box(old + new), AT).findings == 1


def test_epochs_are_ordered_by_their_predecessors_however_they_came() -> None:
    epochs = {"c": Holding(predecessor="b"), "a": Holding(), "b": Holding(predecessor="a")}
    assert in_order(epochs) == ["a", "b", "c"]
    assert set(in_order({"x": Holding(predecessor="y"), "y": Holding(predecessor="x")})) == {"x", "y"}


def test_unknown_types_are_kept_as_they_came(store: Store, tmp_path: Path) -> None:
    body = '{"type":"lift.stuck.v9","floor":-1,"说":"电梯"}'.encode()
    store.add(on_box(chain("e1", [body])), AT)
    with contextlib.closing(sqlite3.connect(tmp_path / "desk.db", isolation_level=None)) as db:
        assert db.execute("SELECT type, body FROM event").fetchall() == [("lift.stuck.v9", body)]


def birth(session: int, **named: Any) -> Birth:
    return Birth(box=BOX, session=session, **{"online": True, "challenge": f"c{session}", **named})


def test_a_will_that_overtakes_the_next_birth_is_old_news(store: Store) -> None:
    assert store.hear(birth(1), AT)
    assert store.hear(birth(2), AT)
    assert not store.hear(birth(1, online=False), AT)
    assert not store.hear(birth(1), AT)
    assert store.births() == [(birth(2), AT)]
    assert store.hear(birth(2, online=False), AT)
    assert not store.births()[0][0].online
    assert not store.hear(msgspec.structs.replace(birth(1, online=False), box="never heard of"), AT)


def test_a_store_that_cannot_be_opened_is_told(tmp_path: Path) -> None:
    (tmp_path / "desk.db").write_bytes(b"this is no database" * 100)
    with pytest.raises(StoreDown) as caught:
        Store(tmp_path / "desk.db")
    assert caught.value.mend
    with pytest.raises(StoreDown), reading(tmp_path / "none.db"):
        pass


def test_a_batch_that_fails_leaves_nothing_half_done(store: Store, tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "desk.db", isolation_level=None)) as other:
        other.execute(
            "CREATE TRIGGER full BEFORE INSERT ON event WHEN NEW.seq=3 BEGIN SELECT RAISE(ABORT, 'full'); END"
        )
    events = chain("e1", numbers(5))
    with pytest.raises(StoreDown):
        store.add(on_box(events), AT)
    assert store.receipts(BOX, ["e1"])[0].through == 0
    with contextlib.closing(sqlite3.connect(tmp_path / "desk.db", isolation_level=None)) as other:
        other.execute("DROP TRIGGER full")
    assert store.add(on_box(events), AT).stored == 5


@given(st.binary(max_size=200))
def test_no_payload_raises_anything_but_unreadable(data: bytes) -> None:
    for read in (
        lambda: read_event(data, BOX),
        lambda: read_birth(data, BOX),
        lambda: read_state(data, BOX),
        lambda: read_reply(data),
    ):
        with pytest.raises(Unreadable):
            read()


@pytest.mark.parametrize(
    "change", [{"id": "other/e1/1"}, {"seq": 2}, {"seq": 0}, {"epoch": ""}, {"head": "short"}, {"type": ""}]
)
def test_an_event_under_another_name_than_its_topics(change: dict[str, Any]) -> None:
    (event,) = chain("e1", numbers(1))
    assert read_event(msgspec.json.encode(event), BOX) == event
    with pytest.raises(Unreadable):
        read_event(msgspec.json.encode(msgspec.structs.replace(event, **change)), BOX)


KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)


def closing(epoch: str, through: int, head: str, key: Ed25519PrivateKey = KEY, signed_for: str = BOX) -> bytes:
    told = JournalClosed(
        epoch=epoch,
        through=through,
        head=head,
        key=public(key),
        signature=signature(signed_for, epoch, through, head, key),
    )
    return msgspec.json.encode(told)


def test_what_a_box_closed_cannot_come_any_more(tmp_path: Path) -> None:
    """A desk that was restored from an older copy lacks events that the box has let go of since."""
    before = chain("e1", numbers(20))
    events = chain("e1", [*numbers(20), closing("e1", 15, before[14].head)])
    expected = (EpochReceipt(epoch="e1", through=15, ranges=((19, 21),)),)
    with contextlib.closing(Store(tmp_path / "desk.db", lambda _box: public(KEY))) as store:
        assert store.add(on_box(events[:5] + events[9:12] + events[18:]), AT).findings == 0
        assert store.receipts(BOX, ["e1"]) == expected
        assert store.holdings(BOX)["e1"].holes() == [(16, 18)]
    with contextlib.closing(Store(tmp_path / "desk.db")) as again:
        assert again.receipts(BOX, ["e1"]) == expected
        assert again.add(on_box(events), AT).findings == 0  # they did come after all
        assert again.receipts(BOX, ["e1"]) == (EpochReceipt(epoch="e1", through=21),)


@pytest.mark.parametrize(
    ("through", "head", "key", "signed_for", "detail"),
    [
        (15, "f" * 64, KEY, BOX, "closed e1/15 with"),
        (15, None, Ed25519PrivateKey.from_private_bytes(b"x" * 32), BOX, "not signed with its key"),
        (15, None, KEY, "another box", "not signed with its key"),
    ],
)
def test_a_closing_that_does_not_fit_what_was_told_is_found_and_changes_nothing(
    tmp_path: Path, through: int, head: str | None, key: Ed25519PrivateKey, signed_for: str, detail: str
) -> None:
    before = chain("e1", numbers(20))
    events = chain("e1", [*numbers(20), closing("e1", through, head or before[14].head, key, signed_for)])
    with contextlib.closing(Store(tmp_path / "desk.db", lambda _box: public(KEY))) as store:
        assert store.add(on_box(events[:5] + events[14:]), AT).findings == 1
        assert store.receipts(BOX, ["e1"])[0].through == 5
    with reading(tmp_path / "desk.db") as look:
        (found,) = look.findings()
        assert (found["kind"], found["seq"]) == ("chain", 21)
        assert detail in found["detail"]
