"""A resident and a stranger for the demo and the tests, on a machine that has nothing else.

The source distribution of `face_recognition` carries official portraits of two public persons as its
own test pictures (MIT). Its wheel does not. So the source distribution is fetched once by pip, from
whatever index pip is set up for, checked by SHA-256, and the pictures are taken out of it into
<prefix>/share/loumen/demo-faces. Nothing of it is ever run by us.
"""

from __future__ import annotations

import argparse
import hashlib
import subprocess
import sys
import tarfile
import tempfile
from pathlib import Path
from typing import NamedTuple

from gateway.errors import LoumenError, ModelError, N_
from gateway.vision.models import sha256, write

SOURCE = "face_recognition==1.3.0"
SOURCE_SHA256 = "5e5efdd1686aa566af0d3cc1313b131e4b197657a8ffd03669e6d3fad92705ec"
INSIDE = "face_recognition-1.3.0/tests/test_images/"
FETCH_SECONDS = 180


class Picture(NamedTuple):
    source: str  # its name in the source distribution
    name: str  # ours: person_number.ext, as `evaluate faces --folder` reads it
    sha256: str


RESIDENT = (
    Picture("obama.jpg", "resident_1.jpg", "0930e3aa8cae5920329c0c8cbc6a2ab70f47b0e67b432875beaa95cbf7e741f6"),
    Picture("obama2.jpg", "resident_2.jpg", "a7efcc907375274796f39646510704aa86672d59f6d5469d69af3c85590976a6"),
    Picture("obama3.jpg", "resident_3.jpg", "76ac6bf97c36dc2da0ad16a537d6a5ac1b10f48d49aac29a0cca9a17cdbc3ca3"),
    Picture(
        "obama_partial_face.jpg", "resident_4.jpg", "c2d1f09e7ef3042352b41e41286e6eb0522f64f88308be13886991b95db52117"
    ),
    Picture(
        "obama_partial_face2.jpg", "resident_5.jpg", "9a812347f97633542b8cd9992de22def11b74f79d82056bc3ee830f13878e028"
    ),
)
STRANGER = (Picture("biden.jpg", "stranger_1.jpg", "3c17508bb91554c637a2eabddfae790e5bb1caba93130814fc2ac50be9760c4c"),)


def folder() -> Path:
    return Path(sys.prefix) / "share" / "loumen" / "demo-faces"


def resident_pictures(where: Path | None = None) -> list[Path]:
    """Five pictures of one person; the first two are good reference pictures. Raises ModelError."""
    return _checked(RESIDENT, where or folder())


def stranger_pictures(where: Path | None = None) -> list[Path]:
    """A picture of somebody else. Raises ModelError."""
    return _checked(STRANGER, where or folder())


def _checked(pictures: tuple[Picture, ...], where: Path) -> list[Path]:
    for picture in pictures:
        if not _there(picture, where):
            raise ModelError(
                N_("the demo's pictures are not there"),
                where=str(where / picture.name),
                mend=N_("fetch them: python -m gateway.vision.demo_faces"),
            )
    return [where / picture.name for picture in pictures]


def _there(picture: Picture, where: Path) -> bool:
    path = where / picture.name
    return path.is_file() and sha256(path) == picture.sha256


def prepare(where: Path | None = None, archive: Path | None = None) -> bool:
    """Put the pictures in place, from `archive` or by pip; False when they were there. Raises ModelError."""
    where = where or folder()
    if all(_there(picture, where) for picture in (*RESIDENT, *STRANGER)):
        return False
    with tempfile.TemporaryDirectory(prefix="loumen-demo-") as room:
        _extract(archive or _fetch(Path(room)), where)
    return True


def _extract(archive: Path, where: Path) -> None:
    try:
        if sha256(archive) != SOURCE_SHA256:
            raise _unusable(archive, "its SHA-256 is another one")
        with tarfile.open(archive) as content:
            for picture in (*RESIDENT, *STRANGER):
                member = content.extractfile(INSIDE + picture.source)
                data = member.read() if member else b""
                if hashlib.sha256(data).hexdigest() != picture.sha256:
                    raise _unusable(archive, f"{picture.source} is another picture")
                write(where / picture.name, data)
    except (OSError, tarfile.TarError, KeyError) as error:
        raise _unusable(archive, str(error)) from error


def _fetch(room: Path) -> Path:
    wanted = room / "demo-faces.txt"
    wanted.write_text(f"{SOURCE} --hash=sha256:{SOURCE_SHA256}\n", "utf-8")
    words = ["download", "--quiet", "--disable-pip-version-check", "--no-input", "--no-deps", "--require-hashes"]
    words += ["--no-binary", SOURCE.split("==", maxsplit=1)[0], "--dest", str(room), "--requirement", str(wanted)]
    try:
        done = subprocess.run(
            [sys.executable, "-m", "pip", *words], capture_output=True, text=True, timeout=FETCH_SECONDS, check=False
        )
        problem = done.stderr.strip().splitlines()[-1:] or ["pip gave no reason"]
    except (OSError, subprocess.TimeoutExpired) as error:
        problem = [str(error)]
    found = sorted(room.glob("*.tar.gz"))
    if not found:
        raise ModelError(
            N_("the demo's pictures could not be fetched with pip: {problem}"),
            where=SOURCE,
            mend=N_("check the network and pip's index, then: python -m gateway.vision.demo_faces"),
            problem=problem[0],
        )
    return found[0]


def _unusable(archive: Path, problem: str) -> ModelError:
    return ModelError(
        N_("the source distribution of face_recognition cannot be used: {problem}"),
        where=str(archive),
        mend=N_("fetch it again: python -m gateway.vision.demo_faces"),
        problem=problem,
    )


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m gateway.vision.demo_faces")
    parser.add_argument("--archive", type=Path, help="the source distribution, where pip cannot fetch it")
    try:
        made = prepare(archive=parser.parse_args().archive)
    except LoumenError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.write(f"demo faces: {'fetched' if made else 'there'}\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
