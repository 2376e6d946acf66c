"""A box that has just been switched on: what is not there yet is starting, not down, and is waited for."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.config import schema
from gateway.errors import DirectoryDown, VisionDown
from gateway.report import _camera_problem
from gateway.vision.protocol import CameraHealth, Enrolled
from tests.directory.house import opened
from tests.vision.double import RED, scene
from tests.vision.running import put, running, until

NOBODY = ("/bin/sh", "-c", "exec sleep 60", "worker")  # a worker that loads for ever


def test_an_enrolment_waits_for_the_first_worker(tmp_path: Path) -> None:
    async def scenario() -> Enrolled:
        async with running(tmp_path) as (client, _heard):
            assert (client.up, client.status().state) == (False, "starting")
            return await client.enrol(files=[put(tmp_path / "porch", "1", scene((RED, 200, 150)))])

    assert len(asyncio.run(scenario()).embeddings) == 1


def test_who_waits_in_vain_is_told_that_it_starts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.vision.client.START_PATIENCE", 0.2)

    async def scenario() -> str:
        async with running(tmp_path, worker=NOBODY) as (client, _heard):
            with pytest.raises(VisionDown) as told:
                await client.enrol(camera="porch")
            return told.value.what

    assert asyncio.run(scenario()) == "the vision process is still starting"


def test_one_that_never_comes_is_down_after_a_while(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.vision.client.START_WITHIN", 0.3)

    async def scenario() -> None:
        async with running(tmp_path, vision=schema.Vision(run="service")) as (client, _heard):
            assert client.status().state == "starting"
            await until(lambda: client.status().state == "down")
            assert (client.status().last_end, bool(client.status().last_end_words)) == ("missing", True)
            with pytest.raises(VisionDown, match="no vision process is running"):
                await client.enrol(camera="porch")

    asyncio.run(scenario())


def test_detector_and_models_are_known_from_the_first_word(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gateway.vision.client.VisionClient._take_heartbeat", lambda _client, _heartbeat: None)

    async def scenario() -> None:
        async with running(tmp_path) as (client, _heard):
            await until(lambda: client.up)
            status = client.status()
            assert (status.state, status.detector) == ("starting", "squares")

    asyncio.run(scenario())


def test_a_command_in_the_first_second_waits_for_the_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario() -> None:
        async with opened(tmp_path) as house:
            directory = house.directory
            directory._started.clear()
            assert directory.health().state == "starting"
            waiting = asyncio.create_task(directory.wait_started())
            await asyncio.sleep(0.05)
            assert not waiting.done()
            directory._started.set()
            await waiting
            directory._started.clear()
            monkeypatch.setattr("gateway.directory.store.START_WITHIN", 0.05)
            with pytest.raises(DirectoryDown, match="still being opened"):
                await directory.wait_started()

    asyncio.run(scenario())


def test_a_cameras_trouble_comes_as_words_that_can_be_translated(tmp_path: Path) -> None:
    async def scenario() -> CameraHealth:
        async with running(tmp_path) as (client, _heard):
            await until(lambda: client.status().state == "up")
            (tmp_path / "porch").rmdir()
            await until(lambda: bool(client.status().cameras[0].problem))
            return client.status().cameras[0]

    problem = _camera_problem(asyncio.run(scenario()))
    assert (problem.part, problem.what) == ("camera.porch", "the folder of pictures cannot be read: {error}")
    assert problem.facts["error"] == "No such file or directory"
    assert problem.mend
    assert problem.where == str(tmp_path / "porch")


def test_a_worker_of_an_older_release_says_it_in_english_only() -> None:
    problem = _camera_problem(CameraHealth(camera="porch", frame_age=None, frames=0, problem="no such device"))
    assert (problem.what, problem.facts["problem"]) == ("it gives no pictures: {problem}", "no such device")
    assert problem.mend
