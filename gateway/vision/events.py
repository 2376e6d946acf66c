"""What the journal is told of vision: the process and its cameras, not what it saw."""

from __future__ import annotations

from typing import ClassVar

from gateway.journal.event import Event, Importance


class VisionStarted(Event, frozen=True, kw_only=True, tag="vision.started.v1"):
    importance: ClassVar[Importance] = Importance.NOTICE
    group: str
    engine: str
    detector: str
    version: str
    untold: int = 0  # earlier starts and stops that were too many to record


class VisionStopped(Event, frozen=True, kw_only=True, tag="vision.stopped.v1"):
    importance: ClassVar[Importance] = Importance.NOTICE
    group: str
    why: str  # "hung", "garbage", "closed", "exit 11", "signal 9", ...
    untold: int = 0


class CameraLost(Event, frozen=True, kw_only=True, tag="vision.camera_lost.v1"):
    importance: ClassVar[Importance] = Importance.NOTICE
    camera: str
    problem: str
    untold: int = 0


class CameraBack(Event, frozen=True, kw_only=True, tag="vision.camera_back.v1"):
    importance: ClassVar[Importance] = Importance.NOTICE
    camera: str
    away: float  # seconds without a picture
    untold: int = 0


EVENTS: tuple[type[Event], ...] = (VisionStarted, VisionStopped, CameraLost, CameraBack)
