"""The whole vision process with the real engine: a real face, from a picture in a folder to the daemon's callback."""

from __future__ import annotations

import asyncio
import itertools
import json
import os
import shutil
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Literal

import cv2
import numpy as np
import pytest

from gateway.config import schema
from gateway.errors import LoumenError, ModelError
from gateway.vision import demo_faces, engines, models
from gateway.vision.client import VisionClient
from gateway.vision.track import Tracker
from tests.vision.running import Heard, running, until

EngineName = Literal["onnx", "face-recognition"]
REAL = (sys.executable, "-m", "gateway.vision.worker")


@pytest.fixture(scope="module")
def faces() -> tuple[list[Path], Path]:
    """Pictures of a resident, and one of a stranger; models are needed too."""
    try:
        content = models.manifest()
        for name in ("dlib-resnet", "dlib-trees-5", "blazeface-full-range", "blazeface-short-range"):
            models.checked(content.named(name), models.folder())
        return demo_faces.resident_pictures(), demo_faces.stranger_pictures()[0]
    except LoumenError as error:
        pytest.skip(str(error))


def show(picture: Path, folder: Path) -> None:
    shutil.copy(picture, folder / f".{picture.name}")
    (folder / f".{picture.name}").rename(folder / picture.name)


async def enrolled(client: VisionClient, heard: Heard, pictures: list[Path]) -> int:
    await until(lambda: client.up, heard, within=60)
    answer = await client.enrol(files=pictures)
    assert answer.refused == ()
    generation = await client.publish_gallery("front", [("resident", vector) for vector in answer.embeddings])
    await until(lambda: client.status().generations.get("front") == generation)
    return generation


def test_a_resident_is_told_and_a_stranger_is_not_taken_for_her(tmp_path: Path, faces: tuple[list[Path], Path]) -> None:
    resident, stranger = faces

    async def scenario() -> None:
        async with running(tmp_path, worker=REAL, silent=10) as (client, heard):
            generation = await enrolled(client, heard, resident[:2])
            for picture, known in ((stranger, False), (resident[2], True), (resident[3], True)):
                tracks = {told.track for told in heard.candidates}
                show(picture, tmp_path / "porch")
                await until(lambda seen=tracks: {told.track for told in heard.candidates} > seen, heard)  # type: ignore[misc]
                told = heard.candidates[-1]
                assert (told.generation, told.frames) == (generation, 3)
                assert told.best[0].person == "resident"
                assert (told.best[0].distance < told.threshold) is known, picture.name
            status = client.status()
            assert status.resident_kb < 250 * 1024
            assert status.people == {"front": 1}
            assert 0.2 < status.thresholds["front"] <= 0.42

    asyncio.run(scenario())


def test_a_worker_killed_while_it_computes_is_back_and_recognises(
    tmp_path: Path, faces: tuple[list[Path], Path]
) -> None:
    resident, _ = faces

    async def scenario() -> None:
        async with running(tmp_path, worker=REAL, silent=10) as (client, heard):
            generation = await enrolled(client, heard, resident[:1])
            show(resident[1], tmp_path / "porch")
            await until(lambda: bool(heard.candidates), heard)
            assert client.session is not None
            os.kill(client.session.hello.pid, signal.SIGKILL)
            await until(lambda: not client.up)
            await until(lambda: client.status().generations.get("front") == generation, within=60)
            before = len(heard.candidates)
            show(resident[2], tmp_path / "porch")
            await until(lambda: len(heard.candidates) > before, heard)
            assert heard.candidates[-1].best[0].distance < heard.candidates[-1].threshold

    asyncio.run(scenario())


@pytest.mark.parametrize(("enrols", "watches"), [("onnx", "face-recognition"), ("face-recognition", "onnx")])
def test_whoever_enrolled_with_one_engine_is_known_to_the_other(
    tmp_path: Path, faces: tuple[list[Path], Path], enrols: EngineName, watches: EngineName
) -> None:
    """The named package runs in a door's own process, and nobody enrols again when the engine is changed."""
    resident, stranger = faces
    try:
        engines.load("face-recognition")
    except ModelError as error:
        pytest.skip(str(error))

    async def enrol() -> list[tuple[str, bytes]]:
        async with running(tmp_path, worker=REAL, vision=schema.Vision(engine=enrols), silent=10) as (client, heard):
            await until(lambda: client.status().state == "up", heard, within=60)
            assert client.status().engine == enrols
            answer = await client.enrol(files=resident[:2])
            assert answer.refused == ()
            return [("resident", vector) for vector in answer.embeddings]

    async def watch(templates: list[tuple[str, bytes]]) -> None:
        async with running(tmp_path, worker=REAL, vision=schema.Vision(engine=watches), silent=10) as (client, heard):
            await until(lambda: client.status().state == "up", heard, within=60)
            status = client.status()
            assert (status.engine, status.detector) == (
                watches,
                "hog" if watches == "face-recognition" else "blazeface",
            )
            generation = await client.publish_gallery("front", templates)
            await until(lambda: client.status().generations.get("front") == generation)
            for picture, known in ((stranger, False), (resident[2], True)):
                tracks = {told.track for told in heard.candidates}
                show(picture, tmp_path / "porch")
                await until(
                    lambda seen=tracks: {told.track for told in heard.candidates} > seen,  # type: ignore[misc]
                    heard,
                    within=60,
                )
                told = heard.candidates[-1]
                assert (told.best[0].distance < told.threshold) is known, (picture.name, told)
            status = client.status()
            assert status.restarts == 0, status.last_end
            assert status.resident_kb < schema.Vision().ceiling_mb * 1024

    asyncio.run(watch(asyncio.run(enrol())))


def test_bad_reference_pictures_are_refused_with_the_reason(tmp_path: Path, faces: tuple[list[Path], Path]) -> None:
    resident, stranger = faces
    first, second = (cv2.imread(str(picture)) for picture in (resident[0], stranger))
    assert first is not None
    assert second is not None
    sides = [cv2.resize(picture, (500, 600)) for picture in (first, second)]
    cv2.imwrite(str(tmp_path / "two.png"), np.hstack(sides))
    cv2.imwrite(str(tmp_path / "blurred.png"), cv2.GaussianBlur(first, (0, 0), 25))
    cv2.imwrite(str(tmp_path / "wall.png"), np.full((480, 640, 3), 120, np.uint8))
    (tmp_path / "torn.jpg").write_bytes(resident[0].read_bytes()[:3000])

    async def scenario() -> None:
        async with running(tmp_path, worker=REAL, silent=10) as (client, heard):
            await until(lambda: client.up, heard, within=60)
            names = ("two.png", "blurred.png", "wall.png", "torn.jpg")
            answer = await client.enrol(files=[tmp_path / name for name in names])
            assert answer.embeddings == ()
            assert tuple(refused.name for refused in answer.refused) == names

    asyncio.run(scenario())


def test_an_engine_without_its_models_is_told_as_the_reason(tmp_path: Path) -> None:
    async def scenario() -> None:
        program = "import sys; sys.prefix = '/nowhere'; from gateway.vision import worker; sys.exit(worker.main())"
        broken = (sys.executable, "-c", program)
        async with running(tmp_path, worker=broken, vision=schema.Vision()) as (client, heard):
            await until(lambda: client.status().last_end != "", heard, within=60)
            assert client.status().last_end == "exit 12"
            assert "model" in client.status().last_end_words
            assert client.status().state == "down"

    asyncio.run(scenario())


@pytest.mark.nightly
def test_memory_is_flat_over_an_hour(faces: tuple[list[Path], Path]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.vision_memory", "--seconds", "3600", "--json"],
        capture_output=True,
        text=True,
        check=False,
    )
    found = json.loads(done.stdout)
    assert found["flat"], found


def test_a_singer_in_motion_stays_one_track(shared: Path, faces: tuple[list[Path], Path]) -> None:
    """A film clip: he is frames 90 to 210, one track; then a cut to the audience, who are none of him."""
    engine, tracker = engines.load("onnx"), Tracker(itertools.count(1))
    film = cv2.VideoCapture(str(shared / "data" / "faces" / "video" / "clip1.mp4"))
    rate, number = film.get(cv2.CAP_PROP_FPS), 0
    seen, after = Counter[int](), Counter[int]()
    while film.grab():
        number += 1
        if number % 3 or number < 90:
            continue
        good, frame = film.retrieve()
        assert good
        found, now = engine.find(np.asarray(frame, np.uint8))[:4], number / rate
        for face, track in zip(found, tracker.see([face.box for face in found], now), strict=True):
            embedded = engine.embed(np.asarray(frame, np.uint8), face)
            (seen if number <= 210 else after)[tracker.add(track, embedded.vector, 1.0, now).number] += 1
    film.release()
    singer, frames = seen.most_common(1)[0]
    assert frames >= 0.95 * seen.total() > 35, seen
    assert after[singer] <= 1 < len(after), after  # one odd look that is not pooled
