"""What a worker does with its cameras: faces here, plates in `gateway/vision/plates/part.py`. The worker knows no more.

One process does one of them, because each has its own ceiling of memory and its own cameras.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping
from typing import TYPE_CHECKING, Protocol

from gateway.vision.enrolment import Enroller
from gateway.vision.observe import Galleries, Observer
from gateway.vision.protocol import CameraHealth, Enrol, Gallery, Heartbeat, Message
from gateway.vision.settings import Settings

if TYPE_CHECKING:
    from drivers.interfaces import Frame
    from gateway.vision.computing import Computing
    from gateway.vision.frames import Watch

    Frames = Callable[[str, float], AsyncIterator[Frame]]  # a camera's frames for so many seconds


class Eye(Protocol):
    """Looks at the frames of one camera, one after the other."""

    @property
    def watch(self) -> Watch: ...

    def see(self, frame: Frame, now: float) -> None: ...

    def pause(self, now: float) -> float:
        """Seconds from the last frame to the next one that is wanted."""
        ...


class Part(Protocol):
    """Everything that a worker computes."""

    @property
    def engine(self) -> str: ...

    @property
    def detector(self) -> str: ...

    @property
    def models(self) -> Mapping[str, str]: ...

    def eye(self, camera: str, put: Callable[[Message], None], numbers: Iterator[int]) -> Eye: ...

    def hear(self, message: Gallery | Enrol, frames: Frames) -> Coroutine[None, None, Message] | None:
        """Take what the daemon says; what takes long is an answer to wait for."""
        ...

    def forget(self) -> None:
        """The daemon is gone."""
        ...

    def heartbeat(self, cameras: tuple[CameraHealth, ...], resident_kb: int) -> Heartbeat: ...


class FacePart:
    """Faces at doors: galleries, comparing, enrolment."""

    def __init__(self, settings: Settings, computing: Computing) -> None:
        self._settings, self._computing = settings, computing
        self.engine, self.detector = settings.vision.engine, computing.engine.detector
        self.models: Mapping[str, str] = computing.engine.models
        self._galleries = Galleries(computing.engine.space, computing.compare)
        self._enroller = Enroller(computing.engine, computing.refusal, computing.load_picture)

    def eye(self, camera: str, put: Callable[[Message], None], numbers: Iterator[int]) -> Observer:
        return Observer(
            camera,
            [door for door, its in self._settings.doors.items() if its == camera],
            self._computing.engine,
            self._galleries,
            put,
            numbers,
            pool=self._settings.vision.pooled_frames,
        )

    def hear(self, message: Gallery | Enrol, frames: Frames) -> Coroutine[None, None, Message] | None:
        if isinstance(message, Gallery):
            self._galleries.take(message.door, message.generation, message.path, message.sha256)
            return None
        return self._enroller.answer(message, frames(message.camera, message.seconds))

    def forget(self) -> None:
        self._galleries.forget()

    def heartbeat(self, cameras: tuple[CameraHealth, ...], resident_kb: int) -> Heartbeat:
        return Heartbeat(
            cameras=cameras,
            resident_kb=resident_kb,
            generations={door: compared.generation for door, compared in self._galleries.items()},
            thresholds={door: compared.threshold for door, compared in self._galleries.items()},
            people={door: compared.people for door, compared in self._galleries.items()},
            problems=tuple(self._galleries.problems.values()),
        )
