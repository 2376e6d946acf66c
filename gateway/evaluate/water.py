"""`loumen evaluate water`: the box's own detectors over recorded registers with labelled leaks.

Readings are rows `meter, minute, litres`, one where the register changed; the polls between them, once a
minute, returned the same value, except in the gaps. Each poll that can matter is fed to the same machines
that run on the box (a machine's `deadline` says when a standing register matters).

Counted as DESIGN.md and the data's README say: a leak is detected by the first alarm at or after its start
and before its end; an alarm on a meter before any leak, or without one, is false, at most one in 24 hours.
Nobody is watched for inactivity yet: the counts of `welfare` are 0, its hours null.
"""

from __future__ import annotations

import csv
import gzip
import math
import statistics
from collections import defaultdict
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

from gateway.errors import BadRequest, N_
from gateway.locale import _
from gateway.metering.rules import Finding, Reading, Suspected
from gateway.metering.rules.burst import Burst
from gateway.metering.rules.continuous import Continuous

MINUTES_A_YEAR = 365.25 * 1440
DAY = 1440
WHOLE_LITRES = 1000  # millilitres: what the recorded registers count in
START_UP = 5.0  # litres an hour: where a DN15 R200 meter begins to count at all


KINDS = {
    "burst": N_("burst"),
    "drip": N_("drip"),
    "toilet": N_("running toilet"),
    "toilet_cycling": N_("toilet, a litre at a time"),
}


class Detector(Protocol):
    @property
    def deadline(self) -> float | None: ...

    def advance(self, given: Reading) -> tuple[Any, tuple[Finding, ...]]: ...


@dataclass(frozen=True, slots=True)
class Leak:
    meter: str
    kind: str
    litres_per_hour: float
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class Alarm:
    meter: str
    minute: int
    rule: str


@dataclass(slots=True)
class Recorded:
    """What lies in the folder."""

    readings: dict[str, list[tuple[int, int]]] = field(default_factory=dict)  # minute, millilitres
    gaps: dict[str, list[tuple[int, int]]] = field(default_factory=lambda: defaultdict(list))
    minutes: dict[str, int] = field(default_factory=dict)  # how long each dwelling was recorded
    leaks: list[Leak] = field(default_factory=list)


def read(readings: Path, labels: Path) -> Recorded:
    """The recording; gaps and dwellings lie beside the readings, absent = none. Raises BadRequest."""
    recorded = Recorded()
    for row in _rows(readings, ("meter", "minute", "litres")):
        series = recorded.readings.setdefault(row.text("meter"), [])
        series.append((int(row.number("minute")), round(row.number("litres") * 1000)))
    if not recorded.readings:
        raise BadRequest(N_("{file} has no rows"), file=readings.name)
    for row in _rows(labels, ("meter", "kind", "litres_per_hour", "start_minute", "end_minute")):
        start, end = int(row.number("start_minute")), int(row.number("end_minute"))
        recorded.leaks.append(Leak(row.text("meter"), row.text("kind"), row.number("litres_per_hour"), start, end))
    gaps = readings.with_name("gaps.csv")
    for row in _rows(gaps, ("meter", "start_minute", "end_minute")) if gaps.exists() else ():
        span = int(row.number("start_minute")), int(row.number("end_minute"))
        recorded.gaps[row.text("meter")].append(span)
    for meter, series in recorded.readings.items():
        series.sort()
        recorded.gaps[meter].sort()
        recorded.minutes[meter] = series[-1][0]
    dwellings = readings.with_name("dwellings.csv")
    for row in _rows(dwellings, ("meter", "days")) if dwellings.exists() else ():
        if row.text("meter") in recorded.readings:
            recorded.minutes[row.text("meter")] = round(row.number("days") * DAY)
    return recorded


class Row(NamedTuple):
    """A row of a file, with its line for messages."""

    file: str
    line: int
    cells: dict[str, str | None]

    def text(self, column: str) -> str:
        return self.cells[column] or ""

    def number(self, column: str) -> float:
        """Raises BadRequest."""
        try:
            number = float(self.text(column))
        except ValueError:
            number = math.nan
        if not math.isfinite(number):
            given = repr(self.text(column))
            raise BadRequest(
                N_("{file}, line {line}: {column} is {given}, not a number"),
                file=self.file,
                line=self.line,
                column=f"'{column}'",
                given=given,
            )
        return number


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[Row]:
    try:
        with (
            gzip.open(path, "rt", encoding="utf-8", newline="")
            if path.suffix == ".gz"
            else path.open(encoding="utf-8", newline="") as file
        ):
            reader = csv.DictReader(file)
            missing = [column for column in columns if column not in (reader.fieldnames or ())]
            if missing:
                raise BadRequest(
                    N_("{file} has no column {columns}"),
                    mend=N_("the first line names the columns"),
                    file=path.name,
                    columns=", ".join(f"'{column}'" for column in missing),
                )
            for cells in reader:
                yield Row(path.name, reader.line_num, cells)
    except (OSError, EOFError, UnicodeDecodeError, csv.Error) as error:
        raise BadRequest(N_("{file} cannot be read: {problem}"), file=str(path), problem=str(error)) from error


# --- the detectors over one meter


def polls(series: list[tuple[int, int]], gaps: list[tuple[int, int]], end: int) -> Iterator[tuple[int, int, int]]:
    """Stretches of polls that returned one value: first minute, last minute, register."""
    for place, (begin, register) in enumerate(series):
        until = series[place + 1][0] - 1 if place + 1 < len(series) else max(end - 1, begin)
        at = begin
        for start, stop in gaps:
            if stop <= at or start > until:
                continue
            if start > at:
                yield at, start - 1, register
            at = stop
        if at <= until:
            yield at, until, register


def alarms(meter: str, series: list[tuple[int, int]], gaps: list[tuple[int, int]], end: int) -> list[Alarm]:
    """What the detectors raise, in the order of time."""
    found = []
    for detector in (Continuous(), Burst(step=WHOLE_LITRES)):
        found += [Alarm(meter, minute, rule) for minute, rule in _raised(detector, series, gaps, end)]
    return sorted(found, key=lambda alarm: alarm.minute)


def _raised(
    detector: Detector, series: list[tuple[int, int]], gaps: list[tuple[int, int]], end: int
) -> Iterator[tuple[int, str]]:
    for first, last, register in polls(series, gaps, end):
        minute = first
        while True:
            detector, findings = detector.advance(Reading(minute * 60.0, register))
            yield from ((minute, finding.rule) for finding in findings if isinstance(finding, Suspected))
            if minute >= last:
                break
            due = detector.deadline
            minute = last if due is None else min(last, max(minute + 1, math.ceil(due / 60)))


# --- what it comes to


@dataclass(frozen=True, slots=True)
class Judged:
    """Every alarm, which of them were false, and when each leak was found (minutes after its start)."""

    alarms: list[Alarm]
    false: list[Alarm]
    found: list[tuple[Leak, int | None]]


def judge(recorded: Recorded, advance: Callable[[float], None] = lambda _steps: None) -> Judged:
    """Run the detectors over every meter."""
    raised: dict[str, list[Alarm]] = {}
    for meter, series in recorded.readings.items():
        raised[meter] = alarms(meter, series, recorded.gaps[meter], recorded.minutes[meter])
        advance(1)
    leaks = [leak for leak in recorded.leaks if leak.kind != "stopped"]
    starts: dict[str, int] = {}
    for leak in leaks:
        starts[leak.meter] = min(leak.start, starts.get(leak.meter, leak.start))
    false: list[Alarm] = []
    for meter, given in raised.items():
        last = -DAY
        for alarm in given:
            if alarm.minute < starts.get(meter, alarm.minute + 1) and alarm.minute - last >= DAY:
                false.append(alarm)
                last = alarm.minute
    found = [(leak, _after(leak, raised.get(leak.meter, []))) for leak in leaks]
    return Judged([alarm for given in raised.values() for alarm in given], false, found)


def _after(leak: Leak, given: list[Alarm]) -> int | None:
    return next((alarm.minute - leak.start for alarm in given if leak.start <= alarm.minute < leak.end), None)


def report(recorded: Recorded, judged: Judged) -> dict[str, Any]:
    """The document, as DESIGN.md says."""
    kinds: dict[tuple[str, float], list[int | None]] = {}
    for leak, minutes in judged.found:
        kinds.setdefault((leak.kind, leak.litres_per_hour), []).append(minutes)
    return {
        "dwelling_years": round(sum(recorded.minutes.values()) / MINUTES_A_YEAR, 3),
        "false_alarms": len(judged.false),
        "kinds": [_kind(kind, litres, found) for (kind, litres), found in sorted(kinds.items())],
        "welfare": {
            "count": 0,
            "noticed": 0,
            "median_hours": None,
            "worst_hours": None,
            "false_alarms": 0,
            "watched_years": 0.0,
        },
    }


def _kind(kind: str, litres: float, found: list[int | None]) -> dict[str, Any]:
    hours = sorted(minutes / 60 for minutes in found if minutes is not None)
    return {
        "kind": kind,
        "litres_per_hour": int(litres) if litres.is_integer() else litres,
        "count": len(found),
        "detected": len(hours),
        "median_hours": round(statistics.median(hours), 2) if hours else None,
        "p95_hours": round(hours[math.ceil(0.95 * len(hours)) - 1], 2) if hours else None,
    }


def rows(document: dict[str, Any]) -> Iterator[tuple[str, str, str, str, str]]:
    """The kinds as a table. Below a meter's start-up flow a figure is about the detector, not about a pipe."""
    for kind in document["kinds"]:
        yield (
            _(KINDS.get(kind["kind"], kind["kind"])),
            f"{kind['litres_per_hour']:g}" + (" *" if kind["litres_per_hour"] < START_UP else ""),
            f"{kind['detected']} / {kind['count']}",
            "-" if kind["median_hours"] is None else f"{kind['median_hours']:.1f}",
            "-" if kind["p95_hours"] is None else f"{kind['p95_hours']:.1f}",
        )


def rate(document: dict[str, Any]) -> dict[str, object]:
    return {"false": document["false_alarms"], "years": f"{document['dwelling_years']:.1f}"}


def write_scores(path: Path, judged: Judged) -> None:
    """One row an alarm: `kind` is what it is about, `alarm` the rule that raised it. Raises BadRequest."""
    try:
        with path.open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file)
            writer.writerow(("meter", "kind", "minute", "alarm"))
            writer.writerows((alarm.meter, "leak", alarm.minute, alarm.rule) for alarm in judged.alarms)
    except OSError as error:
        raise BadRequest(N_("{file} cannot be written: {problem}"), file=str(path), problem=str(error)) from error
