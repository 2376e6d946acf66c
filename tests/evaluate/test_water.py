"""`evaluate water`: counted as the data's README says."""

from __future__ import annotations

import csv
import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from gateway.cli.main import main
from gateway.errors import BadRequest
from gateway.evaluate import water

DAY = 1440


def write(folder: Path, readings: list[tuple[str, int, int]], labels: list[tuple[object, ...]], **more: str) -> None:
    with gzip.open(folder / "readings.csv.gz", "wt", newline="") as file:
        csv.writer(file).writerows([("meter", "minute", "litres"), *readings])
    with (folder / "labels.csv").open("w", newline="") as file:
        header = ("meter", "kind", "litres_per_hour", "start_minute", "end_minute")
        csv.writer(file).writerows([header, *labels])
    for name, text in more.items():
        (folder / f"{name}.csv").write_text(text)


def dripping(meter: str, start: int, end: int, every: int = 10) -> list[tuple[str, int, int]]:
    return [(meter, 0, 100), *((meter, at, 101 + n) for n, at in enumerate(range(start, end, every)))]


def judged(folder: Path) -> tuple[dict[str, Any], water.Judged]:
    recorded = water.read(folder / "readings.csv.gz", folder / "labels.csv")
    found = water.judge(recorded)
    return water.report(recorded, found), found


def test_a_leak_is_found_a_day_after_its_start(tmp_path: Path) -> None:
    write(tmp_path, dripping("a", 2000, 5000), [("a", "drip", 6, 2000, 5000)])
    document, found = judged(tmp_path)
    assert document["kinds"] == [
        {
            "kind": "drip",
            "litres_per_hour": 6,
            "count": 1,
            "detected": 1,
            "median_hours": pytest.approx(24, abs=0.1),
            "p95_hours": pytest.approx(24, abs=0.1),
        }
    ]
    assert document["false_alarms"] == 0
    assert document["welfare"] == {
        "count": 0,
        "noticed": 0,
        "median_hours": None,
        "worst_hours": None,
        "false_alarms": 0,
        "watched_years": 0.0,
    }
    assert [alarm.rule for alarm in found.alarms] == ["no_still_hour"]


def test_an_alarm_without_or_before_a_leak_is_false_and_a_stop_is_no_leak(tmp_path: Path) -> None:
    rows = [*dripping("a", 100, 4000), *dripping("b", 100, 4000)]
    write(tmp_path, rows, [("a", "drip", 6, 3500, 4000), ("b", "stopped", 0, 10, 4000)])
    document, _ = judged(tmp_path)
    assert document["false_alarms"] == 2
    assert [kind["detected"] for kind in document["kinds"]] == [0]


def test_a_gap_is_neither_use_nor_stillness(tmp_path: Path) -> None:
    labels: list[tuple[object, ...]] = [("a", "drip", 6, 2000, 5000)]
    write(tmp_path, dripping("a", 2000, 5000), labels, gaps="meter,start_minute,end_minute\na,2700,2900\n")
    document, _ = judged(tmp_path)
    (kind,) = document["kinds"]
    assert kind["median_hours"] > 30, "in 200 minutes without polls an hour may have been still"


def test_dwellings_tell_how_long_was_watched(tmp_path: Path) -> None:
    write(tmp_path, dripping("a", 10, 20), [], dwellings="meter,people,welfare_watch,days,habits\na,1,0,365.25,\n")
    assert judged(tmp_path)[0]["dwelling_years"] == 1.0


LABELS = "meter,kind,litres_per_hour,start_minute,end_minute\n"


@pytest.mark.parametrize(
    ("name", "text", "words"),
    [
        ("labels.csv", "meter,kind\n", "has no column"),
        ("labels.csv", LABELS + "a,drip,x,1,2\n", "line 2: 'litres_per_hour' is 'x', not"),
        ("labels.csv", LABELS + "a\n", "line 2: .* is '', not a number"),
        ("readings.csv.gz", "not gzip", "cannot be read"),
    ],
)
def test_files_that_cannot_be_used(tmp_path: Path, name: str, text: str, words: str) -> None:
    write(tmp_path, dripping("a", 10, 20), [])
    (tmp_path / name).write_text(text)
    with pytest.raises(BadRequest, match=words):
        judged(tmp_path)


def test_readings_without_rows_are_no_readings(tmp_path: Path) -> None:
    write(tmp_path, [], [])
    with pytest.raises(BadRequest, match="has no rows"):
        judged(tmp_path)


def test_the_command_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    write(tmp_path, dripping("a", 2000, 5000), [("a", "drip", 6, 2000, 5000)])
    scores = tmp_path / "scores.csv"
    files = ["--readings", str(tmp_path / "readings.csv.gz"), "--labels", str(tmp_path / "labels.csv")]
    assert main(["evaluate", "water", *files, "--scores", str(scores), "--json"]) == 0
    document = json.loads(capsys.readouterr().out)
    assert list(document) == ["dwelling_years", "false_alarms", "kinds", "welfare"]
    rows = list(csv.DictReader(scores.read_text().splitlines()))
    assert rows == [{"meter": "a", "kind": "leak", "minute": rows[0]["minute"], "alarm": "no_still_hour"}]
    assert main(["evaluate", "water", *files, "--lang", "en"]) == 0
    assert "0 false alarms" in capsys.readouterr().out


def test_the_recorded_dwellings(shared: Path) -> None:
    """The promise of the two first rules: what they find on the development half, and at what price."""
    recorded = water.read(shared / "data/water/readings.csv.gz", shared / "data/water/labels.csv")
    kept = {name: found for name, found in recorded.readings.items() if name.startswith("l")}
    recorded.readings = kept
    recorded.leaks = [leak for leak in recorded.leaks if leak.meter in kept]
    document = water.report(recorded, water.judge(recorded))
    found = {(kind["kind"], kind["litres_per_hour"]): kind for kind in document["kinds"]}
    for kind in (("drip", 4), ("drip", 8), ("toilet", 25), ("toilet_cycling", 12)):
        assert found[kind]["detected"] == found[kind]["count"] > 0
        assert found[kind]["median_hours"] <= 24.5
    assert found["burst", 600]["detected"] >= 14
    assert document["false_alarms"] <= 6
