"""`loumen lane`: barriers, with the same commands as the desk's and the platform's."""

from __future__ import annotations

import argparse
from typing import Any

import msgspec

from gateway.cli import simulate
from gateway.cli.shell import Shell
from gateway.cli.status import lane_line
from gateway.cli.words import ARMS, LANE_MODES, SENSED_ARM, UNDER, say_whys
from gateway.control.status import LaneStatus
from gateway.errors import N_
from gateway.locale import _, labelled, tell


def add(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    verbs.add_parser("list", help=N_("all lanes"))
    simulate.add(verbs.add_parser("simulate", help=N_("play what a lane would do, without a daemon or a line")))
    for verb, text in (
        ("show", N_("one lane in full")),
        ("raise", N_("raise the arm once, as a grant does")),
        ("hold", N_("raise the arm and keep it up until `lane release`")),
        ("release", N_("end a hold: the arm comes down when nothing is under it")),
    ):
        one = verbs.add_parser(verb, help=text)
        one.add_argument("lane", help=N_("the lane's name in the configuration"))
        if verb != "show":
            one.add_argument("--reason", default="", help=N_("why; it stands in the journal"))


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    return {"list": _list, "show": _show, "simulate": simulate.run}.get(arguments.verb, _order)(arguments, shell)


def _list(_arguments: argparse.Namespace, shell: Shell) -> int:
    document = shell.client().command("lane.list")
    columns = [N_("lane"), N_("name"), N_("commanded"), N_("sensed"), N_("under it"), N_("mode"), N_("plates")]
    lanes: Any = document.get("lanes", []) if isinstance(document, dict) else document
    rows = [
        (
            lane.id,
            lane.name,
            _(ARMS.get(lane.commanded, lane.commanded)),
            _(SENSED_ARM.get(lane.sensed, lane.sensed)),
            _(UNDER.get(lane.under, lane.under)),
            _(LANE_MODES.get(lane.mode, lane.mode)),
            lane.plates,
        )
        for lane in msgspec.convert(lanes, list[LaneStatus], strict=False)
    ]
    shell.out(document, lambda: shell.table(columns, rows) if rows else _(N_("no lane is configured")))
    return shell.done()


def _show(arguments: argparse.Namespace, shell: Shell) -> int:
    document = shell.client().command("lane.show", {"lane": arguments.lane})
    lane = msgspec.convert(document, LaneStatus, strict=False)
    line = lane_line(lane)
    facts = [
        (N_("mode"), _(LANE_MODES.get(lane.mode, lane.mode))),
        (N_("under it"), _(UNDER.get(lane.under, lane.under))),
        (N_("camera"), lane.camera or "-"),
        (N_("plates"), _(N_("off")) if lane.plate == "off" else str(lane.plates)),
    ]

    def human() -> None:
        shell.say(labelled(line.part, line.text))
        if lane.why:
            shell.say(f"  {tell(lane.why, lane.why_facts)}")
        for name, value in facts:
            shell.say("  " + labelled(_(name), value))
        say_whys(lane.whys, shell.say)

    shell.out(document, human)
    return shell.done()


def _order(arguments: argparse.Namespace, shell: Shell) -> int:
    fields = {"lane": arguments.lane, "reason": arguments.reason or "loumen lane"}
    document = shell.client().command(f"lane.{arguments.verb}", fields)
    done = {
        "raise": N_("the arm of {lane} goes up"),
        "hold": N_("the arm of {lane} goes up and stays until `loumen lane release {lane}`"),
        "release": N_("{lane} runs by its rules again"),
    }[arguments.verb]
    shell.out(document, lambda: tell(done, {"lane": arguments.lane}))
    return shell.done()
