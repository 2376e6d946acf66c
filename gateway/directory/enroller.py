"""What the directory needs of the vision process, and how pictures get to it: as files on tmpfs, always deleted."""

from __future__ import annotations

import asyncio
import contextlib
import os
import secrets
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from typing import Protocol

from gateway.directory.commands import MAX_PICTURE, MAX_PICTURES, Picture
from gateway.errors import BadImage, N_
from gateway.vision.protocol import Enrolled

SLICE = 64 * 1024


class VisionNow(Protocol):
    """Of the vision process's status, what faces are judged by."""

    @property
    def thresholds(self) -> Mapping[str, float]: ...

    @property
    def models(self) -> Mapping[str, str]: ...


class Enroller(Protocol):
    """The vision client."""

    async def enrol(self, *, files: Sequence[Path] = (), camera: str = "", seconds: float = 10.0) -> Enrolled: ...

    def status(self) -> VisionNow: ...


def sweep(folder: Path) -> None:
    """Remove what a killed daemon has left."""
    with contextlib.suppress(FileNotFoundError):
        for left in folder.iterdir():
            left.unlink()


@contextlib.asynccontextmanager
async def as_files(pictures: Sequence[Picture], folder: Path) -> AsyncIterator[dict[str, Path]]:
    """The pictures as files that only the daemon and the vision process's group read: file name -> path.

    The order of the dictionary is the pictures'. Raises BadImage for a picture that is too large.
    """
    if sum(len(picture.data) for picture in pictures) > MAX_PICTURES:
        raise BadImage(
            N_("the pictures have more than {most} MB together"),
            mend=N_("send fewer of them at a time"),
            most=MAX_PICTURES >> 20,
        )
    for picture in pictures:
        if len(picture.data) > MAX_PICTURE:
            raise BadImage(
                N_("the picture {name} has more than {most} MB"),
                mend=N_("use a smaller picture"),
                name=picture.name,
                most=MAX_PICTURE >> 20,
            )
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)  # noqa: ASYNC240  (tmpfs)
    token = secrets.token_hex(4)
    paths: dict[str, Path] = {}
    try:
        for place, picture in enumerate(pictures):
            path = folder / f"{token}-{place}"
            paths[path.name] = path
            await _write(path, picture.data)
        yield paths
    finally:
        for path in paths.values():
            path.unlink(missing_ok=True)


async def _write(path: Path, data: bytes) -> None:
    """On tmpfs a slice is a copy in memory: the loop has a turn after each."""
    handle = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o640)
    try:
        view = memoryview(data)
        for start in range(0, len(data), SLICE):
            piece = view[start : start + SLICE]
            if os.write(handle, piece) != len(piece):
                raise BadImage(N_("there is no room for the picture in the run folder"))
            await asyncio.sleep(0)
    except OSError as error:
        raise BadImage(
            N_("there is no room for the picture in the run folder"),
            where=str(path.parent),
            mend=N_("look with `df` what fills it"),
            error=str(error),
        ) from error
    finally:
        os.close(handle)
