"""A broker in pure Python for demo and tests: amqtt (MQTT 3.1.1) with mutual TLS, as a process of its own.

    python -m gateway.desk.broker --folder DESK --port 8883

It reads the certificates that `loumen desk init` wrote. A community runs mosquitto or a cluster
instead: amqtt keeps nothing over a restart and knows no access list by certificate.
"""

from __future__ import annotations

import argparse
import asyncio
import contextlib
import logging
import signal
import ssl
from pathlib import Path
from typing import Any

from amqtt.broker import Broker
from amqtt.contexts import BrokerConfig, ListenerConfig, ListenerType


class MutualBroker(Broker):  # type: ignore[misc]
    """amqtt asks for a client's certificate but does not insist; this one does."""

    @staticmethod
    def _create_ssl_context(listener: ListenerConfig) -> ssl.SSLContext:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(str(listener["certfile"]), str(listener["keyfile"]))
        context.load_verify_locations(str(listener["cafile"]))
        context.verify_mode = ssl.CERT_REQUIRED
        return context


def configuration(folder: Path, host: str, port: int) -> BrokerConfig:
    """One TLS listener, nobody anonymous to TLS, no further plugins."""
    listener: dict[str, Any] = {"type": ListenerType.TCP, "bind": f"{host}:{port}", "ssl": True}
    listener |= {"certfile": folder / "broker.pem", "keyfile": folder / "broker.key", "cafile": folder / "ca.pem"}
    plugins: dict[str, Any] = {"amqtt.plugins.authentication.AnonymousAuthPlugin": {"allow_anonymous": True}}
    return BrokerConfig.from_dict({"listeners": {"default": listener}, "plugins": plugins})


async def serve(folder: Path, host: str, port: int) -> None:
    """Run until SIGTERM or SIGINT."""
    broker = MutualBroker(configuration(folder / "broker", host, port))
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)
    await broker.start()
    print(f"listening on {host}:{port}", flush=True)
    await stop.wait()
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(2):
            await broker.shutdown()


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("--folder", type=Path, required=True, help="the desk's folder")
    parser.add_argument("--host", default="127.0.0.1")
    parser.add_argument("--port", type=int, default=8883)
    arguments = parser.parse_args()
    logging.basicConfig(level=logging.WARNING)
    asyncio.run(serve(arguments.folder, arguments.host, arguments.port))


if __name__ == "__main__":
    main()
