"""`loumen desk run`: the receiver and its socket as one process, until SIGTERM or SIGINT."""

from __future__ import annotations

import asyncio
import fcntl
import os
import signal
from collections.abc import Callable

from gateway.desk.authority import Authority
from gateway.desk.local import serve
from gateway.desk.service import DeskService
from gateway.errors import N_, Refused
from gateway.uplink.together import together


async def run_desk(authority: Authority, ready: Callable[[], None]) -> None:
    """Receive until told to stop. Raises LoumenError when the folder or the store cannot be used."""
    lock = _lock(authority)
    service = DeskService(authority)
    stop = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stop.set)

    async def stopped() -> None:
        ready()
        await stop.wait()

    try:
        await together(service.run(), serve(service, authority.socket), stopped())
    finally:
        os.close(lock)


def _lock(authority: Authority) -> int:
    """One desk a folder."""
    authority.settings()  # says what is wrong with the folder
    path = authority.folder / "desk.lock"
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        os.close(descriptor)
        raise Refused(N_("Another desk runs in this folder"), where=str(path)) from error
    return descriptor
