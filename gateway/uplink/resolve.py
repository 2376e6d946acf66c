"""Names to addresses without waiting for a resolver that hangs.

asyncio asks in its default executor, and `asyncio.run` waits at its end for that thread: a dead DNS
server would hold the daemon's stop for minutes. Here the question runs in a daemon thread that nobody
joins, at most one a name; an address in numbers asks nobody; and the last answer is used while the
resolver is silent.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
import threading

from gateway.errors import N_, UplinkError


class Resolver:
    """Remembers the last answer for each name."""

    def __init__(self) -> None:
        self._known: dict[str, list[str]] = {}
        self._asking: dict[str, asyncio.Future[list[str]]] = {}

    async def addresses(self, host: str, within: float) -> list[str]:
        """The addresses of `host`. Raises UplinkError when nothing is known `within` seconds."""
        try:
            return [str(ipaddress.ip_address(host))]
        except ValueError:
            pass
        answer = self._asking.get(host)
        if answer is None:
            answer = self._asking[host] = asyncio.get_running_loop().create_future()
            threading.Thread(target=_ask, args=(host, answer), daemon=True, name="resolver").start()
        await asyncio.wait([answer], timeout=within)
        if answer.done():
            del self._asking[host]
            if answer.exception() is None and answer.result():
                self._known[host] = answer.result()
        if host not in self._known:
            raise UplinkError(
                N_("The broker's name {host} has no address"),
                mend=N_("check the network's DNS, or write the broker's address in numbers"),
                host=host,
            )
        return self._known[host]


def _ask(host: str, answer: asyncio.Future[list[str]]) -> None:
    loop = answer.get_loop()
    try:
        found = socket.getaddrinfo(host, None, type=socket.SOCK_STREAM)
    except (OSError, UnicodeError):
        found = []
    addresses = list(dict.fromkeys(str(entry[4][0]) for entry in found))
    try:
        loop.call_soon_threadsafe(_tell, answer, addresses)
    except RuntimeError:
        pass  # the loop has ended meanwhile; nobody waits


def _tell(answer: asyncio.Future[list[str]], addresses: list[str]) -> None:
    if not answer.done():
        answer.set_result(addresses)
