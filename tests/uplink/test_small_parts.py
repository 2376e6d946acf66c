"""Limits, memory, names, words: the uplink's small rooms."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path
from typing import Any

import pytest

from gateway.errors import UplinkError
from gateway.locale import tell
from gateway.uplink.limit import Limit
from gateway.uplink.memory import BLOCK, Memory
from gateway.uplink.resolve import Resolver
from gateway.uplink.status import UplinkStatus, sentences
from gateway.uplink.together import together


def test_a_limit_counts_what_it_passes_over() -> None:
    limit = Limit(2, 10)
    assert [limit.admit(now) for now in (0, 1, 2, 3)] == [0, 0, None, None]
    assert limit.admit(10) == 2
    assert limit.admit(10.5) is None


def test_sessions_only_rise_and_a_pause_is_remembered(tmp_path: Path) -> None:
    memory = Memory(tmp_path / "uplink.json")
    assert [memory.next_session(), memory.next_session()] == [1, 2]
    memory.pause(paused=True)
    again = Memory(tmp_path / "uplink.json")
    assert again.now.paused
    assert again.next_session() > 2


def test_a_month_of_dialling_writes_a_number_rarely_and_a_restart_never_gives_one_twice(tmp_path: Path) -> None:
    path = tmp_path / "uplink.json"
    memory, given, writes, before = Memory(path), set[int](), 0, b""
    for number in range(1000):
        if number % 300 == 299:
            memory = Memory(path)
        session = memory.next_session()
        assert session > max(given, default=0)
        given.add(session)
        writes, before = writes + (path.read_bytes() != before), path.read_bytes()
    assert writes <= 1000 / BLOCK + 4


def test_a_lost_memory_begins_above_every_count_and_a_full_disk_costs_only_a_number(tmp_path: Path) -> None:
    (tmp_path / "uplink.json").write_text("{")
    assert Memory(tmp_path / "uplink.json").next_session() > 1_000_000_000
    gone = Memory(tmp_path / "nowhere" / "uplink.json")
    assert [gone.next_session(), gone.next_session()] == [1, 2]


def test_a_resolver_that_hangs_holds_nobody_and_the_last_answer_is_used(monkeypatch: pytest.MonkeyPatch) -> None:
    free, asked = threading.Event(), []

    def hang(host: str, _port: object, **_named: Any) -> list[Any]:
        asked.append(host)
        if len(asked) > 1:
            free.wait(20)
        return [(socket.AF_INET, 0, 0, "", ("192.0.2.7", 0))]

    monkeypatch.setattr(socket, "getaddrinfo", hang)

    async def story() -> None:
        resolver = Resolver()
        assert await resolver.addresses("2001:db8::1", 0) == ["2001:db8::1"]
        assert asked == []
        assert await resolver.addresses("broker.example", 5) == ["192.0.2.7"]
        for _ in range(5):
            assert await resolver.addresses("broker.example", 0.01) == ["192.0.2.7"]
        assert len(asked) == 2  # one question at a time
        with pytest.raises(UplinkError) as caught:
            await resolver.addresses("other.example", 0.01)
        assert caught.value.mend

    try:
        asyncio.run(story())  # and its end does not wait for the thread
    finally:
        free.set()


def test_when_one_part_ends_all_end_and_a_later_time_limit_still_works() -> None:
    ended: list[str] = []

    async def endless() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("endless")

    async def fails() -> None:
        await asyncio.sleep(0)
        raise UplinkError("gone")

    async def story() -> None:
        with pytest.raises(UplinkError):
            await together(endless(), fails())
        assert ended == ["endless"]
        with pytest.raises(TimeoutError):  # asyncio.TaskGroup breaks this on Python 3.11
            async with asyncio.timeout(0.01):
                await asyncio.Event().wait()

    asyncio.run(story())


def words(**named: Any) -> str:
    given: dict[str, Any] = {"state": "connected", "enrolled": True, "receiver": True, "broker": "b:8883", **named}
    return "\n".join(tell(sentence.text, sentence.facts) for sentence in sentences(UplinkStatus(**given)))


@pytest.mark.parametrize(
    ("named", "expected"),
    [
        ({"protocol": "5", "connected_since": "noon"}, "Connected to b:8883 (MQTT 5) since noon"),
        ({"state": "resting", "retry_in": 7.4}, "next attempt in 7 s"),
        ({"state": "connecting"}, "Connecting to b:8883"),
        ({"state": "paused"}, "Paused"),
        ({"enrolled": False}, "not enrolled"),
        ({"receiver": False}, "acknowledged by the broker only"),
        ({"backlog": 12, "received": "e/3"}, "Received up to e/3, sent up to -; 12 events not yet confirmed"),
        ({"last_receipt_age": 3.2}, "Last receipt 3 s ago"),
        ({"receiver_short": True}, "holds less than it once confirmed"),
        ({"certificate_renew": True, "certificate_until": "May"}, "should be renewed; it is good until May"),
        ({"certificate_expired": True, "certificate_until": "May"}, "expired on May"),
        ({"state": "resting", "problem": "No {x}", "problem_facts": {"x": "line"}}, "No line"),
        ({"refused_commands": 2}, "Commands refused since the start: 2"),
    ],
)
def test_the_status_in_words(named: dict[str, Any], expected: str) -> None:
    assert expected in words(**named)
