"""The one place that catches everything: it records, makes safe, and starts the service again.

Back-off doubles from FIRST to LONGEST and starts anew after HEALTHY seconds without a failure, so that
a service with a lasting fault costs little and one with a passing fault is back at once.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import ClassVar

from gateway.clock import Clock
from gateway.journal.event import Event, Importance

FIRST, LONGEST, HEALTHY = 0.5, 60.0, 120.0

log = logging.getLogger("loumen.supervisor")


class ServiceRestarted(Event, frozen=True, kw_only=True, tag="service.restarted.v1"):
    """A service failed by a fault of its own and was started again."""

    importance: ClassVar[Importance] = Importance.NOTICE
    service: str
    problem: str  # the exception's type; its text may hold what an event must not
    times: int
    pause: float


EVENTS: tuple[type[Event], ...] = (ServiceRestarted,)


@dataclass(slots=True)
class Life:
    """How a supervised service fares, for `status`."""

    name: str
    restarts: int = 0
    failing: int = 0  # failures in a row
    problem: str = ""


async def supervise(
    life: Life,
    service: Callable[[], Awaitable[None]],
    note: Callable[[Event], None],
    clock: Clock,
    make_safe: Callable[[], None] = lambda: None,
) -> None:
    """Run `service` until cancelled; when it fails, or ends, make safe, record, wait, start it again."""
    while True:
        began = clock.now().mono
        try:
            await service()
            life.problem = "ended"
        except Exception as error:
            log.exception("%s failed", life.name)
            life.problem = type(error).__name__
        make_safe()
        life.restarts += 1
        life.failing = 1 if clock.now().mono - began >= HEALTHY else life.failing + 1
        pause = min(LONGEST, FIRST * 2 ** min(life.failing - 1, 10))
        note(ServiceRestarted(service=life.name, problem=life.problem, times=life.restarts, pause=pause))
        await asyncio.sleep(pause)
