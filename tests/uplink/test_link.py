"""The connection's machine: dials, rests, watches, pauses; total over every input in every phase."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.uplink.session import (
    Acked,
    Due,
    Effect,
    Failed,
    Link,
    LinkInput,
    Opened,
    Pause,
    Phase,
    Resume,
    Sent,
    backoff,
)

INPUTS: st.SearchStrategy[LinkInput] = st.one_of(
    st.just(Due()), st.just(Opened()), st.just(Sent()), st.just(Pause()), st.just(Resume()),
    st.builds(Acked, st.integers(0, 3), st.booleans()),
    st.builds(Failed, st.floats(0, 0.999), st.booleans(), st.booleans()),
)  # fmt: skip


def online(now: float = 0.0) -> Link:
    link, effects = Link(brokers=1).advance(Due(), now)
    assert effects == (Effect.DIAL,)
    link, effects = link.advance(Opened(), now)
    assert effects == (Effect.BIRTH,)
    return link


@given(st.lists(st.tuples(INPUTS, st.floats(0, 50)), max_size=60), st.sampled_from(["5", "3.1.1", "auto"]))
def test_whatever_comes_it_waits_for_something_or_a_person(
    history: list[tuple[LinkInput, float]], protocol: str
) -> None:
    link, now = Link(brokers=2, protocol=protocol, backoff_max=20), 0.0  # type: ignore[arg-type]
    for given_input, pause in history:
        now += pause
        link, effects = link.advance(given_input, now)
        assert link.version in ((5,) if protocol == "5" else (4,) if protocol == "3.1.1" else (4, 5))
        assert (Effect.DIAL in effects) <= (link.phase is Phase.DIALLING)
        if link.phase is Phase.RESTING:
            assert link.deadline is not None
            assert link.deadline <= now + 20
        if link.phase is Phase.ONLINE and Effect.HANG_UP not in effects:
            assert link.deadline is None or link.deadline <= now + link.state_every


def test_the_ceiling_doubles_and_the_wait_is_a_random_part_of_it() -> None:
    assert [backoff(failures, 0.5, 60) for failures in range(8)] == [0.5, 1, 2, 4, 8, 16, 30, 30]
    assert backoff(10_000, 0.999, 60) < 60


def test_only_a_puback_with_success_ends_a_row_of_failures() -> None:
    link = Link(brokers=1)
    for _ in range(4):
        link, _ = link.advance(Due(), 0)
        link, _ = link.advance(Opened(), 0)
        link, _ = link.advance(Acked(0, success=False), 0)
        link, _ = link.advance(Failed(0.0), 0)
    assert link.failures == 4
    link, _ = link.advance(Due(), 0)
    link, _ = link.advance(Opened(), 0)
    link, _ = link.advance(Acked(0), 0)
    assert link.failures == 0


def test_the_watchdog_hangs_up_on_a_broker_that_acknowledges_nothing() -> None:
    link = online()
    link, _ = link.advance(Sent(), 10)
    assert link.deadline == 40
    link, _ = link.advance(Sent(), 30)
    assert link.deadline == 40  # a later message does not put it off
    link, effects = link.advance(Due(), 40)
    assert effects == (Effect.HANG_UP,)


def test_the_watchdog_is_put_off_by_progress_and_off_when_nothing_is_due() -> None:
    link = online()
    link, _ = link.advance(Sent(), 10)
    link, _ = link.advance(Acked(3), 39)
    assert link.deadline == 69
    link, _ = link.advance(Acked(0), 50)
    assert link.deadline == 120
    link, effects = link.advance(Due(), 120)
    assert effects == (Effect.STATE,)


def test_a_broker_that_does_not_speak_5_is_dialled_at_once_with_3_1_1() -> None:
    link, _ = Link(brokers=1).advance(Due(), 5)
    assert link.version == 5
    link, _ = link.advance(Failed(0.9, unsupported=True), 5)
    assert (link.version, link.deadline, link.failures) == (4, 5, 0)


def test_after_silence_the_other_version_is_tried_and_then_the_next_broker() -> None:
    link = Link(brokers=2)
    tried = []
    for _ in range(4):
        link, _ = link.advance(Due(), 0)
        tried.append((link.broker, link.version))
        link, _ = link.advance(Failed(0.0, silent=True), 0)
    assert tried == [(0, 5), (0, 4), (1, 5), (1, 4)]


@pytest.mark.parametrize("protocol", ["5", "3.1.1"])
def test_a_configured_version_is_kept(protocol: str) -> None:
    link, _ = Link(brokers=1, protocol=protocol).advance(Due(), 0)  # type: ignore[arg-type]
    before = link.version
    link, _ = link.advance(Failed(0.5, unsupported=True), 0)
    assert link.version == before


def test_a_pause_hangs_up_and_nothing_but_a_person_ends_it() -> None:
    link, effects = online().advance(Pause(), 1)
    assert effects == (Effect.HANG_UP,)
    for given_input in (Failed(0.5), Due(), Opened(), Acked(1)):
        link, effects = link.advance(given_input, 2)
        assert (link.phase, link.deadline, effects) == (Phase.PAUSED, None, ())
    link, _ = link.advance(Resume(), 3)
    assert (link.phase, link.deadline) == (Phase.RESTING, 3)


def test_a_person_may_end_a_rest() -> None:
    now = 7.0
    link, _ = Link(brokers=1, failures=9).advance(Due(), now)
    link, _ = link.advance(Failed(0.9), now)
    assert link.deadline is not None
    assert link.deadline > now + 1
    link, _ = link.advance(Resume(), now + 1)
    assert (link.phase, link.deadline, link.failures) == (Phase.RESTING, now + 1, 0)
