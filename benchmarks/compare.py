"""A door's gallery of 10,000 people with five templates each, against face_recognition's own loop.

    python benchmarks/compare.py [--people 10000] [--templates 5] [--json]

Both find the nearest person to the same query in the same templates, on one thread, in turns.
"""

from __future__ import annotations

import argparse
import json
import statistics
import sys
import time
from collections.abc import Callable
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from gateway.vision import threads

threads.one()

import numpy as np  # noqa: E402

from gateway.vision.compare import Gallery  # noqa: E402


def timed(call: Callable[[], object]) -> float:
    begin = time.perf_counter()
    call()
    return (time.perf_counter() - begin) * 1e3


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--people", type=int, default=10_000)
    parser.add_argument("--templates", type=int, default=5)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    from gateway.vision.engines.face_recognition import load_package

    face_distance = load_package().face_distance
    random = np.random.default_rng(1)
    centres = random.normal(0, 0.12, (given.people, 128))
    templates = (centres[:, None] + random.normal(0, 0.03, (given.people, given.templates, 128))).reshape(-1, 128)
    owners = np.repeat(np.arange(given.people), given.templates)
    gallery = Gallery([str(person) for person in range(given.people)], owners, templates)
    known = [list(templates[owners == person]) for person in range(given.people)]
    query = templates[len(templates) // 2].astype(np.float32)

    def naive() -> int:
        return min(range(given.people), key=lambda person: face_distance(known[person], query).min())

    def stacked() -> int:
        return int(owners[face_distance(templates, query).argmin()])

    assert int(gallery.nearest(query)[0].person) == stacked() == naive()
    calls: dict[str, Callable[[], object]] = {
        "loumen": lambda: gallery.nearest(query),
        "face_distance, a call a person": naive,
        "face_distance, one call for all": stacked,
    }
    spent: dict[str, list[float]] = {name: [] for name in calls}
    for turn in range(given.rounds):
        for name, call in calls.items():
            if name.endswith("a person") and turn >= 5:
                continue
            spent[name].append(timed(call))
    medians = {name: statistics.median(times) for name, times in spent.items()}
    result = {
        "people": given.people,
        "templates": len(templates),
        "ms": {name: round(value, 3) for name, value in medians.items()},
        "ms_fastest": round(min(spent["loumen"]), 3),
        "times_faster": {n: round(v / medians["loumen"], 1) for n, v in medians.items() if n != "loumen"},
        "wanted_ms": 3.0,
    }
    if given.json:
        print(json.dumps(result))
        return 0
    print(f"{given.people} people, {len(templates)} templates, one thread; medians of {given.rounds} turns")
    for name, value in medians.items():
        ratio = "" if name == "loumen" else f"  {value / medians['loumen']:.1f} times slower"
        print(f"  {name:32} {value:8.2f} ms{ratio}")
    print(f"  wanted: under 3 ms (fastest of this run {result['ms_fastest']} ms)")
    return 0


if __name__ == "__main__":
    sys.exit(main())
