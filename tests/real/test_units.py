"""The units: silent under systemd's own check where they are installed, and little exposed."""

from __future__ import annotations

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.box import deployed, image

SYSTEMD = deployed.REPOSITORY / "systemd"
SERVICES = ("loumen.service", "loumen-vision@.service", "loumen-desk.service")
INSTALLED = (
    "loumen.service",
    "loumen-switch.service",
    "loumen-disk.service",
    "loumen-vision@doors.service",
    "loumen-vision@doors.path",
)


@pytest.mark.real("systemd-analyze")
@pytest.mark.parametrize("unit", SERVICES)
def test_at_most_three_of_ten_is_exposed(unit: str) -> None:
    done = subprocess.run(
        ["systemd-analyze", "security", "--offline=true", "--threshold=30", SYSTEMD / unit],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout[-300:]
    assert "Overall exposure level" in done.stdout


@pytest.fixture(scope="module")
def box(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """An empty Debian as a folder, and a box installed in it."""
    folder = tmp_path_factory.mktemp("root")
    subprocess.run(["tar", "xf", image.root(), "-C", folder], check=True)
    installed(folder, (Path(__file__).parent / "box" / "door.toml").read_text())
    yield folder
    shutil.rmtree(folder)


def installed(folder: Path, config: str) -> None:
    """Run deploy.sh in it: no systemd runs there, as in an image that is being made."""
    deployed.checkout(folder / "usr/src/loumen")
    shutil.copytree(deployed.wheels(), folder / "usr/src/wheels")
    (folder / "usr/src/door.toml").write_text(config)
    words = "install --config /usr/src/door.toml --wheels /usr/src/wheels"
    done = within(folder, f"bash /usr/src/loumen/deploy.sh {words}")
    assert done.returncode == 0, done.stdout + done.stderr
    assert "no systemd runs here: installed, and it starts when this machine boots" in done.stdout


def within(root: Path, command: str) -> subprocess.CompletedProcess[str]:
    """Run in the folder as if it were the machine; its mounts end with the command."""
    mounts = f"mount -t proc proc {root}/proc; mount -t tmpfs run {root}/run; mount --bind /dev {root}/dev"
    inside = f"exec chroot {root} env -i PATH=/usr/sbin:/usr/bin:/sbin:/bin HOME=/tmp bash -c '{command}'"
    return subprocess.run(
        ["unshare", "--mount", "bash", "-c", f"{mounts}; {inside}"], capture_output=True, text=True, check=False
    )


needs_a_root = pytest.mark.real("mmdebstrap", "mke2fs", "root")


@needs_a_root
@pytest.mark.timeout(400)
def test_systemd_has_nothing_to_say_about_them(box: Path) -> None:
    done = within(box, f"systemd-analyze verify {' '.join(INSTALLED)}")
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")


@needs_a_root
@pytest.mark.timeout(400)
def test_users_folders_and_links(box: Path) -> None:
    assert (box / "etc/systemd/system/multi-user.target.wants/loumen.service").is_symlink()
    users = within(box, "id -nG loumen; id -nG loumen-vision").stdout.splitlines()
    assert [sorted(groups.split()) for groups in users] == [
        ["dialout", "gpio", "loumen", "loumen-vision"],
        ["loumen-vision", "video"],
    ]
    told = within(box, 'stat -c "%U %G %a" /etc/loumen /etc/loumen/gateway.toml /etc/credstore/loumen-box-key').stdout
    assert told.splitlines() == ["loumen loumen 750", "loumen loumen 640", "root root 600"]
    assert within(box, "/opt/loumen/current/bin/loumen model verify").returncode == 0
    assert within(box, "/opt/loumen/current/bin/python -c 'import setuptools'".replace("'", '"')).returncode != 0


@needs_a_root
@pytest.mark.timeout(400)
def test_what_is_edited_by_hand_is_kept(box: Path) -> None:
    unit = box / "etc/systemd/system/loumen.service"
    was = unit.read_text()
    unit.write_text(f"{was}# mine\n")
    update = "bash /usr/src/loumen/deploy.sh update --wheels /usr/src/wheels"
    refused = within(box, update)
    assert (refused.returncode, "edited by hand" in refused.stderr) == (1, True)
    assert within(box, f"{update} --replace-units").returncode == 0
    assert unit.read_text() == was
    assert (box / "etc/systemd/system/loumen.service.edited").read_text() == f"{was}# mine\n"


@needs_a_root
@pytest.mark.timeout(400)
def test_a_box_with_cameras_starts_its_vision_process_at_the_next_boot(box: Path) -> None:
    config, wanted = box / "etc/loumen/gateway.toml", box / "etc/systemd/system/multi-user.target.wants"
    was = config.read_text()
    assert not list(wanted.glob("loumen-vision@*"))
    config.write_text(was.replace('run = "off"', 'run = "service"'))
    assert within(box, "bash /usr/src/loumen/deploy.sh update --wheels /usr/src/wheels").returncode == 0
    assert {path.name for path in wanted.glob("loumen-vision@*")} == {
        "loumen-vision@doors.path",
        "loumen-vision@lanes.path",
    }
    config.write_text(was)


@needs_a_root
@pytest.mark.timeout(400)
def test_wheels_that_are_not_the_locked_ones_are_refused(box: Path) -> None:
    shutil.rmtree(box / "opt/loumen/releases")
    wheel = next((box / "usr/src/wheels").glob("h11-*.whl"))
    with wheel.open("ab") as file:
        file.write(b"more")
    update = "bash /usr/src/loumen/deploy.sh install --config /usr/src/door.toml --wheels /usr/src/wheels"
    refused = within(box, update)
    assert (refused.returncode, "a wheel is not the one that requirements" in refused.stderr) == (1, True)
    wheel.unlink()
    refused = within(box, update)
    assert (refused.returncode, "a package is missing" in refused.stderr) == (1, True)


def test_the_daemon_is_watched_bounded_and_made_safe() -> None:
    text = (SYSTEMD / "loumen.service").read_text()
    for line in (
        "Type=notify",
        "OOMPolicy=continue",
        'ExecStopPost=-/bin/sh -c \'[ "$$EXIT_CODE $$EXIT_STATUS" = "exited 0" ] || '
        "exec /opt/loumen/current/bin/loumen safe-state'",
        "TimeoutStopSec=5",
        "StateDirectory=loumen",
        "LoadCredential=box-key:loumen-box-key",
        "DeviceAllow=char-gpiochip rw",
    ):
        assert re.search(rf"^{re.escape(line)}$", text, re.MULTILINE), line
    assert re.search(r"^WatchdogSec=\d+$", text, re.MULTILINE)


def test_the_vision_process_has_its_cameras_and_goes_first() -> None:
    text = (SYSTEMD / "loumen-vision@.service").read_text()
    assert re.search(r"^DevicePolicy=closed$", text, re.MULTILINE)
    assert not re.search(r"^DeviceAllow=", text, re.MULTILINE)  # devices.py names them at each start
    assert re.search(r"^MemoryMax=\d+M$", text, re.MULTILINE)
    assert re.search(r"^OOMScoreAdjust=800$", text, re.MULTILINE)
    assert "User=loumen-vision" in text
