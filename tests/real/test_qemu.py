"""An installed box on Debian's stock kernel, emulated: its watchdog, its devices by name, its cameras' sandbox."""

from __future__ import annotations

import json
import shutil
import subprocess
from collections.abc import Iterator

import pytest

from tests.real.box import deployed
from tests.real.qemu import machine
from tests.real.test_deploy import BOX, Life
from tests.real.test_units import installed

VISION = """
[camera.main]
driver = "v4l2"
device = "/dev/video0"
"""
pytestmark = [
    pytest.mark.nightly,
    pytest.mark.timeout(3600),
    pytest.mark.real("qemu-system-x86_64", "mmdebstrap", "mke2fs", "root"),
]


@pytest.fixture(scope="module")
def day(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    """The output of a box's day."""
    folder = tmp_path_factory.mktemp("qemu")
    tree, share = folder / "tree", folder / "share"
    share.mkdir()
    tree.mkdir()
    subprocess.run(["tar", "xf", machine.folder() / "root.tar", "-C", tree], check=True)
    door = (BOX / "door.toml").read_text().replace('run = "off"', 'run = "service"')
    installed(tree, door.replace('name = "Unit 1"', 'name = "Unit 1"\ncamera = "main"') + VISION)
    drive = machine.disk(tree, folder / "disk.ext4")
    shutil.rmtree(tree)
    for file in (BOX / "board.sh", machine.folder() / "gpio-sim.ko", deployed.REPOSITORY / "tests/real/qemu/day.sh"):
        shutil.copy2(file, share)
    code, output = machine.boot(drive, share, "day.sh", within=2400)
    print(output)
    assert code == 0, output
    yield Life(output, share)
    shutil.rmtree(folder)


def test_the_installed_box_opens_its_door(day: Life) -> None:
    assert [door["sensed"] for door in json.loads(day["status.json"])["doors"]] == ["closed"]
    assert day["user"] == "loumen"
    assert (day["installed.button"], day["installed.command"]) == ("yesyes", "yesyes")


def test_a_hung_control_loop_is_started_again_by_the_watchdog(day: Life) -> None:
    assert int(day["hung.after"]) <= 30  # WatchdogSec=10 and what it takes to end it
    assert day["hung.said"] == "1"
    assert (day["again.button"], day["again.command"]) == ("yesyes", "yesyes")


def test_a_serial_adapter_keeps_its_name(day: Life) -> None:
    assert day["serial"].startswith("/dev/ttyUSB")


def test_the_vision_process_opens_its_own_camera_and_no_other(day: Life) -> None:
    assert "video" not in day["camera.none"]
    assert "/dev/video0 rw" in day["camera.allowed"]
    assert "video1" not in day["camera.allowed"]
    assert day["camera.opens"] == "yesno"
    assert day["camera.limit"] == str(450 * 1024 * 1024)
