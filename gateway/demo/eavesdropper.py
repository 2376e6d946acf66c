"""Somebody in the broker: hears the commands to a box and sends the last one again, byte for byte.

    python -m gateway.demo.eavesdropper --desk FOLDER --box UUID

Prints {"heard": N} for each command that is no receipt (a JSON line each); a line on its standard input
makes it publish that command once more, and {"replayed": N} is printed when the broker has it. It uses the
desk's own certificate: the strongest position a stranger on the network could reach, short of a signing key.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import sys
from pathlib import Path

from gateway.desk.authority import Authority
from gateway.identity.certificates import client_context
from gateway.uplink.connection import Connection, Target
from gateway.uplink.messages import Topics
from gateway.uplink.packets import Connect, Puback, Publish
from gateway.uplink.resolve import Resolver


async def listen(folder: Path, box: str) -> None:
    """Until the standard input ends."""
    settings = Authority(folder).settings()
    broker, client = settings.brokers[0], folder / "client"
    context = client_context(folder / "ca" / "ca.pem", client / "desk.pem", client / "desk.key")
    target = Target(broker.host, broker.port, context)
    connection = await Connection.open(target, Connect("eavesdropper", keepalive=30), 4, Resolver())
    topic = Topics.of(settings.community, box).command
    await connection.subscribe([topic])
    print(json.dumps({"listening": topic}), flush=True)
    heard: list[bytes] = []
    hearing = asyncio.create_task(_hear(connection, heard))
    loop = asyncio.get_running_loop()
    asked = asyncio.StreamReader()
    await loop.connect_read_pipe(lambda: asyncio.StreamReaderProtocol(asked), sys.stdin)
    while await asked.readline():
        await connection.publish(connection.claim_id(), topic, heard[-1])
    hearing.cancel()
    await connection.close()


async def _hear(connection: Connection, heard: list[bytes]) -> None:
    async for packet in connection.arrivals():
        if isinstance(packet, Puback):
            print(json.dumps({"replayed": len(heard)}), flush=True)
        elif isinstance(packet, Publish):
            await connection.acknowledge(packet)
            if json.loads(json.loads(packet.payload)["payload"])["command"] != "receipt":
                heard.append(packet.payload)
                print(json.dumps({"heard": len(heard)}), flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--desk", type=Path, required=True)
    parser.add_argument("--box", required=True)
    given = parser.parse_args()
    asyncio.run(listen(given.desk, given.box))
