"""Is this picture good enough? A pure gate over the measures of one face.

    size        width of the face in the frame's pixels
    sharpness   fine detail for the chip's contrast, in the direction that has least of it: a hand that moves
                sideways blurs one direction only. 1 is good, below 0.4 the numbers are worthless
    yaw         how far the nose is off the middle of the eyes, to one side; 0 looks straight ahead
    pitch       how far the nose is from where it is in a level face; up is negative
    exposure    mean grey of the face, 0..1, and `contrast`, how far its greys spread
    inside      the share of the face that is in the frame: what a border cuts off is black to the net
    misfit      how far the detector's points lie from where the trees' alignment puts them, in pixels of the chip.
                Gates do not ask for it: it tells which way up a face is (`enrolment.py`)

Yaw and pitch are in distances between the eyes: about 0.01 a degree. They come from the five points
that the chip is cut by, so they cost nothing. They are no angles: a nose is not an instrument.

Two gates stand on them. Enrolment is strict: one bad reference picture is compared for years, and a
blurred or turned one lies near everybody. Recognition is lenient: whoever stands at the door moves, and
a refused frame is followed by another; it only keeps out frames whose numbers mean nothing.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from gateway.errors import N_

Grey = npt.NDArray[np.float32]
Complexes = npt.NDArray[np.complex128]

# dlib's five points: 0 and 1 the corners of the right-hand eye in the picture, 2 and 3 of the left-hand one, 4 the nose
_LEVEL_NOSE = 0.74  # the nose's distance below the eyes in a level face, in distances between the eyes


@dataclass(frozen=True, slots=True)
class Gate:
    """What a picture must have at least (or at most, for yaw and pitch)."""

    size: float
    sharpness: float
    yaw: float
    pitch: float
    darkest: float
    brightest: float
    contrast: float
    inside: float


ENROLMENT = Gate(size=80, sharpness=1.0, yaw=0.25, pitch=0.25, darkest=0.18, brightest=0.85, contrast=0.06, inside=0.9)
RECOGNITION = Gate(
    size=32, sharpness=0.4, yaw=0.55, pitch=0.50, darkest=0.06, brightest=0.95, contrast=0.03, inside=0.7
)

TOO_SMALL = N_("the face is too small: come closer, or use a larger picture")
BLURRED = N_("the picture is blurred: hold still, or clean the lens")
TURNED = N_("the face is turned aside: look straight into the camera")
TILTED = N_("the face looks up or down: look straight into the camera")
TOO_DARK = N_("the face is too dark: more light from the front")
TOO_BRIGHT = N_("the face is too bright: less light, or no lamp behind the camera")
FLAT = N_("the face has too little contrast: light it evenly, avoid fog on the lens")
CUT_OFF = N_("the picture's border cuts the face off: show the whole face")
NO_FACE = N_("no face was found in the picture")
SEVERAL_FACES = N_("more than one face is in the picture: exactly one is needed")
UPSIDE_DOWN = N_("the face stands on its head: turn the picture (or the camera)")


@dataclass(frozen=True, slots=True)
class Quality:
    """The measures of one face. `refusal` is the lenient gate's answer, empty when the face may be compared."""

    size: float
    sharpness: float
    yaw: float
    pitch: float
    exposure: float
    contrast: float
    inside: float = 1.0
    misfit: float = 0.0

    def refused_by(self, gate: Gate) -> str:
        """Why `gate` refuses, as a message id; empty when it does not."""
        reasons = (
            (self.size < gate.size, TOO_SMALL),
            (self.inside < gate.inside, CUT_OFF),
            (self.exposure < gate.darkest, TOO_DARK),
            (self.exposure > gate.brightest, TOO_BRIGHT),
            (self.contrast < gate.contrast, FLAT),
            (abs(self.yaw) > gate.yaw, TURNED),
            (abs(self.pitch) > gate.pitch, TILTED),
            (self.sharpness < gate.sharpness, BLURRED),
        )
        return next((reason for refused, reason in reasons if refused), "")

    @property
    def refusal(self) -> str:
        return self.refused_by(RECOGNITION)

    @property
    def score(self) -> float:
        """0..1: 1 where every measure is as good as enrolment asks, 0 where recognition refuses."""
        return min(
            _between(self.size, RECOGNITION.size, ENROLMENT.size),
            _between(self.sharpness, RECOGNITION.sharpness, ENROLMENT.sharpness),
            _between(-abs(self.yaw), -RECOGNITION.yaw, -ENROLMENT.yaw),
            _between(-abs(self.pitch), -RECOGNITION.pitch, -ENROLMENT.pitch),
            _between(self.exposure, RECOGNITION.darkest, ENROLMENT.darkest),
            _between(-self.exposure, -RECOGNITION.brightest, -ENROLMENT.brightest),
            _between(self.contrast, RECOGNITION.contrast, ENROLMENT.contrast),
            _between(self.inside, RECOGNITION.inside, ENROLMENT.inside),
        )


def measure(grey: Grey, points: Complexes, size: float, *, inside: float = 1.0, misfit: float = 0.0) -> Quality:
    """The quality of a face: its chip in grey (150 x 150, 0..255), its five points in the frame, its width there."""
    yaw, pitch = pose(points)
    inner = grey[25:125, 30:120]
    contrast = float(inner.std())
    sharpness = _detail(inner) / max(contrast, 4.0) * 10
    return Quality(size, sharpness, yaw, pitch, float(inner.mean()) / 255, contrast / 255, inside, misfit)


def _detail(grey: Grey) -> float:
    """Mean size of the second differences over four pixels, along the poorest of four directions."""
    middle = 2 * grey[2:-2, 2:-2]
    pairs = (
        (grey[2:-2, 4:], grey[2:-2, :-4]),
        (grey[4:, 2:-2], grey[:-4, 2:-2]),
        (grey[4:, 4:], grey[:-4, :-4]),
        (grey[4:, :-4], grey[:-4, 4:]),
    )
    return min(float(np.abs(one + other - middle).mean()) for one, other in pairs)


def pose(points: Complexes) -> tuple[float, float]:
    """Yaw and pitch of dlib's five points, in distances between the eyes' middles."""
    right, left = (points[0] + points[1]) / 2, (points[2] + points[3]) / 2
    between = right - left
    if abs(between) < 1e-6:
        return 9.0, 9.0  # no face looks like this: refused by every gate
    nose = complex((points[4] - (right + left) / 2) / between)
    return nose.real, nose.imag - _LEVEL_NOSE


def _between(value: float, worst: float, best: float) -> float:
    return min(1.0, max(0.0, (value - worst) / (best - worst)))
