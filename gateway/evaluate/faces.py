"""`loumen evaluate faces`: error rates, the door's figure and the speed of an engine on labelled pictures.

Accuracy is taken from the pictures as they are, searched as enrolment does, the largest face of each.
`ms_per_face` is the median on one thread from decoded frame to 128 numbers, each picture centred unscaled
on a grey 640x480 frame (a larger one shrunk to fit), file reading excluded.
"""

from __future__ import annotations

import csv
import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import numpy.typing as npt

from gateway.errors import BadRequest, N_
from gateway.evaluate import door
from gateway.evaluate.metrics import Pairs, equal_error, interval, operating
from gateway.evaluate.people import People, of_source
from gateway.evaluate.sources import Source
from gateway.vision.engine import Engine, Frame
from gateway.vision.picture import read_picture

FARS = (0.01, 0.001)
TIMED = 120  # pictures at most, evenly chosen: a median needs no more
WIDTH, HEIGHT, GREY = 640, 480, 127


@dataclass(frozen=True, slots=True)
class Measured:
    """What the engine made of each picture. `vectors[i]` belongs to picture `found[i]`."""

    found: npt.NDArray[np.intp]
    vectors: npt.NDArray[np.float32]
    ms: list[float]


def centred(picture: Frame) -> Frame:
    """The picture in the middle of a grey 640x480 frame."""
    height, width = picture.shape[:2]
    scale = min(1.0, WIDTH / width, HEIGHT / height)
    if scale < 1:
        size = max(1, round(width * scale)), max(1, round(height * scale))
        picture = np.asarray(cv2.resize(picture, size, interpolation=cv2.INTER_AREA), np.uint8)
        height, width = picture.shape[:2]
    frame = np.full((HEIGHT, WIDTH, 3), GREY, np.uint8)
    top, left = (HEIGHT - height) // 2, (WIDTH - width) // 2
    frame[top : top + height, left : left + width] = picture
    return frame


def face_ms(engine: Engine, frame: Frame) -> float | None:
    """Milliseconds from the frame to the largest face's numbers; None where no face is found."""
    begin = time.perf_counter()
    faces = engine.find(frame)
    if not faces:
        return None
    engine.embed(frame, faces[0])
    return (time.perf_counter() - begin) * 1e3


def measure(
    engine: Engine, source: Source, advance: Callable[[float], None] = lambda _steps: None, timed: int = TIMED
) -> Measured:
    """Every picture once for accuracy, some once more for time. Raises BadImage."""
    found: list[int] = []
    vectors: list[npt.NDArray[np.float32]] = []
    ms: list[float] = []
    count = len(source.pictures)
    clocked = set(np.unique(np.linspace(0, count - 1, min(timed, count)).round().astype(int)).tolist())
    for place, picture in enumerate(source.pictures):
        frame = read_picture(picture.path)
        for face in engine.search(frame)[:1]:
            found.append(place)
            vectors.append(engine.embed(frame, face).vector)
        if place in clocked:
            if not ms:
                face_ms(engine, centred(frame))  # once without the clock: caches and lazy initialisation
            spent = face_ms(engine, centred(frame))
            ms += [spent] if spent is not None else []
        advance(1)
    stacked = np.array(vectors, np.float32).reshape(-1, 128)
    return Measured(np.array(found, np.intp), stacked, ms)


def pairs_of(source: Source, people: People, measured: Measured) -> tuple[Pairs, npt.NDArray[np.intp]]:
    """The pairs whose faces were both found, and their places in the source."""
    row = np.full(len(source.pictures), -1, np.intp)
    row[measured.found] = np.arange(len(measured.found))
    kept = np.flatnonzero((row[source.first] >= 0) & (row[source.second] >= 0))
    first, second = source.first[kept], source.second[kept]
    distances = np.empty(len(kept))
    for start in range(0, len(kept), 65536):  # a slice at a time: a big folder has millions of pairs
        part = slice(start, start + 65536)
        apart = measured.vectors[row[first[part]]].astype(np.float64) - measured.vectors[row[second[part]]]
        distances[part] = np.sqrt(np.einsum("ij,ij->i", apart, apart))
    known = (people.of[first], people.of[second]) if people.named else (None, None)
    return Pairs(distances, source.same[kept], *known), kept


@dataclass(frozen=True, slots=True)
class Report:
    """The document, and what stands behind it."""

    document: dict[str, object]
    pairs: Pairs
    places: npt.NDArray[np.intp]


def report(engine: Engine, source: Source, measured: Measured, fpir: float, gallery: int | None) -> Report:
    """Everything that is printed."""
    people = of_source(source)
    pairs, places = pairs_of(source, people, measured)
    vectors = {
        int(person): measured.vectors[people.of[measured.found] == person]
        for person in np.unique(people.of[measured.found])
    }
    counts = [len(own) for own in vectors.values()]
    rule = door.Rule(fpir, engine.name, engine.detector, door.FRAMES, door.enrolled_each(counts))
    tally = door.play(vectors, people, rule)
    limit = rule.threshold(gallery or max(1, len(vectors) // 2))
    document: dict[str, object] = {
        "engine": engine.name,
        "detector": engine.detector,
        "images": len(source.pictures),
        "found": len(measured.found),
        "pairs_same": int(pairs.same.sum()),
        "pairs_different": int((~pairs.same).sum()),
        **rates(pairs),
        "threshold": round(limit.value, 4),
        "threshold_interval": (round(limit.low, 4), round(limit.high, 4)),
        "threshold_for": {"fpir": fpir, "persons": gallery or max(1, len(vectors) // 2), "frames": rule.pooled},
        "ms_per_face": round(statistics.median(measured.ms), 2) if measured.ms else None,
        "ms_per_face_quartiles": _quartiles(measured.ms),
        "timed": len(measured.ms),
        "people": len(vectors),
        "models": dict(engine.models),
        "door": door.document(tally, rule, len(vectors)),
    }
    if gallery:
        document["gallery"] = door.for_size(tally, rule, gallery, len(vectors))
    return Report(document, pairs, places)


def rates(pairs: Pairs) -> dict[str, object]:
    """Equal error and true accepts, each with its interval and counts."""
    same, different = pairs.split()
    again = pairs.resampled() if len(pairs.distances) else []
    error, owners = equal_error(same, different), len(same.distances)
    points = {far: operating(same, different, far) for far in FARS}
    accepted = {far: int((pairs.distances[pairs.same] < points[far].threshold).sum()) for far in FARS}
    return {
        "eer": _number(error),
        "eer_interval": _rounded(interval([equal_error(*each) for each in again], error, owners)),
        "tar_at_far": {str(far): _number(points[far].tar) for far in FARS},
        "tar_at_far_interval": {
            str(far): _rounded(interval([operating(*each, far).tar for each in again], points[far].tar, owners))
            for far in FARS
        },
        "tar_at_far_accepted": {str(far): accepted[far] for far in FARS},
        "threshold_at_far": {str(far): _number(points[far].threshold) for far in FARS},
    }


def write_scores(path: Path, source: Source, made: Report) -> None:
    """One row a pair whose faces were both found. Raises BadRequest."""
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("file_a", "file_b", "same", "distance"))
            for place, distance in zip(made.places.tolist(), made.pairs.distances.tolist(), strict=True):
                first, second = source.pictures[source.first[place]], source.pictures[source.second[place]]
                writer.writerow((first.name, second.name, int(source.same[place]), f"{distance:.6f}"))
    except OSError as error:
        raise BadRequest(
            N_("the scores cannot be written: {error}"),
            where=str(path),
            mend=N_("name a file in a folder that can be written"),
            error=error.strerror or str(error),
        ) from error


def _number(value: float) -> float | None:
    return round(value, 5) if np.isfinite(value) else None


def _rounded(values: tuple[float, float] | None) -> tuple[float, float] | None:
    return (round(values[0], 5), round(values[1], 5)) if values else None


def _quartiles(values: list[float]) -> tuple[float, float] | None:
    if len(values) < 2:
        return None
    low, _, high = statistics.quantiles(values, n=4)
    return round(low, 2), round(high, 2)
