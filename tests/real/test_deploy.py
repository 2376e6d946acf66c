"""deploy.sh on a machine booted from an empty Debian, with systemd and a board of simulated lines."""

from __future__ import annotations

import json
import os
import random
import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.box import deployed, machine

BOX = Path(__file__).parent / "box"
UNOWNED = 3000  # milliseconds that the outputs may be without an owner
DEPLOY = deployed.REPOSITORY / "deploy.sh"
#: What is changed in a copy of this checkout to make another release of it: file, pattern, replacement.
RELEASES = {
    "one": ("gateway/__init__.py", r'__version__ = ".*"', '__version__ = "9.1.0"'),
    "two": ("gateway/__init__.py", r'__version__ = ".*"', '__version__ = "9.2.0"'),
    "dies": (
        "gateway/services.py",
        r"\nclass Services",
        '\nraise RuntimeError("this release dies")\n\n\nclass Services',
    ),
    "sick": (
        "gateway/control/server.py",
        r'(        """Serve until cancelled\..*\n)',
        r"\1        await asyncio.Event().wait()\n",
    ),
    "five": ("gateway/__init__.py", r'__version__ = ".*"', '__version__ = "9.5.0"'),
}


class Life:
    """What a booted box told: words by key, and the lines of each run of deploy.sh."""

    def __init__(self, output: str, share: Path) -> None:
        self.output, self.share = output, share
        self.said: dict[str, str] = {}
        self._words: dict[str, str] = {}
        for line in output.splitlines():
            if told := re.match(r"(\w+)\| (.*)", line):
                self.said[told[1]] = self.said.get(told[1], "") + told[2] + "\n"
            elif told := re.match(r"([a-z_]+(?:\.[a-z_]+)?) ?(.*)", line):
                self._words.setdefault(told[1], told[2].strip())

    def __getitem__(self, key: str) -> str:
        assert key in self._words, f"nothing of {key}:\n{self.output}"
        return self._words[key]

    def gap(self, name: str) -> float:
        """Milliseconds without an owner of the outputs, the longest of that run.

        The box is one process of this machine and has its clock: of a machine that more want than it has processors,
        it gets a share, and so much longer it takes.
        """
        wanted = max(1.0, os.getloadavg()[1] / (os.cpu_count() or 1))
        return max(int(found) for found in re.findall(r"without an owner for (\d+) ms", self.said[name])) / wanted


def releases(share: Path) -> None:
    """The checkout and the releases made from it, as `share` for the box."""
    for name, (file, pattern, replacement) in RELEASES.items():
        changed = deployed.checkout(share / name) / file
        text, count = re.subn(pattern, replacement, changed.read_text(), count=1)
        assert count == 1, (name, file)
        changed.write_text(text)
    for name in ("board.sh", "door.toml", "finds.py"):
        shutil.copy2(BOX / name, share / name)
    door = (BOX / "door.toml").read_text()
    (share / "bad.toml").write_text(door.replace("open_for = 2.0", 'open_for = "long"'))
    (share / "nochip.toml").write_text(door.replace("pinctrl-bcm2711", "pinctrl-rp1"))


@pytest.fixture(scope="module")
def life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    yield from lived("life.sh", tmp_path_factory.mktemp("box"))


@pytest.fixture(scope="module")
def long_life(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Life]:
    yield from lived("long_life.sh", tmp_path_factory.mktemp("box"))


def lived(name: str, share: Path) -> Iterator[Life]:
    """A machine booted for the script; its output stays in the test's own."""
    releases(share)
    code, output = machine.boot(filled(name, share), share, within=LONGEST)
    print(output)
    assert code == 0, output
    yield Life(output, share)
    shutil.rmtree(share)


def filled(name: str, share: Path) -> Path:
    """A script of the box that knows where the host's files are."""
    script = share / name
    template = (BOX / name).read_text()
    script.write_text(template.replace("@SHARE@", str(share)).replace("@WHEELS@", str(deployed.wheels())))
    return script


LONGEST = 1500  # seconds for a box's life, beside other tests on a slow machine
pytestmark = [pytest.mark.timeout(1700)]
needs_a_machine = pytest.mark.real("kernel", "mmdebstrap", "mke2fs", "root")


@needs_a_machine
def test_an_empty_debian_becomes_a_box(life: Life) -> None:
    assert (life["dry.code"], life["dry.left"]) == ("0", "")
    assert "nothing is changed (--dry-run)" in life.said["dry"]
    assert (life["install.code"], life["status.code"]) == ("0", "0")
    status = json.loads(life["status.json"])
    assert [door["sensed"] for door in status["doors"]] == ["closed"]
    assert not [problem for problem in status["problems"] if problem["severity"] == "bad"]
    assert (life["installed.button"], life["installed.command"]) == ("yesyes", "yesyes")
    assert life["daemon"] == "loumen"
    assert life["device"] == "root gpio 660"
    assert life["config"] == "loumen loumen 640"
    assert life["key.used"] == "yes 600 root"
    assert (life["enrol.code"], life["foreign"]) == ("0", "")
    assert "lazytime" in life["disk"].split()[0].split(",")
    assert life["disk"].split()[1:] == ["enabled", "active"]


@needs_a_machine
def test_first_contact(life: Life) -> None:
    assert "fingerprint:" in life.said["install"]
    label = json.loads(life["label"])
    assert label["address"] == "192.168.7.1"
    assert "Loumen unit-1" in life["found"]  # asked for from another machine of the network
    assert f"id={label['box']}" in life["found"]
    assert life["rules"] == "0"  # udev has nothing to say about ours


@needs_a_machine
def test_systemd_starts_again_what_was_killed(life: Life) -> None:
    assert life["killed.again"] == "yes"


@needs_a_machine
@pytest.mark.nightly
def test_systemd_starts_again_what_hangs(long_life: Life) -> None:
    assert long_life["hung.again"] == "yes"


@needs_a_machine
def test_an_update_switches_within_three_seconds_and_shares_what_is_the_same(life: Life) -> None:
    assert life["update.code"] == "0"
    assert life["update.release"].startswith("9.2.0-")
    assert life.gap("update") <= UNOWNED
    assert int(life["update.seconds"]) < int(life["install.seconds"])
    assert (life["updated.button"], life["updated.command"]) == ("yesyes", "yesyes")


def after_a_power_cut(life: Life, said: str, seconds: float) -> None:
    """A switch, the power gone so long after it said how far it is: the next boot has one release, whole and well."""
    code, _ = machine.boot(filled("cut.sh", life.share), life.share, within=400, cut=(said, seconds))
    assert code != 0
    code, output = machine.boot(filled("after.sh", life.share), life.share, within=400)
    print(f"cut {seconds:.2f} s after {said}", output, sep="\n")
    box = Life(output, life.share)
    assert (code, box["status.code"], box["whole"], box["models.code"]) == (0, "0", "yes", "0"), output
    assert f"/releases/{box['release']}/bin/" in box["runs"]
    assert (box["interrupted"], box["failed"]) == ("", "")
    assert "unit_differs" not in output
    assert (box["after.button"], box["after.command"]) == ("yesyes", "yesyes")


@needs_a_machine
@pytest.mark.nightly  # four boots: CI has 25 minutes for everything
@pytest.mark.parametrize("said", ["begun", "linked"])
def test_a_power_cut_in_a_switch_is_mended_at_boot(life: Life, said: str) -> None:
    after_a_power_cut(life, said, 0.2)


@needs_a_machine
@pytest.mark.nightly
@pytest.mark.parametrize("said", ["begun", "linked"] * 5)
def test_power_cuts_at_random_moments_of_a_switch(life: Life, said: str) -> None:
    after_a_power_cut(life, said, random.uniform(0, 6))


@needs_a_machine
@pytest.mark.parametrize(
    ("name", "what"),
    [
        ("badconfig", "the new release does not take"),
        ("nochip", "the new release does not take"),
        ("edited", "edited by hand: /etc/systemd/system/loumen.service"),
        ("room", "no room for another release"),
        ("locked", "another deployment is under way"),
    ],
)
def test_what_cannot_go_on_changes_nothing_and_says_so(life: Life, name: str, what: str) -> None:
    assert life[f"{name}.code"] == "1"
    assert what in life.said[name]
    assert "mend:" in life.said[name]
    assert life[f"{name}.release"] == life["install.release"]
    assert life[f"{name}.pid"] == life["badconfig.pid"]  # the same daemon through all of them


@needs_a_machine
def test_a_wrong_configuration_is_told_by_file_line_and_key(life: Life) -> None:
    assert re.search(r"bad\.toml:\d+: door\.main\.lock\.open_for", life.said["badconfig"])
    assert "pinctrl-rp1" in life.said["nochip"]


@needs_a_machine
def test_a_release_that_dies_is_taken_back(life: Life) -> None:
    assert life["dies.code"] == "1"
    assert "RuntimeError: this release dies" in life.said["dies"]
    assert "was taken back, 9.1.0-" in life.said["dies"]
    assert life["dies.release"] == life["install.release"]
    assert life.gap("dies") <= UNOWNED
    assert (life["taken_back.button"], life["taken_back.command"]) == ("yesyes", "yesyes")
    assert life["failed"] == ""


@needs_a_machine
@pytest.mark.nightly
def test_a_release_that_does_not_answer_is_taken_back(long_life: Life) -> None:
    assert long_life["sick.code"] == "1"
    assert "it does not answer 'loumen status'" in long_life.said["sick"]
    assert "was taken back, 9.2.0-" in long_life.said["sick"]
    assert long_life["sick.release"] == long_life["update.release"]
    assert long_life.gap("sick") <= UNOWNED
    assert (long_life["taken_back.button"], long_life["taken_back.command"]) == ("yesyes", "yesyes")


@needs_a_machine
@pytest.mark.nightly
def test_a_lost_connection_leaves_a_box_that_goes_on(long_life: Life) -> None:
    assert (long_life["sending.code"], long_life["sending.same"]) == ("5", "yes")
    assert long_life["sending.release"] == long_life["sick.release"]
    assert long_life["lost.code"] == "5"
    assert "was lost; what was begun there goes on" in long_life.said["lost"]
    assert long_life["lost.after"].startswith("9.5.0-")
    assert (long_life["again.code"], long_life["again.release"]) == ("0", long_life["lost.after"])
    assert long_life["there.code"] == "0"


@needs_a_machine
@pytest.mark.nightly
def test_the_way_back_leaves_the_journal_as_it_is(long_life: Life) -> None:
    assert long_life["rollback.code"] == "0"
    assert long_life["rollback.release"] == long_life["update.release"]
    assert long_life.gap("rollback") <= UNOWNED
    assert "watching it for 60 s" in long_life.said["rollback"]
    assert int(long_life["rollback.seconds"]) >= 60
    assert "they are never rolled back" in long_life.said["rollback"]
    assert (long_life["rolled_back.button"], long_life["rolled_back.command"]) == ("yesyes", "yesyes")
    assert (long_life["status.code"], long_life["journal.code"], long_life["failed"]) == ("0", "0", "")
    assert int(long_life["journal.starts"]) >= 8  # every start of every release is in one journal


def deploy(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([DEPLOY, *words], capture_output=True, text=True, check=False, stdin=subprocess.DEVNULL)


def test_what_is_not_understood_is_told() -> None:
    for words in ((), ("fly",), ("install", "update"), ("update", "--health", "long"), ("update", "--wheels")):
        assert deploy(*words).returncode == 2, words
    assert "rollback" in deploy("--help").stdout
    missing = deploy("install", "--config", "/no/such.toml")
    assert (missing.returncode, "there is no file /no/such.toml" in missing.stderr) == (1, True)


@pytest.mark.real("shellcheck")
def test_the_script_is_clean() -> None:
    done = subprocess.run(["shellcheck", DEPLOY], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")
