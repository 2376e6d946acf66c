"""Runs inside the machine whose power is cut: checks what is there, then writes and says so, for ever.

    guest.py PLAN    the host's JSON: {"writers": {name: "module:Class"}, "round", "seed", "acks": {name: [...]}}

It prints `wrong NAME TEXT` or `sound NAME`, then `writing`, then one line `ack NAME JSON` for every thing that
its writer has acknowledged. With `"check": true` it ends after the check. A writer is:

    class Writer:
        def __init__(self, folder: Path, turn: int, seed: int) -> None
        async def open(self) -> None
        async def check(self, acknowledged: list[dict]) -> str     # what is wrong with what it finds; "" if nothing
        async def write(self) -> dict                              # one acknowledged thing, as the check will want it
        async def close(self) -> None

Another database joins by a class of its own in `WRITERS` of test_power_cut.py.
"""

from __future__ import annotations

import asyncio
import importlib
import json
import sys
from pathlib import Path
from typing import Any, Protocol


class Writer(Protocol):
    async def open(self) -> None: ...
    async def check(self, acknowledged: list[dict[str, Any]]) -> str: ...
    async def write(self) -> dict[str, Any]: ...
    async def close(self) -> None: ...


def writer_of(name: str, where: str, plan: dict[str, Any]) -> Writer:
    module, _, kind = where.partition(":")
    folder = Path("/run/data") / name
    folder.mkdir(exist_ok=True)
    made: Writer = getattr(importlib.import_module(module), kind)(folder, plan["round"], plan["seed"])
    return made


async def serve(name: str, writer: Writer, plan: dict[str, Any]) -> None:
    await writer.open()
    try:
        wrong = await writer.check(plan["acks"].get(name, []))
        print(f"wrong {name} {wrong}" if wrong else f"sound {name}", flush=True)
        while not plan.get("check"):
            acknowledged = await writer.write()
            print(f"ack {name} {json.dumps(acknowledged)}", flush=True)
    finally:
        await writer.close()


async def main() -> None:
    plan = json.loads(await asyncio.to_thread(Path(sys.argv[1]).read_text))
    writers = {name: writer_of(name, where, plan) for name, where in plan["writers"].items()}
    async with asyncio.TaskGroup() as group:
        for name, writer in writers.items():
            group.create_task(serve(name, writer, plan))


if __name__ == "__main__":
    asyncio.run(main())
