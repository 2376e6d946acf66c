"""Cameras through OpenCV: V4L2, network streams, a video file, a folder of pictures. Vision process only."""

from __future__ import annotations

import stat
import time
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from drivers.errors import CameraGone, N_
from drivers.grabber import Grabber
from drivers.pictures import Pictures

import cv2  # isort: skip  (after drivers.grabber has set its environment)
import numpy as np  # isort: skip

if TYPE_CHECKING:
    from drivers.interfaces import Frame


class Capture:
    """A source that is a `cv2.VideoCapture`. `begin` opens one; `pace` is seconds a frame, 0 = as they come."""

    def __init__(
        self, name: str, begin: Callable[[], cv2.VideoCapture], *, pace: float = 0.0, recorded: str = ""
    ) -> None:
        self._name, self._begin, self._pace = name, begin, pace
        self._recorded = recorded  # "", "once", "loop"
        self._capture: cv2.VideoCapture | None = None
        self._due = 0.0
        self._taken = 0

    def open(self) -> None:
        self._capture = self._begin()
        self._taken = 0
        if not self._capture.isOpened():
            if self._recorded:
                raise CameraGone(
                    N_("the video cannot be played: it is damaged, or of an unknown kind"),
                    where=self._name,
                    mend=N_("play it elsewhere; record it again, or name another file"),
                )
            raise CameraGone(
                N_("the camera could not be opened"),
                where=self._name,
                mend=N_("look whether it is plugged in and switched on, and whether another program holds it"),
            )

    def advance(self) -> bool:
        assert self._capture is not None
        if self._capture.grab():
            self._taken += 1
            self._keep_pace()
            return True
        if not self._recorded:
            raise self._stopped()
        if not self._taken:
            raise CameraGone(
                N_("the video holds no pictures"), where=self._name, mend=N_("record it again, or name another file")
            )
        if self._recorded == "once":
            return False
        self.close()
        self.open()
        return self.advance()

    def frame(self) -> Frame:
        assert self._capture is not None
        good, frame = self._capture.retrieve()
        if not good or frame is None:
            raise self._stopped()
        return frame.astype(np.uint8, copy=False)

    def _stopped(self) -> CameraGone:
        return CameraGone(
            N_("the camera stopped giving pictures"),
            where=self._name,
            mend=N_("look at its cable, its power and its network; it is tried again"),
        )

    def _keep_pace(self) -> None:
        if self._pace:
            now = time.monotonic()
            self._due = max(self._due + self._pace, now)
            time.sleep(self._due - now)

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None


class V4l2Camera(Grabber):
    """A camera on USB or the ribbon cable."""

    def __init__(self, *, device: str, width: int, height: int, fps: float, time_out: float) -> None:
        def begin() -> cv2.VideoCapture:
            try:
                kind = Path(device).stat().st_mode
            except OSError as error:
                raise CameraGone(
                    N_("there is no camera at {device}: {error}"),
                    where=device,
                    mend=N_("`ls /dev/v4l/by-id` shows what is plugged in"),
                    device=device,
                    error=error.strerror or str(error),
                ) from error
            if not stat.S_ISCHR(kind):
                raise CameraGone(
                    N_("{device} is not a device"),
                    where=device,
                    mend=N_("a video file is played by the driver `file`"),
                    device=device,
                )
            capture = cv2.VideoCapture(device, cv2.CAP_V4L2)
            capture.set(cv2.CAP_PROP_FOURCC, cv2.VideoWriter.fourcc(*"MJPG"))
            capture.set(cv2.CAP_PROP_FRAME_WIDTH, width)
            capture.set(cv2.CAP_PROP_FRAME_HEIGHT, height)
            capture.set(cv2.CAP_PROP_FPS, fps)
            capture.set(cv2.CAP_PROP_BUFFERSIZE, 1)
            return capture

        super().__init__(device, Capture(device, begin), time_out)


class RtspCamera(Grabber):
    """A network camera: RTSP over TCP, or motion JPEG over HTTP."""

    def __init__(self, *, url: str, time_out: float) -> None:
        shown = masked(url)

        def begin() -> cv2.VideoCapture:
            if url.partition("://")[0] not in {"rtsp", "rtsps", "http", "https"}:
                raise CameraGone(
                    N_("this is no address of a network camera"),
                    where=shown,
                    mend=N_("write rtsp://user:password@host/path"),
                )
            limit = max(1, int(time_out * 900))  # milliseconds: FFmpeg's own reason comes before the reader gives up
            limits = [cv2.CAP_PROP_OPEN_TIMEOUT_MSEC, limit, cv2.CAP_PROP_READ_TIMEOUT_MSEC, limit]
            return cv2.VideoCapture(url, cv2.CAP_FFMPEG, limits)

        super().__init__(shown, Capture(shown, begin), time_out)


def masked(url: str) -> str:
    """The address without user and password."""
    scheme, found, rest = url.partition("://")
    return f"{scheme}://{rest.rpartition('@')[2]}" if found else url.rpartition("@")[2]


class FileCamera(Grabber):
    """A video file, played at its rate."""

    def __init__(self, *, path: str, fps: float, loop: bool, time_out: float) -> None:
        def begin() -> cv2.VideoCapture:
            try:
                size = Path(path).stat().st_size
            except OSError as error:
                raise CameraGone(
                    N_("the video cannot be read: {error}"),
                    where=path,
                    mend=N_("look at its path and permissions"),
                    error=error.strerror or str(error),
                ) from error
            if not size:
                raise CameraGone(
                    N_("the video is empty (0 bytes)"), where=path, mend=N_("record it again, or name another file")
                )
            return cv2.VideoCapture(path, cv2.CAP_FFMPEG)

        super().__init__(path, Capture(path, begin, pace=1 / fps, recorded="loop" if loop else "once"), time_out)


class FolderCamera(Grabber):
    """A folder of pictures: the demo's and a bench's camera."""

    def __init__(self, *, path: str, fps: float, time_out: float) -> None:
        super().__init__(path, Pictures(path, 1 / fps), time_out)
