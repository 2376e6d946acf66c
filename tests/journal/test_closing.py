"""Headers go when the box has signed what they ended in, and nothing else; cut off anywhere, it is taken up again."""

from __future__ import annotations

import asyncio
import sqlite3
import tempfile
from collections.abc import Awaitable, Callable, Iterator
from contextlib import closing as closed_after
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.clock import Now
from gateway.errors import IdentityError
from gateway.journal import closing, opening, tables
from gateway.journal.events import JournalClosed, JournalGap
from gateway.journal.file import JournalFile
from gateway.journal.rows import Position, Row
from gateway.journal.statement import is_signed, public
from gateway.journal.store import Journal
from gateway.journal.verify import verify_file
from gateway.uplink.places import Places
from gateway.uplink.receipts import EpochReceipt, Place, Receipt, judge, received
from gateway.uplink.receipts import held as named
from tests.journal.samples import (
    BOX,
    START,
    Passed,
    bodies,
    everything,
    journal_at,
    memory_folder,
    numbers,
    power_cut,
    running,
    settled,
    verified_beside,
)

KEY = Ed25519PrivateKey.from_private_bytes(b"k" * 32)
SHIPPED = closing.STAY
LATER = Now(0, 0, START + timedelta(days=300))


@pytest.fixture(autouse=True)
def small(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(closing, "CLOSE_AT", 100)
    monkeypatch.setattr(closing, "STAY", 20)
    monkeypatch.setattr(closing, "SLICE", 40)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In memory: thousands of syncs, and it is not the disk that these are about."""
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        yield Path(folder)


def signing(folder: Path, *, host: str = "this machine", keep_days: int = 180) -> Journal:
    return journal_at(folder, host=host, key=lambda: KEY, keep_days=keep_days)


async def filled(journal: Journal, count: int) -> list[Row]:
    for n in range(count):
        journal.note(Passed(n=n))
    await settled(journal)
    return await everything(journal)


def test_what_was_received_and_is_old_goes_whole_and_the_rest_fits_the_statement(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(signing(tmp_path)) as journal:
            rows = await filled(journal, 300)
            assert await journal.retain(rows[199].position, LATER) == 200
            left = await everything(journal)
            assert left[0].seq == 201
            (told,) = bodies(left, JournalClosed)
            assert (told["through"], told["head"], told["key"]) == (200, rows[199].head, public(KEY))
            assert is_signed(BOX, rows[0].epoch, 200, rows[199].head, public(KEY), str(told["signature"]))
            verification = await journal.verify()
            assert (verification.ok, verification.closed, verification.rows) == (True, 200, len(left))
            assert await journal.retain(rows[199].position, LATER) == 0  # nothing more to close: nothing is told
            assert len(bodies(await everything(journal), JournalClosed)) == 1
        async with running(signing(tmp_path)) as journal:
            assert await everything(journal) == left
            assert (await journal.epochs())[0].first == 201

    asyncio.run(scenario())


def test_nothing_goes_that_was_not_received_is_young_or_too_little_to_be_worth_it(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(signing(tmp_path)) as journal:
            rows = await filled(journal, 300)
            for received, now in ((None, LATER), (rows[90].position, LATER), (rows[-1].position, Now(0, 0, START))):
                await journal.retain(received, now)
                assert (await everything(journal))[0].seq == 1
            await journal.retain(journal.head, LATER)
            left = await everything(journal)
            assert left[0].seq == rows[-1].seq - 20 + 1  # the newest stay
            assert (await journal.verify()).ok

    asyncio.run(scenario())


def _no_key() -> Ed25519PrivateKey:
    raise IdentityError("gone")


@pytest.mark.parametrize("key", [None, _no_key])
def test_without_a_key_headers_stay(tmp_path: Path, key: closing.Key | None) -> None:
    async def scenario() -> None:
        async with running(journal_at(tmp_path, key=key)) as journal:
            rows = await filled(journal, 300)
            assert await journal.retain(rows[199].position, LATER) == 200
            assert [row.seq for row in await everything(journal)] == [row.seq for row in rows]
            assert (await journal.verify()).ok

    asyncio.run(scenario())


def test_a_power_cut_at_any_step_is_taken_up_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The disk after each durable step of one closing, started again from each."""
    cuts: list[Path] = []

    def cut_after(call: Callable[..., Awaitable[Any]]) -> Callable[..., Awaitable[Any]]:
        async def wrapped(*arguments: Any, **named_: Any) -> Any:
            result = await call(*arguments, **named_)
            cuts.append(power_cut(tmp_path / "box", tmp_path / f"cut{len(cuts)}"))
            return result

        return wrapped

    async def close() -> list[Row]:
        async with running(signing(tmp_path / "box")) as journal:
            rows = await filled(journal, 300)
            with monkeypatch.context() as spied:
                for name in ("commit", "drop_headers"):
                    spied.setattr(JournalFile, name, cut_after(getattr(JournalFile, name)))
                await journal.retain(rows[199].position, LATER)
        return rows

    async def go_on(folder: Path, rows: list[Row]) -> None:
        async with running(signing(folder)) as journal:
            found = await everything(journal)
            assert [row.seq for row in found] == list(range(found[0].seq, found[-1].seq + 1))
            assert (await verified_beside(journal, folder)).ok
            assert len(await journal.epochs()) == 1
            known = {row.position: row.head for row in rows}
            assert all(row.head == known.get(row.position, row.head) for row in found)
            await journal.retain(rows[199].position, LATER)
            left = await everything(journal)
            assert left[0].seq == 201
            assert (await verified_beside(journal, folder)).ok

    rows = asyncio.run(close())
    assert len(cuts) >= 8  # bodies, the event, the statement, five slices of headers
    for folder in cuts:
        asyncio.run(go_on(folder, rows))


def test_an_older_epoch_is_closed_but_for_its_last_row_and_receipts_still_fit(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(signing(tmp_path)) as journal:
            older = (await filled(journal, 60))[-1]
        async with running(signing(tmp_path, host="another machine")) as journal:
            await filled(journal, 200)
            received_ = Position(journal.head.epoch, 150) if journal.head else None
            await journal.retain(received_, LATER)
            left = await everything(journal)
            assert left[0] == older.__class__(**{**_fields(older), "body": None})
            assert left[1].seq == 151
            assert (await journal.verify()).ok
            _receipts_fit(await journal.epochs(), journal.head)
        async with running(signing(tmp_path, host="a third machine")) as journal:
            assert (await journal.verify()).ok

    asyncio.run(scenario())


def _fields(row: Row) -> dict[str, Any]:
    return {name: getattr(row, name) for name in row.__struct_fields__}


def _receipts_fit(epochs: list[Any], head: Position | None) -> None:
    """A receiver that holds all of both epochs is believed after a restart, and the mark goes to the end."""
    places = Places()
    places.update(epochs)
    spans = places.spans(head)
    told = tuple(EpochReceipt(epoch=span.id, through=span.last) for span in spans)
    receipt = Receipt(epoch=spans[-1].id, epochs=told)
    assert judge(receipt, spans, {span.number: span.last for span in spans}) is None
    assert received(named(receipt, spans), spans, None) == Place(spans[-1].number, spans[-1].last)


def test_verify_finds_a_forged_statement_another_key_and_a_changed_beginning(tmp_path: Path) -> None:
    async def scenario() -> Row:
        async with running(signing(tmp_path)) as journal:
            rows = await filled(journal, 300)
            await journal.retain(rows[199].position, LATER)
        return rows[199]

    last = asyncio.run(scenario())
    path = tmp_path / "journal.db"
    assert verify_file(path, key=public(KEY)).ok
    (fault,) = verify_file(path, key="another").faults[:1]
    assert fault.render() == f"{last.epoch}/200: another key than this box's closed the rows up to here"
    with closed_after(sqlite3.connect(path)) as forger, forger:
        forger.execute("UPDATE closed SET last = last + 1")
    assert "is not signed" in verify_file(path).faults[0].render()
    with closed_after(sqlite3.connect(path)) as forger, forger:
        forger.execute("UPDATE closed SET last = last - 1")
        forger.execute("UPDATE bare SET previous = x'00' WHERE place = (SELECT min(place) FROM bare)")
        forger.execute("UPDATE event SET previous = zeroblob(32) WHERE place = (SELECT min(place) FROM event)")
    assert not verify_file(path).ok


def test_a_damaged_file_loses_neither_the_statement_nor_what_it_covers(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(signing(tmp_path)) as journal:
            rows = await filled(journal, 300)
            await journal.retain(rows[199].position, LATER)
            left = await everything(journal)
        with (tmp_path / "journal.db").open("r+b") as file:
            file.write(b"\xff" * tables.PAGE)
        async with running(signing(tmp_path)) as journal:
            found = await everything(journal)
            assert found[: len(left)] == left
            (gap,) = bodies(found, JournalGap)
            assert gap["lost"] == []
            verification = await journal.verify()
            assert (verification.ok, verification.closed) == (True, 200)

    asyncio.run(scenario())


def test_a_file_of_the_first_version_grows_and_is_closed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def first() -> list[Row]:
        async with running(journal_at(tmp_path)) as journal:
            return await filled(journal, 300)

    async def now(rows: list[Row]) -> None:
        async with running(signing(tmp_path)) as journal:
            assert await everything(journal) == rows
            await journal.retain(rows[199].position, LATER)
            assert (await everything(journal))[0].seq == 201
            assert (await journal.verify()).ok

    with monkeypatch.context() as release_before:
        release_before.setattr(tables, "VERSION", 1)
        rows = asyncio.run(first())
    with closed_after(sqlite3.connect(tmp_path / "journal.db")) as file:
        assert file.execute("PRAGMA user_version").fetchone() == (1,)
    assert verify_file(tmp_path / "journal.db").ok
    asyncio.run(now(rows))


def test_ten_years_of_a_box_are_no_larger_than_one(tmp_path: Path) -> None:
    """Every day's events received, bodies kept for 30 days; the file after each year."""

    async def scenario() -> list[int]:
        sizes = []
        async with running(signing(tmp_path, keep_days=30)) as journal:
            clock = journal._clock
            for day in range(0, 3650, 5):
                for n in range(44):
                    journal.note(Passed(n=day * 100 + n, text="x" * 200))
                await settled(journal)
                clock.wall += timedelta(days=5)  # type: ignore[attr-defined]
                await journal.retain(journal.head, clock.now())
                if day % 365 == 0 and day:
                    sizes.append((tmp_path / "journal.db").stat().st_size)
            left = await everything(journal)
            assert len(left) < 9 * 40 + closing.CLOSE_AT + closing.STAY
            assert numbers(left)[-2:] == [3645 * 100 + 43, -1]
            assert (await journal.verify()).ok
        return sizes

    sizes = asyncio.run(scenario())
    print(f"after each of ten years, of 9 events a day with 30 days kept: {[size // 1024 for size in sizes]} KB")
    assert max(sizes) < 1.3 * sizes[0]


def test_what_stays_is_as_much_as_an_opening_looks_at() -> None:
    assert SHIPPED >= opening.TAIL
