"""May this person pass this door now? A question, not a history: a function over a snapshot.

Pure. The answer always has a reason, as a stable code and in words; `loumen door explain` prints it.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from datetime import datetime
from typing import Protocol

from drivers.errors import N_
from gateway.clock import Now

#: Above this distance nothing opens, whatever a vision process claims: on passport-like pictures none of 76,833
#: pairs of strangers was nearer, and at face_recognition's own tolerance of 0.6 1.8 % were (measured).
HARD_CEILING = 0.45
#: A match older than this is not the person who stands there now. Seconds.
STALE = 3.0


class Rights(Protocol):
    """What the directory knows of one person."""

    @property
    def active(self) -> bool: ...
    @property
    def valid_from(self) -> datetime | None: ...
    @property
    def valid_until(self) -> datetime | None: ...
    @property
    def doors(self) -> AbstractSet[str]: ...
    @property
    def face(self) -> bool: ...


class Snapshot(Protocol):
    """The directory at one moment."""

    def person(self, person: str) -> Rights | None: ...


class _Nobody:
    """A directory that is not there yet."""

    def person(self, person: str) -> Rights | None:  # noqa: ARG002  (nobody, whoever is asked for)
        return None


NOBODY = _Nobody()


@dataclass(frozen=True, slots=True)
class Decision:
    """Yes or no, and why."""

    granted: bool
    code: str

    @property
    def reason(self) -> str:
        """A message id."""
        return REASONS[self.code]


REASONS = {
    "ok": N_("may pass"),
    "ok_clock": N_("may pass; the clock is not trusted, so validity dates were not checked"),
    "unknown": N_("nobody with this id is in the directory"),
    "inactive": N_("the person is suspended"),
    "other_door": N_("the person may not pass this door"),
    "not_yet": N_("the person's validity has not begun"),
    "expired": N_("the person's validity has ended"),
    "no_match": N_("the face is nobody's who may pass here"),
    "stale": N_("the match came too late"),
    "few_frames": N_("too few frames of the face were pooled"),
    "no_consent": N_("the person's consent to be compared was taken back"),
    "blocked": N_("the door is locked down"),
}


def may_pass(snapshot: Snapshot, person: str, door: str, now: Now) -> Decision:
    """Whether `person` may pass `door` at `now`.

    Where the clock is not trusted, validity dates are not judged: a flat clock battery must not
    shut out a valid resident. The event says so.
    """
    rights = snapshot.person(person)
    if rights is None:
        return Decision(False, "unknown")
    if not rights.active:
        return Decision(False, "inactive")
    if door not in rights.doors and "*" not in rights.doors:
        return Decision(False, "other_door")
    bounded = rights.valid_from is not None or rights.valid_until is not None
    if bounded and not now.trusted:
        return Decision(True, "ok_clock")
    if rights.valid_from is not None and now.wall < rights.valid_from:
        return Decision(False, "not_yet")
    if rights.valid_until is not None and now.wall >= rights.valid_until:
        return Decision(False, "expired")
    return Decision(True, "ok")


@dataclass(frozen=True, slots=True)
class Match:
    """What the vision process says of one face in one track."""

    person: str  # the nearest, or "" for an empty gallery
    distance: float
    threshold: float
    frames: int
    at: float  # monotonic seconds of the newest frame


def may_pass_by_face(snapshot: Snapshot, match: Match, door: str, needed_frames: int, now: Now) -> Decision:
    """Whether a face opens `door`: the match is good, fresh and pooled, and its person may pass.

    The vision process compares; it does not decide. Its threshold is believed only below HARD_CEILING.
    """
    if not match.person or not match.distance <= min(match.threshold, HARD_CEILING):
        return Decision(False, "no_match")
    if match.frames < needed_frames:
        return Decision(False, "few_frames")
    if not -STALE <= now.mono - match.at <= STALE:
        return Decision(False, "stale")
    rights = snapshot.person(match.person)
    if rights is not None and not rights.face:
        return Decision(False, "no_consent")  # from a gallery made before she took it back
    return may_pass(snapshot, match.person, door, now)
