"""Wrong input is told by file and line."""

from __future__ import annotations

from pathlib import Path

import pytest

from gateway.errors import BadRequest
from gateway.evaluate import people
from gateway.evaluate.sources import of_folder, of_pairs


def folder(where: Path, *names: str) -> Path:
    for name in names:
        (where / name).write_bytes(b"picture")
    return where


def pairs(where: Path, text: str) -> Path:
    file = where / "pairs.csv"
    file.write_text(text, "utf-8")
    return file


def test_a_folder_gives_all_pairs(tmp_path: Path) -> None:
    source = of_folder(folder(tmp_path, "a_1.png", "a_2.JPG", "b_c_1.png", "a_10.png", "note.txt"))
    assert [picture.name for picture in source.pictures] == ["a_1.png", "a_2.JPG", "a_10.png", "b_c_1.png"]
    assert len(source.same) == 6
    assert source.same.sum() == 3
    assert {picture.person for picture in source.pictures} == {"a", "b_c"}


def test_a_list_gives_its_pairs(tmp_path: Path) -> None:
    folder(tmp_path, "x.png", "y.png", "z.png")
    source = of_pairs(
        pairs(tmp_path, "\ufefffile_x,file_y,Decision,more\nx.png,y.png,Yes,1\nx.png, z.png,no,2\n"), tmp_path
    )
    assert [picture.name for picture in source.pictures] == ["x.png", "y.png", "z.png"]
    assert source.same.tolist() == [True, False]
    assert list(zip(source.first.tolist(), source.second.tolist(), strict=True)) == [(0, 1), (0, 2)]


@pytest.mark.parametrize(
    ("text", "what", "where"),
    [
        ("", "column", ":1"),
        ("file_x,file_y\n", "Decision is missing", ":1"),
        ("file_x,file_y,Decision\n", "no pairs", "pairs.csv"),
        ("file_x,file_y,Decision\nx.png,x.png,Yes\nx.png,q.png,No\n", "q.png is not in", ":3"),
        ("file_x,file_y,Decision\nx.png,,No\n", "is not in", ":2"),
        ("file_x,file_y,Decision\nx.png,../x.png,No\n", "is not in", ":2"),
        ("file_x,file_y,Decision\nx.png,x.png,maybe\n", "'maybe' is neither", ":2"),
        ("file_x,file_y,Decision\nx.png\n", "too few", ":2"),
        ('file_x,file_y,Decision\n"x.png,x.png,No\n', "no CSV", "pairs.csv"),
    ],
)
def test_a_wrong_list_is_told(tmp_path: Path, text: str, what: str, where: str) -> None:
    inner = tmp_path / "images"
    inner.mkdir()
    folder(inner, "x.png")
    file = pairs(tmp_path, text)
    with pytest.raises(BadRequest, match=what) as caught:
        of_pairs(file, inner)
    assert where in caught.value.where
    assert caught.value.mend


def test_files_that_are_no_lists_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="cannot be read"):
        of_pairs(tmp_path / "none.csv", tmp_path)
    (tmp_path / "noise.csv").write_bytes(b"file_x,file_y,Decision\n\xff\xfe\x00\x9f,b,c\n")
    with pytest.raises(BadRequest, match="no CSV"):
        of_pairs(tmp_path / "noise.csv", tmp_path)
    with pytest.raises(BadRequest, match="no such folder"):
        of_pairs(tmp_path / "none.csv", tmp_path / "none")


def test_wrong_folders_are_told(tmp_path: Path) -> None:
    with pytest.raises(BadRequest, match="no such folder"):
        of_folder(tmp_path / "none")
    with pytest.raises(BadRequest, match="fewer than two"):
        of_folder(tmp_path)
    with pytest.raises(BadRequest, match=r"person_number") as caught:
        of_folder(folder(tmp_path, "portrait.png"))
    assert "portrait.png" in caught.value.where


def test_people_of_a_list_are_what_yes_connects_and_no_tells_apart(tmp_path: Path) -> None:
    folder(tmp_path, *"abcde")
    text = "file_x,file_y,Decision\na,b,Yes\nb,c,Yes\nc,d,No\nd,e,No\n"
    found = people.of_source(of_pairs(pairs(tmp_path, text), tmp_path))
    assert found.of.tolist() == [0, 0, 0, 1, 2]
    assert found.different[0, 1]
    assert found.different[1, 2]
    assert not found.different[0, 2]
    assert not found.named
