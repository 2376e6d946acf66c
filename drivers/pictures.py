"""A folder of pictures as a camera: the demo's and a bench's.

A picture file has at most FILE_LIMIT bytes and `grabber.PIXEL_LIMIT` pixels: what is larger is refused
before it is decoded.
"""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

from drivers.errors import CameraGone, N_
from drivers.grabber import bounded

import cv2  # isort: skip  (after drivers.grabber has set its environment)
import numpy as np  # isort: skip

if TYPE_CHECKING:
    from drivers.interfaces import Frame

FILE_LIMIT = 32 * 1024 * 1024
PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp", ".pgm", ".ppm"})
SHOWN = 8  # frames in which a picture is seen by whoever reads
PAUSE = 1.5  # seconds of grey between two pictures: nobody is there, so the next one is somebody new
GREY = 96


class Pictures:
    """Plays pictures in the order of their names, as they appear in the folder.

    Each stays until it was read SHOWN times (so a busy machine misses none), then the frame is grey for
    PAUSE seconds and for as long as nothing new has come. A picture counts as new by its name and
    modification time, so `touch` plays it again. Names that begin with a dot, and endings that are no
    picture's, are left alone: write to `.name.png` and rename. A picture that cannot be read is told
    once (CameraGone) and left out.
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

    def advance(self) -> bool:
        now = time.monotonic()
        self._due = max(self._due + self._pace, now)
        time.sleep(self._due - now)
        if not self._left and self._due >= self._grey_until:
            self._next()
        return True

    def frame(self) -> Frame:
        if self._picture is None or not self._left:
            return self._grey
        self._left -= 1
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
