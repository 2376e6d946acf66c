"""The fast engine against face_recognition as everybody uses it: on the same frames, in turns, one thread each.

    python benchmarks/faces.py [--folder DIR] [--models DIR] [--pictures 40] [--json]

Each picture is centred unscaled on a grey 640x480 frame. Per frame every engine runs once, one after the
other, and the ratio is taken frame by frame: a busy machine slows all of them alike. Accuracy beside it is
taken from the whole folder as it is, on the pictures that all engines find. Two lines, always: with
YuNet where it has been put, and with the detector that ships.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import statistics
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1]))

from gateway.vision import threads

threads.one()

import numpy as np  # noqa: E402

from gateway.errors import LoumenError  # noqa: E402
from gateway.evaluate import door, faces, people, unseen  # noqa: E402
from gateway.evaluate.faces import Measured  # noqa: E402
from gateway.evaluate.sources import Source, of_folder  # noqa: E402
from gateway.vision import demo_faces, engines  # noqa: E402
from gateway.vision.engine import Engine  # noqa: E402
from gateway.vision.picture import read_picture  # noqa: E402

SHARED = Path(os.environ.get("LOUMEN_SHARED", Path(__file__).parents[2] / "shared"))
WANTED = {"yunet": 8.0, "blazeface": 6.0}
RIVAL = "hog"


def load(models: Path | None) -> dict[str, Engine]:
    """The engines by detector, the rival first."""
    found = {RIVAL: engines.load("face-recognition"), "blazeface": engines.load("onnx", detector="blazeface")}
    if models is not None and models.is_dir():
        found["yunet"] = engines.load("onnx", extra_models=models, detector="yunet")
    return found


def speed(given: dict[str, Engine], source: Source, pictures: int) -> dict[str, list[float | None]]:
    """Milliseconds of each engine on each frame; None where it found nothing."""
    chosen = np.unique(np.linspace(0, len(source.pictures) - 1, min(pictures, len(source.pictures))).astype(int))
    frames = [faces.centred(read_picture(source.pictures[place].path)) for place in chosen]
    for engine in given.values():
        faces.face_ms(engine, frames[0])
    spent: dict[str, list[float | None]] = {name: [] for name in given}
    for frame in frames:
        for name, engine in given.items():
            spent[name].append(faces.face_ms(engine, frame))
    return spent


def accuracy(given: dict[str, Engine], source: Source) -> dict[str, dict[str, object]]:
    """What each finds, and the error rates on the pictures that all find."""
    measured = {name: faces.measure(engine, source, timed=0) for name, engine in given.items()}
    common = sorted(set.intersection(*(set(each.found.tolist()) for each in measured.values())))
    who, result = people.of_source(source), {}
    for name, each in measured.items():
        row = {place: at for at, place in enumerate(each.found.tolist())}
        shared = Measured(np.array(common), each.vectors[[row[place] for place in common]], [])
        rates = faces.rates(faces.pairs_of(source, who, shared)[0])
        vectors = {int(p): each.vectors[who.of[each.found] == p] for p in np.unique(who.of[each.found])}
        rule = door.Rule(
            0.001, given[name].name, name, door.FRAMES, door.enrolled_each([len(v) for v in vectors.values()])
        )
        tally = door.play(vectors, who, rule)
        halved = unseen.play(vectors, who, rule)
        result[name] = {
            "found": len(each.found),
            **rates,
            "door": door.document(tally, rule, len(vectors)),
            "unseen": halved.document() if halved else None,
        }
    return result


def line(name: str, spent: dict[str, list[float | None]]) -> dict[str, object]:
    """One engine's ratio, from the frames that both found."""
    both = [(a, b) for a, b in zip(spent[RIVAL], spent[name], strict=True) if a is not None and b is not None]
    ratios = [rival / own for rival, own in both]
    low, _, high = statistics.quantiles(ratios, n=4)
    return {
        "detector": name,
        "ms": round(statistics.median(own for _, own in both), 1),
        "rival_ms": round(statistics.median(rival for rival, _ in both), 1),
        "times_faster": round(statistics.median(ratios), 1),
        "quartiles": (round(low, 1), round(high, 1)),
        "frames": len(both),
        "wanted": WANTED[name],
    }


def unseen_words(halved: dict[str, object]) -> str:
    """The line about people whom the threshold was not made from."""
    low, first, middle, third, high = halved["thresholds"]
    passed, let_in = halved["accepted_interval"], halved["let_in_interval"]
    return (
        f"unseen people (threshold from one half of them, the door in the other, {halved['halvings']} halvings):"
        f" {halved['accepted']}/{halved['residents']} residents ({passed[0] * 100:.1f}-{passed[1] * 100:.1f} %),"
        f" {halved['let_in']}/{halved['strangers']} strangers ({let_in[0] * 100:.1f}-{let_in[1] * 100:.1f} %),"
        f" at {middle} ({low}, {first}, {third}, {high})"
    )


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--folder", type=Path)
    parser.add_argument("--models", type=Path, default=SHARED / "models")
    parser.add_argument("--pictures", type=int, default=40)
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    labelled = SHARED / "data" / "faces" / "att"
    folder = given.folder or (labelled if labelled.is_dir() else demo_faces.folder())
    try:
        source, loaded = of_folder(folder), load(given.models)
        spent = speed(loaded, source, given.pictures)
        exact = accuracy(loaded, source)
    except LoumenError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    lines = [line(name, spent) for name in loaded if name != RIVAL]
    if given.json:
        print(json.dumps({"machine": platform.node(), "folder": folder.name, "speed": lines, "accuracy": exact}))
        return 0
    print(f"faces, {folder.name}: {len(source.pictures)} pictures, one thread, on {platform.node()}")
    if "yunet" not in loaded:
        print("  yunet was not put anywhere (--models DIR): only the shipped detector is measured")
    for each in lines:
        low, high = each["quartiles"]
        print(
            f"  onnx + {each['detector']:10} {each['ms']:6} ms, face_recognition {each['rival_ms']} ms:"
            f" {each['times_faster']} times faster (quartiles {low}-{high}, {each['frames']} frames;"
            f" wanted {each['wanted']})"
        )
    for name, each in exact.items():
        tar, gate = each["tar_at_far"], each["door"]
        print(
            f"  {name:10} found {each['found']}; on what all find: equal error {each['eer'] * 100:.2f} %,"
            f" true accepts at 0.1 % {tar['0.001'] * 100:.2f} %; door: {gate['accepted']}/{gate['residents']}"
            f" residents, {gate['let_in']}/{gate['strangers']} strangers at {gate['threshold']}"
        )
        if each["unseen"]:
            print(f"  {'':10} {unseen_words(each['unseen'])}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
