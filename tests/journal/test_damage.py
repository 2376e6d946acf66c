"""A damaged journal never keeps the box from starting, never lies, and keeps what can be kept."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any, NamedTuple

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from gateway.clock import Now
from gateway.errors import AlreadyUsed, JournalDown
from gateway.journal import opening, pages, quarantine, tables
from gateway.journal.events import EpochStarted, JournalGap
from gateway.journal.file import JournalFile
from gateway.journal.rows import Position, Row
from gateway.journal.verify import verify_file
from tests.journal.samples import (
    START,
    Ordered,
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


class Sample(NamedTuple):
    folder: Path
    rows: list[Row]
    mark: Position

    def __repr__(self) -> str:
        return f"Sample({self.folder.name})"

    def copy(self, target: Path) -> Path:
        shutil.rmtree(target, ignore_errors=True)
        shutil.copytree(self.folder, target)
        return target


async def _history(folder: Path, end: Path, *, clean: bool) -> Sample:
    async with running(journal_at(folder)) as journal:
        for n in range(150):
            journal.note(Passed(n=n))
        await settled(journal)
        await journal.record(Ordered(n=1000), once="used once", expires="2030-01-01T00:00:00+00:00")
        await journal.retain((await journal.read(None, 30))[-1].position, Now(0, 0, START.replace(year=2028)))
    async with running(journal_at(folder, host="another machine")) as journal:  # a second epoch
        for n in range(150, 400):
            journal.note(Passed(n=n, text="x" * (6000 if n % 50 == 0 else 40)))
        await settled(journal)
        mark = (await everything(journal))[200].position
        await journal.set_mark("up", mark)
        for n in range(400, 420):
            await journal.record(Passed(n=n))
        rows = await everything(journal)
        if not clean:
            power_cut(folder, end)
    if clean:
        power_cut(folder, end)
    return Sample(end, rows, mark)


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """In memory: these tests restart a journal hundreds of times, and it is not the disk that they are about."""
    with tempfile.TemporaryDirectory(dir=memory_folder()) as folder:
        yield Path(folder)


@pytest.fixture(scope="module")
def samples(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Sample]:
    folder = tmp_path_factory.mktemp("histories")
    return {
        "closed": asyncio.run(_history(folder / "a", folder / "closed", clean=True)),
        "cut": asyncio.run(_history(folder / "b", folder / "cut", clean=False)),
    }


def _open(folder: Path) -> tuple[list[Row], Position | None, bool, bool]:
    """Start on the damaged file, write on, and return (rows, mark, verified, used)."""

    async def scenario() -> tuple[list[Row], Position | None, bool, bool]:
        async with running(journal_at(folder, host="another machine")) as journal:
            journal.note(Passed(n=9999))
            await settled(journal)
            assert journal.health().state == "ok"
            rows, mark = await everything(journal), await journal.mark("up")
            verified, used = await verified_beside(journal, folder), journal.used("used once")
        async with running(journal_at(folder, host="another machine")) as journal:
            assert await everything(journal) == rows  # the second opening finds nothing to mend
        return rows, mark, verified.ok, used

    return asyncio.run(scenario())


def _honest(sample: Sample, rows: list[Row], verified: bool, *, log_was_cut: bool) -> None:
    """No event under an old id differs from what it was; what is missing is told."""
    before = {row.position: row for row in sample.rows}
    assert len({row.position for row in rows}) == len(rows)
    assert numbers(rows)[-2:] == [9999, -1]
    if rows[-1].epoch in {row.epoch for row in sample.rows}:
        # Whole, or a log that lost its end: nothing on this disk tells that from a younger one. The platform can.
        assert log_was_cut or rows[: len(sample.rows)] == sample.rows
        assert rows[:-2] == sample.rows[: len(rows) - 2]
        return
    kept = [row for row in rows if row.position in before]
    for row in kept:
        old = before[row.position]
        assert row == old or (row.head == old.head and row.body is None)
    missing = before.keys() - {row.position for row in kept}
    if not missing:
        return
    (gap,) = bodies(rows, JournalGap)
    (*_older, started) = bodies(rows, EpochStarted)
    assert started["reason"] == "quarantined"
    told = gap["lost"]
    assert isinstance(told, list)
    for position in missing:
        beyond = position.epoch == gap["epoch"] and position.seq > int(str(gap["last"]))
        assert (
            beyond
            or any(hole["epoch"] == position.epoch and hole["first"] <= position.seq <= hole["last"] for hole in told)
            or position.epoch not in {row.epoch for row in kept}
        )


@pytest.mark.parametrize("state", ["closed", "cut"])
@settings(max_examples=40, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1), boundary=st.booleans(), log=st.booleans())
@example(at=0.0, boundary=True, log=False)
@example(at=0.0, boundary=True, log=True)
def test_truncated_anywhere(
    samples: dict[str, Sample], tmp_path: Path, state: str, at: float, boundary: bool, log: bool
) -> None:
    sample = samples[state]
    folder = sample.copy(tmp_path / "box")
    path = folder / "journal.db"
    victim = tables.wal(path) if log and tables.wal(path).exists() else path
    length = int(victim.stat().st_size * at)
    with victim.open("r+b") as file:
        file.truncate(length // tables.PAGE * tables.PAGE if boundary else length)
    rows, _mark, verified, _used = _open(folder)
    _honest(sample, rows, verified, log_was_cut=victim != path)


@pytest.mark.parametrize("state", ["closed", "cut"])
@settings(max_examples=80, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(at=st.floats(0, 1), noise=st.binary(min_size=1, max_size=9000), log=st.booleans())
@example(at=0.0, noise=b"\xa5" * 100, log=False)
@example(at=0.0, noise=b"\xa5" * 9000, log=False)
@example(at=0.0, noise=b"\xa5" * 40, log=True)
@example(at=0.5, noise=b"\x00" * 9000, log=True)
def test_noise_anywhere(
    samples: dict[str, Sample], tmp_path: Path, state: str, at: float, noise: bytes, log: bool
) -> None:
    sample = samples[state]
    folder = sample.copy(tmp_path / "box")
    path = folder / "journal.db"
    victim = tables.wal(path) if log and tables.wal(path).exists() else path
    with victim.open("r+b") as file:
        file.seek(int((victim.stat().st_size - len(noise)) * at) if victim.stat().st_size > len(noise) else 0)
        file.write(noise)
    rows, _mark, verified, _used = _open(folder)
    _honest(sample, rows, verified, log_was_cut=victim != path)


def test_a_destroyed_first_page_loses_nothing_else(samples: dict[str, Sample], tmp_path: Path) -> None:
    sample = samples["closed"]
    folder = sample.copy(tmp_path / "box")
    with (folder / "journal.db").open("r+b") as file:
        file.write(b"\xff" * tables.PAGE)
    rows, mark, verified, used = _open(folder)
    assert verified
    assert used
    assert mark == sample.mark
    assert [row for row in rows if row.epoch != rows[-1].epoch] == sample.rows
    (gap,) = bodies(rows, JournalGap)
    assert (gap["last"], gap["lost"], gap["marks_kept"]) == (sample.rows[-1].seq, [], True)
    assert (folder / str(gap["aside"])).exists()


def test_a_file_of_zeros_still_names_the_epoch_it_broke_off(samples: dict[str, Sample], tmp_path: Path) -> None:
    sample = samples["closed"]
    folder = sample.copy(tmp_path / "box")
    (folder / "journal.db").write_bytes(bytes(100_000))
    rows, mark, verified, used = _open(folder)
    (gap,) = bodies(rows, JournalGap)
    assert (verified, used, mark) == (True, False, None)
    assert (gap["epoch"], gap["last"], gap["marks_kept"]) == (sample.rows[-1].epoch, 0, False)


@pytest.mark.parametrize("gone", ["journal.db", "journal.db-wal"])
def test_a_file_that_vanished_is_noticed(samples: dict[str, Sample], tmp_path: Path, gone: str) -> None:
    sample = samples["cut"]
    folder = sample.copy(tmp_path / "box")
    (folder / gone).unlink()
    rows, _mark, verified, _used = _open(folder)
    assert verified
    assert len(bodies(rows, JournalGap)) == 1


def test_the_old_epoch_is_closed_in_the_first_event_of_the_new(samples: dict[str, Sample], tmp_path: Path) -> None:
    sample = samples["closed"]
    folder = sample.copy(tmp_path / "box")
    data = bytearray((folder / "journal.db").read_bytes())
    victim = data.index(b'"n":300,')
    page = victim // tables.PAGE * tables.PAGE
    data[page : page + tables.PAGE] = bytes(tables.PAGE)
    (folder / "journal.db").write_bytes(data)
    rows, mark, verified, _used = _open(folder)
    assert verified
    assert mark == sample.mark
    started = bodies(rows, EpochStarted)[-1]
    old = sample.rows[-1]
    assert (started["predecessor"], started["predecessor_last"], started["predecessor_head"]) == (
        old.epoch,
        old.seq,
        old.head,
    )
    holes = started["predecessor_lost"]
    assert isinstance(holes, list)
    (hole,) = holes
    kept = {row.seq for row in rows if row.epoch == old.epoch}
    assert kept == set(range(1, old.seq + 1)) - set(range(hole["first"], hole["last"] + 1))


@pytest.mark.parametrize("step", ["announced", "renamed", "built"])
def test_an_interrupted_quarantine_is_finished(samples: dict[str, Sample], tmp_path: Path, step: str) -> None:
    sample = samples["cut"]
    folder = sample.copy(tmp_path / "box")
    path = folder / "journal.db"
    witness = opening.witness_of(path)
    assert witness
    announced = opening.Witness(
        epoch=witness.epoch, number=witness.number, box=witness.box, aside="journal.damaged-x.db", damage="a test"
    )
    opening.write_witness(path, announced)
    if step == "renamed":
        path.rename(folder / announced.aside)
        (folder / "journal.db.new").write_bytes(b"half")
    if step == "built":
        quarantine.carry_out(path)
        opening.write_witness(path, announced)
    rows, mark, verified, used = _open(folder)
    assert (verified, mark, used) == (True, sample.mark, True)
    assert [row for row in rows if row.epoch != rows[-1].epoch] == sample.rows
    assert len(bodies(rows, JournalGap)) == 1


def test_damage_that_shows_while_running_is_set_aside_then(
    samples: dict[str, Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    sample = samples["closed"]
    folder = sample.copy(tmp_path / "box")
    malformed = sqlite3.DatabaseError("database disk image is malformed")
    malformed.sqlite_errorcode, malformed.sqlite_errorname = sqlite3.SQLITE_CORRUPT, "SQLITE_CORRUPT"
    commit, failures = JournalFile.commit, [malformed]

    async def failing(self: JournalFile, *arguments: Any) -> None:
        if failures:
            raise failures.pop()
        await commit(self, *arguments)

    async def scenario() -> None:
        async with running(journal_at(folder, host="another machine")) as journal:
            await settled(journal)
            assert journal.head
            epoch = journal.head.epoch
            monkeypatch.setattr(JournalFile, "commit", failing)
            position = await journal.record(Passed(n=1))
            assert position.epoch != epoch
            rows = await everything(journal)
            assert len(bodies(rows, JournalGap)) == 1
            assert numbers(rows)[-2:] == [-1, 1]
            assert rows[: len(sample.rows)] == sample.rows

    asyncio.run(scenario())


def test_a_damaged_row_in_the_middle_is_found_by_its_reader_and_not_told(
    samples: dict[str, Sample], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(opening, "TAIL", 20)  # as if the file were long
    sample = samples["closed"]
    folder = sample.copy(tmp_path / "box")
    with closing(sqlite3.connect(folder / "journal.db")) as forger, forger:
        (where, body), *_ = forger.execute(
            "SELECT place, body FROM event WHERE instr(body, ?)", (b'"n":200,',)
        ).fetchall()
        forger.execute("UPDATE event SET body = ? WHERE place = ?", (body.replace(b"200", b"201"), where))

    async def scenario() -> None:
        async with running(journal_at(folder, host="another machine")) as journal:
            assert journal.head
            old = journal.head.epoch
            with pytest.raises(JournalDown):
                await everything(journal)
            async with asyncio.timeout(10):
                while journal.head.epoch == old:
                    await journal.wait_beyond(journal.head)
            rows = await everything(journal)
            assert len(bodies(rows, JournalGap)) == 1
            told = [row for row in rows if row.epoch != journal.head.epoch]
            assert [(row.position, row.head) for row in told] == [(row.position, row.head) for row in sample.rows]
            assert sum(row.body != before.body for row, before in zip(told, sample.rows, strict=True)) == 1

    asyncio.run(scenario())


def test_a_used_id_stays_used_through_a_quarantine(samples: dict[str, Sample], tmp_path: Path) -> None:
    folder = samples["closed"].copy(tmp_path / "box")
    with (folder / "journal.db").open("r+b") as file:
        file.write(b"\xff" * tables.PAGE)

    async def scenario() -> None:
        async with running(journal_at(folder, host="another machine")) as journal:
            with pytest.raises(AlreadyUsed):
                await journal.record(Ordered(n=1), once="used once")

    asyncio.run(scenario())


def test_a_changed_row_is_found_by_verify_in_words(samples: dict[str, Sample], tmp_path: Path) -> None:
    sample = samples["closed"]
    folder = sample.copy(tmp_path / "box")
    with closing(sqlite3.connect(folder / "journal.db")) as forger, forger:
        (where, body), *_ = forger.execute(
            "SELECT place, body FROM event WHERE instr(body, ?)", (b'"n":200,',)
        ).fetchall()
        forger.execute("UPDATE event SET body = ? WHERE place = ?", (body.replace(b"200", b"201"), where))
        forger.execute("UPDATE event SET at = at + 1 WHERE place = ?", (where + 10,))
        forger.execute("DELETE FROM event WHERE place = ?", (where + 20,))

    result = verify_file(folder / "journal.db")
    seq = where & (1 << 40) - 1
    assert [fault.render().split("/", 1)[1] for fault in result.faults] == [
        f"{seq}: the body does not match its hash: it was changed",
        f"{seq + 10}: the header is not as it was written",
        f"{seq + 20}: rows {seq + 20} to {seq + 20} are missing",
    ]
    rows, mark, verified, _used = _open(folder)
    assert (verified, mark) == (True, sample.mark)
    (gap,) = bodies(rows, JournalGap)
    holes = gap["lost"]
    assert isinstance(holes, list)
    assert [(hole["first"], hole["last"]) for hole in holes] == [(seq + 10, seq + 10), (seq + 20, seq + 20)]
    (changed,) = [row for row in rows if row.epoch == gap["epoch"] and row.seq == seq]
    assert changed.body is None


@pytest.mark.parametrize("size", [pages.PAGE, pages.FIRST])
def test_pages_are_found_in_a_file_that_lost_its_beginning_whatever_their_size(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, size: int
) -> None:
    """The first releases made files of larger pages; both go on, and both are salvaged."""

    async def before() -> list[Row]:
        async with running(journal_at(tmp_path)) as journal:
            for n in range(500):
                journal.note(Passed(n=n, text="x" * (4000 if n % 50 == 0 else 40)))
            await settled(journal)
            return await everything(journal)

    async def after(rows: list[Row]) -> None:
        async with running(journal_at(tmp_path)) as journal:
            found = await everything(journal)
            assert found[: len(rows)] == rows
            (gap,) = bodies(found, JournalGap)
            assert gap["lost"] == []

    with monkeypatch.context() as then:
        older = tuple(line.replace(f"= {pages.PAGE}", f"= {size}") for line in tables.WRITER_PRAGMAS)
        then.setattr(tables, "WRITER_PRAGMAS", older)
        rows = asyncio.run(before())
    path = tmp_path / "journal.db"
    with path.open("r+b") as file:
        assert pages.size_of(file.read(100)) == size
        file.seek(0)
        file.write(b"\xff" * size)
    asyncio.run(after(rows))
