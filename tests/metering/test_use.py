"""Water by the hour and the day, and its picture: nothing is lost, and a gap is never zero use."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from rich.cells import cell_len

from gateway import locale
from gateway.cli import chart
from gateway.measurements import Hour
from gateway.metering.use import HOUR, Gap, Stretch, by_day, by_hour

START = datetime(2026, 3, 1, tzinfo=UTC)
SHANGHAI, KOLKATA = ZoneInfo("Asia/Shanghai"), ZoneInfo("Asia/Kolkata")


def hours(*rows: tuple[int, float, float]) -> list[Hour]:
    """Hour, lowest and last total."""
    return [Hour("m", START + place * HOUR, 1, low, last, last, last) for place, low, last in rows]


def minutes(count: float) -> timedelta:
    return timedelta(minutes=count)


def test_an_hour_without_a_row_is_a_gap_and_so_is_one_that_was_half_read() -> None:
    read = hours((0, 0, 10), (1, 10, 12), (2, 80, 82), (3, 82, 83), (6, 90, 91))
    gap = START + minutes(70), START + minutes(175)  # polls until 01:10 and again from 02:55 on
    assert by_hour(read, [gap]) == [
        Stretch(START, START + HOUR, 10, 10),
        Stretch(START + HOUR, START + 3 * HOUR, 72, 82, gap=True),
        Stretch(START + 3 * HOUR, START + 4 * HOUR, 1, 83),
        Stretch(START + 4 * HOUR, START + 7 * HOUR, 8, 91, gap=True),
    ]


def test_a_gap_within_an_hour_leaves_the_hour_known() -> None:
    assert not any(
        use.gap for use in by_hour(hours((0, 0, 10), (1, 10, 40)), [(START + minutes(65), START + minutes(95))])
    )


def test_a_year_of_hours_and_of_gaps_is_put_together_in_one_pass() -> None:
    class Counted(datetime):
        compared = 0

        def __lt__(self, other: object) -> bool:
            Counted.compared += 1
            return super().__lt__(other)  # type: ignore[operator]

    def at(moment: datetime) -> datetime:
        return Counted.fromtimestamp(moment.timestamp(), UTC)

    read = hours(*((place, place, place + 1.0) for place in range(2000)))
    gaps = [(at(START + place * HOUR + minutes(50)), at(START + place * HOUR + minutes(70))) for place in range(1000)]
    use = by_hour(read, reversed(gaps))
    assert (len(use), use[0].gap, use[0].until) == (1000, True, START + 1001 * HOUR)
    assert Counted.compared < 20_000, "not each hour with each gap"


def test_a_gap_over_midnight_joins_two_days_of_the_site() -> None:
    read = hours(*((place, place, place + 1.0) for place in range(60) if not 14 <= place < 18))  # midnight is at 16
    days = by_day(by_hour(read), SHANGHAI)
    assert [(day.since, day.until, day.litres, day.gap) for day in days] == [
        (START, START + 40 * HOUR, 40.0, True),
        (START + 40 * HOUR, START + 60 * HOUR, 20.0, False),
    ]


def test_a_zone_of_half_hours_has_days_too() -> None:
    days = by_day(by_hour(hours(*((place, place, place + 1.0) for place in range(72)))), KOLKATA)
    assert [round(day.litres) for day in days] == [19, 24, 24, 5]
    assert not any(day.gap for day in days)


ROWS = st.lists(st.tuples(st.integers(1, 30), st.floats(0, 500)), min_size=1, max_size=60)
GAPS = st.lists(st.tuples(st.integers(0, 100_000), st.integers(1, 3000)), max_size=8)


@settings(max_examples=200, deadline=None)
@given(ROWS, GAPS, st.sampled_from([SHANGHAI, KOLKATA]))
def test_nothing_is_lost_or_counted_twice(
    steps: list[tuple[int, float]], holes: list[tuple[int, int]], zone: ZoneInfo
) -> None:
    place, total, rows = 0, 1000.0, []
    for pause, litres in steps:
        rows.append((place, total, total + litres))
        place, total = place + pause, total + litres
    gaps: list[Gap] = [(START + minutes(at), START + minutes(at + lasts)) for at, lasts in holes]
    use = by_hour(hours(*rows), gaps)
    for stretches in (use, by_day(use, zone)):
        assert sum(one.litres for one in stretches) == pytest.approx(total - 1000.0)
        assert all(one.until == other.since for one, other in pairwise(stretches))
        assert stretches[-1].total == total
    for since, until in gaps:
        for one in use:
            assert not (since < one.since < until), "no hour begins inside a gap"


# --- the picture


def history(*use: tuple[int, int, float, bool], by: str = "hour", last: int = 24) -> dict[str, Any]:
    def at(place: int) -> str:
        return (START + place * HOUR).isoformat()

    return {
        "meter": "flat-502",
        "by": by,
        "zone": "Asia/Shanghai",
        "since": at(0),
        "until": at(last),
        "use": [
            {"since": at(since), "until": at(until), "litres": litres, "total": 0.0, "gap": gap}
            for since, until, litres, gap in use
        ],
        "refused": [],
        "waiting": 0,
    }


@pytest.fixture(params=["en", "zh"])
def language(request: pytest.FixtureRequest) -> Any:
    before = locale.spoken()
    locale.speak(request.param)
    yield request.param
    locale.speak(before)


def test_the_picture_fits_a_terminal_and_a_gap_is_no_bar(language: str) -> None:
    numbers = chart.document(
        history((2, 3, 0.0, False), (3, 4, 123456.7, False), (4, 9, 35.0, True), (9, 10, 0.2, False), last=12)
    )
    drawn = list(chart.lines(numbers))
    assert all(cell_len(line) <= 80 for line in drawn)
    assert [line.count("┈┈") for line in drawn[1:7]] == [1, 0, 0, 1, 0, 1]
    nothing, most, gap, little = drawn[2:6]
    assert nothing.startswith("03-01 10:00"), "02:00 UTC in Shanghai"
    assert nothing.endswith(" 0.0")
    assert most.count("█") >= 50
    assert "35.0" in gap
    assert "0.2" in little
    assert "▏" in little, "what ran is drawn"
    assert numbers["most"] == 123456.7
    assert [bar["litres"] for bar in numbers["bars"]] == [None, 0.0, 123456.7, 35.0, 0.2, None]
    assert [bar["gap"] for bar in numbers["bars"]] == [True, False, False, True, False, True]
    assert (language == "zh") == any("没有读数" in line for line in drawn)


def test_a_meter_without_a_reading_has_a_picture_of_nothing_known(language: str) -> None:
    numbers = chart.document(history(by="day", last=48))
    assert [(bar["litres"], bar["gap"]) for bar in numbers["bars"]] == [(None, True)]
    assert language
    assert sum("┈┈" in line for line in chart.lines(numbers)) == 1
