"""`loumen event` on a running box (by a real control server over a real journal) and on a stopped one."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import subprocess
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from gateway.command import Actor, Command, Handler
from gateway.config.schema import Control
from gateway.control.server import ControlServer
from gateway.journal.commands import JournalService
from gateway.journal.store import Journal
from gateway.state_lock import StateLock
from tests.cli.run_cli import ROOT, loumen
from tests.journal.samples import BOX, Alarm, Passed, journal_at, running, settled

EVENTS = 30


class Table:
    """A command table with the journal's commands only."""

    def __init__(self, handlers: dict[type[Command], Handler]) -> None:
        self._handlers = handlers

    def types(self) -> dict[str, type[Command]]:
        return {kind.command_name(): kind for kind in self._handlers}

    async def run(self, command: Command, actor: Actor) -> object:
        return await self._handlers[type(command)](command, actor)


def on_a_running_box(folder: Path, ask: Callable[[Journal, list[str]], Coroutine[Any, Any, None]]) -> None:
    """Serve a journal with some events, and `ask` with the options that lead there."""

    async def scenario() -> None:
        socket = folder / "s"
        async with running(journal_at(folder / "state")) as journal:
            await fill(journal)
            table = Table(JournalService(journal).handlers())
            server = ControlServer(socket, table, Control(), dict, io=dict, journal=journal)
            serving = asyncio.create_task(server.run())
            await server.listening.wait()
            await ask(journal, ["--socket", str(socket)])
            serving.cancel()
            await asyncio.gather(serving, return_exceptions=True)

    asyncio.run(scenario())


async def fill(journal: Journal) -> None:
    for n in range(EVENTS):
        journal.note(Passed(n=n, text="a resident"))
    journal.note(Alarm(n=1))
    await settled(journal)


def stopped_box(folder: Path) -> list[str]:
    async def scenario() -> None:
        async with running(journal_at(folder / "state")) as journal:
            await fill(journal)

    asyncio.run(scenario())
    config = folder / "gateway.toml"
    config.write_text(f'[box]\nname = "b"\nstate = "{folder / "state"}"\nrun = "{folder / "run"}"\n')
    return ["--config", str(config)]


def in_thread(*words: str, home: Path) -> Coroutine[Any, Any, subprocess.CompletedProcess[str]]:
    return asyncio.to_thread(loumen, *words, home=home)


def test_list_verify_and_export_of_a_running_box(tmp_path: Path) -> None:
    async def ask(journal: Journal, options: list[str]) -> None:
        listed = await in_thread(*options, "--json", "event", "list", "--limit", "5", home=tmp_path)
        document = json.loads(listed.stdout)
        assert [row["event"].get("n") for row in document["events"]] == [EVENTS - 3, EVENTS - 2, EVENTS - 1, 1, -1]
        assert document["next"] == f"{journal.head.epoch}/{journal.head.seq}" if journal.head else ""
        alarms = await in_thread(*options, "event", "list", "--type", "test.alarm", "--limit", "100", home=tmp_path)
        rare = ("--json", "event", "list", "--type", "journal.epoch", "--limit", "1")
        found = json.loads((await in_thread(*options, *rare, home=tmp_path)).stdout)["events"]
        assert [row["seq"] for row in found] == [1]  # though it is not among the newest
        assert sum("test.alarm.v1" in line for line in alarms.stdout.splitlines()) == 1
        assert "test.passed" not in alarms.stdout
        verified = await in_thread(*options, "event", "verify", home=tmp_path)
        assert (verified.returncode, "everything fits" in verified.stdout) == (0, True)
        out = tmp_path / "out.jsonl"
        exported = await in_thread(*options, "event", "export", "--output", str(out), home=tmp_path)
        assert exported.returncode == 0, exported.stderr
        rows = [json.loads(line) for line in out.read_text().splitlines()]
        assert [row["seq"] for row in rows] == list(range(1, EVENTS + 4))
        assert [row["id"] for row in rows] == [f"{journal.box}/{row['epoch']}/{row['seq']}" for row in rows]

    on_a_running_box(tmp_path, ask)


def test_follow_tells_what_happens_and_ends_at_an_interrupt(tmp_path: Path) -> None:
    async def ask(journal: Journal, options: list[str]) -> None:
        process = await asyncio.create_subprocess_exec(
            sys.executable,
            *("-m", "gateway.cli.main", *options, "--json", "event", "follow"),
            stdout=asyncio.subprocess.PIPE,
            env={**os.environ, "PYTHONPATH": str(ROOT)},
        )
        assert process.stdout is not None

        async def happen() -> None:
            n = 1000
            while True:
                journal.note(Passed(n=(n := n + 1)))
                await asyncio.sleep(0.05)

        happening = asyncio.create_task(happen())
        async with asyncio.timeout(30):
            row = json.loads(await process.stdout.readline())
        assert row["event"]["n"] > 1000
        process.send_signal(signal.SIGINT)
        async with asyncio.timeout(30):
            await process.stdout.read()
            assert await process.wait() == 0
        happening.cancel()

    on_a_running_box(tmp_path, ask)


def test_a_stopped_box_is_read_from_its_file(tmp_path: Path) -> None:
    options = stopped_box(tmp_path)
    listed = loumen(*options, "--json", "event", "list", "--limit", "2", home=tmp_path)
    document = json.loads(listed.stdout)
    assert [row["event"]["n"] for row in document["events"]] == [1, -1], listed.stderr
    last = document["events"][-1]
    assert (last["id"], document["next"]) == (f"{BOX}/{document['next']}", f"{last['epoch']}/{last['seq']}")
    behind = loumen(*options, "--json", "event", "list", "--after", document["next"], home=tmp_path)
    assert json.loads(behind.stdout) == {"events": [], "next": document["next"]}
    assert loumen(*options, "event", "verify", home=tmp_path).returncode == 0
    exported = loumen(*options, "event", "export", "--type", "test.alarm", home=tmp_path)
    assert len(exported.stdout.splitlines()) == 1


def test_a_changed_journal_is_a_no(tmp_path: Path) -> None:
    options = stopped_box(tmp_path)
    path = tmp_path / "state" / "journal.db"
    path.write_bytes(path.read_bytes().replace(b'"n":7,', b'"n":8,'))
    verified = loumen(*options, "event", "verify", home=tmp_path)
    assert verified.returncode == 1
    assert "the body does not match its hash" in verified.stdout


def test_a_box_that_is_just_starting_is_not_read_behind_its_back(tmp_path: Path) -> None:
    options = stopped_box(tmp_path)
    with StateLock(tmp_path / "state"):
        refused = loumen(*options, "event", "list", home=tmp_path)
    assert refused.returncode == 1
    assert f"pid {os.getpid()}" in refused.stderr


def test_no_daemon_and_no_journal(tmp_path: Path) -> None:
    config = tmp_path / "gateway.toml"
    config.write_text(f'[box]\nstate = "{tmp_path / "state"}"\nrun = "{tmp_path}"\n')
    refused = loumen("--config", str(config), "event", "list", home=tmp_path)
    assert refused.returncode == 3
    assert "Traceback" not in refused.stderr


@pytest.mark.parametrize(
    ("words", "code"), [(("--limit", "0"), 2), (("--after", "nonsense"), 2), (("--limit", "many"), 2)]
)
def test_wrong_usage(tmp_path: Path, words: tuple[str, str], code: int) -> None:
    answer = loumen(*stopped_box(tmp_path), "event", "list", *words, home=tmp_path)
    assert answer.returncode == code
    assert "Traceback" not in answer.stderr


def test_schema(tmp_path: Path) -> None:
    one = json.loads(loumen("--json", "event", "schema", "journal.gap.v1", home=tmp_path).stdout)
    assert "lost" in json.dumps(one["journal.gap.v1"])
    assert len(json.loads(loumen("--json", "event", "schema", home=tmp_path).stdout)) > 5
    assert loumen("event", "schema", "no.such.v1", home=tmp_path).returncode == 1
