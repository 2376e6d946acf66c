"""`loumen evaluate plates`: what the plate chain reads on labelled pictures.

`exact`: any read of the picture equals the label, O from the third character on counting as 0 on both
sides. `confident`: a read for which the arm would have opened: without doubt, and of no car that stands
behind another. `confident_wrong`: pictures with a confident read that is not the label. `ms_per_image` is
the median on one thread from decoded picture to readings, file reading excluded. A picture that cannot be
decoded counts among the images and is told.
"""

from __future__ import annotations

import csv
import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gateway.errors import BadImage, BadRequest, N_
from gateway.evaluate.metrics import wilson
from gateway.evaluate.sources import picture, rows
from gateway.lanes import plates
from gateway.vision.engine import Frame
from gateway.vision.picture import read_picture
from gateway.vision.plates.reader import DETECTOR, NAME, Seen

COLUMNS = ("filename", "plate")
SCORES = ("filename", "label", "read", "confident", "score", "ms")


class Reader(Protocol):
    """What is evaluated."""

    @property
    def models(self) -> dict[str, str]: ...

    def looks(self, picture: Frame) -> list[list[Seen]]: ...


@dataclass(frozen=True, slots=True)
class Labelled:
    """A picture and the plate that was labelled, in normal form."""

    name: str
    path: Path
    label: str


@dataclass(frozen=True, slots=True)
class Result:
    """What one picture gave. `reads`: plate -> its best logarithm, and whether it was believed."""

    labelled: Labelled
    found: int
    reads: dict[str, tuple[float, bool]]
    ms: float | None  # None: the picture could not be decoded

    @property
    def exact(self) -> bool:
        return self.labelled.label in self.reads

    @property
    def confident(self) -> bool:
        return any(believed for _, believed in self.reads.values())

    @property
    def wrong(self) -> list[str]:
        """Confident reads that are not the label."""
        return [plate for plate, (_, believed) in self.reads.items() if believed and plate != self.labelled.label]


def of_labels(file: Path, images: Path) -> list[Labelled]:
    """A CSV file with the columns filename, plate. Raises BadRequest."""
    if not images.is_dir():
        raise BadRequest(N_("there is no such folder"), where=str(images), mend=N_("name the pictures' folder"))
    found = []
    for line, row in rows(file, COLUMNS):
        label = plates.normal(row["plate"])
        if not label:
            raise BadRequest(
                N_("this picture has no label"), where=f"{file}:{line}", mend=N_("write the plate that it shows")
            )
        named = picture(images, row["filename"].strip(), f"{file}:{line}")
        found.append(Labelled(named.name, named.path, label))
    if not found:
        raise BadRequest(N_("the file has no pictures"), where=str(file), mend=N_("add a line for each picture"))
    return found


def measure(
    reader: Reader,
    labelled: Sequence[Labelled],
    advance: Callable[[float], None] = lambda _steps: None,
    unreadable: Callable[[BadImage], None] = lambda _error: None,
) -> list[Result]:
    """Every picture once; `unreadable` is told of those that cannot be decoded."""
    results: list[Result] = []
    warm = False
    for one in labelled:
        try:
            frame = read_picture(one.path)
        except BadImage as error:
            unreadable(error)
            results.append(Result(one, 0, {}, None))
            advance(1)
            continue
        if not warm:
            reader.looks(frame)  # once without the clock: caches and lazy initialisation
            warm = True
        begin = time.perf_counter()
        looks = reader.looks(frame)
        spent = (time.perf_counter() - begin) * 1e3
        results.append(Result(one, sum(map(len, looks)), reads_of(looks), spent))
        advance(1)
    return results


def reads_of(looks: Sequence[Sequence[Seen]]) -> dict[str, tuple[float, bool]]:
    """Every plate that was read in any look, the likeliest first."""
    reads: dict[str, tuple[float, bool]] = {}
    for seen in (seen for look in looks for seen in look if seen.reading.candidates):
        reading = seen.reading
        score, believed = reads.get(reading.best, (reading.log_p, False))
        reads[reading.best] = max(score, reading.log_p), believed or seen.believed
    return dict(sorted(reads.items(), key=lambda one: -one[1][0]))


def report(reader: Reader, results: Sequence[Result]) -> dict[str, object]:
    """The document: counts, each with the interval of its rate."""
    count = len(results)
    tails = [{plate[1:] for plate in one.reads} for one in results]
    counts = {
        "detected": sum(one.found > 0 for one in results),
        "exact": sum(one.exact for one in results),
        "exact_without_province": sum(one.labelled.label[1:] in tail for one, tail in zip(results, tails, strict=True)),
        "confident": sum(one.confident for one in results),
        "confident_wrong": sum(bool(one.wrong) for one in results),
    }
    ms = [one.ms for one in results if one.ms is not None]
    low, middle, high = statistics.quantiles(ms, n=4) if len(ms) > 1 else (None, *ms[:1], None) if ms else (None,) * 3
    return {
        "images": count,
        **counts,
        "ms_per_image": _ms(middle),
        "ms_per_image_quartiles": (_ms(low), _ms(high)),
        "ms_per_image_mean": _ms(statistics.mean(ms)) if ms else None,
        "unreadable": count - len(ms),
        "intervals": {name: _interval(value, count) for name, value in counts.items()},
        "engine": NAME,
        "detector": DETECTOR,
        "models": dict(reader.models),
    }


def _ms(value: float | None) -> float | None:
    return None if value is None else round(value, 1)


def _interval(value: int, count: int) -> tuple[float, float] | None:
    found = wilson(value, count)
    return None if found is None else (round(found[0], 4), round(found[1], 4))


def write_scores(path: Path, results: Sequence[Result]) -> None:
    """One row a picture: the read that is the label, else the likeliest. Raises BadRequest.

    A picture with the right read and a confident wrong one beside it has a row for each.
    """
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(SCORES)
            for one in results:
                for read in _told(one):
                    score, believed = one.reads.get(read, (None, False))
                    writer.writerow(
                        (
                            one.labelled.name,
                            one.labelled.label,
                            read,
                            int(believed),
                            "" if score is None else f"{score:.4f}",
                            "" if one.ms is None else f"{one.ms:.1f}",
                        )
                    )
    except OSError as error:
        raise BadRequest(
            N_("the scores cannot be written: {error}"),
            where=str(path),
            mend=N_("name a file in a folder that can be written"),
            error=error.strerror or str(error),
        ) from error


def _told(one: Result) -> list[str]:
    """The reads of a picture from which its counts follow."""
    if one.exact:
        return [one.labelled.label, *one.wrong]
    return one.wrong[:1] or [next(iter(one.reads), "")]
