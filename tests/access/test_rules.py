"""Examples a person would tell; then what may never happen, over any history."""

from __future__ import annotations

from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.access import events
from gateway.access.rules import lock as lock_rules
from gateway.access.rules import passage as passage_rules
from gateway.access.rules.door import (
    Contact,
    Door,
    Effect,
    ExitButton,
    Fire,
    Given,
    Grant,
    HoldReleased,
    Order,
    Refusal,
    RestLock,
    Show,
    Unlock,
)
from gateway.access.rules.lock import FIRES, OPENINGS, Lock, Mode, Phase, Turn
from gateway.access.rules.passage import OPEN, Leaf, Passage, Sign
from gateway.clock import Now
from gateway.machine import Answer, Expired, LineFault, Note, Tick, UnknownInput

START = datetime(2026, 11, 24, 2, 0, tzinfo=UTC)


def at(mono: float) -> Now:
    return Now(mono, mono, START + timedelta(seconds=mono))


def door(
    lock: lock_rules.Settings | None = None, mode: Mode = Mode.NORMAL, *, leaf: Leaf = Leaf.CLOSED, fire: bool = False
) -> Door:
    return Door(
        "main",
        lock_rules.restored(lock or lock_rules.Settings(), mode, fire=fire),
        Passage(passage_rules.Settings(), leaf),
    )


@dataclass
class Bench:
    """Plays a history; remembers what the wire does and what is noted."""

    door: Door
    now: float = 0.0
    energised: bool = False
    energised_until: float | None = None
    notes: list[str] = field(default_factory=list)
    shown: list[str] = field(default_factory=list)
    answers: list[Answer] = field(default_factory=list)

    def give(self, given: Given) -> tuple[Effect, ...]:
        self.door, effects = self.door.advance(given, at(self.now))
        for effect in effects:
            match effect:
                case Unlock(seconds):
                    self.energised, self.energised_until = True, self.now + seconds
                case HoldReleased():
                    self.energised, self.energised_until = True, None
                case RestLock():
                    self.energised, self.energised_until = False, None
                case Note(event):
                    self.notes.append(event.type_name())
                case Show(what):
                    self.shown.append(what)
                case Answer():
                    self.answers.append(effect)
        return effects

    def wait(self, seconds: float) -> None:
        """Let time pass; deadlines fire when they are due."""
        until = self.now + seconds
        while self.door.deadline is not None and self.door.deadline <= until:
            self.now = max(self.now, self.door.deadline)
            self.give(Expired())
        self.now = until


def assert_energised(bench: Bench, wanted: bool) -> None:
    """Compares in a call of its own: mypy would carry `assert bench.energised` past the next input."""
    assert bench.energised is wanted


# --- examples


def test_a_resident_comes_home() -> None:
    bench = Bench(door())
    effects = bench.give(Grant("face", person="p1", distance=0.3, threshold=0.45))
    assert effects[0] == Unlock(5.0), "the relay moves before anything is noted"
    assert bench.shown == ["granted"]
    bench.wait(1)
    bench.give(Contact(opened=True))
    assert not bench.energised, "a momentary lock is locked again as soon as the leaf opens"
    bench.wait(2)
    bench.give(Contact(opened=False))
    assert bench.notes == ["door.opened.v1", "door.passed.v1"]


def test_a_grant_that_nobody_uses_ends() -> None:
    bench = Bench(door())
    bench.give(Grant("face", person="p1"))
    bench.wait(4.9)
    assert_energised(bench, True)
    bench.wait(0.2)
    assert_energised(bench, False)


def test_a_maintained_lock_waits_for_the_leaf() -> None:
    bench = Bench(door(lock_rules.Settings(open_for=5, max_on=20, maintained=True)))
    bench.give(Grant("face", person="p1"))
    bench.wait(3)
    bench.give(Contact(opened=True))
    bench.wait(6)
    assert_energised(bench, True)
    bench.give(Contact(opened=False))
    assert_energised(bench, False)


def test_a_maintained_lock_is_bounded_when_the_leaf_never_closes() -> None:
    bench = Bench(door(lock_rules.Settings(open_for=5, max_on=20, maintained=True)))
    bench.give(Grant("face", person="p1"))
    bench.give(Contact(opened=True))
    bench.wait(19.9)
    assert_energised(bench, True)
    bench.wait(0.2)
    assert_energised(bench, False)


def test_a_forced_door_is_told_after_half_a_second_without_a_reason() -> None:
    bench = Bench(door())
    bench.give(Contact(opened=True))
    assert bench.notes == []
    bench.wait(0.6)
    assert bench.notes == ["door.forced.v1"]
    assert bench.shown == ["warn"]
    bench.give(Contact(opened=False))
    assert bench.notes[-1] == "door.forced_ended.v1"
    assert bench.shown[-1] == "hush"


def test_the_exit_buttons_edge_may_come_after_the_contacts() -> None:
    bench = Bench(door())
    bench.give(Contact(opened=True))
    bench.wait(0.1)
    bench.give(ExitButton(pressed=True))
    bench.wait(5)
    assert "door.forced.v1" not in bench.notes


def test_a_door_held_open_warns_first() -> None:
    bench = Bench(door())
    bench.give(ExitButton(pressed=True))
    bench.give(Contact(opened=True))
    bench.wait(19.9)
    assert "warn" not in bench.shown
    bench.wait(0.2)
    assert bench.shown[-1] == "warn"
    assert "door.held_open.v1" not in bench.notes
    bench.wait(10)
    assert bench.notes[-1] == "door.held_open.v1"
    bench.give(Contact(opened=False))
    assert bench.notes[-1] == "door.held_open_ended.v1"


def test_fire_releases_and_the_mode_in_force_comes_back() -> None:
    bench = Bench(door(mode=Mode.BLOCKED))
    bench.give(Fire(active=True))
    assert_energised(bench, True)
    bench.wait(3600)
    assert_energised(bench, True)
    bench.give(Fire(active=False))
    assert_energised(bench, False)
    assert bench.door.lock.mode is Mode.BLOCKED
    assert bench.notes == ["door.fire.v1", "door.fire.v1"]


def test_an_order_during_a_fire_is_remembered_not_lost() -> None:
    bench = Bench(door())
    bench.give(Fire(active=True))
    bench.give(Order(Mode.BLOCKED, token=7))
    assert_energised(bench, True)
    assert bench.answers == [Answer(7, done=True)]
    bench.give(Fire(active=False))
    assert bench.door.lock.phase is Phase.BLOCKED


def test_a_blocked_door_refuses_a_face_and_lets_people_out() -> None:
    bench = Bench(door(mode=Mode.BLOCKED))
    bench.give(Grant("command", actor="uid:0", token=3))
    assert bench.answers == [Answer(3, done=False, code="blocked")]
    assert_energised(bench, False)
    assert bench.notes == ["door.refused.v1"]
    bench.give(ExitButton(pressed=True))
    assert_energised(bench, True)
    bench.wait(6)
    assert bench.door.lock.phase is Phase.BLOCKED


def test_a_chattering_exit_button_opens_once() -> None:
    bench = Bench(door())
    for _ in range(2000):
        bench.give(ExitButton(pressed=True))
        bench.wait(0.005)
        bench.give(ExitButton(pressed=False))
        bench.wait(0.005)
    assert bench.notes.count("door.opened.v1") == 1
    assert_energised(bench, False)


def test_a_press_that_comes_too_soon_counts_when_it_is_held() -> None:
    bench = Bench(door())
    bench.give(ExitButton(pressed=False))  # a movement a moment ago: a late edge, a bounce
    bench.wait(0.1)
    bench.give(ExitButton(pressed=True))
    bench.give(ExitButton(pressed=True))  # told twice: by the edge and by a look at the level
    assert bench.notes == []
    bench.wait(0.4)
    assert bench.notes == ["door.opened.v1"]
    assert_energised(bench, True)
    bench.wait(60)
    assert bench.notes == ["door.opened.v1"], "one press, however long it is held"


def test_a_refusal_is_shown_and_noted_and_moves_nothing() -> None:
    bench = Bench(door())
    effects = bench.give(Refusal("face", "no_match", distance=0.7))
    assert bench.notes == ["door.refused.v1"]
    assert not any(isinstance(effect, (Unlock, HoldReleased, RestLock)) for effect in effects)


def test_a_guest_behind_a_resident_is_noted_and_not_turned_away() -> None:
    bench = Bench(door())
    bench.give(Grant("face", person="p1", distance=0.3, threshold=0.4))
    bench.give(Refusal("face", "no_match", distance=0.7))
    assert bench.notes == ["door.opened.v1", "door.refused.v1"]
    assert bench.shown == ["granted"]
    bench.wait(60)
    bench.give(Refusal("face", "no_match", distance=0.7))
    assert bench.shown[-1] == "denied"


def test_a_door_whose_contact_is_gone_is_unknown_not_closed() -> None:
    bench = Bench(door())
    bench.give(Contact(opened=None))
    assert bench.door.passage.leaf is Leaf.UNKNOWN
    bench.give(Contact(opened=True))
    assert bench.door.open is True
    bench.wait(1)
    assert "door.forced.v1" not in bench.notes, "nobody saw it open"


def test_a_line_fault_is_told_once_and_its_end_too() -> None:
    bench = Bench(door())
    for _ in range(3):
        bench.give(LineFault("contact", "line.gone"))
    bench.give(LineFault("contact", gone=False))
    assert bench.notes == ["door.line_fault.v1", "door.line_fault.v1"]
    assert bench.shown == ["fault", "well"]


def test_something_that_is_no_input_is_unknown() -> None:
    with pytest.raises(UnknownInput):
        door().advance("open sesame", at(0))  # type: ignore[arg-type]


# --- what may never happen

GIVEN = st.one_of(
    st.builds(Grant, by=st.sampled_from(["face", "command"]), token=st.integers(0, 3)),
    st.builds(Refusal, by=st.just("face"), code=st.sampled_from(["no_match", "expired"])),
    st.builds(Order, mode=st.sampled_from(Mode)),
    st.builds(ExitButton, pressed=st.booleans()),
    st.builds(Contact, opened=st.one_of(st.none(), st.booleans())),
    st.builds(Fire, active=st.booleans()),
    st.builds(LineFault, line=st.sampled_from(["lock", "contact"]), gone=st.booleans()),
    st.just(Tick()),
    st.just(Expired()),
)
SETTINGS = st.builds(
    lock_rules.Settings,
    open_for=st.floats(0.5, 20),
    max_on=st.floats(0.5, 20),
    maintained=st.booleans(),
    relock_on_open=st.booleans(),
)
#: Most histories are a person's: open, walk through; the rest is everything else.
PASSING = st.sampled_from([Grant("face"), ExitButton(pressed=True), Contact(opened=True), Contact(opened=False)])
PAUSE = st.one_of(st.sampled_from([0.0, 0.1, 1.0]), st.floats(0, 30))
HISTORY = st.lists(st.tuples(st.one_of(PASSING, GIVEN), PAUSE), max_size=60)


def test_every_phase_knows_every_turn_and_every_leaf_every_sign() -> None:
    for phase in Phase:
        wanted = set(Turn) - (set() if phase in OPENINGS else {Turn.EXPIRED})
        assert set(lock_rules.TABLE[phase]) == wanted, phase
    timed = {Leaf.DOUBTFUL, Leaf.PASSING, Leaf.WARNING}
    for leaf in Leaf:
        assert set(passage_rules.TABLE[leaf]) == set(Sign) - (set() if leaf in timed else {Sign.EXPIRED}), leaf


@settings(max_examples=1500, deadline=None)
@given(HISTORY, SETTINGS, st.sampled_from(Mode), st.booleans())
def test_whatever_happens(
    history: list[tuple[Given, float]], built: lock_rules.Settings, mode: Mode, fire: bool
) -> None:
    bench = Bench(door(built, mode, fire=fire))
    bench.energised = bench.door.lock.released
    for given_input, pause in history:
        before = bench.door
        effects = bench.give(given_input)
        promises(before, bench, given_input, effects)
        bench.wait(pause)
        assert bench.energised == bench.door.lock.released
        if bench.door.deadline is not None:
            assert bench.door.deadline > bench.now, "a deadline that has passed is never left waiting"


def promises(before: Door, bench: Bench, given_input: Given, effects: tuple[Effect, ...]) -> None:
    lock = bench.door.lock
    assert bench.energised == lock.released, "the wire follows the machine"
    assert lock.released or lock.phase not in FIRES, "fire releases"
    if lock.phase in OPENINGS:
        assert lock.deadline is not None
        assert lock.deadline <= lock.began + lock.settings.max_on + 1e-9, "one opening is bounded, whatever arrives"
        assert bench.energised_until == pytest.approx(lock.deadline), "the wire ends when the machine does"
    moved_open = not before.lock.released and lock.released
    if moved_open:
        held = isinstance(given_input, Expired) and before.exit_due is not None
        assert held or isinstance(given_input, (Grant, ExitButton, Order, Fire)), "nothing else opens a door"
    if isinstance(given_input, Grant) and before.lock.mode is Mode.BLOCKED and before.lock.phase not in FIRES:
        assert bench.energised == before.lock.released, "a blocked door opens for no grant"
    if isinstance(given_input, Order) and given_input.mode is Mode.BLOCKED and lock.phase not in FIRES:
        assert not bench.energised or before.lock.phase is Phase.BLOCKED_OPENING
    noted = [effect.event for effect in effects if isinstance(effect, Note)]
    outputs = [i for i, e in enumerate(effects) if isinstance(e, (Unlock, HoldReleased, RestLock))]
    notes = [i for i, e in enumerate(effects) if isinstance(e, Note)]
    assert not outputs or not notes or max(outputs) < min(notes), "outputs first, notes afterwards"
    if any(isinstance(event, events.DoorForced) for event in noted):
        assert not before.lock.released or before.passage.leaf is Leaf.DOUBTFUL


@settings(max_examples=300, deadline=None)
@given(st.lists(st.tuples(GIVEN, st.floats(0, 8)), max_size=40))
def test_the_buzzer_is_silent_once_the_leaf_is_closed(history: list[tuple[Given, float]]) -> None:
    bench = Bench(door())
    for given_input, pause in history:
        bench.give(given_input)
        bench.wait(pause)
    bench.wait(1)
    bench.give(Contact(opened=True))
    bench.give(Contact(opened=False))
    sounds = [what for what in bench.shown if what in {"warn", "hush"}]
    assert bench.door.passage.leaf not in OPEN
    assert not sounds or sounds[-1] == "hush"


@settings(max_examples=300)
@given(st.sampled_from(Mode), st.booleans(), SETTINGS)
def test_a_start_comes_from_what_is_sensed_and_stored(mode: Mode, fire: bool, built: lock_rules.Settings) -> None:
    lock: Lock = lock_rules.restored(built, mode, fire=fire)
    assert lock.mode is mode
    assert lock.released == (fire or mode is Mode.HELD)
