"""The worker's own promises: what it tells, what waits, and when it ends by itself."""

from __future__ import annotations

import asyncio
import itertools
import os
import subprocess
import sys
import tempfile
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import schema
from gateway.vision import gallery, process, protocol
from gateway.vision.engine import Embedded, Frame
from gateway.vision.enrolment import ANOTHER, SEEN, UNDECIDED, Enroller
from gateway.vision.link import WAITING, Finished, Link, Outbox
from gateway.vision.observe import Galleries, Health, Observer
from gateway.vision.protocol import (
    Candidates,
    Enrol,
    Enrolled,
    Exit,
    Gallery,
    Garbage,
    Heartbeat,
    Message,
    Presence,
    Reader,
    Stop,
    Welcome,
)
from gateway.vision.quality import Quality
from gateway.vision.settings import Settings, digest, encode, read
from tests.vision import double
from tests.vision.double import BLUE, RED, DoubleEngine, scene, template_of, vector_of
from tests.vision.running import DOUBLE, door, put, until
from tests.vision.test_protocol import FROM_DAEMON
from tests.vision.test_reception import HELLO

PORCH = schema.FolderCamera(path="porch", fps=20)
WELCOME = Welcome(protocol=protocol.PROTOCOL)
MESSAGES = st.one_of(
    st.builds(Heartbeat, cameras=st.just(()), resident_kb=st.integers(0, 9), generations=st.just({})),
    st.builds(Presence, camera=st.just("c"), present=st.booleans(), brightness=st.just(0.5), at=st.just(0.0)),
    st.builds(
        Candidates,
        camera=st.just("c"),
        door=st.just("d"),
        track=st.integers(0, 99),
        generation=st.just(1),
        frames=st.just(3),
        best=st.just(()),
        threshold=st.just(0.4),
        at=st.just(0.0),
        quality=st.just(1.0),
    ),
    st.builds(Enrolled, request=st.integers(0, 9), embeddings=st.just(()), quality=st.just(()), engine=st.just("e")),
)


# --- what waits


@given(st.lists(MESSAGES, max_size=40))
def test_at_most_four_wait_and_no_answer_is_lost(put: list[Message]) -> None:
    async def scenario() -> list[Message]:
        outbox = Outbox()
        for message in put:
            outbox.put(message)
            answers = sum(isinstance(m, Enrolled) for m in put)
            assert len(outbox) <= max(WAITING, answers + 1)
        return [await outbox.take() for _ in range(len(outbox))]

    sent = asyncio.run(scenario())
    assert [m for m in sent if isinstance(m, Enrolled)] == [m for m in put if isinstance(m, Enrolled)]
    assert sent[-1:] == put[-1:]  # the newest is never the one that gives way


# --- one camera


class Watched:
    """An observer that is shown scenes at 10 frames a second, and what it told."""

    def __init__(self, tmp_path: Path, people: list[tuple[str, bytes]] | None = None) -> None:
        self.engine, self.told, self.now = DoubleEngine(), list[Message](), 100.0
        self.galleries = Galleries(self.engine.space, double.compare)
        if people is not None:
            path, sha256 = asyncio.run(gallery.write(tmp_path, self.engine.space, "front", 4, people))
            self.galleries.take("front", 4, str(path), sha256)
        self.observer = Observer("porch", ["front"], self.engine, self.galleries, self.told.append, itertools.count(1))

    def show(self, frame: Frame, seconds: float) -> None:
        for _ in range(round(seconds * 10)):
            self.observer.see(frame, self.now)
            self.now += 0.1

    def candidates(self) -> list[Candidates]:
        return [message for message in self.told if isinstance(message, Candidates)]

    def presence(self) -> list[bool]:
        return [message.present for message in self.told if isinstance(message, Presence)]


def test_who_stands_there_is_told_after_three_frames_and_then_each_second(tmp_path: Path) -> None:
    watched = Watched(tmp_path, [("p-red", template_of(RED)), ("p-blue", template_of(BLUE))])
    watched.show(scene((RED, 200, 150)), 3.05)
    told = watched.candidates()
    assert len(told) == 3
    assert told[0].at == pytest.approx(100.2)
    assert {(t.track, t.generation, t.frames) for t in told} == {(1, 4, 3)}
    assert [c.person for c in told[0].best] == ["p-red", "p-blue"]
    assert watched.engine.embedded <= 6  # a pool, then one more a second


def test_a_face_is_looked_at_until_it_is_answered_and_one_far_away_is_not(tmp_path: Path) -> None:
    watched = Watched(tmp_path, [("p-red", template_of(RED))])
    watched.show(scene(), 1)
    watched.show(scene((RED, 200, 150)), 3)
    looking = [message.looking for message in watched.told if isinstance(message, Presence)]
    assert looking == [True, False]  # the face, and its answer
    kinds = [type(message) for message in watched.told]
    assert kinds[:3] == [Presence, Candidates, Presence]
    far = Watched(tmp_path, [("p-red", template_of(RED))])
    far.show(scene((RED, 200, 150), side=30), 3)
    assert not any(message.looking for message in far.told if isinstance(message, Presence))


def test_a_face_that_cannot_be_made_out_is_looked_at_for_as_long_as_it_stays(tmp_path: Path) -> None:
    watched = Watched(tmp_path, [("p-red", template_of(RED))])
    watched.show(scene((RED, 200, 150), side=50), 3.5)  # the double calls it blurred
    looking = [message.looking for message in watched.told if isinstance(message, Presence)]
    assert looking == [True] * 4  # once a second
    watched.show(scene(), 0.2)
    assert [message.looking for message in watched.told if isinstance(message, Presence)][-1] is False


def test_an_empty_gallery_tells_nobody_and_no_gallery_tells_nothing(tmp_path: Path) -> None:
    empty, none = Watched(tmp_path, []), Watched(tmp_path)
    for watched in (empty, none):
        watched.show(scene((RED, 200, 150)), 1)
    assert [told.best for told in empty.candidates()] == [()]
    assert none.candidates() == []


def test_a_blurred_face_is_not_compared(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    watched = Watched(tmp_path, [("p-red", template_of(RED))])
    bad = Embedded(vector_of(RED), Quality(size=20, sharpness=0, yaw=0, pitch=0, exposure=0.5, contrast=0.3))
    monkeypatch.setattr(watched.engine, "embed", lambda _frame, _face: bad)
    watched.show(scene((RED, 200, 150)), 3)
    assert watched.candidates() == []
    assert set(watched.presence()) == {True}


def test_presence_begins_goes_on_and_ends(tmp_path: Path) -> None:
    watched = Watched(tmp_path, [])
    watched.show(scene(), 1)
    assert watched.presence() == []
    watched.show(scene((RED, 200, 150)), 7)
    watched.show(scene(), 6)
    assert watched.presence() == [True, True, True, False]  # a face, its answer, a reminder, nobody


def test_an_empty_hall_costs_one_detection_a_second(tmp_path: Path) -> None:
    watched = Watched(tmp_path, [])
    watched.show(scene(), 3)
    before = watched.engine.found
    watched.show(scene(), 20)
    assert watched.engine.found - before <= 21
    assert watched.observer.pause(watched.now) > 0.2


def test_a_live_camera_that_is_frozen_gives_no_new_frames() -> None:
    live, recorded = Health("c", live=True), Health("c", live=False)
    for health in (live, recorded):
        health.saw(100.0, 0.0)
        health.saw(115.0, 15.0)
    assert live.tell(115.0).frame_age == 15.0
    assert "frozen" in live.tell(115.0).problem
    assert recorded.tell(115.0).frame_age == 0.0
    live.saw(116.0, 0.0)
    assert live.tell(116.0).frame_age == 0.0
    assert live.tell(140.0).problem == ""


# --- the link


@asynccontextmanager
async def daemon(socket: Path, said: list[bytes]) -> AsyncIterator[list[Message]]:
    """A daemon that says these bytes to whoever comes, and what it heard."""
    heard: list[Message] = []
    guests: list[asyncio.StreamWriter] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        guests.append(writer)
        incoming = Reader("worker")
        with suppress(ConnectionError):
            for part in said:
                writer.write(part)
            await writer.drain()
            while data := await reader.read(65536):
                heard.extend(incoming.feed(data))
        writer.close()

    server = await asyncio.start_unix_server(serve, socket)
    try:
        yield heard
    finally:
        server.close()
        for guest in guests:
            guest.close()


async def link_ends(tmp_path: Path, said: list[bytes], heard: Callable[[Gallery | Enrol], None]) -> Finished | None:
    """How a link ends that is told these bytes; None where it goes on."""
    async with daemon(tmp_path / "s", said):
        link = Link(tmp_path / "s", HELLO, "d" * 64, heard, lambda: None)
        try:
            async with asyncio.timeout(0.15):
                await link.run()
        except Finished as finished:
            return finished
        except TimeoutError:
            return None
    return None


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ([b"\xff" * 50], Exit.GARBAGE),
        ([protocol.encode(Stop())], Exit.GARBAGE),
        ([protocol.encode(WELCOME), protocol.encode(WELCOME)], Exit.GARBAGE),
        ([protocol.encode(WELCOME), protocol.encode(HELLO)], Exit.GARBAGE),
        ([protocol.encode(WELCOME), protocol.encode(Stop())], Exit.DONE),
        ([protocol.encode(Welcome(protocol=99))], Exit.SETTINGS),
        ([protocol.encode(Welcome(protocol=protocol.PROTOCOL, settings="e" * 64))], Exit.SETTINGS),
        ([protocol.encode(Welcome(protocol=protocol.PROTOCOL, settings="d" * 64))], None),
    ],
)
def test_a_link_ends_with_its_code(tmp_path: Path, said: list[bytes], code: Exit | None) -> None:
    finished = asyncio.run(link_ends(tmp_path, said, lambda _message: None))
    assert (finished.code if finished else None) == code


@settings(max_examples=30, deadline=None)
@given(st.booleans(), st.lists(st.one_of(st.binary(max_size=60), FROM_DAEMON.map(protocol.encode)), max_size=4))
def test_any_bytes_from_the_daemon_end_the_worker_or_are_heard(welcome: bool, parts: list[bytes]) -> None:
    heard: list[Gallery | Enrol] = []
    said = ([protocol.encode(WELCOME)] if welcome else []) + parts
    with tempfile.TemporaryDirectory(prefix="lm-") as folder:
        finished = asyncio.run(link_ends(Path(folder), said, heard.append))
    reader, sound = Reader("daemon"), True
    try:
        for part in said:
            reader.feed(part)
    except Garbage:
        sound = False
    if not sound:
        assert finished is not None


# --- the process


def settings_file(tmp_path: Path, vision: schema.Vision | None = None) -> tuple[Path, Settings]:
    (tmp_path / "porch").mkdir(exist_ok=True)
    conf = schema.FolderCamera(path=str(tmp_path / "porch"), fps=20)
    made = Settings.of("doors", vision or schema.Vision(), {"porch": conf, "spare": PORCH}, {"front": door()})
    (tmp_path / "v.json").write_bytes(encode(made))
    return tmp_path / "v.json", made


def run_worker(tmp_path: Path, path: Path, group: str = "doors", **environment: str) -> int:
    command = [*DOUBLE, "--socket", str(tmp_path / "s"), "--group", group, "--settings", str(path)]
    return subprocess.run(command, timeout=30, check=False, env=os.environ | environment).returncode


def test_settings_are_read_as_they_were_written(tmp_path: Path) -> None:
    path, made = settings_file(tmp_path)
    assert set(made.cameras) == {"porch"}  # no door watches the spare one
    assert read(str(path)) == (made, digest(encode(made)))
    assert read(encode(made).decode())[0] == made


def test_a_worker_without_settings_or_of_another_group_says_so(tmp_path: Path) -> None:
    path, _ = settings_file(tmp_path)
    assert run_worker(tmp_path, tmp_path / "none.json") == Exit.SETTINGS
    assert run_worker(tmp_path, path, group="lanes") == Exit.SETTINGS
    path.write_text("{}")
    assert run_worker(tmp_path, path) == Exit.SETTINGS


def test_a_worker_above_its_ceiling_ends(tmp_path: Path) -> None:
    path, made = settings_file(tmp_path)
    tiny = Settings(group="doors", cameras=made.cameras, doors=made.doors, vision=schema.Vision(ceiling_mb=100))
    path.write_bytes(encode(tiny))
    for number in range(4):
        put(tmp_path / "porch", f"{number}", scene((RED, 200, 150)))
    assert run_worker(tmp_path, path, LOUMEN_DOUBLE="leak") == Exit.CEILING


def test_an_orphan_does_not_even_start(tmp_path: Path) -> None:
    path, _ = settings_file(tmp_path)
    assert run_worker(tmp_path, path, LOUMEN_PARENT="1") == Exit.DONE


def test_a_worker_reconnects_when_the_daemon_comes_back(tmp_path: Path) -> None:
    path, _ = settings_file(tmp_path)

    async def scenario() -> None:
        command = [*DOUBLE, "--socket", str(tmp_path / "s"), "--group", "doors", "--settings", str(path)]
        worker = await asyncio.create_subprocess_exec(*command)
        try:
            for last in (False, True):
                async with daemon(tmp_path / "s", [protocol.encode(WELCOME)]) as heard:
                    await until(lambda heard=heard: any(isinstance(message, Heartbeat) for message in heard))  # type: ignore[misc]
                    assert isinstance(heard[0], protocol.Hello)
                (tmp_path / "s").unlink(missing_ok=True)
                if last:
                    break
            assert worker.returncode is None
        finally:
            worker.kill()
            await worker.wait()

    asyncio.run(scenario())


def test_its_memory_is_read_from_the_kernel(tmp_path: Path) -> None:
    assert 5_000 < process.resident_kb() < 4_000_000
    assert process.resident_kb(tmp_path / "none") == 0


def test_missing_models_are_an_exit_of_their_own(tmp_path: Path) -> None:
    path, _ = settings_file(tmp_path)
    program = (
        "import sys\nfrom gateway.errors import ModelError\nfrom gateway.vision import worker\n"
        "def load(settings):\n    raise ModelError('no models')\n"
        f"sys.exit(worker.main(['--socket', 's', '--group', 'doors', '--settings', {str(path)!r}], load))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert done.returncode == Exit.MODELS
    assert "no models" in done.stderr


async def no_frames() -> AsyncIterator[Frame]:
    for frame in list[Frame]():
        yield frame


def enrol(folder: Path, **colours: tuple[int, int, int]) -> Enrolled:
    """The answer to pictures of these colours."""
    made = double.computing()
    for name, colour in colours.items():
        put(folder, name, scene((colour, 200, 150)))
    request = Enrol(request=1, files=tuple(str(folder / f"{name}.png") for name in colours))
    return asyncio.run(Enroller(made.engine, made.refusal, made.load_picture).answer(request, no_frames()))


def test_an_enrolment_keeps_the_person_whom_most_pictures_show(tmp_path: Path) -> None:
    reddish = (60, 40, 220)
    answer = enrol(tmp_path, a=BLUE, b=RED, c=reddish)
    assert answer.names == ("b.png", "c.png")
    assert [(refused.name, refused.why) for refused in answer.refused] == [("a.png", ANOTHER)]


def test_of_two_people_in_equal_number_nobody_is_enrolled(tmp_path: Path) -> None:
    answer = enrol(tmp_path, a=BLUE, b=RED)
    assert answer.embeddings == ()
    assert [refused.why for refused in answer.refused] == [UNDECIDED, UNDECIDED]


def test_a_picture_given_twice_counts_once(tmp_path: Path) -> None:
    answer = enrol(tmp_path, a=RED, b=RED)
    assert answer.names == ("a.png",)
    assert [(refused.name, refused.why) for refused in answer.refused] == [("b.png", SEEN)]


def test_a_camera_without_a_picture_is_told(tmp_path: Path) -> None:
    made = double.computing()
    asked = Enroller(made.engine, made.refusal, made.load_picture).answer(Enrol(request=2, camera="porch"), no_frames())
    (refused,) = asyncio.run(asked).refused
    assert (refused.name, refused.why) == ("porch", "the camera gave no picture")
