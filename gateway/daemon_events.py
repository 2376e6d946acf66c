"""What the daemon tells of itself."""

from __future__ import annotations

from typing import ClassVar

from gateway.journal.event import Event, Importance


class DaemonStarted(Event, frozen=True, kw_only=True, tag="daemon.started.v1"):
    importance: ClassVar[Importance] = Importance.NOTICE
    version: str
    config: str  # "file", "last good", "minimal"
    ready_seconds: float  # from the process's start to doors that work


class DaemonStopped(Event, frozen=True, kw_only=True, tag="daemon.stopped.v1"):
    importance: ClassVar[Importance] = Importance.NOTICE
    signal: str


EVENTS: tuple[type[Event], ...] = (DaemonStarted, DaemonStopped)
