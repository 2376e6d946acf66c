"""A lane that is played: the same rules, a drive that moves an arm, stories as people write them, with mistakes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.cli.simulate import HAPPENS
from gateway.errors import BadRequest
from gateway.journal.event import Event
from gateway.lanes import events, why
from gateway.lanes.rules.arm import Settings
from gateway.lanes.rules.start import Fitted
from gateway.lanes.simulate import Row, Simulation, Step
from gateway.lanes.story import STORIES, WORDS, Kept, from_events, parsed

BUILT = Fitted(Settings(travel=8, close_after=2, stay_open=20), 600.0, loop=True, beam=True)


def played(*story: str, fitted: Fitted = BUILT, takes: float = 4.0) -> list[Row]:
    return list(Simulation("gate", fitted, takes).play(parsed(story)))


def pulses(rows: list[Row]) -> list[tuple[float, str]]:
    return [(row.at, pulse) for row in rows for pulse in row.pulses]


def told(rows: list[Row]) -> list[str]:
    return [event.type_name() for row in rows for event in row.events]


def test_a_car_comes_home() -> None:
    rows = played("plate", "+6 loop occupied", "+3 loop free")
    assert pulses(rows) == [(0.0, "open"), (11.0, "close")]
    assert told(rows) == ["lane.raised.v1", "lane.passed.v1", "lane.lowered.v1"]
    assert (rows[-1].at, rows[-1].motion) == (15.0, "down")


def test_why_it_stays_up_is_told() -> None:
    def at_the_end(*story: str, fitted: Fitted = BUILT) -> str:
        return played(*story, fitted=fitted)[-1].why.text

    assert at_the_end("plate", "+6 loop occupied") == why.LOOP_SAYS["occupied"]
    assert at_the_end("plate", "+6 loop cut") == why.LOOP_SAYS["silent"]
    assert at_the_end("plate", "+6 photocell occupied") == why.BEAM_SAYS["occupied"]
    assert at_the_end("plate", "+6 fire on") == why.FIRE
    assert at_the_end("plate", "+6 hold") == why.HELD
    assert at_the_end("arm halfway") == why.LOST
    assert at_the_end("limit_up on") == why.LIMITS
    blind = ["plate", "+6 loop occupied", "+2 loop free", "+1 plate"] * 3
    assert why.BEAM_SAYS["blind"] in [row.why.text for row in played(*blind)]
    assert at_the_end("plate", fitted=Fitted(BUILT.arm, 600.0, loop=False, beam=False)) == why.NO_SENSOR
    assert why.LOOP_SAYS["restless"] in [row.why.text for row in played("plate", "+6 loop rattle")]


def test_whoever_steps_under_it_and_an_arm_that_jams() -> None:
    under = played(*STORIES["under"].splitlines())
    assert [pulse for _, pulse in pulses(under)] == ["open", "close", "stop", "open", "close"]
    assert "lane.reversed.v1" in told(under)
    jam = played(*STORIES["jam"].splitlines())
    assert told(jam)[:2] == ["lane.raised.v1", "lane.late.v1"]
    late = played("plate", takes=9.0)
    assert told(late)[1] == "lane.late.v1", "an arm that is slower than its travel time"


def test_a_limit_switch_that_never_closes_is_a_late_arm() -> None:
    rows = played("limit_up off", "plate")
    assert told(rows)[:2] == ["lane.raised.v1", "lane.late.v1"]


def test_a_restart_closes_nothing_and_forgets_no_order() -> None:
    rows = played("plate", "+6 hold", "+5 restart", "+60 release")
    assert [pulse for _, pulse in pulses(rows)] == ["open", "close"]
    assert pulses(rows)[1][0] == 91.0


@pytest.mark.parametrize("story", STORIES)
def test_every_known_story_ends_with_an_arm_that_is_down_or_told_why_not(story: str) -> None:
    rows = played(*STORIES[story].splitlines())
    assert rows[-1].motion == "down" or rows[-1].why.text


def test_words_are_chinese_too() -> None:
    assert parsed(["车牌", "+5 地感 有车", "+1 光电 断线", "+1 消防 报警", "杆 卡住", "# 只是说明", ""]) == [
        Step(0.0, "plate"),
        Step(5.0, "loop", "occupied"),
        Step(6.0, "photocell", "cut"),
        Step(7.0, "fire", "on"),
        Step(7.0, "arm", "jams"),
    ]


@pytest.mark.parametrize(
    ("lines", "where", "what"),
    [
        (["plate", "5 lop occupied"], "s:2", "lop"),
        (["loop"], "s:1", "not followed"),
        (["loop sideways"], "s:1", "sideways"),
        (["plate 京A12345"], "s:1", "not followed"),
        (["5 plate", "3 loop free"], "s:2", "before the line above"),
        (["99999999 plate"], "s:1", "beyond a day"),
        (["plate"] * 1001, "s:1001", "at most"),
        (["++5 plate"], "s:1", "does not happen"),
    ],
)
def test_what_is_wrong_with_a_story_is_told_with_its_line(lines: list[str], where: str, what: str) -> None:
    with pytest.raises(BadRequest) as told:
        parsed(lines, "s")
    assert told.value.where == where
    assert what in told.value.render()


def test_everything_that_may_happen_has_a_name() -> None:
    assert {f"{what} {how}".strip() for what, ways in WORDS.items() for how in (ways or ("",))} <= set(HAPPENS)


STEPS = st.lists(
    st.tuples(
        st.sampled_from([(what, how) for what, ways in WORDS.items() for how in (ways or ("",))]),
        st.sampled_from([0.0, 0.1, 1.0, 4.0, 8.0, 30.0]),
    ),
    max_size=25,
)


@settings(max_examples=200, deadline=None)
@given(STEPS, st.booleans(), st.booleans(), st.booleans())
def test_no_story_closes_on_anybody_or_never_ends(
    story: list[tuple[tuple[str, str], float]], loop: bool, beam: bool, limits: bool
) -> None:
    fitted = Fitted(Settings(travel=8, close_after=2, stay_open=20, limits=limits), 60.0, loop=loop, beam=beam)
    at, steps = 0.0, []
    for (what, how), pause in story:
        at += pause
        steps.append(Step(at, what, how))
    simulation = Simulation("gate", fitted, 4.0)
    for row in simulation.play(steps):
        if "close" in row.pulses:
            assert loop or beam
            assert not loop or simulation.occupied is False
            assert not beam or simulation.clear is True
            assert not simulation.fire
        assert " ".join(filter(None, (row.what, row.how))) in HAPPENS


# --- from the journal

BEGAN = datetime(2026, 11, 24, 8, tzinfo=UTC)


def kept(*journal: tuple[float, Event]) -> list[Kept]:
    rows = [
        Kept(event.type_name(), BEGAN + timedelta(seconds=at), msgspec.Raw(msgspec.json.encode(event)))
        for at, event in journal
    ]
    return msgspec.json.decode(msgspec.json.encode(rows), type=list[Kept])


def test_the_last_passage_is_played_again() -> None:
    rows = kept(
        (-500, events.LaneRaised(lane="gate", by="button")),
        (-1, events.LaneRaised(lane="side", by="button")),
        (0, events.LaneRaised(lane="gate", by="plate", vehicle="v1")),
        (9, events.LanePassed(lane="gate", seconds=3.0)),
        (11.5, events.LaneReversed(lane="gate", because="photocell")),
        (20, events.LaneLowered(lane="gate", passed=1, sensed=True)),
        (30, events.VehicleRemoved(vehicle="v1")),
        (31, events.LaneMachineFault(lane="gate", given="x", state="y")),
    )
    passage = from_events(rows, "gate", counts="loop")
    assert [(step.at, step.what, step.how) for step in passage.steps] == [
        (0.0, "plate", ""),
        (6.0, "loop", "occupied"),
        (9.0, "loop", "free"),
        (11.5, "photocell", "occupied"),
        (12.5, "photocell", "free"),
    ]
    assert passage.left_out == ("lane.machine_fault.v1",)
    again = told(list(Simulation("gate", BUILT, 4.0).play(passage.steps)))
    assert again == ["lane.raised.v1", "lane.passed.v1", "lane.reversed.v1", "lane.lowered.v1"]


@pytest.mark.parametrize("seconds", [0.3, 2.5])
def test_a_car_that_reversed_the_arm_is_one_car(seconds: float) -> None:
    """The journal tells of the reversal, and of the car when it has left; or only of the reversal, by a short touch."""
    begun, reversed_ = events.LaneRaised(lane="gate", by="button"), events.LaneReversed(lane="gate", because="loop")
    passed = events.LanePassed(lane="gate", seconds=seconds)
    lowered = events.LaneLowered(lane="gate", passed=1, sensed=True)
    for rows in (
        kept((0, begun), (25, reversed_), (25 + seconds, passed), (35, lowered)),
        kept((0, begun), (25, reversed_), (50, lowered)),
    ):
        passage = from_events(rows, "gate", counts="loop")
        again = told(list(Simulation("gate", BUILT, 4.0).play(passage.steps)))
        assert sorted(again) == sorted(event.type_name() for _, event in passage.told)


def test_events_without_an_opening_and_events_that_are_none() -> None:
    with pytest.raises(BadRequest, match="no opening"):
        from_events(kept((0, events.LanePassed(lane="gate", seconds=1.0))), "gate", counts="loop")
    broken = [Kept("lane.raised.v1", BEGAN, msgspec.Raw(b'{"lane": 5}'))]
    with pytest.raises(BadRequest, match="no event of a lane"):
        from_events(broken, "gate", counts="loop")
    removed = [Kept("lane.raised.v1", BEGAN), Kept("door.opened.v1", BEGAN, msgspec.Raw(b"{}"))]
    with pytest.raises(BadRequest, match="no opening"):
        from_events(removed, "gate", counts="loop")
