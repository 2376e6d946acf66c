"""Reads a picture that anybody may have sent, with bounds: before its pixels are decoded, its header is judged.

A decoder is asked only for what its own first bytes say is JPEG, PNG, BMP or WebP, of at most
`max_bytes` bytes and `max_pixels` pixels. A 100 MB file costs one `stat`; a PNG of 100 kB that would
unfold to 4 GB costs its header.
"""

from __future__ import annotations

import struct
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from gateway.errors import BadImage, N_

MAX_BYTES = 10 * 1024 * 1024
MAX_PIXELS = 40_000_000
LEAST_SIDE = 16
HALVED = 12_000_000  # pixels from which on a picture is decoded at half its size: a face needs no more, memory does
REFERENCE = 2000  # pixels of a reference picture's longer side: a telephone's 12 million cost 100 MB and five seconds
_REDUCED = ((8, cv2.IMREAD_REDUCED_COLOR_8), (4, cv2.IMREAD_REDUCED_COLOR_4), (2, cv2.IMREAD_REDUCED_COLOR_2))

_JPEG_FRAMES = frozenset(range(0xC0, 0xD0)) - {0xC4, 0xC8, 0xCC}  # start-of-frame markers carry the size


def read_reference(source: Path) -> npt.NDArray[np.uint8]:
    """A reference picture, of at most REFERENCE pixels a side. Raises BadImage."""
    picture = read_picture(source, longest=REFERENCE)
    scale = REFERENCE / max(picture.shape[:2])
    if scale >= 1:
        return picture
    size = max(1, round(picture.shape[1] * scale)), max(1, round(picture.shape[0] * scale))
    return np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)


def read_picture(
    source: Path | bytes, max_bytes: int = MAX_BYTES, max_pixels: int = MAX_PIXELS, longest: int = 0
) -> npt.NDArray[np.uint8]:
    """The picture as BGR, turned as its EXIF says. Raises BadImage.

    `longest`: where its longer side is at least twice as long, it is decoded at a half, a quarter or an eighth.
    """
    where = str(source) if isinstance(source, Path) else ""
    data = source if isinstance(source, bytes) else _read(source, max_bytes)
    if not data:
        raise BadImage(N_("the picture is empty"), where=where, mend=N_("take or copy it again"))
    if len(data) > max_bytes:
        raise _too_large(where, len(data), max_bytes)
    size = dimensions(data)
    if size is None:
        raise _unknown(data, where)
    width, height = size
    if min(width, height) < LEAST_SIDE or width * height > max_pixels:
        raise BadImage(
            N_("the picture has {width} x {height} pixels; at least {least} a side and {most} in all can be used"),
            where=where,
            mend=N_("use a picture of the usual size"),
            width=width,
            height=height,
            least=LEAST_SIDE,
            most=max_pixels,
        )
    flags = cv2.IMREAD_COLOR if width * height <= HALVED else cv2.IMREAD_REDUCED_COLOR_2
    if longest:
        flags = next((flag for by, flag in _REDUCED if max(width, height) >= longest * by), flags)
    return _decode(data, where, flags)


def dimensions(data: bytes) -> tuple[int, int] | None:
    """Width and height as the header says; None where it is no header of a known kind."""
    try:
        if data.startswith(b"\xff\xd8"):
            return _jpeg(data)
        if data.startswith(b"\x89PNG\r\n\x1a\n") and data[12:16] == b"IHDR":
            return struct.unpack_from(">II", data, 16)
        if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
            return _webp(data)
        if data.startswith(b"BM"):
            width, height = struct.unpack_from("<ii", data, 18)
            return abs(width), abs(height)
    except struct.error:
        pass
    return None


def _jpeg(data: bytes) -> tuple[int, int] | None:
    at = 2
    while at + 9 <= len(data):
        if data[at] != 0xFF:
            return None
        marker = data[at + 1]
        if marker == 0xFF:  # filling
            at += 1
        elif marker in _JPEG_FRAMES:
            height, width = struct.unpack_from(">HH", data, at + 5)
            return width, height
        elif marker == 0x01 or 0xD0 <= marker <= 0xD8:
            at += 2
        else:
            at += 2 + struct.unpack_from(">H", data, at + 2)[0]
    return None


def _webp(data: bytes) -> tuple[int, int] | None:
    kind = data[12:16]
    if kind == b"VP8X":
        return int.from_bytes(data[24:27], "little") + 1, int.from_bytes(data[27:30], "little") + 1
    if kind == b"VP8L":
        bits = struct.unpack_from("<I", data, 21)[0]
        return (bits & 0x3FFF) + 1, (bits >> 14 & 0x3FFF) + 1
    if kind == b"VP8 ":
        width, height = struct.unpack_from("<HH", data, 26)
        return width & 0x3FFF, height & 0x3FFF
    return None


#: Pictures of other kinds that people send; their decoders are no part of this house.
_OTHER_KINDS = (
    ("HEIC", 4, (b"ftypheic", b"ftypheix", b"ftyphevc", b"ftypmif1", b"ftypmsf1", b"ftypheim")),
    ("AVIF", 4, (b"ftypavif", b"ftypavis")),
    ("GIF", 0, (b"GIF87a", b"GIF89a")),
    ("TIFF", 0, (b"II*\0", b"MM\0*")),
    ("PDF", 0, (b"%PDF-",)),
)


def _unknown(data: bytes, where: str) -> BadImage:
    kind = next((name for name, at, marks in _OTHER_KINDS if data[at : at + 16].startswith(marks)), "")
    if not kind:
        return BadImage(
            N_("this is no picture that can be read"), where=where, mend=N_("use a JPEG, PNG, WebP or BMP picture")
        )
    mend = N_("save it as JPEG and take that (on an iPhone: Settings, Camera, Formats, Most Compatible)")
    return BadImage(
        N_("this is a {kind} file, which is not read"),
        where=where,
        mend=mend if kind == "HEIC" else N_("save it as JPEG and take that"),
        kind=kind,
    )


def _read(path: Path, max_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(max_bytes + 1)
        if len(data) > max_bytes:
            raise _too_large(str(path), path.stat().st_size, max_bytes)
    except OSError as error:
        raise BadImage(
            N_("the picture cannot be read: {error}"),
            where=str(path),
            mend=N_("check the path and its permissions"),
            error=error.strerror or str(error),
        ) from error
    return data


def _decode(data: bytes, where: str, flags: int) -> npt.NDArray[np.uint8]:
    try:
        picture = cv2.imdecode(np.frombuffer(data, np.uint8), flags)
    except cv2.error:
        picture = None
    if picture is None or picture.ndim != 3:
        raise BadImage(N_("the picture is damaged"), where=where, mend=N_("take or copy it again"))
    return np.asarray(picture, np.uint8)


def _too_large(where: str, size: int, most: int) -> BadImage:
    return BadImage(
        N_("the picture has {size} MB; at most {most} MB are read"),
        where=where,
        mend=N_("use a smaller picture"),
        size=round(size / 1e6, 1),
        most=round(most / 1e6, 1),
    )
