"""Days of a whole box on this kernel's disk: what the disk is asked to write in each.

    disk_week.py DAYS OPTION     OPTION: 'lazytime' or 'defaults', how the disk is mounted

Prints `day {"mb": ..., "events": ..., "kinds": ...}`. Time travels with the daemon's own: where its loop would wait,
this kernel sleeps as long, and so writes back what nobody syncs when it would.
"""

from __future__ import annotations

import asyncio
import json
import logging
import sys
import time
from pathlib import Path

from benchmarks.simulated_week import living
from tests.box_time import run
from tests.real.uml.disk import given_to_the_disk, mount_lazily


async def main(days: int) -> None:
    async with living(Path("/run/data/box")) as week:
        before = await asyncio.to_thread(given_to_the_disk)
        for _ in range(days):
            events = await week.day()
            now = await asyncio.to_thread(given_to_the_disk)
            print("day", json.dumps({"mb": round((now - before) / 1e6, 2), "events": sum(events.values())}), flush=True)
            before = now


logging.basicConfig(level=logging.ERROR)
if sys.argv[2] == "lazytime":
    mount_lazily()
Path("/run/data/box").mkdir()
run(main(int(sys.argv[1])), idle=time.sleep)
