"""Draws number plates of every kind that is on the road, for the demo, the tests and `benchmarks/plates_unseen.py`.

No package of fonts is needed: OpenCV 5 carries two fonts in its own library, and the second has Chinese
characters. Sizes are those of the road, in millimetres.
"""

from __future__ import annotations

import cv2
import numpy as np
import numpy.typing as npt

from gateway.errors import ModelError, N_
from gateway.lanes import plates

Frame = npt.NDArray[np.uint8]
Colour = tuple[int, int, int]  # BGR

PLATE, LONG, HIGH = (440, 140), (480, 140), (440, 220)
WHITE, BLACK = (245, 245, 245), (24, 24, 24)
KINDS: dict[str, tuple[Colour, Colour]] = {  # ground and ink
    "blue": ((158, 62, 16), WHITE),
    "green": ((106, 188, 96), BLACK),
    "yellow": ((30, 180, 235), BLACK),
    "white": ((236, 236, 236), BLACK),
    "black": ((34, 32, 30), WHITE),
}
_OF_TAIL = {"学": "yellow", "挂": "yellow", "警": "white", "急": "white", "港": "black", "澳": "black", "领": "black"}


def kind_of(text: str) -> str:
    """The colour of a plate that says so by its characters; blue where nothing else is said."""
    if text[-1:] in _OF_TAIL:
        return _OF_TAIL[text[-1]]
    if plates.EMBASSY in text:
        return "black"
    if not text[:1] or text[0] not in plates.PROVINCES:
        return "white"
    return "green" if len(text) == 8 else "blue"


def sign(text: str, kind: str = "") -> Frame:
    """A plate of one row. Raises ModelError."""
    kind = kind or kind_of(text)
    board, ink = _board(LONG if len(text) == 8 else PLATE, kind)
    across, down = board.shape[1], board.shape[0]
    pause = 0.6 if text[0] in plates.PROVINCES else 0.0
    step, middle = (across - 40) / (len(text) + pause), down // 2
    for place, each in enumerate(text):
        gap = pause if place >= 2 else 0.0
        write(board, each, (round(20 + step * (place + 0.5 + gap)), middle), 90, ink, 700)
    if kind == "blue":
        cv2.circle(board, (round(20 + step * 2.3), middle), 6, ink, -1, cv2.LINE_AA)
    return board


def sign_of_two_rows(text: str, kind: str = "yellow") -> Frame:
    """A lorry's plate: province and city above, the rest below. Raises ModelError."""
    board, ink = _board(HIGH, kind)
    for place, each in enumerate(text[:2]):
        write(board, each, (150 + 140 * place, 48), 60, ink, 700)
    step = (HIGH[0] - 40) / len(text[2:])
    for place, each in enumerate(text[2:]):
        write(board, each, (round(20 + step * (place + 0.5)), 145), 110, ink, 700)
    return board


def _board(size: tuple[int, int], kind: str) -> tuple[Frame, Colour]:
    """The ground with its rim, and the ink of its kind."""
    (across, down), (ground, ink) = size, KINDS[kind]
    board = np.full((down, across, 3), ground, np.uint8)
    if kind == "green":  # pale at the top
        fade = np.linspace(0.75, 0, down)[:, None, None]
        board = (board + (235 - board.astype(np.float64)) * fade).astype(np.uint8)
    cv2.rectangle(board, (5, 5), (across - 6, down - 6), ink, 2, cv2.LINE_AA)
    return board, ink


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
