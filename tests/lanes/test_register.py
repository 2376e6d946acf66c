"""The register of plates: durable, whole or nothing, and never laxer after a mishap than it was."""

from __future__ import annotations

import asyncio
import sqlite3
import threading
from collections.abc import Callable, Collection, Coroutine
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.clock import LoopClock, Now
from gateway.command import Actor, Role
from gateway.errors import BadRequest, NotFound, Refused, RegisterDown
from gateway.journal.event import Event
from gateway.lanes import commands as c
from gateway.lanes import store as store_room
from gateway.lanes.decision import may_pass, may_pass_by_plate
from gateway.lanes.events import VehicleRemoved
from gateway.lanes.listing import Order, Row, packed, parse
from gateway.lanes.plate_answers import Plates
from gateway.lanes.plates import Candidate, Reading
from gateway.lanes.register import Register, Vehicle, meet
from gateway.lanes.store import COPY, FILE, RegisterStore
from tests.virtual_time import run

CLERK = Actor("uid:1000", Role.CLERK, "cli", command_id="c1")
ONE, TWO = "粤B12345", "京A8888学"


PEOPLE = {"林晓": ["a" * 32], "王伟": ["b" * 32, "c" * 32]}


async def who_is_meant(given: Collection[str]) -> dict[str, list[str]]:
    return {one: PEOPLE.get(one, [one] if len(one) == 32 else []) for one in given}


def with_register(
    folder: Path, scenario: Callable[[RegisterStore, Plates, list[Event]], Coroutine[Any, Any, None]]
) -> list[Event]:
    notes: list[Event] = []

    async def played() -> None:
        clock = LoopClock(datetime(2026, 11, 24, tzinfo=UTC))
        store = RegisterStore(folder, clock, notes.append)
        await store.start()
        try:
            lanes = ["gate", "back"]
            await scenario(store, Plates(store, lanes, clock, "Asia/Shanghai", notes.append, who_is_meant), notes)
        finally:
            await store.close()

    asyncio.run(played())
    return notes


def test_what_is_added_is_there_after_a_restart_and_what_is_removed_is_not(tmp_path: Path) -> None:
    async def first(store: RegisterStore, plates: Plates, notes: list[Event]) -> None:
        added = await plates.add(c.AddPlate(plate="粤b·12345", valid_until="2026-12-31"), CLERK)
        assert added.plate == ONE
        assert added.valid_until == datetime(2026, 12, 31, 16, tzinfo=UTC), "the whole day, at home"
        again = await plates.add(c.AddPlate(plate=ONE, lanes=("gate",)), CLERK)
        assert (again.id, again.version) == (added.id, 2)
        await plates.add(c.AddPlate(plate=TWO), CLERK)
        await plates.remove(c.RemovePlate(plate=TWO), CLERK)
        with pytest.raises(NotFound):
            await plates.remove(c.RemovePlate(plate=TWO), CLERK)
        with pytest.raises(NotFound, match="gate, back"):
            await plates.add(c.AddPlate(plate=ONE, lanes=("side",)), CLERK)
        with pytest.raises(BadRequest):
            await plates.add(c.AddPlate(plate="hello"), CLERK)
        assert ONE not in repr(notes), "events name the vehicle, not the plate"

    async def second(store: RegisterStore, plates: Plates, notes: list[Event]) -> None:
        page = await plates.list_all(c.ListPlates(), CLERK)
        assert [vehicle.plate for vehicle in page.plates] == [ONE]
        assert page.plates[0].lanes == ("gate",)

    notes = with_register(tmp_path, first)
    assert [event.type_name() for event in notes] == ["vehicle.added.v1"] * 3 + ["vehicle.removed.v1"]
    with_register(tmp_path, second)


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "gbk"])
def test_a_list_is_taken_over_whole_or_not_at_all(tmp_path: Path, encoding: str) -> None:
    clean = f"车牌号,车道,到期日期,业主\n粤B·12345,gate,2027/1/5,林\n\n{TWO},,,王\n".encode(encoding)
    dirty = f"车牌号;车道\n粤B·54321;gate\n车库;gate\n{ONE};side\n粤B·54321;\n".encode(encoding)

    async def scenario(store: RegisterStore, plates: Plates, notes: list[Event]) -> None:
        dry = await plates.import_(c.ImportPlates(content=clean, dry_run=True), CLERK)
        assert (dry.added, len(store.register)) == (2, 0)
        done = await plates.import_(c.ImportPlates(content=clean), CLERK)
        assert (done.added, done.changed, done.errors) == (2, 0, ())
        vehicle = store.register.get(ONE)
        assert vehicle is not None
        assert vehicle.valid_until == datetime(2027, 1, 5, 16, tzinfo=UTC)
        refused = await plates.import_(c.ImportPlates(content=dirty), CLERK)
        assert [error.line for error in refused.errors] == [3, 4, 5]
        assert refused.added == 0
        assert len(store.register) == 2, "nothing half-imported"
        assert (await plates.import_(c.ImportPlates(content=clean), CLERK)).same == 2
        await plates.add(c.AddPlate(plate="粤B99999"), CLERK)
        less = f"plate\n{TWO}\n".encode(encoding)
        replaced = await plates.import_(c.ImportPlates(content=less, replace=True), CLERK)
        assert replaced.removed == 1
        assert {known.plate for known in store.register} == {TWO, "粤B99999"}, "what was added by hand stays"

    with_register(tmp_path, scenario)


@pytest.mark.parametrize(
    ("content", "plates", "wrong"),
    [
        ("业主车辆登记表,,\n车牌,业主,止\n粤B·11111,张,2027/1/5\n".encode("gbk"), ["粤B11111"], []),
        ("\ufeff车牌\t止\n粤ｂ１１１１１\t长期\n".encode(), ["粤B11111"], []),
        ("车牌\t止\n粤B11111\t2026年12月31日\n".encode("utf-16"), ["粤B11111"], []),
        ('plate\n="粤B11111"\n"京A·1234学"\n粤Z1234港\n使014578\n沪AD12345\n'.encode(), None, []),
        (b"plate;until\r\n\xd4\xc1B11111;2027-01-01\r\n", ["粤B11111"], []),
        ("车牌\n粤B11111\n粤B１１１１１\n粤b·11111\n".encode(), None, [3, 4]),
        ("车牌\n粤B1111I\n粤B1111O\n奥B11111\n粤B11111(月租)\n".encode(), None, [2, 4, 5]),
        ("车牌,止\n粤B11111,46000\n粤B22222,2026-02-30\n粤B33333,\n".encode(), None, [2, 3]),
        ("车牌,起,止\n粤B11111,2027-01-01,2026-01-01\n".encode(), None, [2]),
        ('车牌,备注\n粤B11111,"两\n行"\n坏,\n'.encode(), None, [4]),
        ("业主车辆登记表\n2026\n物业\n编号\n人\n车牌\n粤B11111\n".encode(), None, [1]),
        ("粤B11111\n粤B22222\n".encode(), None, [1]),
        ('车牌,业主\n粤B11111,\n粤B22222,"张三\n粤B33333,李四\n'.encode(), None, [3]),  # it would swallow line 4
        ('车牌,业主\n粤B11111,"张三\n粤B22222,李"四"\n'.encode(), None, [2]),
        (f"车牌,业主\n粤B11111,{'张' * 5000}\n".encode(), None, [2]),
        ("登记表\n\n车牌,号牌,止\n粤B11111,粤B22222,\n".encode(), None, [3]),  # which of them?
        ("车牌,起,生效日期\n粤B11111,2026-01-01,2027-01-01\n".encode(), None, [1]),
    ],
)
def test_dirt_as_property_offices_have_it(content: bytes, plates: list[str] | None, wrong: list[int]) -> None:
    found = parse(Order(content=content, zone="Asia/Shanghai", lanes=("gate",)))
    assert [error.line for error in found.errors] == wrong, found.errors
    assert plates is None or [row.plate for row in found.rows] == plates


@settings(max_examples=200, deadline=None)
@given(st.one_of(st.binary(max_size=300), st.text(max_size=200).map(lambda text: f"plate,lanes\n{text}".encode())))
def test_no_file_is_too_dirty_to_be_answered(content: bytes) -> None:
    found = parse(Order(content=content, zone="Asia/Shanghai", lanes=("gate",)))
    assert found.rows or found.errors


def test_a_long_list_comes_to_the_daemon_in_pieces() -> None:
    content = b"plate\n" + b"".join(f"粤B{number:05d}\n".encode() for number in range(1200))
    found = parse(Order(content=content, zone="Asia/Shanghai", lanes=("gate",)))
    answer = packed(found)
    pieces = [msgspec.msgpack.decode(piece, type=tuple[Row, ...]) for piece in answer.pieces]
    assert [len(piece) for piece in pieces] == [500, 500, 200]
    assert (sum(pieces, ()), answer.listing.rows) == (found.rows, ())


def test_a_long_list_is_compared_in_pieces() -> None:
    known = [Vehicle(id=f"{number}", plate=f"粤B{number:05d}") for number in range(5000)]
    wanted = [msgspec.structs.replace(vehicle, lanes=("gate",)) for vehicle in known]
    turns = 0

    async def doors() -> None:
        nonlocal turns
        while True:
            turns += 1
            await asyncio.sleep(0)

    async def scenario() -> None:
        other = asyncio.create_task(doors())
        left, forbidden = await store_room._stricter(Register(known), wanted, [])
        other.cancel()
        assert (left, forbidden) == (wanted, [])
        assert turns >= 20, "whoever drives a door has a turn meanwhile"

    asyncio.run(scenario())


def test_hostile_lists(tmp_path: Path) -> None:
    async def scenario(store: RegisterStore, plates: Plates, notes: list[Event]) -> None:
        for content in (b"", b"\0\1\2", b"\xff" * 100, b"name\nx\n", b'plate\n"' + b"x" * 100_000, b"plate\n"):
            result = await plates.import_(c.ImportPlates(content=content), CLERK)
            assert result.errors, content[:20]
        many = b"plate\n" + b"".join(b"%d\n" % number for number in range(5000))
        result = await plates.import_(c.ImportPlates(content=many), CLERK)
        assert (len(result.errors), result.more_errors) == (100, 4900)
        long = b"plate\n" + b"".join(f"粤B{number:05d}\n".encode() for number in range(50_001))
        result = await plates.import_(c.ImportPlates(content=long), CLERK)
        assert [(error.line, bool(error.mend)) for error in result.errors] == [(0, True)]
        assert len(store.register) == 0

    with_register(tmp_path, scenario)


def filled(folder: Path) -> None:
    async def scenario(store: RegisterStore, plates: Plates, _notes: list[Event]) -> None:
        for plate in (ONE, TWO, "粤B99999"):
            await plates.add(c.AddPlate(plate=plate), CLERK)
        await plates.remove(c.RemovePlate(plate="粤B99999"), CLERK)

    with_register(folder, scenario)


def garbage(path: Path) -> None:
    path.write_bytes(b"garbage " * 1000)


def flipped(path: Path) -> None:
    connection = sqlite3.connect(path)
    connection.execute(
        "UPDATE vehicles SET body = CAST(replace(body, ?, ?) AS BLOB) WHERE plate = ?", (ONE, "粤B12346", ONE)
    )
    connection.commit()
    connection.close()


@pytest.mark.parametrize("damage", [garbage, flipped, Path.unlink])
def test_a_damaged_register_is_replaced_by_the_copy(tmp_path: Path, damage: Callable[[Path], None]) -> None:
    filled(tmp_path)
    damage(tmp_path / FILE)
    left: set[str] = set()

    async def scenario(store: RegisterStore, _plates: Plates, _notes: list[Event]) -> None:
        left.update(known.plate for known in store.register)

    notes = with_register(tmp_path, scenario)
    assert [event.type_name() for event in notes] == ["vehicle.register_problem.v1"]
    assert left == {ONE, TWO}, "and what was removed does not come back from the copy"
    left.clear()
    assert with_register(tmp_path, scenario) == [], "whole again"
    assert left == {ONE, TWO}


def test_without_a_whole_copy_no_plate_opens(tmp_path: Path) -> None:
    filled(tmp_path)
    garbage(tmp_path / FILE)
    garbage(tmp_path / COPY)

    async def scenario(store: RegisterStore, plates: Plates, _notes: list[Event]) -> None:
        assert len(store.register) == 0
        assert store.problem is not None
        await plates.add(c.AddPlate(plate=ONE), CLERK)
        assert ONE in store.register

    with_register(tmp_path, scenario)


def test_a_newer_releases_file_is_read_and_never_rewritten(tmp_path: Path) -> None:
    filled(tmp_path)
    connection = sqlite3.connect(tmp_path / FILE)
    connection.execute("PRAGMA user_version=9")
    connection.close()
    before = (tmp_path / FILE).read_bytes()

    async def scenario(store: RegisterStore, plates: Plates, _notes: list[Event]) -> None:
        assert ONE in store.register
        with pytest.raises(RegisterDown):
            await plates.add(c.AddPlate(plate="粤B77777"), CLERK)
        with pytest.raises(RegisterDown):
            await plates.remove(c.RemovePlate(plate=ONE), CLERK)
        assert ONE not in store.register, "what was forbidden is forbidden until the restart"

    with_register(tmp_path, scenario)
    assert (tmp_path / FILE).read_bytes() == before


NOW = Now(0, 0, datetime(2026, 11, 24, tzinfo=UTC))


def reading(plate: str, log_p: float = -0.05, *others: tuple[str, float], votes: int = 2) -> Reading:
    return Reading((Candidate(plate, log_p), *(Candidate(*other) for other in others)), frames=3, votes=votes)


@pytest.mark.parametrize(
    ("read", "code"),
    [
        (reading(ONE), "ok"),
        (reading(ONE, votes=1), "few_frames"),
        (reading("粤B12346", -0.9, (ONE, -1.1)), "ok"),  # among the best, within a factor of ten
        (reading("粤B12346"), "unknown"),
        (reading("粤B12346", -2.0), "unsure"),
        (Reading((), 0, 0), "few_frames"),
    ],
)
def test_who_is_meant(read: Reading, code: str) -> None:
    assert may_pass_by_plate(Register([Vehicle(id="v1", plate=ONE)]), read, "gate", NOW).code == code


@pytest.mark.parametrize(
    ("changes", "trusted", "code"),
    [
        ({"active": False}, True, "inactive"),
        ({"lanes": ("back",)}, True, "other_lane"),
        ({"valid_from": datetime(2027, 1, 1, tzinfo=UTC)}, True, "not_yet"),
        ({"valid_until": datetime(2026, 1, 1, tzinfo=UTC)}, True, "expired"),
        ({"valid_until": datetime(2026, 1, 1, tzinfo=UTC)}, False, "ok_clock"),
    ],
)
def test_when_and_where(changes: dict[str, Any], trusted: bool, code: str) -> None:
    register = Register([Vehicle(id="v1", plate=ONE, **changes)])
    decision = may_pass_by_plate(register, reading(ONE), "gate", Now(0, 0, NOW.wall, trusted))
    assert (decision.code, decision.granted) == (code, code.startswith("ok"))
    assert decision.reason


# --- whose it is


@dataclass(frozen=True)
class Owner:
    active: bool = True
    valid_from: datetime | None = None
    valid_until: datetime | None = None


PAST, FUTURE = datetime(2026, 1, 1, tzinfo=UTC), datetime(2027, 1, 1, tzinfo=UTC)


@pytest.mark.parametrize(
    ("owner", "trusted", "code"),
    [
        (Owner(), True, "ok"),
        (Owner(active=False), True, "owner_inactive"),
        (Owner(active=False), False, "owner_inactive"),
        (Owner(valid_until=PAST), True, "owner_expired"),
        (Owner(valid_from=FUTURE), True, "owner_not_yet"),
        (Owner(valid_until=PAST), False, "ok_clock"),
        (Owner(valid_from=PAST, valid_until=FUTURE), True, "ok"),
        (None, True, "ok"),  # a directory that lost her is no reason to refuse
    ],
)
def test_a_vehicle_passes_while_its_owner_may(owner: Owner | None, trusted: bool, code: str) -> None:
    register = Register([Vehicle(id="v1", plate=ONE, person="p1"), Vehicle(id="v2", plate=TWO)])
    now = Now(0, 0, NOW.wall, trusted)
    asked: list[str] = []

    def owners(person: str) -> Owner | None:
        asked.append(person)
        return owner

    decision = may_pass_by_plate(register, reading(ONE), "gate", now, owners)
    assert (decision.code, decision.granted) == (code, code.startswith("ok"))
    assert decision.reason
    assert may_pass_by_plate(register, reading(TWO), "gate", now, owners).code == "ok"
    assert asked == ["p1"], "nobody is asked for a vehicle that is nobody's"


def test_a_plate_belongs_to_a_person_until_told_otherwise(tmp_path: Path) -> None:
    async def scenario(store: RegisterStore, plates: Plates, notes: list[Event]) -> None:
        added = await plates.add(c.AddPlate(plate=ONE, person="林晓"), CLERK)
        assert added.person == "a" * 32
        again = await plates.add(c.AddPlate(plate=ONE, valid_until="2027-01-01"), CLERK)
        assert again.person == "a" * 32, "a new date is no new owner"
        hers = await plates.list_all(c.ListPlates(person="林晓"), CLERK)
        assert [one.plate for one in hers.plates] == [ONE]
        nobodys = await plates.add(c.AddPlate(plate=ONE, person=""), CLERK)
        assert (nobodys.person, nobodys.version) == ("", 3)
        with pytest.raises(NotFound, match="张三"):
            await plates.add(c.AddPlate(plate=TWO, person="张三"), CLERK)
        with pytest.raises(Refused, match="2"):
            await plates.add(c.AddPlate(plate=TWO, person="王伟"), CLERK)
        assert store.register.get(TWO) is None
        assert "林晓" not in repr(notes)

    with_register(tmp_path, scenario)


def test_a_list_says_whose_the_plates_are(tmp_path: Path) -> None:
    clean = f"车牌,住户\n{ONE},林晓\n{TWO},\n粤B99999,{'d' * 32}\n".encode("gbk")
    dirty = f"车牌,住户\n{ONE},张三\n车库,\n{TWO},林晓\n粤B99999,王伟\n粤B1,张三\n".encode()

    async def scenario(store: RegisterStore, plates: Plates, _notes: list[Event]) -> None:
        refused = await plates.import_(c.ImportPlates(content=dirty), CLERK)
        told = [(error.line, error.facts.get("given", "")) for error in refused.errors]
        assert told == [(2, "张三"), (3, ""), (5, "王伟"), (6, "")], "all of them at once, in their order"
        assert len(store.register) == 0, "nothing half-imported"
        await plates.import_(c.ImportPlates(content=clean), CLERK)
        assert {known.plate: known.person for known in store.register} == {
            ONE: "a" * 32,
            TWO: "",
            "粤B99999": "d" * 32,
        }
        await plates.import_(c.ImportPlates(content=f"plate,lanes\n{ONE},gate\n".encode()), CLERK)
        known = store.register.get(ONE)
        assert known is not None
        assert (known.person, known.lanes) == ("a" * 32, ("gate",)), "a list without the column changes no owner"

    with_register(tmp_path, scenario)


def test_who_is_forgotten_takes_her_plates_along_for_ever(tmp_path: Path) -> None:
    async def scenario(store: RegisterStore, plates: Plates, notes: list[Event]) -> None:
        hers = await plates.add(c.AddPlate(plate=ONE, person="林晓"), CLERK)
        await plates.add(c.AddPlate(plate=TWO), CLERK)
        assert any(ONE.encode() in path.read_bytes() for path in tmp_path.iterdir())
        await plates.forget(["a" * 32, "b" * 32], CLERK)
        assert [path.name for path in tmp_path.iterdir() if ONE.encode() in path.read_bytes()] == []
        assert {known.plate for known in store.register} == {TWO}
        assert notes[-1] == VehicleRemoved(vehicle=hers.id, actor=CLERK.id, command_id=CLERK.command_id)

    async def afterwards(store: RegisterStore, _plates: Plates, _notes: list[Event]) -> None:
        assert {known.plate for known in store.register} == {TWO}

    with_register(tmp_path, scenario)
    garbage(tmp_path / FILE)
    with_register(tmp_path, afterwards)
    assert (tmp_path / f"{FILE}.damaged").exists()
    (tmp_path / f"{FILE}.damaged").write_bytes(ONE.encode())
    with_register(tmp_path, scenario)
    assert not (tmp_path / f"{FILE}.damaged").exists()
    assert ONE.encode() not in (tmp_path / COPY).read_bytes()


# --- while a change is under way

MOMENTS = st.sampled_from([None, datetime(2026, 3, 1, tzinfo=UTC), datetime(2026, 6, 1, tzinfo=UTC)])
RIGHTS = st.builds(
    Vehicle,
    id=st.just("v1"),
    plate=st.just(ONE),
    lanes=st.sampled_from([("*",), ("gate",), ("back",), ("back", "gate")]),
    person=st.sampled_from(["", "p1", "p2"]),
    active=st.booleans(),
    valid_from=MOMENTS,
    valid_until=MOMENTS,
)


@given(RIGHTS, RIGHTS, st.sampled_from(["gate", "back"]), st.sampled_from([1, 4, 9]))
def test_meanwhile_only_what_both_allow(old: Vehicle, new: Vehicle, lane: str, month: int) -> None:
    now = Now(0, 0, datetime(2026, month, 15, tzinfo=UTC), trusted=True)
    left = meet(old, new)
    both = may_pass(old, lane, now).granted and may_pass(new, lane, now).granted
    if old.person == new.person:
        assert (left is not None and may_pass(left, lane, now).granted) is both
    else:
        assert left is None
    assert meet(old, old) == old


def test_who_keeps_her_rights_passes_while_a_list_is_written(tmp_path: Path) -> None:
    """The disk takes its time: what the list forbids is forbidden at once, and nobody else waits before the arm."""

    async def scenario(store: RegisterStore, plates: Plates, _notes: list[Event]) -> None:
        listed = f"车牌,止\n{ONE},\n{TWO},\n粤B99999,\n".encode()
        await plates.import_(c.ImportPlates(content=listed), CLERK)
        slow, may_write, begun, loop = store._write, threading.Event(), asyncio.Event(), asyncio.get_running_loop()

        def write(put: Collection[Vehicle], gone: Collection[str]) -> None:
            loop.call_soon_threadsafe(begun.set)
            assert may_write.wait(20)
            slow(put, gone)

        store._write = write  # type: ignore[method-assign]
        shorter = f"车牌,止\n{ONE},2099-12-31\n{TWO},2026-01-01\n粤B77777,\n".encode()
        importing = asyncio.create_task(plates.import_(c.ImportPlates(content=shorter, replace=True), CLERK))
        await begun.wait()
        assert "粤B99999" not in store.register
        codes = {plate: may_pass_by_plate(store.register, reading(plate), "gate", NOW).code for plate in (ONE, TWO)}
        assert codes == {ONE: "ok", TWO: "expired"}
        assert "粤B77777" not in store.register, "what is allowed anew waits until it is durable"
        may_write.set()
        done = await importing
        assert (done.added, done.changed, done.removed) == (1, 2, 1)
        assert {known.plate for known in store.register} == {ONE, TWO, "粤B77777"}

    with_register(tmp_path, scenario)


def test_who_asks_while_the_register_opens_waits_for_it(tmp_path: Path) -> None:
    filled(tmp_path)

    async def scenario() -> None:
        clock = LoopClock(datetime(2026, 11, 24, tzinfo=UTC))
        store = RegisterStore(tmp_path, clock, lambda _event: None)
        plates = Plates(store, ["gate"], clock, "Asia/Shanghai", lambda _event: None, who_is_meant)
        asked = asyncio.create_task(plates.list_all(c.ListPlates(), CLERK))
        await asyncio.sleep(0)
        await store.start()
        assert (await asked).total == 2
        await store.close()

    asyncio.run(scenario())


def test_a_register_that_does_not_open_is_said() -> None:
    async def scenario() -> None:
        clock = LoopClock(datetime(2026, 11, 24, tzinfo=UTC))
        store = RegisterStore(Path("/nowhere"), clock, lambda _event: None)
        with pytest.raises(RegisterDown, match="still being opened"):
            await store.wait_started()

    run(scenario())
