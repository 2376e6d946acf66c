"""Whatever somebody sends as a picture: a frame or a BadImage that says why, and no gigabytes on the way."""

from __future__ import annotations

import struct
import zlib
from pathlib import Path

import cv2
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.errors import BadImage
from gateway.vision.picture import REFERENCE, dimensions, read_picture, read_reference

PICTURE = np.random.default_rng(0).integers(0, 255, (48, 64, 3), np.uint8)


def encoded(kind: str) -> bytes:
    done, data = cv2.imencode(kind, PICTURE)
    assert done
    return bytes(data.tobytes())


def huge_png(width: int, height: int) -> bytes:
    """A header that promises gigabytes."""
    header = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))


@pytest.mark.parametrize("kind", [".png", ".jpg", ".webp", ".bmp"])
def test_known_kinds_are_read(kind: str, tmp_path: Path) -> None:
    data = encoded(kind)
    assert dimensions(data) == (64, 48)
    assert read_picture(data).shape == (48, 64, 3)
    path = tmp_path / f"a{kind}"
    path.write_bytes(data)
    assert read_picture(path).dtype == np.uint8


def test_grey_and_transparent_pictures_become_three_colours() -> None:
    grey = cv2.imencode(".png", PICTURE[:, :, 0])[1].tobytes()
    clear = cv2.imencode(".png", np.dstack([PICTURE, PICTURE[:, :, :1]]))[1].tobytes()
    assert read_picture(grey).shape == read_picture(clear).shape == (48, 64, 3)


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", "empty"),
        (b"hello", "no picture"),
        (b"\xff\xd8", "no picture"),
        (b"\xff\xd8\xff\xe0" + b"\x00" * 40, "no picture"),
        (encoded(".png")[:40], "damaged"),
        (encoded(".jpg")[:300], "no picture|damaged"),
        (huge_png(60_000, 60_000), "60000 x 60000"),
        (huge_png(0, 100), "0 x 100"),
        (huge_png(8, 8), "8 x 8"),
        (b"GIF89a" + b"\x00" * 100, "a GIF file"),
        (b"\x00\x00\x00\x18ftypheic" + b"\x00" * 100, "(?s)a HEIC file.*iPhone"),
        (b"\x00\x00\x00\x1cftypavif" + b"\x00" * 100, "an? AVIF file"),
        (b"II*\x00" + b"\x00" * 100, "a TIFF file"),
        (b"%PDF-1.7\n" + b"\x00" * 100, "a PDF file"),
    ],
)
def test_what_is_no_picture_says_why(data: bytes, reason: str) -> None:
    with pytest.raises(BadImage, match=reason) as caught:
        read_picture(data)
    assert caught.value.mend


def test_a_hundred_megabytes_are_not_read(tmp_path: Path) -> None:
    path = tmp_path / "big.jpg"
    with path.open("wb") as file:
        file.write(b"\xff\xd8")
        file.truncate(100_000_000)
    with pytest.raises(BadImage, match=r"100\.0 MB") as caught:
        read_picture(path)
    assert str(path) in str(caught.value)
    with pytest.raises(BadImage, match="MB"):
        read_picture(b"x" * 2000, max_bytes=1000)


def test_a_very_large_picture_is_decoded_at_half_its_size() -> None:
    data = cv2.imencode(".jpg", np.zeros((3000, 4400, 3), np.uint8))[1].tobytes()
    assert read_picture(data).shape == (1500, 2200, 3)


def test_a_missing_file_and_a_folder_are_told(tmp_path: Path) -> None:
    for path in (tmp_path / "none.jpg", tmp_path):
        with pytest.raises(BadImage, match="cannot be read"):
            read_picture(path)


@settings(max_examples=200, deadline=None)
@given(st.sampled_from([".png", ".jpg", ".webp", ".bmp"]), st.integers(0, 4000), st.binary(min_size=1, max_size=8))
def test_damage_anywhere_is_a_picture_or_a_bad_image(kind: str, place: int, noise: bytes) -> None:
    data = bytearray(encoded(kind))
    place %= len(data)
    data[place : place + len(noise)] = noise
    try:
        frame = read_picture(bytes(data))
    except BadImage:
        return
    assert frame.ndim == 3
    assert frame.shape[2] == 3


@pytest.mark.parametrize("size", [(3000, 4000), (2100, 1500), (1500, 2000), (300, 200), (5600, 7000), (5000, 300)])
def test_a_reference_picture_is_shrunk_before_anybody_looks_at_it(tmp_path: Path, size: tuple[int, int]) -> None:
    picture = cv2.resize(np.arange(12, dtype=np.uint8).reshape(2, 2, 3) * 20, size[::-1])
    path = tmp_path / "telephone.jpg"
    cv2.imwrite(str(path), picture)
    found = read_reference(path)
    assert max(found.shape[:2]) == min(REFERENCE, max(size))
    assert found.shape[0] / found.shape[1] == pytest.approx(size[0] / size[1], rel=0.02)
