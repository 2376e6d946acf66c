"""The daemon's end of the socket under every kind of worker: it closes that worker and goes on."""

from __future__ import annotations

import asyncio
import os
import struct
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import schema
from gateway.vision import protocol, reception
from gateway.vision.client import VisionClient
from gateway.vision.protocol import Candidates, Heartbeat, Hello, Presence, Welcome
from tests.vision.running import Heard, running, until
from tests.vision.test_protocol import FROM_WORKER

HELLO = Hello(
    protocol=protocol.PROTOCOL, group="doors", version="1", engine="onnx", detector="d", models={}, pid=os.getpid()
)
HEARTBEAT = Heartbeat(cameras=(), resident_kb=1000, generations={})
SERVICE = schema.Vision(run="service")
Scenario = Callable[[VisionClient, Heard, Path], Awaitable[None]]


def serve(tmp_path: Path, scenario: Scenario, silent: float = 3.0) -> None:
    """A client without a child: the test plays the worker."""

    async def main() -> None:
        async with running(tmp_path, vision=SERVICE, silent=silent) as (client, heard):
            socket = tmp_path / "run" / "vision-doors.sock"
            await until(socket.exists)
            await scenario(client, heard, socket)

    asyncio.run(main())


class Worker:
    """A worker that says what it is told to."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer

    @staticmethod
    async def connect(socket: Path, *said: protocol.Message) -> Worker:
        worker = Worker(*await asyncio.open_unix_connection(socket))
        for message in said:
            worker.say(message)
        return worker

    def say(self, message: protocol.Message) -> None:
        self.writer.write(protocol.encode(message))

    async def closed(self) -> bool:
        """Whether the daemon closes the connection in time."""
        try:
            async with asyncio.timeout(10):
                while await self.reader.read(65536):
                    pass
        except ConnectionError:
            pass
        except TimeoutError:
            return False
        return True

    async def bye(self) -> None:
        self.writer.close()
        with suppress(OSError):
            await self.writer.wait_closed()


def candidates(**changes: object) -> Candidates:
    fields: dict[str, object] = {
        "camera": "porch",
        "door": "front",
        "track": 1,
        "generation": 1,
        "frames": 3,
        "best": (),
        "threshold": 0.4,
        "at": asyncio.get_running_loop().time(),
        "quality": 1.0,
    }
    return Candidates(**(fields | changes))  # type: ignore[arg-type]


async def sound_worker_is_heard(client: VisionClient, heard: Heard, socket: Path) -> None:
    before = len(heard.candidates)
    worker = await Worker.connect(socket, HELLO, HEARTBEAT, candidates(track=before))
    await until(lambda: len(heard.candidates) > before, heard)
    assert client.status().state == "up"
    await worker.bye()
    await until(lambda: not client.up)


@pytest.mark.parametrize(
    "said",
    [
        [b"\xff" * 100],
        [b"GET / HTTP/1.1\r\n\r\n"],
        [protocol.encode(HEARTBEAT)],
        [protocol.encode(HELLO), b"\x00\x00\x00\x02[]"],
        [protocol.encode(HELLO), protocol.encode(HELLO)],
        [protocol.encode(HELLO), struct.pack(">I", protocol.MAX_FRAME + 1)],
        [protocol.encode(HELLO), protocol.encode(Presence(camera="roof", present=True, brightness=0, at=0))],
        [protocol.encode(HELLO), protocol.encode(HEARTBEAT) * (reception.FLOOD + 1)],
    ],
    ids=["noise", "http", "no-hello", "no-object", "two-hellos", "too-long", "no-such-camera", "flood"],
)
def test_a_worker_that_babbles_is_closed_and_the_next_is_heard(tmp_path: Path, said: list[bytes]) -> None:
    async def scenario(client: VisionClient, heard: Heard, socket: Path) -> None:
        worker = await Worker.connect(socket)
        for part in said:
            worker.writer.write(part)
        assert await worker.closed()
        await worker.bye()
        await sound_worker_is_heard(client, heard, socket)

    serve(tmp_path, scenario)


def test_another_protocol_or_group_is_sent_away(tmp_path: Path) -> None:
    async def scenario(client: VisionClient, heard: Heard, socket: Path) -> None:
        for protocol_spoken, group in ((99, "doors"), (protocol.PROTOCOL, "lanes")):
            hello = Hello(
                protocol=protocol_spoken, group=group, version="1", engine="e", detector="d", models={}, pid=1
            )
            worker = await Worker.connect(socket, hello)
            (welcome,) = protocol.Reader("daemon").feed(await worker.reader.read(65536))
            assert isinstance(welcome, Welcome)
            assert welcome.protocol == protocol.PROTOCOL  # a worker of another release ends by it
            assert await worker.closed()
            await worker.bye()
        await sound_worker_is_heard(client, heard, socket)

    serve(tmp_path, scenario)


def test_any_bytes_and_any_words_leave_the_daemon_well(tmp_path: Path) -> None:
    """Forty workers that say anything, in one run of one client."""

    async def scenario(client: VisionClient, heard: Heard, socket: Path) -> None:
        @settings(max_examples=40, deadline=None, database=None)
        @given(
            st.booleans(),
            st.lists(st.one_of(st.binary(max_size=100), FROM_WORKER.map(protocol.encode)), max_size=6),
        )
        def collect(hello: bool, parts: list[bytes]) -> None:
            said.append((hello, parts))

        said: list[tuple[bool, list[bytes]]] = []
        collect()
        for hello, parts in said:
            worker = await Worker.connect(socket, *([HELLO] if hello else []))
            with suppress(ConnectionError):
                for part in parts:
                    worker.writer.write(part)
                await worker.writer.drain()
            await worker.bye()
        await until(lambda: not client.up)
        heard.candidates.clear()
        await sound_worker_is_heard(client, heard, socket)

    serve(tmp_path, scenario)


def test_a_silent_worker_counts_as_hung_even_while_it_chatters(tmp_path: Path) -> None:
    async def scenario(client: VisionClient, heard: Heard, socket: Path) -> None:
        worker = await Worker.connect(socket, HELLO, HEARTBEAT)

        async def chatter() -> None:
            while True:
                worker.say(Presence(camera="porch", present=True, brightness=0.5, at=0))
                await asyncio.sleep(0.05)

        chattering = asyncio.create_task(chatter())
        await until(lambda: client.status().last_end == "hung", heard)
        chattering.cancel()
        assert heard.kinds() == ["vision.started.v1", "vision.stopped.v1"]
        await worker.bye()
        await sound_worker_is_heard(client, heard, socket)

    serve(tmp_path, scenario, silent=0.5)


def test_a_worker_that_does_not_read_is_closed_before_it_fills_memory(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reception, "UNREAD", 50_000)

    async def scenario(client: VisionClient, heard: Heard, socket: Path) -> None:
        worker = await Worker.connect(socket, HELLO, HEARTBEAT)
        await until(lambda: client.status().state == "up")
        session = client.session
        assert session is not None
        big = protocol.Gallery(door="front", generation=1, path="p" * 4000, sha256="")
        for _ in range(1000):
            session.send(big)
        assert session.ended.startswith("slow")
        await until(lambda: not client.up)
        await worker.bye()
        await sound_worker_is_heard(client, heard, socket)

    serve(tmp_path, scenario)


def test_the_newest_worker_is_the_one_that_counts(tmp_path: Path) -> None:
    async def scenario(client: VisionClient, heard: Heard, socket: Path) -> None:
        old = await Worker.connect(socket, HELLO, HEARTBEAT)
        await until(lambda: client.up)
        new = await Worker.connect(socket, HELLO, HEARTBEAT, candidates(track=7))
        assert await old.closed()
        await until(lambda: [told.track for told in heard.candidates] == [7], heard)
        assert client.up
        await old.bye()
        await new.bye()

    serve(tmp_path, scenario)


def test_candidates_that_come_late_open_nothing(tmp_path: Path) -> None:
    async def scenario(client: VisionClient, heard: Heard, socket: Path) -> None:
        now = asyncio.get_running_loop().time()
        worker = await Worker.connect(
            socket, HELLO, candidates(track=1, at=now - 60), candidates(track=2, at=now + 60), candidates(track=3)
        )
        await until(lambda: [told.track for told in heard.candidates] == [3], heard)
        assert client.status().dropped_late == 2
        await worker.bye()

    serve(tmp_path, scenario)


def test_strangers_without_a_hello_do_not_pile_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reception, "PATIENCE", 1.0)

    async def scenario(client: VisionClient, heard: Heard, socket: Path) -> None:
        strangers = [await Worker.connect(socket) for _ in range(reception.STRANGERS + 5)]
        assert await strangers[-1].closed()
        for stranger in strangers:
            assert await stranger.closed()
            await stranger.bye()
        await sound_worker_is_heard(client, heard, socket)

    serve(tmp_path, scenario)


def test_another_user_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def scenario(client: VisionClient, heard: Heard, socket: Path) -> None:
        monkeypatch.setattr(reception, "peer", lambda _writer: (1, 65534))
        worker = await Worker.connect(socket, HELLO)
        assert await worker.closed()
        await worker.bye()
        assert not client.up
        monkeypatch.undo()
        await sound_worker_is_heard(client, heard, socket)

    serve(tmp_path, scenario)


def test_who_may_connect() -> None:
    assert reception.allowed_uids(1234, ("nobody", "no-such-user-here")) >= {0, 1234, 65534}
