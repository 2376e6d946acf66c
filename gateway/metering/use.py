"""Water by the hour or the day, out of the hours of measurements.db and the gaps in the looks. Pure.

A gap is never zero use. What a register gained across a gap is known to the litre and unknown to the hour, so
the hours that a gap touches are one stretch, and so are the days over whose midnight it lies. A stretch
of several hours or days is always marked as a gap.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Protocol
from zoneinfo import ZoneInfo

HOUR = timedelta(hours=1)
Gap = tuple[datetime, datetime]


class Hour(Protocol):
    """An hour of a meter's total in measurements.db, litres."""

    @property
    def at(self) -> datetime: ...

    @property
    def low(self) -> float: ...

    @property
    def last(self) -> float: ...


@dataclass(frozen=True, slots=True)
class Stretch:
    """Water between two times; `total` is what the meter showed at its end, litres."""

    since: datetime
    until: datetime
    litres: float
    total: float
    gap: bool = False


def by_hour(hours: Sequence[Hour], gaps: Iterable[Gap] = ()) -> list[Stretch]:
    """The use of each hour, up to its last reading."""
    stretches = [Stretch(hour.at, hour.at + HOUR, hour.last - hour.low, hour.last) for hour in hours[:1]]
    for before, hour in pairwise(hours):
        since = before.at + HOUR
        stretches.append(Stretch(since, hour.at + HOUR, hour.last - before.last, hour.last, gap=hour.at != since))
    ahead, last = deque(sorted(gaps)), datetime.min.replace(tzinfo=UTC)  # `last`: where those end that have begun
    found: list[Stretch] = []
    for stretch in stretches:
        while ahead and ahead[0][0] < stretch.since:
            last = max(last, ahead.popleft()[1])
        if found and stretch.since < last:
            found[-1] = _joined(found[-1], stretch, gap=True)
        else:
            found.append(stretch)
    return found


def by_day(stretches: Iterable[Stretch], zone: ZoneInfo) -> list[Stretch]:
    """The use of each day of the zone. An hour that lies over midnight (zones of half hours) is its first day's."""
    found: list[Stretch] = []
    last = None
    for stretch in stretches:
        begins = stretch.since.astimezone(zone).date()
        ends = (stretch.until - HOUR).astimezone(zone).date()
        if begins == last:
            found[-1] = _joined(found[-1], stretch, gap=found[-1].gap or begins != ends)
        else:
            found.append(replace(stretch, gap=begins != ends))
        last = ends
    return found


def _joined(first: Stretch, second: Stretch, *, gap: bool) -> Stretch:
    return Stretch(first.since, second.until, first.litres + second.litres, second.total, gap)
