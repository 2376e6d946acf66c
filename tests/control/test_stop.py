"""A stop under open connections: whoever is half-way in a request or follows the journal is hung up, without a word.

asyncio's own streams log a cancelled client as an error in some releases of Python 3.11 and wait for clients in 3.13.
"""

from __future__ import annotations

import asyncio
import logging
import signal
import socket
import subprocess
from pathlib import Path
from typing import Any

import pytest

from gateway.config.schema import Control
from gateway.control.server import ControlServer
from gateway.demo.stage import LOUMEN, Stage
from gateway.desk.local import serve
from tests.cli.test_box import CONFIG
from tests.control.daemon import Table

HALVES = (
    b"",
    b"GET /v1/st",
    b"GET /v1/event?after=head&follow=1 HTTP/1.1\r\nHost: b\r\n\r\n",
    b"POST /v1/command/door.open HTTP/1.1\r\nHost: b\r\nContent-Length: 100\r\n\r\n{",
    b'POST /v1/command/door.identify HTTP/1.1\r\nHost: b\r\nContent-Length: 15\r\n\r\n{"door":"main"}',
)


def connected(path: Path, said: bytes) -> socket.socket:
    wire = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    wire.connect(str(path))
    wire.sendall(said)
    return wire


async def ended(serving: asyncio.Task[Any], path: Path, halves: tuple[bytes, ...]) -> None:
    """Cancel the server while each of these clients waits; each is hung up."""
    async with asyncio.timeout(10):
        while not path.exists():  # noqa: ASYNC110  (a file tells nobody that it is there)
            await asyncio.sleep(0.01)
        before = len(asyncio.all_tasks())
        wires = [connected(path, half) for half in halves]
        while len(asyncio.all_tasks()) < before + len(halves):  # noqa: ASYNC110  (nor does a task)
            await asyncio.sleep(0.01)
        serving.cancel()
        await asyncio.gather(serving, return_exceptions=True)
        for wire in wires:
            with wire:
                assert await asyncio.to_thread(wire.recv, 4096) == b""


def test_the_control_server_ends_under_half_open_requests(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def scenario() -> None:
        server = ControlServer(tmp_path / "s", Table(), Control(), dict, io=lambda: {"lines": []})
        await ended(asyncio.create_task(server.run()), tmp_path / "s", HALVES[:2] + HALVES[3:4])

    asyncio.run(scenario())
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_the_desk_ends_under_open_connections(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    class Desk:
        changed = asyncio.Condition()

    async def scenario() -> None:
        serving = asyncio.create_task(serve(Desk(), tmp_path / "d"))  # type: ignore[arg-type]
        await ended(serving, tmp_path / "d", (b"", b'{"ask": "ch', b'{"ask": "changed", "within": 60}\n'))

    asyncio.run(scenario())
    assert [record for record in caplog.records if record.levelno >= logging.WARNING] == []


def test_a_daemon_ends_in_order_under_open_connections() -> None:
    import getpass

    with Stage.raised() as stage:
        config = stage.folder / "gateway.toml"
        config.write_text(CONFIG.format(folder=stage.folder, user=getpass.getuser()))
        stage.env["LOUMEN_CONFIG"] = str(config)
        stage.start_daemon("box", config)
        wires = [connected(stage.folder / "run" / "loumen.sock", half) for half in HALVES]
        followers = [
            subprocess.Popen(
                [*LOUMEN, *words], env=stage.env, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
            )
            for words in (["event", "follow", "--after", ""], ["io", "show", "--follow"])
        ]
        for program in followers:
            assert program.stdout is not None
            program.stdout.readline()
        assert stage.kill("box", signal.SIGTERM) == 0
        for program in followers:
            _, told = program.communicate(timeout=20)
            assert "Traceback" not in told
        for wire in wires:
            wire.close()
        log = stage.log("box")
        for trace in ("Traceback", "never retrieved", "CancelledError", "destroyed"):
            assert trace not in log, log
