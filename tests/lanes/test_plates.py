"""How plates are written, what may be on a car, and who is meant by a reading."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.errors import BadRequest
from gateway.lanes import plates
from gateway.lanes.plates import Candidate, Reading, following, match, normal, parse, vote

ORDINARY = st.builds(
    "{}{}{}".format,
    st.sampled_from(plates.PROVINCES),
    st.sampled_from(plates.CITIES),
    st.text(plates.DIGITS + plates.LETTERS, min_size=5, max_size=5),
)
TAILED = st.builds(lambda plate, tail: plate[:6] + tail, ORDINARY, st.sampled_from(plates.TAILS))
SMALL = st.builds(
    "{}{}{}{}{}".format,
    st.sampled_from(plates.PROVINCES),
    st.sampled_from(plates.CITIES),
    st.sampled_from(plates.NEW_ENERGY),
    st.sampled_from(plates.DIGITS + plates.LETTERS),
    st.text(plates.DIGITS, min_size=4, max_size=4),
)
LARGE = st.builds(
    "{}{}{}{}".format,
    st.sampled_from(plates.PROVINCES),
    st.sampled_from(plates.CITIES),
    st.text(plates.DIGITS, min_size=5, max_size=5),
    st.sampled_from(plates.NEW_ENERGY),
)
EMBASSY = st.builds(
    lambda number, before: f"使{number}" if before else f"{number}使",
    st.text(plates.DIGITS, min_size=6, max_size=6),
    st.booleans(),
)
RESCUE = st.builds(
    "{}{}{}应急".format,
    st.sampled_from(plates.PROVINCES),
    st.sampled_from(plates.RESCUERS),
    st.text(plates.DIGITS, min_size=4, max_size=4),
)
ARMED_POLICE = st.builds(
    "WJ{}{}{}".format,
    st.sampled_from(plates.PROVINCES),
    st.text(plates.DIGITS, min_size=4, max_size=4),
    st.sampled_from(plates.DIGITS + plates.LETTERS),
)
PLATES = st.one_of(ORDINARY, TAILED, SMALL, LARGE, EMBASSY, RESCUE, ARMED_POLICE)
LOG_P = st.floats(-20, 0)


def reading(*candidates: tuple[str, float]) -> Reading:
    return Reading(tuple(Candidate(*one) for one in candidates))


# --- how plates are written


@pytest.mark.parametrize(
    "typed",
    [
        "京A12345",
        "京A·12345",
        "京a·12345",
        "京A 123 45",
        "京A.12345",
        "京A•12345",
        " 京 A-1 2345 ",
        "京A・12345\n",
        "京Ａ・１２３４５",
        '="京A12345"',
        "'京A12345",
        "\ufeff京A\u200b12345",
    ],
)
def test_one_plate_however_it_is_typed(typed: str) -> None:
    assert parse(typed) == "京A12345"


def test_from_the_third_character_on_an_o_is_a_zero() -> None:
    assert parse("苏AHOG66") == "苏AH0G66"
    assert parse("粤OA91o2") == "粤OA9102"


@given(PLATES)
def test_every_kind_is_a_plate_and_its_own_normal_form(plate: str) -> None:
    assert plates.complete(plate)
    assert parse(plate) == plate
    assert parse(plates.shown(plate)) == plate
    assert parse(plates.shown(plate).lower()) == plate


@given(PLATES)
def test_the_grammar_leads_along_every_plate_and_ends(plate: str) -> None:
    for place, sign in enumerate(plate):
        assert sign in following(plate[:place])
    assert not following(plate) or len(plate) == 7


@given(st.text(max_size=12))
def test_whatever_is_typed_is_a_plate_or_told(typed: str) -> None:
    try:
        plate = parse(typed)
    except BadRequest as error:
        told = bool(error.mend and error.render())
    else:
        told = plates.complete(plate)
    assert told


@pytest.mark.parametrize(
    ("typed", "why"),
    [
        ("", "there is no plate"),
        ("A12345", "does not begin with a province"),
        ("京A1234", "has 6 characters"),
        ("京A1234567", "has 9 characters"),
        ("京A1I345", "letter I"),
        ("京112345", "digit where the city's letter stands"),
        ("京A123456", "no new energy car's"),
        ("京AF123D5", "no new energy car's"),
        ("京A挂1234", "no plate of a kind"),
        ("粤B1O3456", "no new energy car's"),
        ("粤0A9102", "digit where the city's letter stands"),
        ("VA12345", "does not begin with a province"),
        ("WJ12345", "no plate of a kind"),
        ("京X123应急", "no plate of a kind"),
    ],
)
def test_what_is_no_plate_is_told_with_a_mend(typed: str, why: str) -> None:
    with pytest.raises(BadRequest) as told:
        parse(typed)
    assert why in told.value.render()
    assert told.value.mend


def test_a_long_text_costs_nothing_and_is_refused() -> None:
    with pytest.raises(BadRequest):
        parse("京" * 1_000_000)


# --- what a reading means


def test_confident_is_likely_and_clear() -> None:
    assert reading(("京A12345", -0.1)).confident
    assert reading(("京A12345", -0.1), ("京A12346", -2.2)).confident
    assert not reading(("京A12345", -0.1), ("京A12346", -2.0)).confident
    assert not reading(("京A12345", -1.1)).confident
    assert not reading().confident


def test_a_registered_plate_is_the_best_or_nearly_as_likely() -> None:
    seen = reading(("京A12345", -0.6), ("京A12346", -0.9), ("京B12345", -5.0))
    assert match({"京A12345"}, seen) == ("京A12345", "among")
    assert match({"京A12346"}, seen) == ("京A12346", "among")
    assert match({"京B12345"}, seen) is None  # a hundred times less likely
    assert match({"京A12345", "京A12346"}, seen) == ("京A12345", "among")
    assert match({"京A12345"}, reading(("京A12345", -0.1), ("京A12346", -2.4))) == ("京A12345", "exact")


@pytest.mark.parametrize("next_one", [-2.1, -0.8])
def test_a_stranger_whose_plate_stands_apart_is_not_the_neighbour_who_looks_alike(next_one: float) -> None:
    seen = reading(("湘A0PQ76", -0.2), ("湘A0P076", next_one))  # a factor of seven, and of two
    assert not seen.confident
    assert match({"湘A0P076"}, seen) is None
    assert match({"湘A0PQ76", "湘A0P076"}, seen) == ("湘A0PQ76", "exact")


def test_what_is_hardly_legible_means_nobody() -> None:
    assert match({"京A12345"}, reading(("京A12345", -3.4), ("京A12346", -3.5))) is None
    assert match({"京A12345"}, reading()) is None


@given(st.lists(st.tuples(ORDINARY, LOG_P), max_size=8, unique_by=lambda one: one[0]), st.frozensets(ORDINARY))
def test_nobody_is_meant_who_was_not_read(candidates: list[tuple[str, float]], register: frozenset[str]) -> None:
    """However near a registered plate is by edit distance: only what is among the readings counts."""
    seen = reading(*sorted(candidates, key=lambda one: -one[1]))
    found = match(register, seen)
    if found is not None:
        assert found.plate in register
        probability = {one.plate: one.log_p for one in seen.candidates}
        assert probability[found.plate] >= seen.log_p - math.log(10) - 1e-9


@given(ORDINARY, st.integers(2, 6), st.sampled_from(plates.DIGITS + plates.LETTERS))
def test_a_plate_that_differs_in_one_character_is_nobodys(plate: str, place: int, other: str) -> None:
    neighbour = plate[:place] + other + plate[place + 1 :]
    found = match({neighbour}, reading((plate, -0.05)))
    assert (found is None) == (neighbour != plate)


# --- votes


def test_two_of_three_agree() -> None:
    looks = [reading(("京A12345", -0.1)), reading(("京A12346", -0.1)), reading(("京A12345", -0.2))]
    said = vote(looks)
    assert (said.best, said.frames, said.votes, said.agreed) == ("京A12345", 3, 2, True)
    assert said.confident is False or said.margin > plates.CLEAR
    alone = vote(looks[:1])
    assert (alone.frames, alone.votes, alone.agreed) == (1, 1, False)
    assert vote([]).candidates == ()


def test_three_that_differ_do_not_agree() -> None:
    said = vote([reading((f"京A1234{digit}", -0.1)) for digit in "123"])
    assert said.votes == 1
    assert not said.agreed
    assert not said.confident


def test_only_the_newest_three_vote_and_empty_looks_do_not() -> None:
    old, new = reading(("京A11111", -0.1)), reading(("京A22222", -0.1))
    assert vote([old, old, old, new, new]).votes == 2
    assert vote([old, old, old, new, new]).best == "京A22222"
    assert vote([new, reading(), new]).frames == 2


@given(st.lists(st.lists(st.tuples(ORDINARY, LOG_P), max_size=4, unique_by=lambda one: one[0]), max_size=6))
def test_a_vote_is_ordered_and_never_surer_than_its_looks(given_looks: list[list[tuple[str, float]]]) -> None:
    looks = [reading(*sorted(look, key=lambda one: -one[1])) for look in given_looks]
    said = vote(looks)
    ordered = [one.log_p for one in said.candidates]
    assert ordered == sorted(ordered, reverse=True)
    assert 0 <= said.votes <= said.frames <= plates.LOOKS
    for one in said.candidates:
        assert one.log_p <= max(c.log_p for look in looks for c in look.candidates if c.plate == one.plate) + 1e-9
    assert normal(said.best) == said.best
