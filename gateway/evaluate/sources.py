"""What is evaluated: pictures and which pairs of them are of one person. Wrong input is told by file and line."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from gateway.errors import BadRequest, N_

PICTURES = frozenset({".png", ".jpg", ".jpeg", ".bmp", ".webp"})
COLUMNS = ("file_x", "file_y", "Decision")
SAME = {"yes": True, "no": False}
_NAMED = re.compile(r"(?P<person>.+)_(?P<number>\d+)")


@dataclass(frozen=True, slots=True)
class Picture:
    """One picture; `person` is known only in a folder."""

    name: str
    path: Path
    person: str = ""


@dataclass(frozen=True, slots=True)
class Source:
    """Pictures, and pairs of their places (`first`, `second`) with whether they are of one person."""

    pictures: list[Picture]
    first: npt.NDArray[np.intp]
    second: npt.NDArray[np.intp]
    same: npt.NDArray[np.bool_]


def of_folder(folder: Path) -> Source:
    """Files named person_number.ext; all pairs. Raises BadRequest."""
    if not folder.is_dir():
        raise BadRequest(N_("there is no such folder"), where=str(folder), mend=N_("name a folder of pictures"))
    pictures = []
    for path in sorted(folder.iterdir(), key=lambda path: _natural(path.name)):
        if path.suffix.lower() not in PICTURES or not path.is_file():
            continue
        named = _NAMED.fullmatch(path.stem)
        if named is None:
            raise BadRequest(
                N_("this picture's name is not person_number.ext"),
                where=str(path),
                mend=N_("rename it, or describe the pairs in a CSV file: --pairs"),
            )
        pictures.append(Picture(path.name, path, named["person"]))
    if len(pictures) < 2:
        raise BadRequest(
            N_("the folder has fewer than two pictures"),
            where=str(folder),
            mend=N_("put pictures named person_number.ext into it"),
        )
    first, second = np.triu_indices(len(pictures), 1)
    people = np.array([picture.person for picture in pictures])
    return Source(pictures, first, second, people[first] == people[second])


def of_pairs(file: Path, images: Path) -> Source:
    """A CSV file with the columns file_x, file_y, Decision (Yes or No). Raises BadRequest."""
    if not images.is_dir():
        raise BadRequest(N_("there is no such folder"), where=str(images), mend=N_("name the pictures' folder"))
    places: dict[str, int] = {}
    pictures: list[Picture] = []
    pairs: list[tuple[int, int, bool]] = []
    for line, row in rows(file, COLUMNS):
        both = []
        for column in COLUMNS[:2]:
            name = row[column].strip()
            if name not in places:
                places[name] = len(pictures)
                pictures.append(picture(images, name, f"{file}:{line}"))
            both.append(places[name])
        decision = SAME.get(row[COLUMNS[2]].strip().lower())
        if decision is None:
            raise BadRequest(
                N_("'{decision}' is neither Yes nor No"),
                where=f"{file}:{line}",
                mend=N_("write Yes for one person, No for two"),
                decision=row[COLUMNS[2]],
            )
        pairs.append((both[0], both[1], decision))
    if not pairs:
        raise BadRequest(N_("the file has no pairs"), where=str(file), mend=N_("add a line for each pair"))
    first, second, same = zip(*pairs, strict=True)
    return Source(pictures, np.array(first, np.intp), np.array(second, np.intp), np.array(same, bool))


def rows(file: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    """Each row of a CSV file with its line; `columns` are there. Raises BadRequest."""
    try:
        with file.open(encoding="utf-8-sig", newline="") as opened:
            reader = csv.DictReader(opened, strict=True)
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                raise BadRequest(
                    N_("the column {missing} is missing"),
                    where=f"{file}:1",
                    mend=N_("the first line must name the columns {columns}"),
                    columns=",".join(columns),
                    missing=", ".join(missing),
                )
            for row in reader:
                if any(row[column] is None for column in columns):
                    raise BadRequest(
                        N_("this line has too few columns"),
                        where=f"{file}:{reader.line_num}",
                        mend=N_("a line is {columns}"),
                        columns=",".join(columns),
                    )
                yield reader.line_num, row
    except OSError as error:
        raise BadRequest(
            N_("the file cannot be read: {error}"),
            where=str(file),
            mend=N_("check the path"),
            error=error.strerror or str(error),
        ) from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise BadRequest(
            N_("the file is no CSV in UTF-8: {error}"), where=str(file), mend=N_("save it as CSV"), error=str(error)
        ) from error


def picture(images: Path, name: str, where: str) -> Picture:
    """A picture of a folder, as line `where` names it. Raises BadRequest."""
    path = images / name
    if not name or not path.is_file():
        raise BadRequest(
            N_("the picture {name} is not in {folder}"),
            where=where,
            mend=N_("correct the name, or name the folder with --images"),
            name=name or "''",
            folder=images,
        )
    return Picture(name, path)


def _natural(name: str) -> list[tuple[int, str]]:
    """Sorts s2 before s10."""
    return [(int(part), "") if part.isdigit() else (0, part) for part in re.split(r"(\d+)", name)]
