"""A disk that is full, and one that cannot be written: people go on being recognised, and it is said."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from gateway.directory.people import Changes
from gateway.errors import DirectoryDown
from tests.directory.house import CLERK, NAMES, opened, run

pytestmark = pytest.mark.real("root", "mount")


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A file system of its own, 768 kB."""
    disk = tmp_path / "disk"
    disk.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=768k", "tmpfs", str(disk)]
    made = subprocess.run(mount, capture_output=True, text=True, check=False)
    if made.returncode:
        pytest.skip(f"no file system can be mounted here: {made.stderr.strip()}")
    try:
        yield disk
    finally:
        subprocess.run(["umount", str(disk)], check=True)


def fill(disk: Path) -> None:
    with (disk / "filler").open("wb", buffering=0) as file:
        for size in (65536, 4096, 512):
            try:
                while True:
                    file.write(bytes(size))
            except OSError:
                continue


def test_a_full_disk(small_disk: Path) -> None:
    state = small_disk / "state"

    async def scenario() -> None:
        async with opened(state) as house:
            people = [await house.add(name) for name in NAMES]
            for seed, person in enumerate(people):
                await house.enrol(person, seed)
            fill(small_disk)
            failed = 0
            for _ in range(40):
                try:
                    await house.add("写满了")
                except DirectoryDown:
                    failed += 1
            assert failed
            assert house.directory.health().state == "degraded"
            shut_out = False
            try:
                await house.people.change(people[0], Changes(active=False), CLERK)
            except DirectoryDown:
                shut_out = True
            rights = house.directory.snapshot.person(people[0])
            assert rights is not None
            assert not rights.active
            assert len(await house.directory.templates("main", "onnx")) == len(NAMES) - 1
        async with opened(state) as house:  # the box restarts and the disk is still full
            assert set(people) <= set(house.directory.snapshot.people)
            assert len(await house.directory.templates("main", "onnx")) >= len(NAMES) - 1
            if not shut_out:
                rights = house.directory.snapshot.person(people[0])
                assert rights is not None
                assert not rights.active
        (small_disk / "filler").unlink()
        async with opened(state) as house:
            assert house.directory.health().state == "ok"
            await house.people.forget(people[:1], CLERK)
            await house.add("有地方了")

    run(scenario())


def test_a_disk_that_became_read_only(small_disk: Path) -> None:
    state = small_disk / "state"

    async def scenario() -> None:
        async with opened(state) as house:
            people = [await house.add(name) for name in NAMES]
            for seed, person in enumerate(people):
                await house.enrol(person, seed)
            await house.people.change(people[0], Changes(active=False), CLERK)
        subprocess.run(["mount", "-o", "remount,ro", str(small_disk)], check=True)
        try:
            async with opened(state) as house:
                health = house.directory.health()
                assert (health.state, health.people) != ("ok", 0)
                assert set(house.directory.snapshot.people) == set(people)
                assert len(await house.directory.templates("main", "onnx")) == len(NAMES) - 1
                with pytest.raises(DirectoryDown):
                    await house.add("写不了")
                with pytest.raises(DirectoryDown):
                    await house.people.forget(people[1:2], CLERK)
                rights = house.directory.snapshot.person(people[1])
                assert rights is not None
                assert not rights.active
        finally:
            subprocess.run(["mount", "-o", "remount,rw", str(small_disk)], check=True)
        async with opened(state) as house:
            assert house.directory.health().state == "ok"
            assert set(house.directory.snapshot.people) == set(people)

    run(scenario())
