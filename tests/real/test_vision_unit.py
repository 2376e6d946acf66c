"""The vision process as systemd runs it: its own user, a sandbox that the models run in, the first to go."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator

import pytest

from gateway.vision import demo_faces
from tests.real.box import deployed, machine
from tests.real.test_deploy import BOX, Life, filled

VISION = """
[camera.main]
driver = "folder"
path = "/srv/pictures"
fps = 2
"""
pytestmark = [pytest.mark.timeout(700), pytest.mark.nightly, pytest.mark.real("kernel", "mmdebstrap", "mke2fs", "root")]


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    share = tmp_path_factory.mktemp("box")
    deployed.checkout(share / "one")
    shutil.copy2(BOX / "board.sh", share / "board.sh")
    (share / "faces").mkdir()
    for picture in sorted(demo_faces.folder().glob("resident_*.jpg"))[:3]:
        shutil.copy2(picture, share / "faces")
    door = (BOX / "door.toml").read_text().replace('run = "off"', 'run = "service"')
    door = door.replace('name = "Unit 1"', 'name = "Unit 1"\ncamera = "main"')
    (share / "faces.toml").write_text(door + VISION)
    code, output = machine.boot(filled("faces.sh", share), share, within=600, memory="1024M")
    print(output)
    assert code == 0, output
    yield Life(output, share)
    shutil.rmtree(share)


def test_it_looks_through_its_camera_under_its_sandbox(life: Life) -> None:
    assert life["install.code"] == "0"
    vision = json.loads(life["status.json"])["vision"]
    assert (vision["run"], vision["state"]) == ("service", "up")
    assert vision["cameras"][0]["problem"] == ""
    assert life["worker.user"] == "loumen-vision loumen-vision"
    assert life["worker.oom"] == "800"
    assert life["worker.memory_max"] == str(450 * 1024 * 1024)


def test_it_sees_neither_keys_nor_people(life: Life) -> None:
    assert "box-key" not in life["worker.sees"]
    assert "directory.db" not in life["worker.sees"]


def test_a_face_is_enrolled_across_the_two_users(life: Life) -> None:
    assert life["person.code"] == "0"
    assert life["enrol.code"] == "0", life.said


def test_killed_it_comes_back_and_the_door_does_not_notice(life: Life) -> None:
    assert life["worker.again"] == "active"
    assert (life["beside.button"], life["beside.command"]) == ("yesyes", "yesyes")
    assert life["daemon_again"] == "1"
