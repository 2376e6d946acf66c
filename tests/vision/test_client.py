"""The daemon's side against real worker processes: from a picture to candidates, and what goes wrong."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from gateway.config import schema
from gateway.errors import VisionDown
from gateway.vision import protocol, quality
from gateway.vision.client import VisionClient
from gateway.vision.enrolment import ANOTHER
from tests.vision.double import BLUE, GREEN, RED, scene, template_of
from tests.vision.running import put, running, until


def worker_pid(client: VisionClient) -> int:
    return client.session.hello.pid if client.session else 0


def alive(pid: int) -> bool:
    return Path(f"/proc/{pid}").exists()


@contextmanager
def responsive() -> Iterator[Callable[[], float]]:
    """The longest turn of the loop while inside."""
    loop, slowest = asyncio.get_running_loop(), [0.0]

    async def turn() -> None:
        while True:
            before = loop.time()
            await asyncio.sleep(0.01)
            slowest[0] = max(slowest[0], loop.time() - before - 0.01)

    task = loop.create_task(turn())
    yield lambda: slowest[0]
    task.cancel()


def test_a_picture_becomes_candidates(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (client, heard):
            generation = await client.publish_gallery(
                "front", [("p-red", template_of(RED)), ("p-red", template_of(RED)), ("p-green", template_of(GREEN))]
            )
            await until(lambda: client.status().generations.get("front") == generation)
            put(tmp_path / "porch", "1", scene((RED, 200, 150)))
            await until(lambda: bool(heard.candidates), heard)
            told = heard.candidates[0]
            assert (told.camera, told.door, told.generation, told.frames) == ("porch", "front", generation, 3)
            assert [candidate.person for candidate in told.best] == ["p-red", "p-green"]
            assert told.best[0].distance < told.threshold < told.best[1].distance
            assert heard.presence[0].present
            put(tmp_path / "porch", "2", scene((BLUE, 200, 150)))
            await until(lambda: heard.candidates[-1].track != told.track, heard)
            assert heard.candidates[-1].best[0].distance > told.threshold
            assert heard.kinds() == ["vision.started.v1"]

    asyncio.run(scenario())


def test_a_killed_worker_is_started_again_and_gets_its_gallery(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (client, heard):
            generation = await client.publish_gallery("front", [("p-red", template_of(RED))])
            for _ in range(2):
                await until(lambda: client.status().generations.get("front") == generation)
                os.kill(worker_pid(client), signal.SIGKILL)
                await until(lambda: not client.up)
            await until(lambda: client.status().generations.get("front") == generation)
            assert client.status().restarts == 2
            assert client.status().last_end == "signal 9"
            assert heard.kinds().count("vision.stopped.v1") == 2

    asyncio.run(scenario())


def test_a_stopped_worker_is_seen_killed_and_replaced_while_the_loop_turns(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, silent=2.0) as (client, heard):
            await until(lambda: client.status().state == "up")
            pid = worker_pid(client)
            os.kill(pid, signal.SIGSTOP)
            with responsive() as slowest:
                await until(lambda: client.status().state == "up" and worker_pid(client) not in {0, pid}, heard)
            assert slowest() < 0.5
            assert client.status().last_end == "hung"
            assert not alive(pid)

    asyncio.run(scenario())


@pytest.mark.parametrize(("mode", "why"), [("leak", "exit 11"), ("hang", "hung")])
def test_a_worker_that_leaks_or_hangs_in_its_computing_is_replaced(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, mode: str, why: str
) -> None:
    monkeypatch.setenv("LOUMEN_DOUBLE", mode)
    (tmp_path / "porch").mkdir()

    async def scenario() -> None:
        async with running(tmp_path, vision=schema.Vision(ceiling_mb=150), silent=2.0) as (client, heard):
            await until(lambda: client.up)
            for number in range(3):
                put(tmp_path / "porch", f"{number}", scene((RED, 200, 150)))
            await until(lambda: client.status().last_end != "", heard)
            assert client.status().last_end == why
            await until(lambda: client.status().restarts >= 1)

    asyncio.run(scenario())


def test_a_worker_that_speaks_garbage_is_replaced(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOUMEN_DOUBLE", "garbage-once")
    monkeypatch.setenv("LOUMEN_DOUBLE_ONCE", str(tmp_path / "once"))

    async def scenario() -> None:
        async with running(tmp_path, silent=2.0) as (client, _heard):
            await until(lambda: client.status().state == "up")
            assert client.status().last_end.startswith("garbage")

    asyncio.run(scenario())


def test_the_end_of_the_client_is_the_end_of_its_processes(tmp_path: Path) -> None:
    async def scenario() -> tuple[int, ...]:
        async with running(tmp_path) as (client, _heard):
            await until(lambda: client.status().state == "up")
            return worker_pid(client), client.supervisor_pid

    pids = asyncio.run(scenario())
    assert not any(map(alive, pids))
    assert not (tmp_path / "run" / "vision-doors.sock").exists()


def test_a_killed_supervisor_is_replaced_too(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (client, _heard):
            await until(lambda: client.status().state == "up")
            before = worker_pid(client)
            os.kill(client.supervisor_pid, signal.SIGKILL)
            await until(lambda: client.status().state == "up" and worker_pid(client) != before)

    asyncio.run(scenario())


def test_faces_are_enrolled_from_pictures_and_from_the_camera(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (client, heard):
            generation = await client.publish_gallery("front", [("p-red", template_of(RED))])
            await until(lambda: client.status().generations.get("front") == generation)
            good = [put(tmp_path, f"good{n}", scene(((40, 220, 40 + 20 * n), 200, 150))) for n in (0, 1)]
            twins = put(tmp_path, "twins", scene((GREEN, 50, 50), (GREEN, 400, 150)))
            nobody = put(tmp_path, "nobody", scene())
            small = put(tmp_path, "small", scene((GREEN, 50, 50), side=40))
            other = put(tmp_path, "other", scene((BLUE, 200, 150)))
            damaged = tmp_path / "damaged.jpg"
            damaged.write_bytes(b"\xff\xd8rubbish")
            answer = await client.enrol(files=[*good, twins, nobody, small, other, damaged, tmp_path / "none.png"])
            assert len(answer.embeddings) == 2
            assert answer.embeddings[0] == template_of(GREEN)
            assert answer.names == ("good0.png", "good1.png")
            refused = {each.name: each.why for each in answer.refused}
            assert list(refused) == ["twins.png", "nobody.png", "small.png", "other.png", "damaged.jpg", "none.png"]
            assert refused["twins.png"] == quality.SEVERAL_FACES
            assert refused["nobody.png"] == quality.NO_FACE
            assert refused["other.png"] == ANOTHER

            asked = asyncio.create_task(client.enrol(camera="porch", seconds=8))
            put(tmp_path / "porch", "1", scene((BLUE, 200, 150)))
            from_camera = await asked
            assert (
                len(from_camera.embeddings) == 1
            )  # a picture that never changes is one look, however long it is shown
            assert from_camera.quality == (1.0,)
            await until(lambda: not heard.presence[-1].present, heard)
            assert (await client.enrol(camera="porch", seconds=0.5)).refused

    asyncio.run(scenario())


def test_an_enrolment_that_does_not_add_up_is_garbage(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (client, _heard):
            odd = protocol.Enrolled(request=1, embeddings=(b"", b""), quality=(1.0,), engine="onnx", names=("a",))
            with pytest.raises(protocol.Garbage, match="do not match"):
                client._take_enrolled(odd)

    asyncio.run(scenario())


def test_an_enrolment_ends_when_the_worker_does(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (client, _heard):
            await until(lambda: client.status().state == "up")
            asked = asyncio.create_task(client.enrol(camera="porch", seconds=30))
            await until(lambda: client.asked == 1)
            os.kill(worker_pid(client), signal.SIGKILL)
            with pytest.raises(VisionDown, match="ended meanwhile"):
                await asked
            await until(lambda: client.up)
            with pytest.raises(VisionDown, match="watch a camera called garage"):
                await client.enrol(camera="garage")

    asyncio.run(scenario())


def test_a_gallery_that_was_touched_is_refused_and_the_one_before_kept(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (client, _heard):
            first = await client.publish_gallery("front", [("p-red", template_of(RED))])
            await until(lambda: client.status().generations.get("front") == first)
            session = client.session
            assert session is not None
            folder = tmp_path / "run" / "galleries"
            forged = folder / "front.99.gallery"
            forged.write_bytes((folder / f"front.{first}.gallery").read_bytes())
            session.send(protocol.Gallery(door="front", generation=99, path=str(forged), sha256="0" * 64))
            await until(lambda: bool(client.status().problems))
            assert "refused" in client.status().problems[0]
            assert client.status().generations == {"front": first}
            second = await client.publish_gallery("front", [("p-blue", template_of(BLUE))])
            assert second == 100
            await until(lambda: client.status().generations == {"front": second} and not client.status().problems)

    asyncio.run(scenario())


def test_a_camera_that_vanishes_is_told_and_comes_back(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.vision.cameras.LOST", 2.0)

    async def scenario() -> None:
        async with running(tmp_path) as (client, heard):
            await until(lambda: bool(client.status().cameras) and client.status().cameras[0].frames > 0)
            (tmp_path / "porch").rmdir()
            await until(lambda: "vision.camera_lost.v1" in heard.kinds(), heard)
            assert "No such file" in client.status().cameras[0].problem
            assert client.status().state == "up"
            (tmp_path / "porch").mkdir()
            await until(lambda: "vision.camera_back.v1" in heard.kinds(), heard)

    asyncio.run(scenario())


def test_a_full_run_folder_is_named(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (client, _heard):
            await until((tmp_path / "run" / "galleries").is_dir)
            (tmp_path / "run" / "galleries").rename(tmp_path / "elsewhere")
            (tmp_path / "run" / "galleries").write_text("in the way")
            with pytest.raises(VisionDown, match="could not be written"):
                await client.publish_gallery("front", [("p-red", template_of(RED))])
            assert client.generation("front") == 0

    asyncio.run(scenario())


def test_a_client_without_cameras_is_off_and_harmless(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path, vision=schema.Vision(run="off")) as (client, _heard):
            assert client.status().state == "off"
            assert await client.publish_gallery("front", [("p-red", template_of(RED))]) == 0
            with pytest.raises(VisionDown):
                await client.enrol(camera="porch")

    asyncio.run(scenario())


def test_the_daemons_side_loads_nothing_heavy() -> None:
    program = (
        "import sys, gateway.vision.client\n"
        "print(sorted({'numpy', 'cv2', 'onnxruntime', 'drivers.camera'} & sys.modules.keys()))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"


def test_a_worker_that_hears_garbage_ends_and_is_started_again(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (client, _heard):
            await until(lambda: client.status().state == "up")
            session = client.session
            assert session is not None
            session._writer.write(b"\xff" * 8)
            await until(lambda: client.status().last_end == "exit 10")
            assert "one release" in client.status().last_end_words
            await until(lambda: client.status().state == "up")

    asyncio.run(scenario())
