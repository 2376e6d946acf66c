"""The sealed gallery: what was written is read, and nothing that was touched is."""

from __future__ import annotations

import asyncio
import hashlib
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.vision import gallery
from gateway.vision.gallery import GalleryRefused, Sealed

TEMPLATES = st.lists(st.tuples(st.text(min_size=1, max_size=8), st.binary(min_size=512, max_size=512)), max_size=12)


def write(folder: Path, templates: list[tuple[str, bytes]], generation: int = 1) -> tuple[Path, str]:
    return asyncio.run(gallery.write(folder, "space", "front", generation, templates))


@settings(max_examples=50, deadline=None)
@given(TEMPLATES)
def test_what_was_written_is_read(tmp_path_factory: pytest.TempPathFactory, templates: list[tuple[str, bytes]]) -> None:
    path, sha256 = write(tmp_path_factory.mktemp("g"), templates)
    sealed = gallery.read(path, sha256)
    assert (sealed.space, sealed.door, sealed.generation) == ("space", "front", 1)
    owners = [sealed.people[owner] for owner in sealed.index]
    rows = np.asarray(sealed.matrix, np.float32).reshape(-1, gallery.DIMS)
    assert owners == [person for person, _ in templates]
    assert b"".join(template for _, template in templates) == sealed.matrix.tobytes()
    assert len(rows) == len(templates)
    assert sealed.matrix.readonly


@pytest.fixture
def written(tmp_path: Path) -> tuple[Path, str]:
    return write(tmp_path, [("a", bytes(512)), ("b", b"\x01" * 512), ("a", b"\x02" * 512)])


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**6), st.integers(1, 255), st.booleans())
def test_one_changed_byte_or_a_lost_end_is_refused(
    tmp_path_factory: pytest.TempPathFactory, place: int, change: int, cut: bool
) -> None:
    path, sha256 = write(tmp_path_factory.mktemp("g"), [("a", bytes(512))])
    data = bytearray(path.read_bytes())
    if cut:
        del data[place % len(data) :]
    else:
        data[place % len(data)] ^= change
    path.unlink()
    path.write_bytes(data)
    with pytest.raises(GalleryRefused):
        gallery.read(path, sha256)


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=300), st.integers(0, 70), st.binary(min_size=1, max_size=8))
def test_a_file_that_is_honestly_hashed_but_wrong_is_refused_or_whole(
    tmp_path_factory: pytest.TempPathFactory, tail: bytes, place: int, change: bytes
) -> None:
    """Whoever writes a matching hash still cannot make the reader read beyond the file."""
    path, _ = write(tmp_path_factory.mktemp("g"), [("a", bytes(512)), ("b", bytes(512))])
    data = bytearray(path.read_bytes()[:-32])
    data[place : place + len(change)] = change
    data += tail
    digest = hashlib.sha256(data).digest()
    forged = path.with_name("forged")
    forged.write_bytes(bytes(data) + digest)
    try:
        sealed = gallery.read(forged, digest.hex())
    except GalleryRefused:
        return
    assert all(owner < len(sealed.people) for owner in sealed.index)
    assert len(sealed.matrix) == len(sealed.index) * gallery.DIMS


def test_another_generations_hash_is_refused(written: tuple[Path, str], tmp_path: Path) -> None:
    _, sha256 = write(tmp_path, [("a", bytes(512))], generation=2)
    with pytest.raises(GalleryRefused, match="SHA-256"):
        gallery.read(written[0], sha256)


@pytest.mark.parametrize("content", [None, b"", b"x" * 50], ids=["missing", "empty", "short"])
def test_no_file_is_refused(tmp_path: Path, content: bytes | None) -> None:
    path = tmp_path / "f"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(GalleryRefused):
        gallery.read(path, "0" * 64)


def test_the_two_newest_generations_stay_and_nobody_may_write_them(tmp_path: Path) -> None:
    path = tmp_path
    for generation in (1, 2, 3, 10):
        path, _ = write(tmp_path, [("a", bytes(512))], generation)
    asyncio.run(gallery.write(tmp_path, "space", "front-2", 1, []))
    assert sorted(gallery.generations(tmp_path, "front")) == [3, 10]
    assert path.stat().st_mode & 0o777 == 0o440
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        "front-2.1.gallery",
        "front.10.gallery",
        "front.3.gallery",
    ]


def test_a_bad_template_leaves_nothing_behind(tmp_path: Path) -> None:
    with pytest.raises(ValueError, match="511 bytes"):
        write(tmp_path, [("a", bytes(512)), ("b", bytes(511))])
    assert list(tmp_path.iterdir()) == []


def test_a_reader_keeps_what_it_mapped_when_the_file_is_removed(written: tuple[Path, str]) -> None:
    sealed: Sealed = gallery.read(*written)
    written[0].unlink()
    assert sealed.people == ("a", "b")
    assert sealed.matrix.tobytes()[512:1024] == b"\x01" * 512


def test_ten_thousand_people_never_hold_the_loop_for_long(tmp_path: Path) -> None:
    """25 MB are written in slices: the loop turns between them (counted, not timed)."""
    templates = [(f"p{n // 5}", bytes(512)) for n in range(50_000)]

    async def scenario() -> int:
        turns, writing = 0, asyncio.create_task(gallery.write(tmp_path, "space", "front", 1, templates))
        while not writing.done():
            turns += 1
            await asyncio.sleep(0)
        path, sha256 = await writing
        assert len(gallery.read(path, sha256).people) == 10_000
        return turns

    assert asyncio.run(scenario()) >= 50_000 * 512 // gallery.SLICE
