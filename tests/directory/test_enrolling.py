"""face.enrol and face.try: consent first, bad references refused with reasons, look-alikes only on somebody's word."""

from __future__ import annotations

import asyncio
import stat
from collections.abc import Sequence
from pathlib import Path

import msgspec
import pytest

from gateway.command import Command, Role
from gateway.directory import commands, events
from gateway.directory.commands import EnrolFace, Picture, RemoveFaces, TryFace
from gateway.directory.enrolling import EnrolDone, TryDone
from gateway.directory.faces import ConsentGiven
from gateway.errors import BadImage, BadRequest, Refused, VisionDown
from gateway.vision.protocol import Enrolled, Refusal
from tests.directory.house import (
    ADMINISTRATOR,
    CLERK,
    NAMES,
    House,
    TestVision,
    embedding,
    files_holding,
    opened,
    run,
    service,
)

PICTURE = (Picture(name="证件照.jpg", data=b"jpeg" * 50_000),)


async def enrol(house: House, vision: TestVision, run_dir: Path, person: str, **given: object) -> EnrolDone:
    command = EnrolFace(person=person, **{"pictures": PICTURE, **given})  # type: ignore[arg-type]
    done = await service(house, vision, run_dir).handlers()[EnrolFace](command, CLERK)
    assert isinstance(done, EnrolDone)
    return done


def test_a_picture_becomes_a_template_and_is_deleted(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "state") as house:
            vision = TestVision(embeddings=(embedding(1),))
            modes: list[int] = []

            async def look() -> None:
                modes.extend(stat.S_IMODE(path.stat().st_mode) for path in vision.files)

            vision.before_answer = look
            person = await house.add()
            done = await enrol(house, vision, tmp_path / "run", "王小明", consent=ConsentGiven())
            assert done.person == person
            assert vision.seen == [PICTURE[0].data]
            assert modes == [0o640]
            assert not any(path.exists() for path in vision.files)
            assert await house.directory.templates("main", "onnx") == [(person, embedding(1))]
            [told] = house.told(events.FaceEnrolled)
            assert isinstance(told, events.FaceEnrolled)
            assert told.faces == done.faces
            everything = msgspec.json.encode(house.events)
            assert "王小明".encode() not in everything

    run(scenario())


def test_pictures_are_deleted_also_when_the_vision_process_dies(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "state") as house:

            async def die() -> None:
                raise VisionDown("gone")

            vision = TestVision(before_answer=die)
            person = await house.add()
            with pytest.raises(VisionDown):
                await enrol(house, vision, tmp_path / "run", person, consent=ConsentGiven())
            assert files_holding(tmp_path, PICTURE[0].data[:64]) == []
            (tmp_path / "run" / "enrol" / "left-by-a-killed-daemon").write_bytes(PICTURE[0].data)
            service(house, vision, tmp_path / "run").handlers()
            assert files_holding(tmp_path, PICTURE[0].data[:64]) == []

    run(scenario())


def test_without_consent_the_vision_process_is_not_even_asked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "state") as house:
            vision = TestVision(embeddings=(embedding(1),))
            person = await house.add()
            with pytest.raises(Refused, match="consent"):
                await enrol(house, vision, tmp_path / "run", person)
            assert vision.asked == []

    run(scenario())


def test_a_bad_reference_is_refused_with_its_reason_and_its_name(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "state") as house:
            person = await house.add()
            vision = TestVision(refused=("the face is blurred",))
            with pytest.raises(BadImage, match="blurred") as caught:
                await enrol(house, vision, tmp_path / "run", person, consent=ConsentGiven())
            assert caught.value.facts["refused"] == [
                {"name": "证件照.jpg", "why": "the face is blurred", "mend": "", "facts": {}}
            ]
            two = (Picture(name="好.jpg", data=b"1"), Picture(name="坏.jpg", data=b"2"))
            vision = TestVision(embeddings=(embedding(1),), refused=("the face is blurred",), drift=0.03)
            done = await enrol(house, vision, tmp_path / "run", person, pictures=two)
            assert [(picture.name, picture.why) for picture in done.refused] == [("坏.jpg", "the face is blurred")]
            assert len(done.faces) == 1

    run(scenario())


def test_a_vision_process_may_name_its_facts_as_it_likes(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "state") as house:
            person = await house.add()
            odd = Refusal(
                name="a", why="{what} {n}", facts={"what": "x", "where": "y", "self": "z", "refused": 1, "n": 2}
            )
            with pytest.raises(BadImage) as caught:
                await enrol(house, OddVision(odd), tmp_path / "run", person, consent=ConsentGiven())
            assert caught.value.facts["n"] == 2
            assert caught.value.where == "a"

    run(scenario())


class OddVision(TestVision):
    """Answers with one refusal, whatever it is shown."""

    def __init__(self, odd: Refusal) -> None:
        super().__init__()
        self.odd = odd

    async def enrol(self, *, files: Sequence[Path] = (), camera: str = "", seconds: float = 10.0) -> Enrolled:
        return Enrolled(request=1, embeddings=(), quality=(), engine="e", refused=(self.odd,))


def test_a_look_alike_is_refused_unless_somebody_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "state") as house:
            elder = await house.add("王大双")
            await house.enrol(elder, 1)
            younger = await house.add("王小双")
            vision = TestVision(embeddings=(embedding(1, off=0.3),))
            with pytest.raises(Refused, match=elder[:8]):
                await enrol(house, vision, tmp_path / "run", younger, consent=ConsentGiven())
            assert await house.faces.lines(younger) == []
            done = await enrol(house, vision, tmp_path / "run", younger, despite_likeness=True)
            assert len(done.faces) == 1
            told = [event for event in house.told(events.FaceEnrolled) if isinstance(event, events.FaceEnrolled)]
            assert told[-1].despite_likeness

    run(scenario())


def test_a_second_picture_of_her_is_no_look_alike_and_another_face_is_not_hers(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "state") as house:
            person = await house.add()
            await house.enrol(person, 1)
            vision = TestVision(embeddings=(embedding(1, off=0.3),))
            assert len((await enrol(house, vision, tmp_path / "run", person)).faces) == 1
            with pytest.raises(Refused, match="does not look like"):
                await enrol(house, TestVision(embeddings=(embedding(2),)), tmp_path / "run", person)

    run(scenario())


def test_pictures_and_faces_are_bounded(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "state") as house:
            person = await house.add()
            vision = TestVision(embeddings=(embedding(1),))
            large = (Picture(name="大.jpg", data=bytes(10 * 1024 * 1024 + 1)),)
            with pytest.raises(BadImage, match="10 MB"):
                await enrol(house, vision, tmp_path / "run", person, pictures=large, consent=ConsentGiven())
            three = tuple(Picture(name=f"{number}", data=bytes(8 << 20)) for number in range(3))
            with pytest.raises(BadImage, match="20 MB"):
                await enrol(house, vision, tmp_path / "run", person, pictures=three)
            with pytest.raises(BadImage):
                await enrol(house, TestVision(embeddings=(b"\0" * 511,)), tmp_path / "run", person)
            with pytest.raises(BadImage):
                await enrol(house, TestVision(embeddings=(b"\xff" * 512,)), tmp_path / "run", person)
            await house.enrol(person, *[1] * 10)
            vision = TestVision(embeddings=(embedding(1, off=0.1),))
            with pytest.raises(Refused, match="at most 10"):
                await enrol(house, vision, tmp_path / "run", person)
            assert vision.asked
            assert files_holding(tmp_path / "run", b"\0") == []

    run(scenario())


def test_a_camera_is_named_by_its_door(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "state") as house:
            person = await house.add()
            for number, given in enumerate(("main", True, "porch")):
                vision = TestVision(embeddings=(embedding(1, off=0.1 * number),))
                await enrol(house, vision, tmp_path / "run", person, pictures=(), camera=given, consent=ConsentGiven())
                assert vision.asked == ["porch"]
            for wrong in ({"camera": "garage"}, {"camera": "后门"}, {}):
                with pytest.raises(BadRequest):
                    await enrol(house, TestVision(), tmp_path / "run", person, pictures=(), **wrong)
            with pytest.raises(BadRequest):
                await enrol(house, TestVision(), tmp_path / "run", person, camera="main")

    run(scenario())


def test_try_tells_the_two_nearest_the_threshold_and_what_the_door_would_do(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "state") as house:
            people = [await house.add(name) for name in NAMES[:3]]
            for seed, person in enumerate(people):
                await house.enrol(person, seed)
            await house.enrol(await house.add("隔壁老王", doors=("garage",)), 7)

            async def tried(seed: int, off: float, **thresholds: float) -> TryDone:
                vision = TestVision(embeddings=(embedding(seed, off=off),), thresholds=thresholds)
                done = await service(house, vision, tmp_path / "run").handlers()[TryFace](
                    TryFace(door="main", pictures=PICTURE), CLERK
                )
                assert isinstance(done, TryDone)
                return done

            done = await tried(1, 0.3, main=0.42)
            assert (done.would_open, done.best[0].name, done.best[0].person) == (True, NAMES[1], people[1])
            assert done.best[0].distance == pytest.approx(0.3, abs=1e-3)
            assert len(done.best) == 2
            assert not (await tried(1, 0.45, main=0.42)).would_open
            assert not (await tried(7, 0.0, main=0.42)).would_open  # enrolled, but not for this door
            assert (await tried(1, 0.3)).threshold is None
            before = len(house.events)
            await tried(1, 0.1, main=0.42)
            assert len(house.events) == before

    run(scenario())


def test_an_enrolment_and_a_deletion_may_cross(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "state") as house:
            person = await house.add()
            vision = TestVision(embeddings=(embedding(1),))
            vision.before_answer = lambda: forget(house, person)

            async def forget(house: House, person: str) -> None:
                await house.people.forget([person], CLERK)

            with pytest.raises(Exception, match=person) as caught:
                await enrol(house, vision, tmp_path / "run", person, consent=ConsentGiven())
            assert caught.value.code == "not_found"  # type: ignore[attr-defined]
            assert await house.faces.lines() == []

    run(scenario())


def test_removing_all_faces_and_withdrawing(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "state") as house:
            person = await house.add()
            handlers = service(house, TestVision(), tmp_path / "run").handlers()
            first, second, third = await house.enrol(person, 1, 1, 1)
            done = await handlers[RemoveFaces](RemoveFaces(person=person, faces=(second,)), CLERK)
            assert done["removed"] == [second]
            done = await handlers[RemoveFaces](RemoveFaces(person=person, withdraw_consent=True), CLERK)
            assert (set(done["removed"]), done["withdrawn"]) == ({first, third}, 1)
            rights = house.directory.snapshot.person(person)
            assert rights is not None
            assert not rights.face

    run(scenario())


def test_a_technician_takes_nobody_out_of_the_box() -> None:
    taking: list[type[Command]] = [commands.ExportPeople, commands.ImportPeople]
    taking += [commands.ReadBundle, commands.WriteBundle]
    assert {command.role for command in taking} == {Role.ADMINISTRATOR}


def test_two_enrolments_at_once_do_not_meet(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "state") as house:
            people = [await house.add(name) for name in NAMES[:4]]
            visions = [TestVision(embeddings=(embedding(seed),)) for seed in range(4)]
            await asyncio.gather(
                *(
                    enrol(house, vision, tmp_path / "run", person, consent=ConsentGiven())
                    for vision, person in zip(visions, people, strict=True)
                )
            )
            gallery = dict(await house.directory.templates("main", "onnx"))
            assert gallery == {person: embedding(seed) for seed, person in enumerate(people)}

    run(scenario())


def test_a_list_is_paged_searched_and_masked(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with opened(tmp_path / "state") as house:
            handlers = service(house, TestVision(), tmp_path / "run").handlers()
            for number in range(120):
                await house.add(f"住户{number:03}", home=f"{number // 10}号楼", phone="13812345678")
            page = await handlers[commands.ListPeople](commands.ListPeople(limit=70), CLERK)
            rest = await handlers[commands.ListPeople](commands.ListPeople(limit=70, after=page.next), CLERK)
            assert [len(page.people), len(rest.people), rest.next, page.total] == [70, 50, 0, 120]
            found = await handlers[commands.ListPeople](commands.ListPeople(search="11号楼"), CLERK)
            assert [line.name for line in found.people] == [f"住户{number}" for number in range(110, 120)]
            show = commands.ShowPerson(person="住户007")
            as_administrator = await handlers[commands.ShowPerson](show, ADMINISTRATOR)
            assert as_administrator.person.phone == "13812345678"

    run(scenario())
