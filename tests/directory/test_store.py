"""People come, change and go; what access sees of it; what the disk holds of it."""

from __future__ import annotations

import asyncio
import os
import stat
import threading
from datetime import UTC, datetime
from pathlib import Path

import pytest

from gateway.directory import events, store
from gateway.directory.copies import newest_first
from gateway.directory.faces import ConsentGiven
from gateway.directory.people import Changes
from gateway.directory.store import Directory
from gateway.errors import BadRequest, DirectoryDown, NotFound, Refused
from tests.directory.house import CLERK, NAMES, SPACE, SetClock, embedding, files_holding, opened, run
from tests.directory.late_thread import LATE_THREAD


def test_a_person_is_added_found_and_still_there_after_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            person = await house.add("王小明", home="3-2-501", phone="13812345678", valid_until="2026-12-31")
            assert await house.people.find("王小明") == await house.people.find(person[:6]) == person
            assert house.told(events.PersonAdded) == [
                events.PersonAdded(person=person, origin="box", version=1, actor="uid:1000", command_id="c-1")
            ]
        async with opened(tmp_path) as house:
            found = await house.people.get(person)
            assert (found.name, found.home, found.phone) == ("王小明", "3-2-501", "13812345678")
            rights = house.directory.snapshot.person(person)
            assert rights is not None
            assert rights.valid_until == datetime(2026, 12, 31, 16, tzinfo=UTC)  # the day's end in Shanghai
            assert rights.doors == {"main"}
            assert house.directory.health().state == "ok"

    run(scenario())


def test_names_phones_and_faces_are_in_no_file(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            for seed, name in enumerate(NAMES):
                person = await house.add(name, home="3号楼2单元", phone="13812345678")
                await house.faces.record_consent(person, ConsentGiven(guardian="监护人甲"), CLERK)
                await house.enrol(person, seed)
            await house.directory.copy()
            needles = [name.encode() for name in NAMES] + [embedding(seed)[:16] for seed in range(len(NAMES))]
            needles += ["监护人甲".encode(), b"13812345678", "3号楼".encode()]
            assert files_holding(tmp_path, *needles) == []

    run(scenario())


def test_a_forgotten_person_leaves_neither_key_nor_row(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            others = [await house.add(name) for name in NAMES]
            person = await house.add("赵六")
            await house.enrol(person, 1, 2)
            wrapped = house.directory.keys._wrapped[person]
            [(row,)] = await house.directory.read("SELECT name FROM persons WHERE id = ? LIMIT 1", person)
            await house.directory.copy()
            assert "keys/keys.db" in files_holding(tmp_path, wrapped)
            await house.people.forget([person], CLERK)
            assert house.directory.snapshot.person(person) is None
            assert files_holding(tmp_path, wrapped) == []
            assert files_holding(tmp_path, row) == ["copies/" + p.name for p in (tmp_path / "copies").iterdir()]
            assert await house.directory.templates("main", "onnx") == []
            assert house.told(events.PersonForgotten)
            with pytest.raises(NotFound):
                await house.people.get(person)
            assert len(house.directory.snapshot.people) == len(others)

    run(scenario())


def test_a_gallery_holds_who_may_pass_and_consented(tmp_path: Path) -> None:
    async def scenario() -> None:
        clock = SetClock()
        async with opened(tmp_path, clock) as house:
            here = await house.add(NAMES[0])
            everywhere = await house.add(NAMES[1], doors=("*",))
            elsewhere = await house.add(NAMES[2], doors=("garage",))
            expired = await house.add(NAMES[3], valid_until="2026-11-23")
            later = await house.add(NAMES[4], valid_from="2026-11-26")
            suspended = await house.add(NAMES[5])
            unwilling = await house.add(NAMES[6])
            for seed, person in enumerate((here, everywhere, elsewhere, expired, later, suspended, unwilling)):
                await house.enrol(person, seed)
            await house.people.change(suspended, Changes(active=False), CLERK)
            await house.faces.withdraw_consent(unwilling, CLERK)

            async def gallery(door: str) -> dict[str, bytes]:
                return dict(await house.directory.templates(door, "face-recognition"))

            assert await gallery("main") == {here: embedding(0), everywhere: embedding(1)}
            assert await gallery("garage") == {everywhere: embedding(1), elsewhere: embedding(2)}
            assert await house.directory.templates("main", "another-engine") == []
            clock.trusted = False  # dates are not judged by a clock that is not believed
            assert set(await gallery("main")) == {here, everywhere, expired, later}
            clock.trusted = True
            clock.later(days=3)
            assert set(await gallery("main")) == {here, everywhere, later}

    run(scenario())


def test_whoever_waits_hears_of_every_change(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            seen = house.directory.snapshot.generation
            waiting = asyncio.create_task(house.directory.wait_changed(seen))
            person = await house.add()
            assert await waiting > seen
            seen = house.directory.snapshot.generation
            await house.people.change(person, Changes(active=False), CLERK)
            assert await house.directory.wait_changed(seen) > seen

    run(scenario())


def test_what_forbids_is_in_the_list_before_it_is_acknowledged(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            person = await house.add()
            log = tmp_path / "revoked.log"
            assert not log.exists()
            await house.people.change(person, Changes(name="王大明"), CLERK)
            assert not log.exists()
            await house.people.change(person, Changes(active=False), CLERK)
            assert b'"rights"' in log.read_bytes()
            assert "王".encode() not in log.read_bytes()
            changed = house.told(events.PersonChanged)
            assert [(event.fields, event.stricter) for event in changed if isinstance(event, events.PersonChanged)] == [
                (("name",), False),
                (("active",), True),
            ]

    run(scenario())


def test_if_the_list_cannot_be_written_she_is_shut_out_and_nothing_is_acknowledged(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            person = await house.add()
            (tmp_path / "revoked.log").mkdir()
            with pytest.raises(DirectoryDown):
                await house.people.forget([person], CLERK)
            rights = house.directory.snapshot.person(person)
            assert rights is None or not rights.active
            assert house.directory.health().state == "degraded"
            (tmp_path / "revoked.log").rmdir()
            assert await house.people.forget([person], CLERK) == [person]
            assert house.directory.health().state == "ok"

    run(scenario())


def test_a_change_is_carried_to_its_end_when_whoever_ordered_it_goes_away(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            person = await house.add()
            order = asyncio.create_task(house.people.forget([person], CLERK))
            await asyncio.sleep(0)
            order.cancel()
        async with opened(tmp_path) as house:
            assert house.directory.snapshot.people == {}

    run(scenario())


def test_no_face_without_consent_and_a_guardian_for_a_child(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            child = await house.add("王小小", under_14=True)
            with pytest.raises(Refused):
                await house.faces.add(child, SPACE, [(embedding(1), 0.9)], "m", CLERK)
            with pytest.raises(BadRequest):
                await house.faces.record_consent(child, ConsentGiven(), CLERK)
            await house.faces.record_consent(child, ConsentGiven(guardian="王大明"), CLERK)
            assert len(await house.enrol(child, 1)) == 1
            [consent] = await house.faces.consents(child)
            assert (consent.guardian, consent.recorded_by, consent.wording) == ("王大明", "uid:1000", "face-1")
            assert len(consent.wording_sha256) == 64
            assert await house.faces.withdraw_consent(child, CLERK) == 1
            assert await house.faces.lines(child) == []
            assert (await house.faces.consents(child))[0].withdrawn_at is not None

    run(scenario())


def test_a_wording_is_never_changed_under_its_version(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            person = await house.add()
            with pytest.raises(BadRequest):
                await house.faces.record_consent(person, ConsentGiven(wording="ours-1"), CLERK)
            await house.faces.record_consent(person, ConsentGiven(wording="ours-1", text="我同意"), CLERK)
            await house.faces.record_consent(person, ConsentGiven(wording="ours-1"), CLERK)
            with pytest.raises(BadRequest):
                await house.faces.record_consent(person, ConsentGiven(wording="ours-1", text="我很同意"), CLERK)
            with pytest.raises(BadRequest):
                await house.faces.record_consent(person, ConsentGiven(text="别的"), CLERK)

    run(scenario())


def test_two_of_one_name_are_told_apart_by_their_ids(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await house.add("张伟")
            await house.add("张伟")
            with pytest.raises(Refused, match="2"):
                await house.people.find("张伟")
            with pytest.raises(NotFound):
                await house.people.find("无名氏")

    run(scenario())


@LATE_THREAD
def test_a_start_that_is_cancelled_at_any_point_leaves_no_thread_behind(tmp_path: Path) -> None:
    async def scenario(turns: int) -> None:
        directory = Directory(tmp_path, SetClock(), lambda _event: None)
        start = asyncio.create_task(directory.start())
        for _ in range(turns):
            await asyncio.sleep(0.001)
        start.cancel()
        await asyncio.gather(start, return_exceptions=True)
        await directory.close()

    for turns in range(0, 40, 2):
        before = set(threading.enumerate())
        run(scenario(turns))
        for thread in set(threading.enumerate()) - before:
            thread.join(10)  # told to end, and about to
            assert not thread.is_alive(), thread.name


def test_a_second_start_is_a_fresh_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            person = await house.add()
            await house.directory.start()
            assert (await house.people.get(person)).name == NAMES[0]

    run(scenario())


def test_key_files_are_private(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await house.add()
            await house.people.forget([await house.add()], CLERK)
            for name in ("keys/box.key", "keys/keys.db", "directory.db", "revoked.log"):
                assert stat.S_IMODE((tmp_path / name).stat().st_mode) == 0o600, name

    run(scenario())


def test_a_copy_is_made_soon_after_the_start_and_again_only_after_a_change(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A box that restarts more often than hourly had none, and lost everybody with its file."""
    for name, seconds in (("FIRST_COPY", 0.05), ("COPY_EVERY", 0.05), ("LOOK_AT_DATES_EVERY", 0.02)):
        monkeypatch.setattr(store, name, seconds)
    monkeypatch.setattr(store, "COPIED_A_DAY", 10**12)

    def copied() -> int:
        """The newest copy's number; old ones are removed."""
        found = newest_first(tmp_path / "copies")
        return int(found[0].name.split("-")[1]) if found else 0

    async def until(count: int) -> None:
        async with asyncio.timeout(20):
            while copied() < count:  # noqa: ASYNC110  (a thread makes the file)
                await asyncio.sleep(0.02)

    async def scenario() -> None:
        async with opened(tmp_path) as house:
            await house.add("王小明")
            await until(1)
            changes = house.directory.snapshot.generation
            await house.directory.copy()
            count = copied()
            assert house.directory.snapshot.generation == changes
        async with opened(tmp_path) as house:
            for path in tmp_path.glob("directory.db*"):
                os.utime(path, (2**31, 2**31))  # the clock is wrong, or the power took the time along: it says nothing
            for _ in range(20):
                await asyncio.sleep(0.02)  # the keeper's turns
            assert copied() == count
            await house.add("李秀英")
            await until(count + 1)

    run(scenario())
