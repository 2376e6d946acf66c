"""Water as a picture of a terminal's width: a bar an hour or a day, and every gap in words.

A gap has no bar, for nobody knows when its water ran; it is never a bar of no length.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any
from zoneinfo import ZoneInfo

from gateway.errors import N_
from gateway.locale import _, tell

WIDTH = 80
LABELS = {"hour": "%m-%d %H:%M", "day": "%Y-%m-%d"}
LABEL, NUMBER = 11, 9
EIGHTHS = " ▏▎▍▌▋▊▉█"
DOTS = "┈┈"
WAITING = N_("readings that wait until the clock can be believed: {count}")


def document(history: dict[str, Any]) -> dict[str, Any]:
    """The picture in numbers: `bars` in the order of time. `litres` is null before the first and after the last
    reading; `gap`: there were no readings in between, and its litres, where known, have no time.
    """
    use = history["use"]
    bars = [
        {"since": one["since"], "until": one["until"], "litres": one["litres"], "gap": one["gap"], "read": True}
        for one in use
    ]
    if not use:
        bars = [_unread(history["since"], history["until"])]
    elif _later(use[0]["since"], history["since"]):
        bars.insert(0, _unread(history["since"], use[0]["since"]))
    if use and _later(history["until"], use[-1]["until"]):
        bars.append(_unread(use[-1]["until"], history["until"]))
    known = [one["litres"] for one in use if not one["gap"]]
    return {
        "meter": history["meter"],
        "by": history["by"],
        "zone": history["zone"],
        "since": history["since"],
        "until": history["until"],
        "litres": round(sum(one["litres"] for one in use), 3),
        "most": max(known, default=0.0),
        "waiting": history["waiting"],
        "bars": bars,
    }


def _unread(since: str, until: str) -> dict[str, Any]:
    return {"since": since, "until": until, "litres": None, "gap": True, "read": False}


def _later(one: str, other: str) -> bool:
    return datetime.fromisoformat(one) > datetime.fromisoformat(other)


def lines(chart: dict[str, Any]) -> Iterator[str]:
    """The picture for people."""
    title = (
        N_("{meter}: litres by the hour ({zone})")
        if chart["by"] == "hour"
        else N_("{meter}: litres by the day ({zone})")
    )
    yield tell(title, chart)
    for bar in chart["bars"]:
        yield _line(bar, chart).rstrip()
    gaps = any(bar["gap"] for bar in chart["bars"])
    yield tell(N_("{litres} L in all"), {"litres": f"{chart['litres']:.1f}"})
    if chart["waiting"]:
        yield tell(WAITING, {"count": chart["waiting"]})
    if gaps:
        yield _(N_("dotted: no readings, so nobody knows when that water ran"))


def _line(bar: dict[str, Any], chart: dict[str, Any]) -> str:
    label = _label(bar["since"], chart).ljust(LABEL)
    if bar["gap"]:
        facts = {"until": _label(bar["until"], chart), "litres": f"{bar['litres'] or 0.0:.1f}"}
        words = (
            N_("no readings until {until}")
            if bar["litres"] is None
            else N_("until {until} {litres} L in all, no readings")
        )
        return f"{label} {'':>{NUMBER}} {DOTS} {tell(words, facts)}"
    drawn = _bar(bar["litres"], chart["most"], WIDTH - LABEL - NUMBER - 2)
    return f"{label} {bar['litres']:>{NUMBER}.1f} {drawn}"


def _label(at: str, chart: dict[str, Any]) -> str:
    """In the site's zone, whose days these are, wherever the picture is looked at."""
    return datetime.fromisoformat(at).astimezone(ZoneInfo(chart["zone"])).strftime(LABELS[chart["by"]])


def _bar(litres: float, most: float, width: int) -> str:
    """Eighths of a character; what ran is never drawn as nothing."""
    if litres <= 0 or most <= 0:
        return ""
    eighths = max(1, round(8 * width * litres / most))
    return EIGHTHS[8] * (eighths // 8) + (EIGHTHS[eighths % 8] if eighths % 8 else "")
