"""How small a face is still found in a live frame: every detector on the same frames, beside HOG as everybody uses it.

    python benchmarks/small_faces.py [--folder DIR ...] [--models DIR] [--json]

Each face, with its surroundings, is shrunk to a width and put somewhere into a noisy grey 640x480 frame, and looked for
as in a live frame. The width is the one that the recognition's own gate measures (nothing below 32 pixels is
ever compared). One picture a person of `--folder`, by default of what is labelled in ../shared, and the portraits
of the demo.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from pathlib import Path
from typing import NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from gateway.vision import threads

threads.one()

import cv2  # noqa: E402
import numpy as np  # noqa: E402

from gateway.errors import LoumenError  # noqa: E402
from gateway.evaluate.sources import of_folder  # noqa: E402
from gateway.vision import demo_faces, engines  # noqa: E402
from gateway.vision.engine import Engine, Face, Frame  # noqa: E402
from gateway.vision.picture import read_picture  # noqa: E402

SHARED = Path(os.environ.get("LOUMEN_SHARED", Path(__file__).parents[2] / "shared"))
WIDTHS = (24, 32, 40, 48, 64, 96)
ROOM = 0.8  # of a face's box on each side, which is shown as well
EACH = 5  # pictures of a person


class Shown(NamedTuple):
    """A frame, and where its one face is."""

    frame: Frame
    centre: complex
    width: float


def faces_of(engine: Engine, folders: list[Path]) -> list[tuple[Frame, Face, float]]:
    """Some pictures a person, each with its largest face and that face's width."""
    found = []
    for folder in folders:
        people: dict[str, int] = {}
        for picture in of_folder(folder).pictures:
            people[picture.person] = people.get(picture.person, 0) + 1
            if people[picture.person] > EACH:
                continue
            frame = read_picture(picture.path)
            found += [(frame, face, engine.embed(frame, face).quality.size) for face in engine.search(frame)[:1]]
    return found


def pasted(picture: Frame, face: Face, size: float, width: int, random: np.random.Generator) -> Shown:
    x, y, wide, high = face.box
    room = ROOM * max(wide, high)
    left, top = max(0, int(x - room)), max(0, int(y - room))
    right, bottom = min(picture.shape[1], int(x + wide + room)), min(picture.shape[0], int(y + high + room))
    scale = width / size
    small = cv2.resize(picture[top:bottom, left:right], None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
    frame = np.clip(random.normal(110, 4, (480, 640, 3)), 0, 255).astype(np.uint8)
    across, down = int(random.integers(0, 640 - small.shape[1])), int(random.integers(0, 480 - small.shape[0]))
    frame[down : down + small.shape[0], across : across + small.shape[1]] = small
    centre = complex(x + wide / 2 - left, y + high / 2 - top) * scale + complex(across, down)
    return Shown(frame, centre, width)


def look(engine: Engine, shown: list[Shown]) -> dict[str, float]:
    """How many of the faces are found, how much else is, and how long a look takes."""
    hits, others, spent = 0, 0, []
    for one in shown:
        begin = time.perf_counter()
        found = engine.find(one.frame)
        spent.append((time.perf_counter() - begin) * 1e3)
        middles = [complex(x + wide / 2, y + high / 2) for x, y, wide, high in (face.box for face in found)]
        right = sum(abs(middle - one.centre) < one.width / 2 for middle in middles)
        hits += right > 0
        others += len(middles) - right
    return {"found": hits, "others": others, "ms": round(statistics.median(spent), 1)}


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path, action="append")
    parser.add_argument("--models", type=Path, default=SHARED / "models")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    labelled = [SHARED / "data" / "faces" / name for name in ("att", "series")]
    folders = given.folder or [demo_faces.folder(), *(folder for folder in labelled if folder.is_dir())]
    try:
        known = {"hog": engines.load("face-recognition"), "blazeface": engines.load("onnx", detector="blazeface")}
        if given.models.is_dir():
            known["yunet"] = engines.load("onnx", extra_models=given.models, detector="yunet")
        faces = faces_of(known.get("yunet", known["blazeface"]), folders)
    except LoumenError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    random = np.random.default_rng(1)
    frames = {width: [pasted(*face, width, random) for face in faces] for width in WIDTHS}
    result = {name: {width: look(engine, frames[width]) for width in WIDTHS} for name, engine in known.items()}
    if given.json:
        print(json.dumps({"machine": platform.node(), "faces": len(faces), "detectors": result}))
        return 0
    print(
        f"small faces: {len(faces)} faces in 640x480, one thread, on {platform.node()}; found, at a width in pixels of"
    )
    print("             " + "".join(f"{width:>6}" for width in WIDTHS) + "   other things   ms a look")
    for name, each in result.items():
        counts = "".join(f"{each[width]['found']:>6.0f}" for width in WIDTHS)
        others = sum(one["others"] for one in each.values())
        print(f"  {name:10} {counts}   {others:>12.0f}   {statistics.median(one['ms'] for one in each.values()):>9.1f}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
