"""A whole way up on one machine: journal, box, broker, desk. For tests of the uplink and the desk."""

from __future__ import annotations

import asyncio
import contextlib
import shutil
import socket
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Literal

import msgspec

from gateway.clock import SystemClock
from gateway.config import schema
from gateway.desk.authority import Authority
from gateway.desk.service import DeskService
from gateway.identity import Box
from gateway.journal.event import Event
from gateway.journal.store import Journal
from gateway.uplink.envelope import VerifiedCommand
from gateway.uplink.messages import Reply
from gateway.uplink.mqtt import MqttUplink, Timing

COMMUNITY = "peach-garden"
SITE = schema.Site(name="Peach Garden", community=COMMUNITY)
QUICK = Timing(state_every=0.5, ack_within=3.0, dial_within=3.0, marks_every=0.05)


class Happened(Event, frozen=True, kw_only=True, tag="test.happened.v1"):
    number: int


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def make_desk(folder: Path, port: int, protocol: Literal["5", "3.1.1", "auto"] = "auto") -> Authority:
    authority = Authority(folder)
    authority.init(COMMUNITY, ("127.0.0.1", "localhost"), port, protocol)
    return authority


def enrol(state: Path, authority: Authority, name: str = "box-1") -> Box:
    """The very steps a technician takes, without the USB stick."""
    box = Box.load_or_create(state, name)
    request, _fingerprint = box.request()
    bundle = authority.admit(msgspec.json.encode(request), lambda _box, _name, _fingerprint: True)
    box.accept(msgspec.json.encode(bundle), confirm=lambda _fingerprint: True)
    return box


class Mosquitto:
    """Debian's mosquitto with mutual TLS, as `desk init` configures it."""

    def __init__(self, authority: Authority, port: int, *, extra: str = "") -> None:
        self.port = port
        self._path = authority.folder / "broker" / "test.conf"
        conf = (authority.folder / "broker" / "mosquitto.conf").read_text()
        self._path.write_text(conf.replace(f"listener {port}", f"listener {port} 127.0.0.1") + "user root\n" + extra)
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> None:
        program = shutil.which("mosquitto", path="/usr/sbin:/usr/bin:/usr/local/sbin:/usr/local/bin")
        assert program
        self._process = subprocess.Popen(
            [program, "-c", str(self._path)], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        wait_for_port(self.port, self._process)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            if self._process.stdout is not None:
                self._process.stdout.close()
            self._process = None


class DemoBroker(Mosquitto):
    """The demo's broker as a process."""

    def __init__(self, authority: Authority, port: int) -> None:
        self.port, self._folder, self._process = port, authority.folder, None

    def start(self) -> None:
        arguments = [
            sys.executable,
            "-m",
            "gateway.desk.broker",
            "--folder",
            str(self._folder),
            "--port",
            str(self.port),
        ]
        self._process = subprocess.Popen(arguments, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
        assert self._process.stdout is not None
        assert b"listening" in self._process.stdout.readline()


def wait_for_port(port: int, process: subprocess.Popen[bytes]) -> None:
    """Until something listens; refused connections are what is being waited out."""
    import time

    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        assert process.poll() is None, "the broker has ended"
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout=1):
            return
        time.sleep(0.02)  # looks at a port, which nobody announces
    raise AssertionError("the broker does not listen")


async def until(
    true: Callable[[], object], within: float = 15.0, why: Callable[[], str] = lambda: "it did not happen in time"
) -> None:
    """Look again until it is true; fails after `within`."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within
    while not true():
        assert loop.time() < deadline, why()
        await asyncio.sleep(0.02)


class House:
    """One box with its journal and uplink; `commands` collects what was ordered."""

    def __init__(
        self, folder: Path, port: int, box: Box, protocol: str = "auto", *, receiver: bool = True, tls: bool = True
    ) -> None:
        self.clock = SystemClock()
        self.clock.trusted = True
        self.box = box
        self.journal = Journal(folder / "journal.db", self.clock, box.uuid, schema.Journal())
        self.commands: list[VerifiedCommand] = []
        self.config = schema.Uplink(
            brokers=(schema.Broker(host="127.0.0.1", port=port),),
            protocol=protocol,  # type: ignore[arg-type]
            receiver=receiver,
            tls=tls,
            keepalive=5,
            backoff_max=0.3,
        )

    async def obey(self, command: VerifiedCommand) -> Reply:
        self.commands.append(command)
        return Reply(command_id=command.id, ok=True, result=msgspec.Raw(b'{"door":"main"}'))

    @contextlib.asynccontextmanager
    async def open(self, timing: Timing = QUICK) -> AsyncIterator[MqttUplink]:
        await self.journal.start()
        self.uplink = MqttUplink(self.config, SITE, self.box, self.journal, self.clock, self.obey, timing=timing)
        running = asyncio.create_task(self.uplink.run())
        try:
            yield self.uplink
        finally:
            await end(running)
            await self.journal.close()

    def happen(self, first: int, count: int) -> None:
        for number in range(first, first + count):
            self.journal.note(Happened(number=number))

    def noted(self) -> bool:
        """Whether everything that happened is in the journal."""
        return self.journal.head is not None and self.journal.health().waiting == 0

    def all_received(self) -> bool:
        status = self.uplink.status()
        return self.noted() and status.received == status.head


@contextlib.asynccontextmanager
async def desk(authority: Authority, *, tls: bool = True) -> AsyncIterator[DeskService]:
    service = DeskService(authority, backoff_max=0.3, tls=tls)
    running = asyncio.create_task(service.run())
    try:
        yield service
    finally:
        await end(running)


async def end(running: asyncio.Task[None]) -> None:
    """Cancel; what it had ended with before is the test's failure."""
    running.cancel()
    with contextlib.suppress(asyncio.CancelledError):
        await running


async def holds_the_journal(house: House, authority: Authority, within: float = 30) -> None:
    """The end of every story: the desk holds exactly what the journal does, once and in its place."""
    await until(house.all_received, within, why=lambda: str(house.uplink.status()))
    rows = await house.journal.read(None, 10_000)
    assert [(row.epoch, row.seq, row.type, row.body) for row in rows] == stored(authority)[: len(rows)]
    assert len({(epoch, seq) for epoch, seq, _kind, _body in stored(authority)}) == len(stored(authority))


def stored(authority: Authority) -> list[tuple[str, int, str, bytes]]:
    """What the desk holds: epoch, seq, type, body, in the order of arrival's places."""
    with contextlib.closing(sqlite3.connect(authority.database)) as db:
        return list(db.execute("SELECT epoch, seq, type, body FROM event ORDER BY epoch, seq"))
