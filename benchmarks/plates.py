"""The plate chain against the whole rapidocr pipeline, on the same pictures, in turns, one thread each.

    python benchmarks/plates.py [--labels FILE.csv --images DIR] [--pictures N] [--json]

Each picture is read by both, one after the other, and the ratio is taken picture by picture: a busy machine
slows both alike. rapidocr finds and reads every text of a picture; a read of it counts as exact when the
label is one of its texts in normal form. Without `requirements/bench.txt` the rival is left out, and said so.
Exit code 1 when the chain reads less, errs more or is slower than is wanted.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).parents[1]))

from gateway.vision import threads

threads.one()

import numpy as np  # noqa: E402

from gateway.errors import LoumenError  # noqa: E402
from gateway.evaluate.metrics import wilson  # noqa: E402
from gateway.evaluate.plates import Result, measure, of_labels, reads_of, report  # noqa: E402
from gateway.lanes import plates  # noqa: E402
from gateway.vision.picture import read_picture  # noqa: E402
from gateway.vision.plates import load  # noqa: E402
from gateway.vision.process import resident_kb  # noqa: E402

SHARED = Path(os.environ.get("LOUMEN_SHARED", Path(__file__).parents[2] / "shared")) / "data" / "plates"
WANTED_EXACT, WANTED_WRONG, WANTED_FASTER = 0.95, 2 / 128, 5.0
Rival = Callable[[Any], list[str]]


def rival() -> tuple[Rival | None, str]:
    """The pipeline on one thread; None and why, where it cannot be imported."""
    try:
        from rapidocr_onnxruntime import RapidOCR
    except ImportError as error:
        return None, f"{error}: pip install -r requirements/bench.txt"
    engine = RapidOCR(intra_op_num_threads=1, inter_op_num_threads=1)

    def read(frame: Any) -> list[str]:
        found, _ = engine(frame)
        return [plates.normal(text) for _, text, _ in found or []]

    return read, ""


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, default=SHARED / "plates-dev.csv")
    parser.add_argument("--images", type=Path, default=SHARED)
    parser.add_argument("--pictures", type=int, default=0, help="at most so many, evenly chosen; 0: all")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    if not given.labels.is_file():
        print(f"not measured: there is no {given.labels}; name --labels and --images")
        return 0
    try:
        labelled, reader = of_labels(given.labels, given.images), load()
        if given.pictures:
            places = np.linspace(0, len(labelled) - 1, min(given.pictures, len(labelled))).round().astype(int)
            labelled = [labelled[place] for place in np.unique(places)]
        measure(reader, labelled[:1])
        own_mb = resident_kb() / 1024
        other, why = rival()
        results: list[Result] = []
        theirs: list[float] = []
        their_exact = 0
        for one in labelled:
            frame = read_picture(one.path)
            begin = time.perf_counter()
            looks = reader.looks(frame)
            results.append(Result(one, sum(map(len, looks)), reads_of(looks), (time.perf_counter() - begin) * 1e3))
            if other is not None:
                begin = time.perf_counter()
                texts = other(frame)
                theirs.append((time.perf_counter() - begin) * 1e3)
                their_exact += one.label in texts
    except LoumenError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    found = summary(report(reader, results), results, theirs, their_exact)
    found |= {"resident_mb": round(own_mb), "machine": platform.node(), "rival_left_out": why}
    print(json.dumps(found) if given.json else words(found))
    return 0 if found["wanted"] else 1


def summary(document: dict[str, Any], results: list[Result], theirs: list[float], their_exact: int) -> dict[str, Any]:
    count = len(results)
    own = [one.ms or 0.0 for one in results]
    found = {key: value for key, value in document.items() if key not in {"models", "intervals"}}
    found["exact_interval"] = wilson(document["exact"], count)
    good = document["exact"] >= WANTED_EXACT * count and document["confident_wrong"] <= WANTED_WRONG * count
    if theirs:
        ratios = [other / mine for other, mine in zip(theirs, own, strict=True)]
        low, middle, high = statistics.quantiles(ratios, n=4)
        found |= {
            "rapidocr_exact": their_exact,
            "rapidocr_ms": round(statistics.median(theirs), 1),
            "times_faster": round(middle, 1),
            "times_faster_quartiles": (round(low, 1), round(high, 1)),
            "times_faster_in_all": round(sum(theirs) / sum(own), 1),
        }
        good = good and min(middle, found["times_faster_in_all"]) >= WANTED_FASTER
    return found | {"wanted": good}


def words(found: dict[str, Any]) -> str:
    count = found["images"]
    low, high = found["exact_interval"]
    lines = [
        f"plates: {count} pictures, one thread, on {found['machine']}",
        f"  exact {found['exact']} / {count} ({low * 100:.1f} - {high * 100:.1f} %; wanted {WANTED_EXACT * 100:.0f} %)",
        f"  confident {found['confident']}, wrong {found['confident_wrong']} (at most {int(WANTED_WRONG * count)})",
        f"  {found['ms_per_image']} ms a picture, {found['resident_mb']} MB",
    ]
    if "times_faster" in found:
        quarter, most = found["times_faster_quartiles"]
        lines.append(
            f"  rapidocr 1.4.4 whole: exact {found['rapidocr_exact']}, {found['rapidocr_ms']} ms: the chain is"
            f" {found['times_faster']} times faster (quartiles {quarter} - {most}, in all"
            f" {found['times_faster_in_all']}; wanted {WANTED_FASTER:g})"
        )
    else:
        lines.append(f"  rapidocr is left out: {found['rival_left_out']}")
    return "\n".join(lines)


if __name__ == "__main__":
    sys.exit(main())
