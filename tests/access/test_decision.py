"""May this person pass this door now? Each answer has a reason."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.access.decision import HARD_CEILING, NOBODY, REASONS, STALE, Match, may_pass, may_pass_by_face
from gateway.clock import Now
from tests.access.test_service import People, Person

WALL = datetime(2026, 11, 24, 12, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
NOW = Now(100.0, 100.0, WALL)
UNTRUSTED = Now(100.0, 100.0, WALL, trusted=False)


def match(
    person: str = "p", distance: float = 0.3, threshold: float = 0.42, frames: int = 3, at: float = 99.5
) -> Match:
    return Match(person, distance, threshold, frames, at)


@pytest.mark.parametrize(
    ("person", "now", "code"),
    [
        (Person(), NOW, "ok"),
        (Person(active=False), NOW, "inactive"),
        (Person(doors=frozenset({"side"})), NOW, "other_door"),
        (Person(doors=frozenset({"*"})), NOW, "ok"),
        (Person(valid_from=WALL + HOUR), NOW, "not_yet"),
        (Person(valid_until=WALL - HOUR), NOW, "expired"),
        (Person(valid_until=WALL), NOW, "expired"),
        (Person(valid_from=WALL - HOUR, valid_until=WALL + HOUR), NOW, "ok"),
        (Person(valid_until=WALL - HOUR), UNTRUSTED, "ok_clock"),
        (Person(), UNTRUSTED, "ok"),
    ],
)
def test_who_may_pass(person: Person, now: Now, code: str) -> None:
    decision = may_pass(People({"p": person}), "p", "main", now)
    assert decision.code == code
    assert decision.granted == code.startswith("ok")
    assert decision.reason == REASONS[code]


def test_nobody_passes_before_the_directory_is_there() -> None:
    assert may_pass(NOBODY, "p", "main", NOW).code == "unknown"


@pytest.mark.parametrize(
    ("seen", "code"),
    [
        (match(), "ok"),
        (match(distance=0.43), "no_match"),
        (match(distance=float("nan")), "no_match"),
        (match(distance=0.46, threshold=9.0), "no_match"),
        (match(person=""), "no_match"),
        (match(frames=2), "few_frames"),
        (match(at=100.0 - STALE - 0.1), "stale"),
        (match(at=100.0 + STALE + 0.1), "stale"),
        (match(person="stranger"), "unknown"),
    ],
)
def test_faces(seen: Match, code: str) -> None:
    assert may_pass_by_face(People({"p": Person()}), seen, "main", 3, NOW).code == code


def test_a_face_whose_consent_was_taken_back_opens_nothing() -> None:
    assert may_pass_by_face(People({"p": Person(face=False)}), match(), "main", 3, NOW).code == "no_consent"


@given(st.floats(), st.floats(), st.integers(-5, 20), st.floats())
def test_whatever_a_vision_process_says_a_far_face_opens_nothing(
    distance: float, threshold: float, frames: int, at: float
) -> None:
    decision = may_pass_by_face(People({"p": Person()}), match("p", distance, threshold, frames, at), "main", 3, NOW)
    assert not decision.granted or (distance <= min(threshold, HARD_CEILING) and frames >= 3 and abs(100 - at) <= STALE)
