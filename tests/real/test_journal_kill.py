"""kill -9 of a real process, again and again: what it said was durable is there, under the id it named, once."""

from __future__ import annotations

import random
import time
from pathlib import Path

import msgspec

from gateway.journal.direct import JournalReader
from gateway.journal.verify import verify_file
from tests.real.journal_process.process import Process

KILLS = 12


def check(folder: Path, acks: dict[int, int]) -> int:
    """Compare a stopped writer's file with its words; returns how many events it holds."""
    path = folder / "journal.db"
    verification = verify_file(path)
    assert verification.ok, verification
    assert verification.epochs == 1
    found: dict[int, int] = {}
    for row in JournalReader(path).rows():
        if row.type == "test.passed.v1" and row.body is not None:
            n = msgspec.json.decode(row.body)["n"]
            assert n not in found
            found[n] = row.seq
    assert acks.items() <= found.items()
    return len(found)


def test_killed_again_and_again(tmp_path: Path) -> None:
    chance, acks = random.Random(7), dict[int, int]()
    for _ in range(KILLS):
        with Process(tmp_path) as process:
            process.until("up")
            process.take_acks(chance.randrange(1, 30))
            time.sleep(chance.random() * 0.01)  # the moment of the kill, not a wait for anything
            process.kill()
            acks |= process.acks
    with Process(tmp_path) as process:
        process.until("ack")
        assert process.stop().startswith("closed 0")
        acks |= process.acks
    assert check(tmp_path, acks) >= len(acks) > KILLS
