"""The journal over HTTP: pages, and following it until somebody leaves."""

from __future__ import annotations

import asyncio
import contextlib
import gc
import socket
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gateway.control.client import Client
from gateway.errors import BadRequest, DaemonUnreachable, JournalDown, LoumenError
from gateway.journal.rows import Position, Row
from tests.control.daemon import serving

EPOCH = "0123456789abcdef"


class Journal:
    """Rows in memory; `add` is called from another thread."""

    box = "box-1"

    def __init__(self, count: int) -> None:
        self.rows = [row(seq) for seq in range(1, count + 1)]
        self.waiting = 0
        self.reads, self.down = 0, False
        self.takes = 0.0  # seconds a read takes, as on a disk
        self.awake: Callable[[], object] = lambda: None

    @property
    def head(self) -> Position | None:
        return Position(EPOCH, len(self.rows)) if self.rows else None

    async def read(self, after: Position | None, limit: int = 200) -> list[Row]:
        self.reads += 1
        if self.takes:
            await asyncio.sleep(self.takes)
        if self.down:
            raise JournalDown("the disk is gone")
        begin = 0 if after is None else after.seq
        return self.rows[begin : begin + limit]

    async def wait_beyond(self, position: Position | None) -> None:
        self.waiting += 1
        loop, self.wake = asyncio.get_running_loop(), asyncio.Event()
        self.awake = lambda: loop.call_soon_threadsafe(self.wake.set)
        try:
            if len(self.rows) <= (0 if position is None else position.seq):
                await self.wake.wait()
        finally:
            self.waiting -= 1

    def add(self) -> None:
        self.rows.append(row(len(self.rows) + 1))
        self.awake()


def row(seq: int) -> Row:
    body = None if seq == 2 else b'{"type":"door.opened.v1","door":"main"}'
    return Row(
        epoch=EPOCH,
        seq=seq,
        type="door.opened.v1",
        at="2026-11-24T12:00:00+00:00",
        trusted=True,
        body=body,
        body_sha256="b",
        previous="p",
        head="h",
    )


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "s.sock"


@contextlib.contextmanager
def journal_at(path: Path, count: int) -> Iterator[Journal]:
    journal = Journal(count)
    with serving(path, journal=journal):
        yield journal


def test_pages(path: Path) -> None:
    with journal_at(path, 5):
        client = Client(path)
        first = client.get("/v1/event?limit=2")
        assert [event["seq"] for event in first["events"]] == [1, 2]
        assert first["events"][0]["event"] == {"type": "door.opened.v1", "door": "main"}
        assert first["events"][1]["event"] is None
        assert first["next"] == f"{EPOCH}/2"
        rest = client.get(f"/v1/event?after={first['next']}&limit=9999")
        assert [event["id"] for event in rest["events"]] == [f"box-1/{EPOCH}/{seq}" for seq in (3, 4, 5)]
        end = client.get(f"/v1/event?after={rest['next']}")
        assert end == {"events": [], "next": f"{EPOCH}/5"}
        assert client.get("/v1/event?after=head")["events"] == []


@pytest.mark.parametrize("query", ["limit=0", "limit=-1", "limit=1e3", "after=x", "after=0/1", f"after={EPOCH}/-1"])
def test_wrong_queries(path: Path, query: str) -> None:
    with journal_at(path, 1), pytest.raises(BadRequest):
        Client(path).get(f"/v1/event?{query}")


def test_follow(path: Path) -> None:
    with journal_at(path, 2) as journal:
        following = Client(path).follow("/v1/event?follow=1")
        assert [next(following)["seq"] for _ in range(2)] == [1, 2]
        wait_for(lambda: journal.waiting == 1)
        journal.add()
        assert next(following)["seq"] == 3
        following.close()


def test_who_leaves_is_noticed(path: Path) -> None:
    with journal_at(path, 1) as journal:
        with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wire:
            wire.connect(str(path))
            wire.sendall(b"GET /v1/event?after=head&follow=1 HTTP/1.1\r\nHost: b\r\n\r\n")
            assert wire.recv(1000).startswith(b"HTTP/1.1 200 ")
            wait_for(lambda: journal.waiting == 1)
        wait_for(lambda: journal.waiting == 0)


def test_who_follows_before_the_journal_is_open_starts_behind_its_first_head(path: Path) -> None:
    with journal_at(path, 0) as journal:
        following = Client(path).follow("/v1/event?after=head&follow=1")
        first = list[dict[str, object]]()
        reader = threading.Thread(target=lambda: first.append(next(following)))
        reader.start()
        wait_for(lambda: journal.waiting == 1)
        journal.add()
        wait_for(lambda: journal.waiting == 1 and journal.reads == 2)
        journal.add()
        reader.join(10)
        assert first[0]["seq"] == 2
        following.close()


def test_a_journal_that_cannot_be_read_says_so_at_once_and_in_the_middle(path: Path) -> None:
    with journal_at(path, 2) as journal:
        following = Client(path).follow("/v1/event?follow=1")
        assert [next(following)["seq"] for _ in range(2)] == [1, 2]
        wait_for(lambda: journal.waiting == 1)
        journal.down = True
        journal.awake()
        with pytest.raises(JournalDown, match="the disk is gone"):
            next(following)
        with pytest.raises(JournalDown, match="the disk is gone"):
            next(Client(path).follow("/v1/event?follow=1"))


def test_too_many_followers(path: Path) -> None:
    with journal_at(path, 1):
        open_ones = [Client(path).follow("/v1/event?follow=1") for _ in range(16)]
        for one in open_ones:
            next(one)
        with pytest.raises(Exception, match="too many follow the journal already"):
            next(Client(path).follow("/v1/event?follow=1"))
        for one in open_ones:
            one.close()
        wait_for(lambda: follows(path))


def test_who_breaks_off_in_the_middle_frees_its_place_at_once(path: Path) -> None:
    """Not when the garbage collector comes: until then it would keep its rows, and its place among the sixteen."""
    gc.disable()
    try:
        with journal_at(path, 1_500) as journal:
            journal.takes = 0.001
            for _ in range(40):
                with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as wire:
                    wire.connect(str(path))
                    wire.sendall(b"GET /v1/event?follow=1 HTTP/1.1\r\nHost: b\r\n\r\n")
                    assert wire.recv(12) == b"HTTP/1.1 200"
                wait_for(lambda: follows(path))
    finally:
        gc.enable()


def test_the_server_ends_with_followers(path: Path) -> None:
    with journal_at(path, 1):
        following = Client(path).follow("/v1/event?follow=1")
        next(following)
    assert not path.exists()
    with pytest.raises(DaemonUnreachable):
        next(following)


def follows(path: Path) -> bool:
    try:
        return bool(next(Client(path).follow("/v1/event?follow=1"))["seq"] == 1)
    except LoumenError:
        return False


def wait_for(holds: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not holds():
        assert time.monotonic() < end
        time.sleep(0.01)  # looks at a server in another thread
