"""What the plate chain reads on pictures that stand for unseen ones.

    python benchmarks/plates_unseen.py [--labels FILE.csv --images DIR] [--kinds a,b,...] [--pictures N] [--json]

Three sets, all seeded, so that a run can be repeated picture by picture:
  disturbed   every labelled picture under each disturbance: smaller, turned, unsharp, dark, pressed, cut out
  mounted     drawn plates of every kind hung where the labelled picture's plate is, or on a drawn car without them
  nothing     the same places with a shop sign, a badge or a telephone number: nothing may be believed
For each line: exact, confident and confident and wrong as `loumen evaluate plates` counts them, with 95 % intervals.
A threshold or a retry is kept only if it helps across these lines and not on the undisturbed pictures alone.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import zlib
from collections.abc import Callable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any, NamedTuple

sys.path.insert(0, str(Path(__file__).parents[1]))

from gateway.vision import threads

threads.one()

import cv2  # noqa: E402
import numpy as np  # noqa: E402
import numpy.typing as npt  # noqa: E402

from gateway.demo import plate_picture, plate_sign  # noqa: E402
from gateway.errors import LoumenError  # noqa: E402
from gateway.evaluate.metrics import wilson  # noqa: E402
from gateway.evaluate.plates import Labelled, Result, of_labels, reads_of  # noqa: E402
from gateway.lanes import plates  # noqa: E402
from gateway.vision.picture import read_picture  # noqa: E402
from gateway.vision.plates import load  # noqa: E402
from gateway.vision.plates.reader import SIDES, PlateReader, Seen  # noqa: E402

SHARED = Path(os.environ.get("LOUMEN_SHARED", Path(__file__).parents[2] / "shared")) / "data" / "plates"
Frame = npt.NDArray[np.uint8]
Random = np.random.Generator
Box = tuple[float, float, float, float]
CUT = "cut out"
DRAWN = 24  # cars a line where there are no labelled pictures


# --- disturbances


def scaled(frame: Frame, times: float) -> Frame:
    way = cv2.INTER_AREA if times < 1 else cv2.INTER_CUBIC
    return np.asarray(cv2.resize(frame, None, fx=times, fy=times, interpolation=way), np.uint8)


def turned(frame: Frame, random: Random) -> Frame:
    height, width = frame.shape[:2]
    angle = random.uniform(4, 9) * random.choice([-1, 1])
    turn = cv2.getRotationMatrix2D((width / 2, height / 2), angle, 1.0)
    return np.asarray(cv2.warpAffine(frame, turn, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def from_the_side(frame: Frame, random: Random) -> Frame:
    height, width = frame.shape[:2]
    corners = np.array([(0, 0), (width, 0), (width, height), (0, height)], np.float32)
    moved = corners + random.uniform(-0.07, 0.07, (4, 2)) * (width, height)
    matrix = cv2.getPerspectiveTransform(corners, moved.astype(np.float32))
    return np.asarray(cv2.warpPerspective(frame, matrix, (width, height), borderMode=cv2.BORDER_REPLICATE), np.uint8)


def noisy(frame: Frame, spread: float, random: Random) -> Frame:
    return np.clip(frame + random.normal(0, spread, frame.shape), 0, 255).astype(np.uint8)


def lit(frame: Frame, gamma: float, share: float) -> Frame:
    return np.clip(share * 255 * (np.clip(frame / 255.0, 0, 1)) ** gamma, 0, 255).astype(np.uint8)


def pressed(frame: Frame, quality: int) -> Frame:
    data = cv2.imencode(".jpg", frame, [cv2.IMWRITE_JPEG_QUALITY, quality])[1]
    return np.asarray(cv2.imdecode(data, cv2.IMREAD_COLOR), np.uint8)


def moved(frame: Frame, random: Random) -> Frame:
    count = int(random.integers(3, 6))
    way = np.full((1, count), 1 / count) if random.random() < 0.7 else np.full((count, 1), 1 / count)
    return np.asarray(cv2.filter2D(frame, -1, way), np.uint8)


def cut_out(frame: Frame, random: Random, box: Box | None) -> Frame:
    """A part of the picture, the plate somewhere in it; the whole where the plate was not found."""
    if box is None:
        return frame
    share, spans = random.uniform(0.4, 0.75), []
    for start, extent, whole, room in ((box[1], box[3], frame.shape[0], 2.0), (box[0], box[2], frame.shape[1], 1.3)):
        size = min(whole, int(max(whole * share, extent * room)))
        least = max(0, int(start + extent * 1.15 - size))
        most = max(least, min(whole - size, int(start - extent * 0.15)))
        first = int(random.integers(least, most + 1))
        spans.append(slice(first, first + size))
    return frame[spans[0], spans[1]].copy()


DISTURBED: dict[str, Callable[[Frame, Random, Box | None], Frame]] = {
    "as it is": lambda frame, _random, _box: frame,
    "half size": lambda frame, _random, _box: scaled(frame, 0.5),
    "x 0.7": lambda frame, _random, _box: scaled(frame, 0.7),
    "x 1.5": lambda frame, _random, _box: scaled(frame, 1.5),
    "turned": lambda frame, random, _box: turned(frame, random),
    "perspective": lambda frame, random, _box: from_the_side(frame, random),
    "unsharp": lambda frame, random, _box: np.asarray(
        cv2.GaussianBlur(frame, (0, 0), random.uniform(0.8, 1.4)), np.uint8
    ),
    "moved": lambda frame, random, _box: moved(frame, random),
    "pressed": lambda frame, random, _box: pressed(frame, int(random.integers(25, 50))),
    "dark": lambda frame, random, _box: noisy(lit(frame, random.uniform(1.6, 2.4), 0.6), 4, random),
    "bright": lambda frame, random, _box: lit(np.clip(frame * 1.3, 0, 255), random.uniform(0.5, 0.7), 1.0),
    "noisy": lambda frame, random, _box: noisy(frame, random.uniform(8, 16), random),
    CUT: cut_out,
    "mixed": lambda frame, random, _box: pressed(
        noisy(turned(scaled(frame, random.uniform(0.6, 1.2)), random), 5, random), 50
    ),
}


# --- drawn plates and other boards


def some(random: Random, signs: str, count: int) -> str:
    return "".join(signs[int(at)] for at in random.integers(0, len(signs), count))


def civil(random: Random, count: int = 5) -> str:
    last = "".join(some(random, plates.DIGITS if random.random() < 0.7 else plates.LETTERS, 1) for _ in range(count))
    return some(random, plates.PROVINCES, 1) + some(random, plates.LETTERS, 1) + last


def green(random: Random) -> str:
    return civil(random, 0) + some(random, "DF", 1) + some(random, plates.DIGITS, 5)


def military(random: Random) -> str:
    return some(random, "VKHBSLJN", 1) + some(random, plates.LETTERS, 1) + some(random, plates.DIGITS, 5)


MOUNTED: dict[str, Callable[[Random], tuple[str, Frame]]] = {
    "blue": lambda random: _drawn(civil(random)),
    "green": lambda random: _drawn(green(random)),
    "yellow": lambda random: _drawn(civil(random), "yellow"),
    "two rows": lambda random: _two_rows(civil(random)),
    "learner": lambda random: _drawn(civil(random, 4) + "学"),
    "trailer in two rows": lambda random: _two_rows(civil(random, 4) + "挂"),
    "police": lambda random: _drawn(civil(random, 4) + "警"),
    "emergency": lambda random: _drawn(
        some(random, plates.PROVINCES, 1) + some(random, "XS", 1) + some(random, plates.DIGITS, 4) + "应急"
    ),
    "Hong Kong and Macau": lambda random: _drawn("粤Z" + some(random, plates.DIGITS, 4) + some(random, "港澳", 1)),
    "consulate": lambda random: _drawn(civil(random, 0) + some(random, plates.DIGITS, 4) + "领"),
    "embassy": lambda random: _drawn("使" + some(random, plates.DIGITS, 6)),
    "armed police": lambda random: _drawn("WJ" + some(random, plates.PROVINCES, 1) + some(random, plates.DIGITS, 5)),
    "military": lambda random: _drawn(military(random)),
}
NOTHING: dict[str, Callable[[Random], Frame]] = {
    "shop sign": lambda random: board(random, ("停车场入口", "京东快递", "川味小馆", "沪上人家", "出口", "小心车辆")),
    "telephone": lambda random: board(random, ("13812345678", "010-87654321", "4008123123", "95128")),
    "badge": lambda random: board(random, ("TOYOTA", "BYD", "GL8 2.0T", "X5 4.0", "HAVAL H6", "A12345")),
}


def _drawn(text: str, kind: str = "") -> tuple[str, Frame]:
    return text, plate_sign.sign(text, kind)


def _two_rows(text: str) -> tuple[str, Frame]:
    return text, plate_sign.sign_of_two_rows(text)


def board(random: Random, texts: Sequence[str]) -> Frame:
    """A board of a plate's size and colours that is no plate."""
    ground, ink = list(plate_sign.KINDS.values())[int(random.integers(len(plate_sign.KINDS)))]
    made = np.full((plate_sign.PLATE[1], plate_sign.PLATE[0], 3), ground, np.uint8)
    text = texts[int(random.integers(len(texts)))]
    middle = (plate_sign.PLATE[0] // 2, plate_sign.PLATE[1] // 2)
    plate_sign.write(made, text, middle, 84, ink, 700)
    return made


# --- the scenes


class Shown(NamedTuple):
    """A picture, the plate it shows, and other cars' plates that are right as well."""

    label: str
    frame: Frame
    others: frozenset[str] = frozenset()


class Scenes:
    """The labelled pictures, and where in them the labelled plate is; drawn cars where there are none."""

    def __init__(self, reader: PlateReader, labelled: Sequence[Labelled]) -> None:
        self._reader, self._labelled = reader, labelled
        self._known: dict[str, list[Seen]] = {}

    def known(self, one: Labelled, frame: Frame) -> list[Seen]:
        """What is read in the picture as it is, in any size: other cars' plates are right as well."""
        if one.name not in self._known:
            self._known[one.name] = [each for side in SIDES for each in self._reader.look(frame, side)]
        return self._known[one.name]

    def disturbed(self, kind: str) -> Iterator[Shown]:
        for one in self._labelled:
            frame = read_picture(one.path)
            seen = [each for each in self.known(one, frame) if each.reading.best == one.label] if kind == CUT else []
            made = DISTURBED[kind](frame, seeded(kind, one.name), seen[-1].box if seen else None)
            yield Shown(one.label, made)

    def mounted(self, kind: str) -> Iterator[Shown]:
        for random, hang, others in self._places_to_hang(kind):
            label, made = MOUNTED[kind](random)
            yield Shown(label, hang(made), others)

    def nothing(self, kind: str) -> Iterator[Shown]:
        for random, hang, others in self._places_to_hang(kind):
            yield Shown("", hang(NOTHING[kind](random)), others)

    def _places_to_hang(self, kind: str) -> Iterator[tuple[Random, Callable[[Frame], Frame], frozenset[str]]]:
        for number in range(DRAWN):
            yield seeded(kind, str(number)), partial(plate_picture.car, frame=number), frozenset()
        for one in self._labelled[:: max(1, len(self._labelled) // DRAWN)]:
            frame = read_picture(one.path)
            known = self.known(one, frame)
            seen = [each for each in known if each.reading.best == one.label]
            if seen:
                random = seeded(kind, one.name)
                others = frozenset(each.reading.best for each in known) - {one.label}
                yield random, partial(hung, frame, seen[-1], random), others


def hung(frame: Frame, seen: Seen, random: Random, made: Frame) -> Frame:
    """The board in the plate's place, a little larger, as unsharp and as lit as the plate is."""
    x, y, width, height = seen.box
    wide, high = width * 1.12, max(height, width * 0.34) * 1.12 * made.shape[0] / 140
    tilt = random.uniform(-0.06, 0.06) * wide
    centre = np.array((x + width / 2, y + height / 2))
    corners = centre + np.array(
        [(-wide, -high - tilt), (wide, -high + tilt), (wide, high + tilt), (-wide, high - tilt)], np.float64
    ) * (0.5, 0.5)
    was = frame[max(0, int(y)) : int(y + height) + 1, max(0, int(x)) : int(x + width) + 1]
    light = float(np.clip(np.percentile(was, 90) / 235, 0.3, 1.0)) if was.size else 1.0
    scene = frame.copy()
    plate_picture.paste(scene, (made * light).astype(np.uint8), corners.astype(np.float32), blur=0.7)
    return pressed(noisy(scene, 3, random), 85)


def seeded(kind: str, name: str) -> Random:
    return np.random.default_rng(zlib.crc32(f"{kind}/{name}".encode()))


# --- counts


def measured(reader: PlateReader, frames: Iterator[Shown]) -> list[int]:
    """Pictures, exact, confident, confident and wrong."""
    counts = [0, 0, 0, 0]
    for shown in frames:
        looks = reader.looks(np.ascontiguousarray(shown.frame))
        reads = {plate: read for plate, read in reads_of(looks).items() if plate not in shown.others}
        one = Result(Labelled("", Path(), shown.label), sum(map(len, looks)), reads, None)
        for at, true in enumerate((True, one.exact, one.confident, bool(one.wrong))):
            counts[at] += true
    return counts


def line(name: str, counts: Sequence[int], note: str = "") -> str:
    pictures, *rest = counts
    parts = []
    for count in rest:
        low, high = wilson(count, pictures) or (0.0, 1.0)
        parts.append(f"{count:5d} ({low * 100:5.1f} -{high * 100:5.1f} %)")
    return f"  {name:18s} {pictures:5d}  " + "  ".join(parts) + note


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--labels", type=Path, default=SHARED / "plates-dev.csv")
    parser.add_argument("--images", type=Path, default=SHARED)
    parser.add_argument("--kinds", default="", help="only these lines, with commas between")
    parser.add_argument("--pictures", type=int, default=0, help="at most so many labelled ones, evenly chosen; 0: all")
    parser.add_argument("--json", action="store_true")
    given = parser.parse_args()
    try:
        reader, labelled = load(), list[Labelled]()
        if given.labels.is_file():
            labelled = of_labels(given.labels, given.images)
            if given.pictures:
                labelled = labelled[:: -(-len(labelled) // given.pictures)]
        found = run(reader, labelled, [kind for kind in given.kinds.split(",") if kind], quiet=given.json)
    except LoumenError as error:
        sys.stderr.write(f"{error}\n")
        return 1
    if given.json:
        print(json.dumps(found, ensure_ascii=False))
    elif not labelled:
        print(f"  disturbed pictures are left out: there is no {given.labels}; name --labels and --images")
    return 0


def run(reader: PlateReader, labelled: Sequence[Labelled], kinds: Sequence[str], *, quiet: bool) -> dict[str, Any]:
    scenes, found = Scenes(reader, labelled), dict[str, Any]()
    sets = (("disturbed", DISTURBED, scenes.disturbed), ("mounted", MOUNTED, scenes.mounted))
    for title, names, frames in (*sets, ("nothing", NOTHING, scenes.nothing)):
        if (title == "disturbed" and not labelled) or (kinds and not {title, *names} & set(kinds)):
            continue
        total = [0, 0, 0, 0]
        if not quiet:
            print(f"{title:20s} images  exact                  confident              confident and wrong")
        for name in names:
            if kinds and name not in kinds and title not in kinds:
                continue
            counts = measured(reader, frames(name))
            found.setdefault(title, {})[name] = counts
            total = [one + other for one, other in zip(total, counts, strict=True)]
            if not quiet:
                print(line(name, counts), flush=True)
        if not quiet:
            print(line("in all", total), flush=True)
    return found


if __name__ == "__main__":
    sys.exit(main())
