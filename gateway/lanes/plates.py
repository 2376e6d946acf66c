"""Number plates of mainland China: how they are written, which are possible, who is meant by a reading.

Theory of operation
    A plate is a province's character, a city's letter, then five characters of digits and letters; a new
    energy car has six (the third is one of ten letters and the last four are digits, or five digits are
    followed by one of these letters). A tail in Chinese takes the last place: 学 警 挂 港 澳 领. Embassies have
    使 and six digits, in either order; the rescue services X or S as city, four digits and 应急; the armed
    police WJ, a province and five characters. The letters I and O are on no plate from the third character
    on, so an O there is a zero that somebody typed or a reader mistook. A temporary plate has the form of an
    ordinary one. The army's plates (two letters, five digits) are not read: without a province's character a
    new energy car's plate whose edge is hidden has the same form. They cannot be put on a register either, so
    nobody waits for an arm in vain.

    What a camera gives is no plate but a `Reading`: the possible plates of one look, each with the
    natural logarithm of its probability, the best first. It is confident where the best is likely in itself
    and clearly better than the next. Several looks vote: the probabilities are averaged, and a vote is a look
    whose best is the best of all.

    A registered plate is meant if it is the best of a reading, or if none stands apart and the plate is among the
    n best within a factor of ten of the best. Where another plate stands apart, nobody is meant: a stranger whose
    plate looks like a resident's is no resident. Never by edit distance: a neighbour's plate differs in one
    character, and edit distance 1 lets in 92 % of such strangers (measured).

Pure: strings and numbers.
"""

from __future__ import annotations

import math
import unicodedata
from collections.abc import Container, Sequence
from typing import Literal, NamedTuple

from gateway.errors import BadRequest, N_

PROVINCES = "京津沪渝冀晋辽吉黑苏浙皖闽赣鲁豫鄂湘粤桂琼川贵云藏陕甘青宁新蒙"
DIGITS = "0123456789"
LETTERS = "ABCDEFGHJKLMNPQRSTUVWXYZ"
CITIES = LETTERS + "O"  # O: the authorities' own
NEW_ENERGY = "ABCDEFGHJK"
TAILS = "学警挂港澳领"
EMBASSY = "使"
SEPARATORS = " ·•・‧∙⋅․.。,:：-_—–~'\"`*|/\\="  # the last one: a spreadsheet's ="粤B12345"
RESCUE, RESCUERS = "应急", "XS"
SIGNS = PROVINCES + EMBASSY + TAILS + RESCUE + DIGITS + CITIES

_PLACE = frozenset(DIGITS + LETTERS)
_LAST = frozenset(DIGITS + LETTERS + TAILS)
_FIRST = frozenset(PROVINCES + EMBASSY + DIGITS + "W")
_CITY = frozenset(CITIES)
_DIGIT = frozenset(DIGITS)
_NEW_ENERGY = frozenset(NEW_ENERGY)
_EMBASSY = frozenset(EMBASSY)
_NONE: frozenset[str] = frozenset()
_SEPARATORS = str.maketrans("", "", SEPARATORS)

LIKELY = -1.0  # the natural logarithm of the least probability a confident reading's best has
CLEAR = 2.0  # by how much a confident best's logarithm exceeds the next one's (docs/plates.md: 1 % are wrong)
APART = 0.5  # by how much it does where the next one is not meant any more
FACTOR = 10.0  # how much less likely than the best a registered plate may be
LOOKS = 3  # the newest looks that vote
AGREE = 2  # votes from which an arm may move


# --- how plates are written


def following(prefix: str) -> frozenset[str]:
    """The characters that may come after a plate's beginning; none after its end."""
    place = len(prefix)
    if place == 0:
        return _FIRST
    if prefix[0] == EMBASSY:
        return _DIGIT if place < 7 else _NONE
    if prefix[0] in _DIGIT:
        return _DIGIT if place < 6 else _EMBASSY if place == 6 else _NONE
    if prefix[0] == "W":
        return _armed_police(prefix)
    if place == 1:
        return _CITY
    if place < 6:
        return _PLACE
    if place == 6:
        return _LAST | {RESCUE[0]} if prefix[1] in RESCUERS and _numeric(prefix[2:]) else _LAST
    if prefix[-1] == RESCUE[0]:
        return frozenset(RESCUE[1])
    if place == 7 and prefix[2] in _NEW_ENERGY and _numeric(prefix[4:]):
        return _DIGIT
    if place == 7 and _numeric(prefix[2:]):
        return _NEW_ENERGY
    return _NONE


def _armed_police(prefix: str) -> frozenset[str]:
    """WJ, a province, four digits, a digit or letter."""
    place = len(prefix)
    if place == 1:
        return frozenset("J")
    if place == 2:
        return frozenset(PROVINCES)
    return _DIGIT if place < 7 else _PLACE if place == 7 else _NONE


def _numeric(text: str) -> bool:
    return all(sign in _DIGIT for sign in text)


def complete(text: str) -> bool:
    """Whether this is a whole plate, in normal form."""
    if len(text) == 7 and (text[0] == "W" or text[-1] == RESCUE[0]):
        return False
    return len(text) in {7, 8} and all(text[place] in following(text[:place]) for place in range(len(text)))


def normal(text: str) -> str:
    """The normal form of what somebody typed: 京A·12345, full width, lower case, dots, O for 0. No check."""
    signs = unicodedata.normalize("NFKC", text).translate(_SEPARATORS)
    signs = "".join(sign for sign in signs if not sign.isspace() and unicodedata.category(sign) != "Cf").upper()
    return signs[:2] + signs[2:].replace("O", "0")


def parse(text: str) -> str:
    """The plate in normal form. Raises BadRequest, which says what is wrong with it."""
    plate = normal(text[:64])
    if complete(plate):
        return plate
    what, mend = _why_not(plate)
    raise BadRequest(what, mend=mend, plate=text[:32], length=len(plate))


def _why_not(plate: str) -> tuple[str, str]:
    mend = N_("write it as on the car, for example 粤B12345, 粤BD12345 or 粤B1234学")
    if not plate:
        return N_("there is no plate"), mend
    if plate[0] not in _FIRST:
        return N_("'{plate}' does not begin with a province"), mend
    if len(plate) not in {7, 8}:
        return N_("'{plate}' has {length} characters; a plate has 7, a new energy car's 8"), mend
    if plate[0] in PROVINCES and plate[1] in DIGITS:
        return N_("'{plate}' has a digit where the city's letter stands"), N_("look at the car; an O there is a letter")
    if "I" in plate[1:]:
        return N_("'{plate}' has the letter I, which is on no plate"), N_("write the digit 1")
    if len(plate) == 8 and plate[0] in PROVINCES:
        return (
            N_("'{plate}' has 8 characters and is no new energy car's: the third or the last is a letter from A to K"),
            N_("look for a character too many; a new energy car's other characters are digits"),
        )
    return N_("'{plate}' is no plate of a kind that is read here"), mend


def shown(plate: str) -> str:
    """As it is written on the car: 粤B·12345."""
    return f"{plate[:2]}·{plate[2:]}" if plate[:1] and plate[0] in PROVINCES and len(plate) > 2 else plate


# --- what was read


class Candidate(NamedTuple):
    """One possible plate of a look."""

    plate: str
    log_p: float


class Reading(NamedTuple):
    """Possible plates, the best first; of `frames` looks, of which `votes` have this best."""

    candidates: tuple[Candidate, ...]
    frames: int = 1
    votes: int = 1

    @property
    def best(self) -> str:
        """The most likely plate; empty where there is none."""
        return self.candidates[0].plate if self.candidates else ""

    @property
    def log_p(self) -> float:
        return self.candidates[0].log_p if self.candidates else -math.inf

    @property
    def margin(self) -> float:
        """By how much the best's logarithm exceeds the next one's."""
        return self.log_p - self.candidates[1].log_p if len(self.candidates) > 1 else math.inf

    @property
    def confident(self) -> bool:
        """Whether the best may be believed for itself."""
        return bool(self.candidates) and self.log_p > LIKELY and self.margin > CLEAR

    @property
    def apart(self) -> bool:
        """Whether no other plate than the best can be meant; wider than confident."""
        return bool(self.candidates) and self.log_p > LIKELY and self.margin > APART

    @property
    def agreed(self) -> bool:
        """Whether enough looks have this best."""
        return self.votes >= AGREE


def vote(looks: Sequence[Reading], most: int = 8) -> Reading:
    """The reading of several looks at one plate: of the newest `LOOKS`, the mean of the probabilities."""
    newest = [look for look in looks if look.candidates][-LOOKS:]
    if not newest:
        return Reading((), 0, 0)
    sums: dict[str, float] = {}
    for look in newest:
        for plate, log_p in look.candidates:
            sums[plate] = sums.get(plate, 0.0) + math.exp(min(log_p, 0.0))
    ordered = sorted(sums.items(), key=lambda one: (-one[1], one[0]))[:most]
    candidates = tuple(
        Candidate(plate, math.log(total / len(newest)) if total > 0 else -math.inf) for plate, total in ordered
    )
    return Reading(candidates, len(newest), sum(look.best == candidates[0].plate for look in newest))


class Match(NamedTuple):
    """A registered plate that is meant, and why."""

    plate: str
    how: Literal["exact", "among"]


def match(register: Container[str], reading: Reading) -> Match | None:
    """The registered plate that this reading means; None where it means none.

    `among`: nothing can be believed for itself, and it is among the n best within a factor of ten of the best.
    """
    if reading.apart:
        return Match(reading.best, "exact") if reading.best in register else None
    least = reading.log_p - math.log(FACTOR)
    for plate, log_p in reading.candidates:
        if log_p < least or log_p <= LIKELY - math.log(FACTOR):
            break
        if plate in register:
            return Match(plate, "among")
    return None
