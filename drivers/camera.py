"""Cameras through OpenCV: V4L2, network streams, a video file, a folder of pictures. Vision process only.

A device may block for as long as it likes (a stream that stalls, a driver that waits); `read` may
not. So a thread of its own, the grabber, opens the source and takes its frames; `read` waits for the
next one no longer than the camera's time-out and always gives the newest.

After CameraGone the next `read` opens the source again; the caller decides how long it waits first.
A frame is at most LONGEST pixels wide or high, a picture file at most FILE_LIMIT bytes and
PIXEL_LIMIT pixels: what is larger is refused before it is decoded.
"""

from __future__ import annotations

import os
import stat
import threading
import time
from collections.abc import Callable
from pathlib import Path
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

LONGEST = 1920
FILE_LIMIT = 32 * 1024 * 1024
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".pgm", ".ppm"})
SHOWN = 8  # frames a picture of a folder is shown
PAUSE = 1.5  # seconds of grey between two pictures: nobody is there, so the next one is somebody new
GREY = 96


class Source(Protocol):
    """What the grabber's thread works on. It may block; it is used from that thread only."""

    def open(self) -> None:
        """Raises CameraGone."""

    def take(self) -> Frame | None:
        """The next frame; None at the end of a recording. Raises CameraGone."""

    def close(self) -> None: ...


class Grabber:
    """The camera driver over any source."""

    def __init__(self, name: str, source: Source, time_out: float) -> None:
        self._name, self._source, self._time_out = name, source, time_out
        self._changed = threading.Condition()
        self._frame: Frame | None = None
        self._fresh = self._ended = self._closed = False
        self._problem: CameraGone | None = None
        self._wanted = True  # the source should be open
        self._thread = threading.Thread(target=self._run, name=f"camera {name}", daemon=True)
        self._thread.start()

    def read(self) -> Frame | None:
        """The newest frame, or None when a recorded source has ended. Raises CameraGone."""
        deadline = time.monotonic() + self._time_out
        with self._changed:
            if not (self._wanted or self._ended or self._problem):
                self._wanted = True
                self._changed.notify_all()
            while not self._fresh:
                if self._problem is not None:
                    problem, self._problem = self._problem, None
                    raise problem
                if self._ended:
                    return None
                left = deadline - time.monotonic()
                if left <= 0 or not self._changed.wait(left):
                    raise self._silent()
            self._fresh = False
            return self._frame

    def close(self) -> None:
        with self._changed:
            self._closed = True
            self._frame = None
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
                while self._take():
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

    def _take(self) -> bool:
        frame = self._source.take()
        if frame is not None:
            frame = bounded(frame)
        with self._changed:
            if self._closed:
                return False
            if frame is None:
                self._ended, self._wanted = True, False
            else:
                self._frame, self._fresh = frame, True
            self._changed.notify_all()
            return frame is not None


def bounded(frame: Frame) -> Frame:
    """The frame as BGR, no side longer than LONGEST."""
    if frame.ndim == 2:
        frame = cv2.cvtColor(frame, cv2.COLOR_GRAY2BGR).astype(np.uint8)
    longest = max(frame.shape[:2])
    if longest <= LONGEST:
        return frame
    size = (max(1, frame.shape[1] * LONGEST // longest), max(1, frame.shape[0] * LONGEST // longest))
    return cv2.resize(frame, size, interpolation=cv2.INTER_AREA).astype(np.uint8)


# --- what OpenCV captures: devices, streams, files


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
            raise CameraGone(
                N_("the camera could not be opened"),
                where=self._name,
                mend=N_("look whether it is plugged in and switched on, and whether another program holds it"),
            )

    def take(self) -> Frame | None:
        assert self._capture is not None
        good, frame = self._capture.read()
        if good and frame is not None:
            self._taken += 1
            self._keep_pace()
            return frame.astype(np.uint8, copy=False)
        if not self._recorded:
            raise CameraGone(
                N_("the camera stopped giving pictures"),
                where=self._name,
                mend=N_("look at its cable, its power and its network; it is tried again"),
            )
        if not self._taken:
            raise CameraGone(
                N_("the video holds no pictures"), where=self._name, mend=N_("record it again, or name another file")
            )
        if self._recorded == "once":
            return None
        self.close()
        self.open()
        return self.take()

    def _keep_pace(self) -> None:
        if self._pace:
            now = time.monotonic()
            self._due = max(self._due + self._pace, now)
            time.sleep(self._due - now)

    def close(self) -> None:
        if self._capture is not None:
            self._capture.release()
            self._capture = None


def _milliseconds(seconds: float) -> int:
    return max(1, int(seconds * 1000))


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
            limit = _milliseconds(time_out)
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


# --- a folder of pictures


class Pictures:
    """Plays pictures in the order of their names, as they appear in the folder.

    Each is shown for SHOWN frames, then the picture is grey for PAUSE seconds and for as long as
    nothing new has come. A picture counts as new by its name and modification time, so `touch` plays
    it again. Names that begin with a dot, and endings that are no picture's, are left alone: write to
    `.name.png` and rename. A picture that cannot be read is told once (CameraGone) and left out.
    """

    def __init__(self, folder: str, pace: float) -> None:
        self._folder, self._pace = Path(folder), pace
        self._played: dict[Path, int] = {}
        self._picture: Frame | None = None
        self._left = 0
        self._grey_until = 0.0
        self._grey: Frame = np.full((480, 640, 3), GREY, np.uint8)
        self._due = 0.0

    def open(self) -> None:
        self._list()

    def close(self) -> None:
        self._picture, self._left = None, 0

    def take(self) -> Frame | None:
        now = time.monotonic()
        self._due = max(self._due + self._pace, now)
        time.sleep(self._due - now)
        if not self._left and self._due >= self._grey_until:
            self._next()
        if not self._left or self._picture is None:
            return self._grey
        self._left -= 1
        if not self._left:
            self._grey_until = self._due + PAUSE
        return self._picture

    def _list(self) -> list[tuple[Path, int]]:
        try:
            with os.scandir(self._folder) as entries:
                found = [
                    (Path(entry.path), entry.stat().st_mtime_ns)
                    for entry in entries
                    if entry.name[0] != "." and Path(entry.name).suffix.lower() in PICTURES and entry.is_file()
                ]
        except OSError as error:
            raise CameraGone(
                N_("the folder of pictures cannot be read: {error}"),
                where=str(self._folder),
                mend=N_("make the folder, or name another"),
                error=error.strerror or str(error),
            ) from error
        return sorted(found)

    def _next(self) -> None:
        found = self._list()
        self._played = {path: when for path, when in self._played.items() if path in dict(found)}
        for path, when in found:
            if self._played.get(path) != when:
                self._played[path] = when
                self._picture, self._left = read_picture(path), SHOWN
                self._grey = np.full_like(self._picture, GREY)
                return


def read_picture(path: Path) -> Frame:
    """Decode a picture file. Raises CameraGone with the reason."""
    try:
        size = path.stat().st_size
        if size > FILE_LIMIT:
            raise CameraGone(
                N_("the picture has {size} MB; at most {limit} are read"),
                where=str(path),
                mend=N_("shrink it to at most 4000 pixels"),
                size=size // 1024 // 1024,
                limit=FILE_LIMIT // 1024 // 1024,
            )
        data = np.fromfile(path, np.uint8)
        picture = cv2.imdecode(data, cv2.IMREAD_COLOR) if data.size else None
    except (OSError, cv2.error) as error:
        reason = str(error.strerror) if isinstance(error, OSError) else "too large, or damaged"
        raise CameraGone(
            N_("the picture cannot be read: {reason}"),
            where=str(path),
            mend=N_("open it in a viewer and save it again"),
            reason=reason,
        ) from error
    if picture is None:
        raise CameraGone(
            N_("this is no picture, or it is damaged"),
            where=str(path),
            mend=N_("open it in a viewer and save it again"),
        )
    return bounded(picture.astype(np.uint8, copy=False))


class FolderCamera(Grabber):
    """A folder of pictures: the demo's and a bench's camera."""

    def __init__(self, *, path: str, fps: float, time_out: float) -> None:
        super().__init__(path, Pictures(path, 1 / fps), time_out)
