"""Draws a car that waits at a barrier, with a number plate that the plate chain really reads: for demo and tests.

No photograph and no package of fonts is needed: OpenCV 5 carries two fonts in its own library, and the
second has Chinese characters. Each `frame` of a car differs a little (noise, light, a step nearer), as a
camera's do.

    python -m gateway.demo.plate_picture 京A12345 --out FOLDER [--frames 3]
"""

from __future__ import annotations

import argparse
import sys
from pathlib import Path
from typing import cast

import cv2
import numpy as np
import numpy.typing as npt

from gateway.errors import LoumenError, ModelError, N_
from gateway.lanes import plates

Frame = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]  # BGR

WIDTH, HEIGHT = 1280, 720
PLATE = (440, 140)  # as on the road, in millimetres
BLUE, GREEN, WHITE, BLACK = (158, 62, 16), (106, 188, 96), (245, 245, 245), (24, 24, 24)
PAINTS: tuple[Colour, ...] = ((52, 42, 120), (150, 150, 146), (70, 66, 62), (96, 70, 36), (214, 214, 210))


def draw(plate: str, frame: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Frame:
    """A car's front with this plate. Another `frame` is the same car a moment later. Raises BadRequest, ModelError."""
    text = plates.parse(plate)
    random = np.random.default_rng([frame, *text.encode()])
    paint = PAINTS[sum(text.encode()) % len(PAINTS)]
    scene = _car(_street(), paint)
    _mount(scene, _sign(text), frame)
    return _seen(scene, random, size)


def empty(frame: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Frame:
    """The same lane without a car."""
    return _seen(_street(), np.random.default_rng([frame, 7]), size)


def badge(text: str = "LOUMEN GT", frame: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Frame:
    """A car without a plate, with a maker's badge where the plate would be."""
    sign = np.full((PLATE[1], PLATE[0], 3), 60, np.uint8)
    write(sign, text, (PLATE[0] // 2, PLATE[1] // 2), 64, WHITE, 700)
    return car(sign, frame, size)


def car(sign: Frame, frame: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Frame:
    """A car with any sign where its plate would be."""
    scene = _car(_street(), PAINTS[1])
    _mount(scene, sign, frame)
    return _seen(scene, np.random.default_rng([frame, 8]), size)


# --- the plate


def _sign(text: str) -> Frame:
    """The plate itself: white on blue, or black on green for a new energy car."""
    green = len(text) == 8
    ground, ink = (GREEN, BLACK) if green else (BLUE, WHITE)
    sign = np.full((PLATE[1], PLATE[0], 3), ground, np.uint8)
    if green:  # pale at the top
        fade = np.linspace(0.75, 0, PLATE[1])[:, None, None]
        sign = (sign + (235 - sign.astype(np.float64)) * fade).astype(np.uint8)
    cv2.rectangle(sign, (5, 5), (PLATE[0] - 6, PLATE[1] - 6), ink, 2, cv2.LINE_AA)
    head, rest = text[:2], text[2:]
    step = (PLATE[0] - 40) / (len(text) + 0.6)
    middle = PLATE[1] // 2
    for place, sign_text in enumerate(head):
        write(sign, sign_text, (round(20 + step * (place + 0.5)), middle), 90, ink, 700)
    if not green:
        cv2.circle(sign, (round(20 + step * 2.3), middle), 6, ink, -1, cv2.LINE_AA)
    for place, sign_text in enumerate(rest):
        write(sign, sign_text, (round(20 + step * (place + 3.1)), middle), 90, ink, 700)
    return sign


def write(image: Frame, text: str, centre: tuple[int, int], height: int, colour: Colour, weight: int) -> None:
    """A text around its centre, its capitals so high and at most as wide as leaves room. Raises ModelError."""
    if not hasattr(cv2, "FontFace"):
        raise ModelError(
            N_("this OpenCV carries no Chinese font, so no plate can be drawn"), mend=N_("install OpenCV 5")
        )
    face = cv2.FontFace("uni" if not text.isascii() else "sans")
    size = round(height * (1.0 if not text.isascii() else 1.36))
    pad = 40
    room = np.zeros((height * 3, height * len(text) + 4 * pad, 3), np.uint8)
    cv2.putText(room, text, (pad, height * 2), (255, 255, 255), face, size, weight)
    ink = room[:, :, 0]
    rows, columns = np.flatnonzero(ink.max(axis=1)), np.flatnonzero(ink.max(axis=0))
    if not len(rows):
        return
    mask = ink[rows[0] : rows[-1] + 1, columns[0] : columns[-1] + 1]
    most = round(height * 0.52) if len(text) == 1 else image.shape[1] - 20
    wide = min(mask.shape[1], most)
    mask = np.asarray(cv2.resize(mask, (wide, height), interpolation=cv2.INTER_AREA), np.uint8)
    left, top = centre[0] - wide // 2, centre[1] - height // 2
    part = image[top : top + height, left : left + wide]
    share = (mask / 255.0)[:, :, None]
    part[:] = (part * (1 - share) + np.array(colour) * share).round().astype(np.uint8)


# --- the car


def _street() -> Frame:
    """A wall, and a road before it."""
    scene = np.empty((HEIGHT, WIDTH, 3), np.uint8)
    scene[:300] = (168, 172, 170)
    scene[300:] = np.linspace((96, 98, 100), (70, 72, 74), HEIGHT - 300)[:, None].astype(np.uint8)
    for left in range(-20, WIDTH, 160):
        cv2.rectangle(scene, (left, 40), (left + 4, 300), (140, 146, 146), -1)
    return scene


def _car(scene: Frame, paint: Colour) -> Frame:
    """The front of a car, from before it."""
    dark = cast("Colour", tuple(value // 2 for value in paint))
    _fill(scene, [(430, 330), (500, 160), (790, 160), (850, 330)], dark)
    _fill(scene, [(455, 320), (512, 178), (778, 178), (826, 320)], (92, 84, 78))
    _fill(scene, [(360, 640), (370, 400), (430, 325), (850, 325), (910, 400), (920, 640)], paint)
    _fill(scene, [(470, 430), (810, 430), (790, 490), (490, 490)], (30, 30, 30))
    for row in (445, 460, 475):
        cv2.line(scene, (485, row), (795, row), (90, 90, 90), 2, cv2.LINE_AA)
    for left in (385, 815):
        cv2.ellipse(scene, (left + 40, 440), (46, 24), 0, 0, 360, (228, 236, 238), -1, cv2.LINE_AA)
    for left in (380, 800):
        cv2.rectangle(scene, (left, 635), (left + 100, 700), (24, 24, 24), -1)
    cv2.rectangle(scene, (365, 520), (915, 622), dark, -1)
    return scene


def _fill(scene: Frame, corners: list[tuple[int, int]], colour: Colour) -> None:
    cv2.fillPoly(scene, [np.array(corners, np.int32)], colour, cv2.LINE_AA)


def _mount(scene: Frame, sign: Frame, frame: int) -> None:
    """The plate on the bumper, seen a little from the side; each frame a little nearer."""
    wide = 210 + 3 * (frame % 8)
    across, down = sign.shape[1], sign.shape[0]
    high = wide * down / across
    x, y = 640.0, 571.0
    corners = np.array(
        [
            (x - wide / 2, y - high / 2 + 3),
            (x + wide / 2, y - high / 2 - 2),
            (x + wide / 2 - 2, y + high / 2 - 3),
            (x - wide / 2 + 2, y + high / 2 + 2),
        ],
        np.float32,
    )
    source = np.array([(0, 0), (across, 0), (across, down), (0, down)], np.float32)
    small = cv2.GaussianBlur(sign, (5, 5), 0)
    matrix, size = cv2.getPerspectiveTransform(source, corners), (scene.shape[1], scene.shape[0])
    warped = cv2.warpPerspective(small, matrix, size, flags=cv2.INTER_AREA)
    mask = cv2.warpPerspective(np.full(sign.shape[:2], 255, np.uint8), matrix, size)
    share = (mask / 255.0)[:, :, None]
    scene[:] = (scene * (1 - share) + warped * share).round().astype(np.uint8)


def _seen(scene: Frame, random: np.random.Generator, size: tuple[int, int]) -> Frame:
    """As a camera sees it: a little unsharp, a little noisy, never twice the same."""
    if size != (WIDTH, HEIGHT):
        scene = np.asarray(cv2.resize(scene, size, interpolation=cv2.INTER_AREA), np.uint8)
    blurred = cv2.GaussianBlur(scene, (3, 3), 0).astype(np.float32)
    light = random.uniform(0.92, 1.04)
    return np.clip(blurred * light + random.normal(0, 3, scene.shape), 0, 255).astype(np.uint8)


def save(plate: str, folder: Path, frames: int = 3) -> list[Path]:
    """Pictures of a car as it comes, named so that a folder camera plays them in turn. Raises LoumenError, OSError."""
    folder.mkdir(parents=True, exist_ok=True)
    made = []
    for number in range(frames):
        data = cv2.imencode(".png", draw(plate, number))[1].tobytes()
        unfinished = folder / f".{plates.parse(plate)}_{number}.png"
        unfinished.write_bytes(data)
        made.append(unfinished.rename(folder / unfinished.name[1:]))
    return made


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m gateway.demo.plate_picture")
    parser.add_argument("plate")
    parser.add_argument("--out", type=Path, required=True)
    parser.add_argument("--frames", type=int, default=3)
    given = parser.parse_args()
    try:
        made = save(given.plate, given.out, given.frames)
    except (LoumenError, OSError) as error:
        sys.stderr.write(f"{error}\n")
        return 1
    sys.stdout.writelines(f"{path}\n" for path in made)
    return 0


if __name__ == "__main__":
    sys.exit(main())
