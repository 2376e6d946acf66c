"""When a camera counts as lost and when as back: what the heartbeats say, over time. Pure.

Theory of operation
    A camera is lost when it has given no new picture for LOST seconds (a frozen one gives none, see
    `observe.Health`), counted from the first heartbeat where it never gave one. It is back with the
    first heartbeat that tells of a picture younger than FRESH seconds.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gateway.vision.events import CameraBack, CameraLost
from gateway.vision.protocol import CameraHealth

LOST = 10.0
FRESH = 3.0


@dataclass(slots=True)
class _Known:
    since: float | None = None  # no picture since then, as far as heard
    lost: bool = False


class CameraNews:
    """The cameras of one worker, over its restarts."""

    def __init__(self, names: Iterable[str]) -> None:
        self._known = {name: _Known() for name in names}

    def take(self, healths: Iterable[CameraHealth], now: float) -> Iterator[tuple[str, CameraLost | CameraBack]]:
        """What is news in this heartbeat, each with the kind it is counted by."""
        for health in healths:
            known = self._known.get(health.camera)
            if known is None:
                continue
            age = health.frame_age
            if age is not None and age < FRESH:
                if known.lost and known.since is not None:
                    yield f"back {health.camera}", CameraBack(camera=health.camera, away=round(now - known.since, 1))
                known.since, known.lost = None, False
                continue
            if known.since is None:
                known.since = now - (age or 0.0)
            if not known.lost and now - known.since >= LOST:
                known.lost = True
                yield f"lost {health.camera}", CameraLost(camera=health.camera, problem=health.problem[:200])
