"""What is damaged is set aside, the last good copy is used with later revocations applied, and it is said."""

from __future__ import annotations

import random
import sqlite3
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.directory import events
from gateway.directory.people import Changes
from gateway.errors import DirectoryDown
from tests.directory.house import CLERK, NAMES, SetClock, embedding, opened, run
from tests.directory.late_thread import LATE_THREAD


def noise(path: Path, at: float, length: int = 4096, seed: int = 1) -> None:
    """Overwrite `length` bytes at the share `at` of the file."""
    data = bytearray(path.read_bytes())
    start = int(len(data) * at)
    data[start : start + length] = random.Random(seed).randbytes(min(length, len(data) - start))
    path.write_bytes(data)


async def filled(folder: Path, clock: SetClock | None = None) -> list[str]:
    """A directory of everybody in NAMES, copied, closed."""
    async with opened(folder, clock) as house:
        people = []
        for seed, name in enumerate(NAMES):
            people.append(await house.add(name))
            await house.enrol(people[-1], seed)
        await house.directory.copy()
        return people


def test_a_damaged_directory_is_replaced_by_its_last_copy_and_told(tmp_path: Path) -> None:
    async def scenario() -> None:
        people = await filled(tmp_path)
        async with opened(tmp_path) as house:
            await house.people.forget(people[:1], CLERK)
            await house.people.change(people[1], Changes(active=False), CLERK)
            await house.faces.remove(people[2], (), CLERK)
            await house.faces.withdraw_consent(people[3], CLERK)
        noise(tmp_path / "directory.db", 0, 100)
        async with opened(tmp_path) as house:
            health = house.directory.health()
            assert health.state == "degraded"
            assert "copy of 2026-11-24" in health.problems[0].render()
            [told] = house.told(events.DirectoryRestored)
            assert isinstance(told, events.DirectoryRestored)
            assert (told.people, told.revoked) == (len(NAMES) - 1, 5)
            assert (tmp_path / told.set_aside).exists()
            assert house.directory.snapshot.person(people[0]) is None
            gallery = dict(await house.directory.templates("main", "onnx"))
            assert gallery == {people[seed]: embedding(seed) for seed in range(4, len(NAMES))}
            assert (await house.people.get(people[4])).name == NAMES[4]
        async with opened(tmp_path) as house:
            assert house.directory.health().state == "ok"

    run(scenario())


def test_a_lost_directory_is_a_damaged_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        await filled(tmp_path)
        for lose in ("unlink", "empty"):
            path = tmp_path / "directory.db"
            path.unlink() if lose == "unlink" else path.write_bytes(b"")
            async with opened(tmp_path) as house:
                assert len(house.directory.snapshot.people) == len(NAMES)
                assert house.directory.health().state == "degraded"

    run(scenario())


def test_without_a_copy_nobody_is_recognised_and_the_box_goes_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        await filled(tmp_path)
        for copy in (tmp_path / "copies").iterdir():
            copy.unlink()
        noise(tmp_path / "directory.db", 0, 100)
        async with opened(tmp_path) as house:
            health = house.directory.health()
            assert (health.state, health.people) == ("down", 0)
            assert house.told(events.DirectoryRestored)
            person = await house.add("新来的")
            assert house.directory.snapshot.person(person) is not None

    run(scenario())


def test_a_flipped_bit_in_a_right_is_seen_although_sqlite_sees_nothing(tmp_path: Path) -> None:
    async def scenario() -> None:
        people = await filled(tmp_path)
        connection = sqlite3.connect(tmp_path / "directory.db")
        connection.execute("""UPDATE persons SET doors = '["*"]' WHERE id = ?""", (people[0],))
        connection.commit()
        assert connection.execute("PRAGMA quick_check").fetchone() == ("ok",)
        connection.close()
        async with opened(tmp_path) as house:
            rights = house.directory.snapshot.person(people[0])
            assert rights is not None
            assert rights.doors == {"main"}
            assert house.directory.health().state == "degraded"

    run(scenario())


def test_a_damaged_copy_gives_way_to_the_one_before(tmp_path: Path) -> None:
    async def scenario() -> None:
        people = await filled(tmp_path)
        async with opened(tmp_path) as house:
            await house.add("后来的")
            await house.directory.copy()
        newest = max((tmp_path / "copies").iterdir())
        connection = sqlite3.connect(newest)
        connection.execute("UPDATE persons SET version = version + 1")  # well-formed, and not what was written
        connection.commit()
        connection.close()
        noise(tmp_path / "directory.db", 0, 100)
        async with opened(tmp_path) as house:
            assert set(house.directory.snapshot.people) == set(people)
            assert house.directory.health().state == "degraded"

    run(scenario())


def test_keys_are_saved_out_of_a_damaged_file_and_the_forgotten_are_not(tmp_path: Path) -> None:
    async def scenario() -> None:
        people = await filled(tmp_path)
        async with opened(tmp_path) as house:
            await house.people.forget(people[:1], CLERK)
        noise(tmp_path / "keys" / "keys.db", 0, 100)
        async with opened(tmp_path) as house:
            assert house.directory.health().unreadable == 0
            assert [(await house.people.get(person)).name for person in people[1:]] == list(NAMES[1:])
            assert people[0] in house.directory.keys.forgotten
            [told] = house.told(events.DirectoryKeysDamaged)
            assert isinstance(told, events.DirectoryKeysDamaged)
            assert (told.saved, told.unreadable) == (len(NAMES) - 1, 0)
        assert sorted(path.name for path in (tmp_path / "keys").iterdir()) == ["box.key", "keys.db"]

    run(scenario())


def test_lost_keys_are_said_and_rights_go_on(tmp_path: Path) -> None:
    async def scenario() -> None:
        people = await filled(tmp_path)
        (tmp_path / "keys" / "keys.db").unlink()
        async with opened(tmp_path) as house:
            health = house.directory.health()
            assert (health.state, health.unreadable, health.people) == ("degraded", len(NAMES), len(NAMES))
            person = await house.people.get(people[0])
            assert (person.name, person.readable) == ("", False)
            with pytest.raises(DirectoryDown):
                await house.people.change(people[0], Changes(name="王"), CLERK)
            await house.people.change(people[0], Changes(active=False), CLERK)
            assert await house.directory.templates("main", "onnx") == []
            await house.people.forget(people, CLERK)
            assert house.directory.snapshot.people == {}

    run(scenario())


def test_a_lost_box_key_is_not_replaced_by_a_new_one(tmp_path: Path) -> None:
    async def scenario() -> None:
        people = await filled(tmp_path)
        key = (tmp_path / "keys" / "box.key").read_bytes()
        (tmp_path / "keys" / "box.key").unlink()
        async with opened(tmp_path) as house:
            assert house.directory.health().state == "down"
            assert "box key" in house.directory.health().problems[0].render()
            with pytest.raises(DirectoryDown):
                await house.add("新来的")
            assert len(house.directory.snapshot.people) == len(NAMES)
        (tmp_path / "keys" / "box.key").write_bytes(key)
        async with opened(tmp_path) as house:
            assert (await house.people.get(people[0])).name == NAMES[0]

    run(scenario())


def test_the_box_key_may_come_as_a_systemd_credential(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "box-key").write_bytes(b"k" * 32)
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(credentials))

    async def scenario() -> None:
        people = await filled(tmp_path / "state")
        assert not (tmp_path / "state" / "keys" / "box.key").exists()
        async with opened(tmp_path / "state") as house:
            assert (await house.people.get(people[0])).name == NAMES[0]

    run(scenario())


def test_a_file_of_a_newer_release_is_read_and_not_touched(tmp_path: Path) -> None:
    async def scenario() -> None:
        people = await filled(tmp_path)
        connection = sqlite3.connect(tmp_path / "directory.db")
        connection.execute("PRAGMA user_version = 99")
        connection.close()
        async with opened(tmp_path) as house:
            assert set(house.directory.snapshot.people) == set(people)
            assert house.directory.health().state == "degraded"
            with pytest.raises(DirectoryDown):
                await house.people.change(people[0], Changes(active=True, name="王"), CLERK)

    run(scenario())


@LATE_THREAD
def test_nothing_at_all_can_be_used_and_start_still_returns(tmp_path: Path) -> None:
    async def scenario() -> None:
        for name in ("directory.db", "revoked.log", "keys"):
            (tmp_path / name).mkdir() if name != "keys" else (tmp_path / name).write_bytes(b"x")
        async with opened(tmp_path) as house:
            assert house.directory.health().state == "down"
            assert house.directory.snapshot.people == {}
            with pytest.raises(DirectoryDown):
                await house.add("王小明")
            with pytest.raises(DirectoryDown):
                await house.directory.templates("main", "onnx")

    run(scenario())


@settings(max_examples=25, deadline=None)
@given(
    st.sampled_from(["directory.db", "keys/keys.db", "revoked.log", "keys/box.key"]),
    st.floats(0, 0.999),
    st.sampled_from([1, 16, 512, 5000]),
    st.integers(0, 1000),
)
def test_noise_anywhere_never_stops_the_start_nor_brings_anybody_back(
    name: str, at: float, length: int, seed: int
) -> None:
    import tempfile

    async def scenario(folder: Path) -> None:
        people = await filled(folder)
        async with opened(folder) as house:
            await house.people.forget(people[:1], CLERK)
            await house.people.change(people[1], Changes(active=False), CLERK)
            await house.people.change(people[2], Changes(doors=("garage",)), CLERK)
        noise(folder / name, at, length, seed)
        async with opened(folder) as house:
            snapshot = house.directory.snapshot
            assert people[0] not in snapshot.people
            suspended = snapshot.person(people[1])
            assert suspended is None or not suspended.active
            moved = snapshot.person(people[2])
            assert moved is None or moved.doors == {"garage"}
            for person, template in await house.directory.templates("main", "onnx"):
                assert template == embedding(people.index(person))

    with tempfile.TemporaryDirectory(prefix="lm-") as folder:
        run(scenario(Path(folder)))
