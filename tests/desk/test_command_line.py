"""A technician's whole afternoon: init, enrol, admit, accept, run, look, order; with the real programs."""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.desk import read_fields
from gateway.errors import BadRequest
from gateway.identity import Box
from tests.uplink.house import DemoBroker, House, free_port, holds_the_journal, until

ENVIRONMENT = {**os.environ, "LANG": "C.UTF-8", "LC_ALL": "C.UTF-8", "LANGUAGE": "en"}


def loumen(*words: object, code: int = 0) -> Any:
    """Run one command line with --json; the document it printed."""
    arguments = [sys.executable, "-m", "gateway.cli.main", *map(str, words)]
    done = subprocess.run(arguments, capture_output=True, text=True, env=ENVIRONMENT, timeout=30, check=False)
    assert done.returncode == code, done.stdout + done.stderr
    return json.loads(done.stdout.splitlines()[-1]) if "--json" in words else done.stdout + done.stderr


@contextlib.contextmanager
def running_desk(folder: Path) -> Iterator[subprocess.Popen[str]]:
    arguments = [sys.executable, "-m", "gateway.cli.main", "desk", "--folder", str(folder), "run"]
    process = subprocess.Popen(arguments, stderr=subprocess.PIPE, text=True, env=ENVIRONMENT)
    assert process.stderr
    try:
        while "ready" not in process.stderr.readline():
            assert process.poll() is None
        yield process
    finally:
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=10)
        assert process.returncode == 0


def test_from_an_empty_folder_to_an_open_door(tmp_path: Path) -> None:
    port, folder, state = free_port(), tmp_path / "desk", tmp_path / "state"
    desk = ("desk", "--folder", folder, "--json")
    made = loumen(
        *desk, "init", "--community", "peach-garden", "--host", "127.0.0.1", "--port", port, "--protocol", "3.1.1"
    )
    loumen(*desk, "init", "--community", "x", "--host", "y", code=1)
    asked = loumen("enrol", "--state", state, "--name", "gate", "--output", tmp_path / "request.json", "--json")
    loumen(*desk, "admit", tmp_path / "request.json", "--fingerprint", "0000", code=1)
    loumen(
        *desk,
        "admit",
        tmp_path / "request.json",
        "--fingerprint",
        asked["fingerprint"],
        "--output",
        tmp_path / "bundle",
    )
    loumen("enrol", "--state", state, "--accept", tmp_path / "bundle", "--json", code=4)  # nobody there to ask
    loumen("enrol", "--state", state, "--accept", tmp_path / "bundle", "--root", "0000", "--json", code=1)
    taken = loumen("enrol", "--state", state, "--accept", tmp_path / "bundle", "--root", made["root"], "--json")
    assert taken["community"] == "peach-garden"
    loumen(*desk, "command", "gate", "door.open", code=3)  # no desk runs yet
    broker = DemoBroker(_authority(folder), port)
    broker.start()
    try:
        with running_desk(folder):
            loumen(*desk, "run", code=4)  # a second one in the same folder
            asyncio.run(_with_a_box(tmp_path, folder, state, port))
    finally:
        broker.kill()


def _authority(folder: Path) -> Any:
    from gateway.desk.authority import Authority

    return Authority(folder)


async def _with_a_box(tmp_path: Path, folder: Path, state: Path, port: int) -> None:
    desk = ("desk", "--folder", folder, "--json")
    house = House(tmp_path, port, Box.load_or_create(state, "gate"), "3.1.1")
    async with house.open():
        house.happen(1, 20)
        await holds_the_journal(house, _authority(folder))
        answer = await asyncio.to_thread(
            loumen, *desk, "command", "gate", "door.open", "--door", "main", "--seconds:=5", "--lang", "en", "--yes"
        )
        assert answer == {"door": "main"}
        assert json.loads(house.commands[-1].fields) == {"door": "main", "seconds": 5}
        shown = await asyncio.to_thread(loumen, *desk, "events", "--box", "gate", "--type", "test.happened.v1")
        assert shown["body"]["number"] == 20
        (box,) = (await asyncio.to_thread(loumen, *desk, "boxes"))["boxes"]
        assert (box["name"], box["online"], box["findings"]) == ("gate", True, 0)
        assert [epoch["holes"] for epoch in box["epochs"]] == [[]]
        await asyncio.to_thread(loumen, *desk, "keys", "add", "porter", "--role", "clerk", "--name", "Mr Li")
        assert (await asyncio.to_thread(loumen, *desk, "keys", "send", "gate"))["version"] == 2
        await asyncio.to_thread(loumen, *desk, "command", "--as", "porter", "gate", "door.open", "--door", "main")
        assert house.commands[-1].actor.id == "key:porter"
        status = await asyncio.to_thread(loumen, *desk, "status")
        assert status["connected_since"]
        words = await asyncio.to_thread(loumen, "desk", "--folder", folder, "status")
        assert "Connected to 127.0.0.1" in words
        following = await _follow(folder)
        house.happen(99, 1)
        line = await asyncio.wait_for(_line_with(following, b"number=99"), 10)
        assert b"test.happened.v1" in line
        following.terminate()
        await following.wait()
    await until(lambda: not _boxes(folder)[0]["online"])


async def _line_with(process: asyncio.subprocess.Process, words: bytes) -> bytes:
    assert process.stdout
    while words not in (line := await process.stdout.readline()):
        assert line
    return line


async def _follow(folder: Path) -> asyncio.subprocess.Process:
    arguments = ["-m", "gateway.cli.main", "desk", "--folder", str(folder), "events", "--last", "1", "--follow"]
    process = await asyncio.create_subprocess_exec(
        sys.executable, *arguments, stdout=asyncio.subprocess.PIPE, env=ENVIRONMENT
    )
    assert process.stdout
    await process.stdout.readline()
    return process


def _boxes(folder: Path) -> Any:
    from gateway.desk.reading import reading

    with reading(_authority(folder).database) as store:
        return store.boxes()


@pytest.mark.parametrize(
    ("texts", "fields"),
    [
        ([], {}),
        (["--door", "main", "--reason", "the postman"], {"door": "main", "reason": "the postman"}),
        (["--door=main", "--pin=0012"], {"door": "main", "pin": "0012"}),
        (["--open-for:=5", '--doors:=["a"]'], {"open_for": 5, "doors": ["a"]}),
        (["--reason", "--"], {"reason": "--"}),
    ],
)
def test_fields_of_a_command(texts: list[str], fields: dict[str, Any]) -> None:
    assert read_fields(texts) == fields


@pytest.mark.parametrize("texts", [["door"], ["--"], ["--n:=["], ["--:=1"]])
def test_what_is_no_field(texts: list[str]) -> None:
    with pytest.raises(BadRequest):
        read_fields(texts)
