"""What the states of a box are called: one table for `status`, `door`, `lane`, `io` and `doctor`."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from gateway.control.status import LineWhy
from gateway.errors import N_
from gateway.locale import _, labelled, tell

COMMANDED = {
    "locked": N_("locked"),
    "open": N_("released"),
    "held": N_("held open"),
    "blocked": N_("blocked"),
    "fire": N_("released by fire"),
    "unknown": N_("unknown"),
}
SENSED = {"open": N_("leaf open"), "closed": N_("leaf closed"), "unknown": N_("leaf unknown")}
MODES = {"normal": N_("normal"), "held": N_("held open"), "blocked": N_("blocked")}
ALARMS = {
    "forced": N_("FORCED OPEN"),
    "held_open": N_("HELD OPEN TOO LONG"),
    "warning": N_("open, the alarm comes soon"),
}
ARMS = {
    "down": N_("down"),
    "up": N_("up"),
    "held": N_("held up"),
    "fire": N_("raised by fire"),
    "fault": N_("STOPPED"),
    "unknown": N_("not moved yet"),
}
SENSED_ARM = {
    "up": N_("arm up"),
    "down": N_("arm down"),
    "between": N_("arm half-way"),
    "contradiction": N_("limit switches contradict each other"),
    "unknown": N_("arm unknown"),
}
UNDER = {"free": N_("nothing under it"), "occupied": N_("occupied"), "unknown": N_("unknown")}
LANE_MODES = {"normal": N_("normal"), "held": N_("held up")}
LOCKS = {"fail-safe": N_("fail-safe (open without supply)"), "fail-secure": N_("fail-secure (locked without supply)")}
FACES = {"off": N_("off"), "alone": N_("a face opens")}
VISION = {"off": N_("off"), "starting": N_("starting"), "up": N_("running"), "down": N_("DOWN")}
HEALTH = {"ok": N_("well"), "starting": N_("starting"), "degraded": N_("degraded"), "down": N_("DOWN")}
UPLINK = {
    "connected": N_("connected"),
    "connecting": N_("connecting"),
    "resting": N_("waiting to try again"),
    "paused": N_("paused"),
}
SOURCES = {
    "file": N_("as the file says"),
    "last good": N_("the last good copy, because the file is invalid"),
    "before apply": N_("the one before the last apply (not confirmed)"),
    "minimal": N_("NONE: no door is served"),
}
#: What a line is for: the last word of its name, or its use.
LINES = {
    "lock": N_("lock"),
    "indicator": N_("indicator"),
    "light": N_("light"),
    "contact": N_("door contact"),
    "exit_button": N_("exit button"),
    "fire": N_("fire input"),
    "arm": N_("barrier drive"),
    "open": N_("opening output"),
    "close": N_("closing output"),
    "stop": N_("stop output"),
    "limit_up": N_("upper limit switch"),
    "limit_down": N_("lower limit switch"),
    "loop": N_("loop"),
    "photocell": N_("photocell"),
    "button": N_("button"),
    "granted": N_("granted lamp"),
    "denied": N_("denied lamp"),
    "wait": N_("wait lamp"),
    "fault": N_("fault lamp"),
    "buzzer": N_("buzzer"),
}
#: Parts of the box as problems name them.
PARTS = {
    "config": N_("configuration"),
    "configuration": N_("configuration"),
    "good configuration": N_("last good configuration"),
    "identity": N_("identity"),
    "vision": N_("face recognition"),
    "plates": N_("plate reading"),
    "journal": N_("journal"),
    "directory": N_("directory"),
    "register": N_("register of plates"),
    "uplink": N_("uplink"),
    "clock": N_("clock"),
    "disk": N_("disk"),
    "measurements": N_("measurements"),
    "control": N_("control socket"),
    "galleries": N_("galleries"),
    "watchdog": N_("watchdog"),
    "metering": N_("water meters"),
}
NAMED = {
    "door": N_("door {name}"),
    "lane": N_("lane {name}"),
    "meter": N_("meter {name}"),
    "bus": N_("bus {name}"),
    "camera": N_("camera {name}"),
}


def part_name(part: str) -> str:
    """In words: "door.main.indicators.denied" is door main, denied lamp."""
    kind, _dot, rest = part.partition(".")
    if kind not in NAMED or not rest:
        return _(PARTS.get(part, part))
    name, _dot, line = rest.partition(".")
    told = tell(NAMED[kind], {"name": name})
    return f"{told} · {line_name(line)}" if line else told


def line_name(line: str) -> str:
    """What a line of a door or lane is for: "indicators.denied" -> denied lamp."""
    last = line.rpartition(".")[2]
    return _(LINES.get(last, last))


def say_whys(whys: Mapping[str, LineWhy], say: Callable[[str], None]) -> None:
    """Each line at fault with its reason and its mend."""
    for line, why in sorted(whys.items()):
        say("  " + labelled(line_name(line), tell(why.what, why.facts)))
        if why.mend:
            say(f"    {_(N_('mend:'))} {tell(why.mend, why.facts)}")
