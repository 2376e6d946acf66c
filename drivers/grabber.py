"""The thread inside a camera driver: it takes frames as the device gives them, so that `read` never waits for it.

A device may block for as long as it likes (a stream that stalls, a driver that waits); `read` may
not. So a thread of its own, the grabber, opens the source and advances through its frames; `read` waits
for the next one no longer than the camera's time-out. A frame is decoded only when somebody waits
for one: an empty hall costs its transport, not its JPEGs.

After CameraGone the next `read` opens the source again; the caller decides how long it waits first.
"""

from __future__ import annotations

import os
import threading
import time
from typing import TYPE_CHECKING, Protocol

PIXEL_LIMIT = 40_000_000
os.environ.setdefault("OPENCV_IO_MAX_IMAGE_PIXELS", str(PIXEL_LIMIT))  # read once, when cv2 is imported
os.environ.setdefault("OPENCV_FFMPEG_CAPTURE_OPTIONS", "rtsp_transport;tcp")
os.environ.setdefault("OPENCV_LOG_LEVEL", "SILENT")
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")

import cv2  # noqa: E402  (after its environment)
import numpy as np  # noqa: E402

from drivers.errors import CameraGone, N_  # noqa: E402

if TYPE_CHECKING:
    from drivers.interfaces import Frame

LONGEST = 1920  # pixels a side of a frame has at most
SHORTEST = 32  # and at least


class Source(Protocol):
    """What the grabber's thread works on. It may block; it is used from that thread only."""

    def open(self) -> None:
        """Raises CameraGone."""

    def advance(self) -> bool:
        """Go to the next frame; False at the end of a recording. Raises CameraGone."""

    def frame(self) -> Frame:
        """The frame `advance` went to. Raises CameraGone."""

    def close(self) -> None: ...


class Grabber:
    """The camera driver over any source."""

    def __init__(self, name: str, source: Source, time_out: float) -> None:
        self._name, self._source, self._time_out = name, source, time_out
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._waiting = self._ended = self._closed = False
        self._problem: CameraGone | None = None
        self._wanted = True  # the source should be open
        self._thread = threading.Thread(target=self._run, name=f"camera {name}", daemon=True)
        self._thread.start()

    def read(self) -> Frame | None:
        """The next frame, or None when a recorded source has ended. Raises CameraGone."""
        deadline = time.monotonic() + self._time_out
        with self._changed:
            if not (self._wanted or self._ended or self._problem):
                self._wanted = True
                self._changed.notify_all()
            self._frame, self._waiting = None, True
            try:
                while (frame := self._newest()) is None:
                    if self._problem is not None:
                        problem, self._problem = self._problem, None
                        raise problem
                    if self._ended:
                        return None
                    left = deadline - time.monotonic()
                    if left <= 0 or not self._changed.wait(left):
                        raise self._silent()
                return frame
            finally:
                self._frame, self._waiting = None, False

    def _newest(self) -> Frame | None:
        return self._frame

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def _silent(self) -> CameraGone:
        return CameraGone(
            N_("the camera gave no picture for {seconds:g} seconds"),
            where=self._name,
            mend=N_("look at its cable, its power and its lamp; then `loumen doctor`"),
            seconds=self._time_out,
        )

    def _run(self) -> None:
        while self._wait_until_wanted():
            try:
                self._source.open()
                while self._step():
                    pass
            except CameraGone as gone:
                with self._changed:
                    self._problem, self._wanted = gone, False
                    self._changed.notify_all()
            finally:
                self._source.close()

    def _wait_until_wanted(self) -> bool:
        with self._changed:
            while not self._wanted and not self._closed:
                self._changed.wait()
            return not self._closed

    def _step(self) -> bool:
        more = self._source.advance()
        frame = bounded(self._source.frame()) if more and self._waiting else None
        with self._changed:
            if self._closed:
                return False
            if not more:
                self._ended, self._wanted = True, False
            elif frame is not None and self._waiting:
                self._frame, self._waiting = frame, False
            self._changed.notify_all()
            return more


def bounded(frame: Frame) -> Frame:
    """The frame as BGR, no side longer than LONGEST. Raises CameraGone for one that shows nothing."""
    if frame.ndim == 2:
        frame = cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR).astype(np.uint8)
    height, width = frame.shape[:2]
    longest = max(height, width)
    if min(height, width) * LONGEST < SHORTEST * max(longest, LONGEST):
        raise CameraGone(
            N_("a picture of {width} x {height} pixels shows nothing"),
            mend=N_("look at the camera's settings"),
            width=width,
            height=height,
        )
    if longest <= LONGEST:
        return frame
    size = (max(1, frame.shape[1] * LONGEST // longest), max(1, frame.shape[0] * LONGEST // longest))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA).astype(np.uint8)
