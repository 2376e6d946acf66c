"""Makes the shipped table of impostor distances: statistics of strangers' scores, no faces.

    python -m gateway.evaluate.impostors --folder DIR [--models DIR] --origin TEXT > gateway/vision/impostors.json

For each detector, each number of pooled frames and each number of templates: every person against every
other, several random draws, the tail fitted, and again with resampled people.
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

import msgspec

from gateway.vision import threads

threads.one()

import numpy as np  # noqa: E402
import numpy.typing as npt  # noqa: E402

from gateway.errors import LoumenError  # noqa: E402
from gateway.evaluate.sources import of_folder  # noqa: E402
from gateway.evaluate.strangers import stranger_scores  # noqa: E402
from gateway.vision import engines  # noqa: E402
from gateway.vision.engine import Engine  # noqa: E402
from gateway.vision.picture import read_picture  # noqa: E402
from gateway.vision.threshold import Entry, Table, fit, tail_of  # noqa: E402

POOLED = (1, 2, 3, 5)
TEMPLATES = (1, 2, 3, 5, 8)
LEAST = 5  # pictures a person

Vectors = npt.NDArray[np.float32]


def embeddings(engine: Engine, folder: Path) -> list[Vectors]:
    """Each person's vectors, people with too few pictures left out."""
    people: dict[str, list[npt.NDArray[np.float32]]] = {}
    for picture in of_folder(folder).pictures:
        frame = read_picture(picture.path)
        for face in engine.search(frame)[:1]:
            people.setdefault(picture.person, []).append(engine.embed(frame, face).vector)
    return [np.array(vectors) for vectors in people.values() if len(vectors) >= LEAST]


def entries(engine: Engine, folder: Path) -> list[Entry]:
    """One engine's rows. Their tails have one shape, the mean of all: each alone has too few people to tell it."""
    people = embeddings(engine, folder)
    scores = {(m, k): stranger_scores(people, m, k) for m in POOLED for k in TEMPLATES}
    shape = float(np.mean([tail_of(each).shape for each in scores.values()]))
    return [Entry(engine.detector, m, k, fit(each, round(shape, 4))) for (m, k), each in scores.items()]


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m gateway.evaluate.impostors")
    parser.add_argument("--folder", type=Path, required=True)
    parser.add_argument("--models", type=Path)
    parser.add_argument("--origin", required=True)
    given = parser.parse_args()
    found: list[Entry] = []
    try:
        for name, detector in (("onnx", "yunet"), ("onnx", "blazeface"), ("face-recognition", "")):
            found += entries(engines.load(name, extra_models=given.models, detector=detector), given.folder)
    except LoumenError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    text = msgspec.json.encode(Table(given.origin, tuple(found))).decode()
    sys.stdout.write(text.replace('{"detector"', '\n{"detector"') + "\n")
    return 0


if __name__ == "__main__":
    sys.exit(main())
