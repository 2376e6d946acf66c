"""Stories for a simulated lane: what happens before a barrier, a line each. Pure.

    # a car comes home
    0    plate
    +5   loop occupied        # 地感 有车
    +3   loop free

A line is a time and what happens. '5' is five seconds from the beginning, '+5' five after the line before; without a
time it happens at once, and a time alone passes. Words are English or Chinese. From what the journal kept,
`from_events` makes a story too.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime
from typing import Any, NamedTuple

import msgspec

from gateway.errors import BadRequest, N_
from gateway.journal.event import Event
from gateway.lanes import events
from gateway.lanes.rules.lane import VEHICLE
from gateway.lanes.simulate import Step

#: What happens -> how it may happen (empty: in one way only).
WORDS: dict[str, tuple[str, ...]] = {
    "plate": (),
    "stranger": (),
    "button": (),
    "raise": (),
    "hold": (),
    "release": (),
    "loop": ("occupied", "free", "cut", "rattle"),
    "photocell": ("occupied", "free", "cut", "rattle"),
    "limit_up": ("on", "off", "cut", "well"),
    "limit_down": ("on", "off", "cut", "well"),
    "fire": ("on", "off"),
    "arm": ("jams", "freed", "up", "down", "halfway"),
    "restart": (),
}
#: Other names of the words above, as people say them.
NAMES = {
    "车牌": "plate", "陌生车": "stranger", "按钮": "button", "抬杆": "raise", "常开": "hold", "恢复": "release",
    "地感": "loop", "红外对射": "photocell", "红外": "photocell", "光电": "photocell", "beam": "photocell",
    "上限位": "limit_up", "limit-up": "limit_up", "下限位": "limit_down", "limit-down": "limit_down",
    "消防": "fire", "杆": "arm", "重启": "restart",
}  # fmt: skip
WAYS = {
    "有车": "occupied", "挡住": "occupied", "on": "occupied", "broken": "occupied", "dark": "occupied",
    "无车": "free", "畅通": "free", "off": "free", "clear": "free", "断线": "cut", "抖动": "rattle",
    "卡住": "jams", "放开": "freed", "free": "freed", "开": "on", "关": "off", "接通": "on", "断开": "off",
    "报警": "on", "解除": "off", "正常": "well", "最高": "up", "最低": "down", "半空": "halfway",
}  # fmt: skip

#: Stories to begin with: the passages that are asked about most.
STORIES = {
    "home": "0 plate\n+6 loop occupied\n+1 photocell occupied\n+2 loop free\n+0.5 photocell free",
    "nobody": "0 plate",
    "under": "0 plate\n+6 loop occupied\n+2 loop free\n+3 photocell occupied\n+4 photocell free",
    "stuck": "0 plate\n+6 loop occupied",
    "cut": "0 plate\n+6 photocell cut\n+60 photocell free",
    "fire": "0 plate\n+3 fire on\n+120 fire off",
    "jam": "0 plate\n+1 arm jams\n+30 arm freed\n+5 button",
    "limits": "0 plate\n+8 limit-down on\n+60 limit-down well\n+5 button",
    "remote": "0 plate\n+8 arm halfway\n+1 loop occupied\n+4 loop free",
    "restart": "0 plate\n+6 loop occupied\n+2 restart\n+5 loop free",
}
MOST_LINES, LONGEST = 1000, 86_400.0
TOUCH, GLANCE = 1.0, 0.2  # seconds that something is under the arm, where the journal says only that it was
SHORTEST = VEHICLE + 0.1  # seconds on the loop that certainly are a vehicle, however the journal has rounded them


def parsed(lines: Iterable[str], where: str = "") -> list[Step]:
    """The steps. Raises BadRequest, with the line."""
    steps: list[Step] = []
    for number, text in enumerate(lines, start=1):
        place = f"{where}:{number}" if where else text.strip()
        if len(steps) == MOST_LINES:
            raise BadRequest(N_("a story has at most {most} lines"), where=place, most=MOST_LINES)
        if (step := step_of(text, steps[-1].at if steps else 0.0, place)) is not None:
            steps.append(step)
    return steps


def step_of(text: str, before: float, place: str) -> Step | None:
    """The step of a line, after one at `before`; None where the line is empty. Raises BadRequest."""
    words, at = text.partition("#")[0].split(), before
    if not words:
        return None
    if _is_time(words[0]):
        at = float(words[0]) + (before if words[0].startswith("+") else 0.0)
        words = words[1:]
    if not before <= at <= LONGEST:
        raise BadRequest(N_("{at} s is before the line above, or beyond a day"), where=place, at=f"{at:g}")
    if not words:
        return Step(at, "")
    what = NAMES.get(words[0], words[0].replace("-", "_"))
    if what not in WORDS:
        raise BadRequest(
            N_("'{word}' does not happen before a barrier"),
            where=place,
            mend=N_("what happens is one of: {words}"),
            word=words[0][:40],
            words=", ".join(WORDS),
        )
    ways = WORDS[what]
    given = " ".join(words[1:])
    how = given if given in ways else WAYS.get(given, given)
    if how not in ways and (how or ways):
        raise BadRequest(
            N_("'{word}' is not followed by '{given}'"),
            where=place,
            mend=N_("it is followed by: {ways}"),
            word=words[0],
            given=given[:40],
            ways=", ".join(ways) or "-",
        )
    return Step(at, what, how)


def _is_time(word: str) -> bool:
    return word.removeprefix("+").replace(".", "", 1).isdecimal()


# --- from the journal


GONE = msgspec.Raw(b"null")


class Kept(msgspec.Struct, frozen=True):
    """A row of the journal, as `loumen event export` writes it; its body may have been removed."""

    type: str
    at: datetime
    event: msgspec.Raw = GONE


class Recorded(NamedTuple):
    """A passage that the journal kept: as a story, and what it told, with seconds from its beginning."""

    steps: list[Step]
    told: list[tuple[float, Event]]
    left_out: tuple[str, ...]  # types of which no story can be made


KINDS = {kind.type_name(): kind for kind in events.EVENTS}


def from_events(rows: Iterable[Kept], lane: str, *, counts: str) -> Recorded:
    """The last passage of `lane` in these rows, from the opening on. `counts`: the sensor that counts vehicles.

    Raises BadRequest.
    """
    own = [(row.at, event) for row in rows if (event := _event(row)) is not None and event.lane == lane]
    begun = [
        place for place, (_, event) in enumerate(own) if isinstance(event, events.LaneRaised) and not event.prolonged
    ]
    if not begun:
        raise BadRequest(
            N_("no opening of lane {lane} is among these events"),
            mend=N_("take more of them: loumen event export --type lane. --output FILE"),
            lane=lane,
        )
    own = own[begun[-1] :]
    zero = own[0][0]
    passed = [
        ((moment - zero).total_seconds(), event.seconds)
        for moment, event in own
        if isinstance(event, events.LanePassed)
    ]
    steps: list[Step] = []
    told: list[tuple[float, Event]] = []
    left_out: set[str] = set()
    for moment, event in own:
        at = (moment - zero).total_seconds()
        told.append((round(at, 1), event))
        made = _steps_of(event, at, counts)
        if isinstance(event, events.LaneReversed) and event.because == counts:
            drove_on = any(left - seconds - TOUCH <= at <= left for left, seconds in passed)
            made = [Step(at, counts, "occupied")] + ([] if drove_on else [Step(at + GLANCE, counts, "free")])
        if made is None:
            left_out.add(event.type_name())
        else:
            steps += made
    steps = [Step(max(0.0, one.at), one.what, one.how) for one in sorted(steps, key=lambda step: step.at)]
    return Recorded(steps, told, tuple(sorted(left_out)))


def _event(row: Kept) -> Any:
    """The event of a lane; None for what is no lane's, or was removed. Raises BadRequest."""
    kind = KINDS.get(row.type)
    if kind is None or bytes(row.event) == b"null" or not row.type.startswith("lane."):
        return None
    try:
        return msgspec.json.decode(row.event, type=kind)
    except msgspec.DecodeError as error:
        raise BadRequest(N_("this is no event of a lane: {problem}"), where=row.type, problem=str(error)) from error


def _steps_of(event: Event, at: float, counts: str) -> list[Step] | None:
    """What must have happened for this event; None where nobody can tell."""
    match event:
        case events.LaneRaised():
            return [Step(at, "raise" if event.by == "command" else event.by)]
        case events.LaneRefused():
            return [Step(at, "stranger")]
        case events.LanePassed():
            return [Step(at - max(event.seconds, SHORTEST), counts, "occupied"), Step(at, counts, "free")]
        case events.LaneReversed(because="loop" | "photocell"):
            return [Step(at, event.because, "occupied"), Step(at + TOUCH, event.because, "free")]
        case events.LaneFire():
            return [Step(at, "fire", "on" if event.active else "off")]
        case events.LaneModeChanged():
            return [Step(at, "hold" if event.mode == "held" else "release")]
        case events.LaneLate():
            return [Step(at - event.within / 2, "arm", "jams")]
        case events.LaneSensorStuck(sensor="loop" | "photocell"):
            return [
                Step(at, event.sensor, "free") if event.over else Step(at - event.seconds, event.sensor, "occupied")
            ]
        case events.LaneLineFault(line="loop" | "photocell"):
            return [Step(at, event.line, "cut" if event.gone else "free")]
        case events.LaneContradiction(what="loop" | "photocell"):
            return [] if event.over else [Step(at - 1.0, event.what, "rattle")]
        case events.LaneLowered():
            return []
        case _:
            return None
