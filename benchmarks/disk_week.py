"""What a box writes to its disk: a week of 60 meters and 2,000 passages a day (simulated_week.py), by the real daemon.

    python benchmarks/disk_week.py [--days 7] [--option lazytime|defaults] [--json]      the disk's own count
    python benchmarks/disk_week.py --files [--days 7] [--folder DIR] [--json]            by file, on this machine

The disk's own count: the daemon lives its week on a real kernel (user-mode Linux) whose clock jumps with the daemon's,
on ext4 with blocks of 4 KB; what the kernel asked the disk to write each day is told by /sys/block. ext4's journal,
its writing back after 5 and 30 seconds, and the mount option that deploy.sh sets are in it.

By file: the blocks (4 KB) that each thread made dirty, from /proc/self/task/*/io (`write_bytes`). A block counts again
each time it is written after it was cleaned, and it is cleaned as on a box: by every fdatasync, and for what is never
synced by the kernel after 30 s of the box's time (`vm.dirty_expire_centisecs`; done here by hand).

Not measured on: a Raspberry Pi, an SD card, whose own rewriting of erase blocks nobody can see.
Wanted: at most 50 MB on the worst day.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import logging
import os
import platform
import sqlite3
import sys
import tempfile
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

from benchmarks.simulated_week import living
from tests.box_time import run
from tests.real.uml import build
from tests.real.uml.guest import Guest, make_disk

WANTED_MB = 50.0
BUDGET_DAYS = 7
EXPIRE = 30.0  # seconds until the kernel writes what nobody syncs
GUEST = Path(build.__file__).parent / "guests" / "disk_week.py"

Tell = Callable[[str], None]


# --- the disk's own count


def on_a_disk(days: int, option: str, tell: Tell) -> list[dict[str, Any]]:
    """Boot, live, and what the guest told of each day."""
    found = []
    with tempfile.TemporaryDirectory(prefix="lm-") as folder:
        disk = make_disk(Path(folder) / "data.ext4", megabytes=1024)
        with Guest(GUEST, str(days), option, disk=disk, time_travel=True, memory="512M") as guest:
            for line in guest.lines(within=1200):
                if line.startswith("day "):
                    found.append(json.loads(line.removeprefix("day ")))
                    tell(f"day {len(found)}: {found[-1]['mb']} MB, {found[-1]['events']} events")
        assert len(found) == days, guest.output
    return found


# --- by file

FILES: dict[int, str] = {}  # thread -> the database it serves


def connect(path: Any, *arguments: Any, **named: Any) -> sqlite3.Connection:
    name = Path(str(path).removeprefix("file:").partition("?")[0]).name
    FILES.setdefault(threading.get_native_id(), name)
    return _connect(path, *arguments, **named)


_connect = sqlite3.connect


@dataclass(frozen=True)
class Written:
    """Bytes by what wrote them: blocks made dirty, and what was handed to the kernel."""

    blocks: Counter[str]
    bytes: Counter[str]

    def since(self, before: Written) -> Written:
        return Written(
            Counter({name: self.blocks[name] - before.blocks[name] for name in self.blocks}),
            Counter({name: self.bytes[name] - before.bytes[name] for name in self.bytes}),
        )


def written() -> Written:
    """Until now, by thread."""
    blocks, handed = Counter[str](), Counter[str]()
    names = {thread.native_id: thread.name for thread in threading.enumerate()}
    for task in Path("/proc/self/task").iterdir():
        number = int(task.name)
        told = dict(line.split(": ") for line in (task / "io").read_text().splitlines())
        thread = names.get(number, "")
        name = FILES.get(number) if not thread.startswith(("directory-files", "asyncio")) else None
        name = name or (
            "copies, revoked.log, keys" if thread.startswith("directory-files")
            else "meters.json, last good, orders" if thread.startswith("asyncio")
            else "uplink.json"
        )  # fmt: skip
        blocks[name] += int(told["write_bytes"])
        handed[name] += int(told["wchar"])
    return Written(blocks, handed)


async def expire(folder: Path) -> None:
    """The kernel's part: what is dirty for 30 s is written."""
    known: dict[Path, int] = {}
    while True:
        await asyncio.sleep(EXPIRE)
        clean(folder, known)


def clean(folder: Path, known: dict[Path, int]) -> None:
    """Write back what changed since the last time."""
    for path in [path for path in folder.rglob("*") if path.is_file()]:
        changed = path.stat().st_mtime_ns
        if known.get(path) != changed:
            known[path] = changed
            handle = os.open(path, os.O_RDONLY)
            os.fdatasync(handle)
            os.close(handle)


async def by_file(folder: Path, days: int, tell: Tell) -> list[dict[str, Any]]:
    """Live `days` days; what each wrote."""
    told = []
    async with living(folder) as week:
        kernel = asyncio.create_task(expire(folder / "state"))
        for day in range(days):
            before, files = written(), sizes(folder / "state")
            events = await week.day()
            new = written().since(before)
            now = sizes(folder / "state")
            told.append(
                {
                    "mb": round(sum(new.blocks.values()) / 1e6, 2),
                    "blocks_mb": {name: round(size / 1e6, 2) for name, size in new.blocks.most_common() if size},
                    "handed_mb": {name: round(size / 1e6, 2) for name, size in new.bytes.most_common() if size},
                    "events": sum(events.values()),
                    "kinds": dict(events.most_common(12)),
                    "grown_mb": {name: round((size - files.get(name, 0)) / 1e6, 2) for name, size in now.items()},
                }
            )
            tell(f"day {day + 1}: {told[-1]['mb']} MB, {told[-1]['events']} events, {told[-1]['blocks_mb']}")
        kernel.cancel()
    return told


def sizes(state: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in sorted(state.glob("*.db*")) if path.is_file()}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--days", type=int, default=BUDGET_DAYS)
    parser.add_argument("--option", choices=("lazytime", "defaults"), default="lazytime")
    parser.add_argument("--files", action="store_true")
    parser.add_argument("--folder", default=None, help="on the disk to measure (not tmpfs: it counts nothing)")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    logging.basicConfig(level=logging.ERROR)

    def tell(line: str) -> None:
        if not given.json:
            print(line, flush=True)

    if given.files:
        sqlite3.connect = connect  # type: ignore[assignment]
        with tempfile.TemporaryDirectory(dir=given.folder) as name:
            days = run(by_file(Path(name), given.days, tell))
    elif not build.kernel().exists() and build.missing():
        print(f"no user-mode kernel: {build.missing()}", file=sys.stderr)
        return 1
    else:
        build.build()
        days = on_a_disk(given.days, given.option, tell)
    worst = max(day["mb"] for day in days)
    result = {
        "machine": f"{platform.node()} {platform.machine()} ({os.cpu_count()} cores), {os.uname().release}",
        "counted": "by file" if given.files else f"by the disk, ext4 {given.option}",
        "sqlite": sqlite3.sqlite_version,
        "worst_day_mb": worst,
        "wanted_mb": WANTED_MB,
        "days": days,
    }
    if given.json:
        print(json.dumps(result))
    else:
        print(json.dumps(days[-1], indent=1))
        print(
            f"worst day {worst} MB ({result['counted']}), at most {WANTED_MB} wanted;"
            f" {result['machine']}, SQLite {sqlite3.sqlite_version}"
        )
    return 0 if worst <= WANTED_MB else 1


if __name__ == "__main__":
    sys.exit(main())
