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

from gateway.demo.plate_sign import WHITE, Colour, Frame, sign, write
from gateway.errors import LoumenError
from gateway.lanes import plates

WIDTH, HEIGHT = 1280, 720
BADGE = (440, 140)
PAINTS: tuple[Colour, ...] = ((52, 42, 120), (150, 150, 146), (70, 66, 62), (96, 70, 36), (214, 214, 210))


def draw(plate: str, frame: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Frame:
    """A car's front with this plate. Another `frame` is the same car a moment later. Raises BadRequest, ModelError."""
    text = plates.parse(plate)
    random = np.random.default_rng([frame, *text.encode()])
    paint = PAINTS[sum(text.encode()) % len(PAINTS)]
    scene = _car(_street(), paint)
    _mount(scene, sign(text), frame)
    return _seen(scene, random, size)


def empty(frame: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Frame:
    """The same lane without a car."""
    return _seen(_street(), np.random.default_rng([frame, 7]), size)


def badge(text: str = "LOUMEN GT", frame: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Frame:
    """A car without a plate, with a maker's badge where the plate would be."""
    plain = np.full((BADGE[1], BADGE[0], 3), 60, np.uint8)
    write(plain, text, (BADGE[0] // 2, BADGE[1] // 2), 64, WHITE, 700)
    return car(plain, frame, size)


def car(board: Frame, frame: int = 0, size: tuple[int, int] = (WIDTH, HEIGHT)) -> Frame:
    """A car with any board where its plate would be."""
    scene = _car(_street(), PAINTS[1])
    _mount(scene, board, frame)
    return _seen(scene, np.random.default_rng([frame, 8]), size)


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


def _mount(scene: Frame, board: Frame, frame: int) -> None:
    """The plate on the bumper, seen a little from the side; each frame a little nearer."""
    wide = 210 + 3 * (frame % 8)
    across, down = board.shape[1], board.shape[0]
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
    paste(scene, board, corners)


def paste(scene: Frame, board: Frame, corners: npt.NDArray[np.float32], blur: float = 0.0) -> None:
    """Hang a board into a scene, by its corners from the top left on clockwise."""
    across, down = board.shape[1], board.shape[0]
    source = np.array([(0, 0), (across, 0), (across, down), (0, down)], np.float32)
    # a board that gets small is made unsharp first: plain sampling would skip pixels
    times = across / max(1.0, float(np.linalg.norm(corners[1] - corners[0])))
    small = cv2.GaussianBlur(board, (0, 0), max(0.5, 0.5 * times, blur * times))
    matrix, size = cv2.getPerspectiveTransform(source, corners), (scene.shape[1], scene.shape[0])
    warped = cv2.warpPerspective(small, matrix, size, flags=cv2.INTER_AREA)
    mask = cv2.warpPerspective(np.full(board.shape[:2], 255, np.uint8), matrix, size)
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
