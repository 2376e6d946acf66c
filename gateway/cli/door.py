"""`loumen door`: the same commands as the desk's and the platform's, from the box's own terminal."""

from __future__ import annotations

import argparse
from typing import Any

import msgspec

from gateway.cli.shell import Shell
from gateway.cli.status import door_line
from gateway.cli.words import COMMANDED, FACES, LOCKS, MODES, SENSED, say_whys
from gateway.control.status import DoorStatus
from gateway.errors import N_
from gateway.locale import _, labelled, tell

#: Why somebody may not pass -> what a technician can do about it.
MENDS = {
    "inactive": N_("loumen person change {person} --resume"),
    "other_door": N_("loumen person change {person} --door {door}"),
    "not_yet": N_("loumen person change {person} --from DATE"),
    "expired": N_("loumen person change {person} --until DATE"),
    "blocked": N_("'loumen door release {door}' ends a lock-down"),
}


def add(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    verbs.add_parser("list", help=N_("all doors"))
    for verb, text in (
        ("show", N_("one door in full")),
        ("open", N_("open once, as a grant does")),
        ("hold", N_("keep released until `door release`")),
        ("lock", N_("block: refuse everybody but the exit button until `door release`")),
        ("release", N_("end a hold or a block")),
        ("identify", N_("click the relay, so that you hear which it is")),
        ("explain", N_("why a person may, or may not, pass now")),
    ):
        one = verbs.add_parser(verb, help=text)
        one.add_argument("door", help=N_("the door's name in the configuration"))
        if verb in {"open", "hold", "lock", "release"}:
            one.add_argument("--reason", default="", help=N_("why; it stands in the journal"))
        if verb == "explain":
            one.add_argument("person", help=N_("id, the beginning of one, or the whole name"))


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    return {
        "list": _list,
        "show": _show,
        "identify": _identify,
        "explain": _explain,
    }.get(arguments.verb, _order)(arguments, shell)


def _list(_arguments: argparse.Namespace, shell: Shell) -> int:
    document = shell.client().command("door.list")
    columns = [N_("door"), N_("name"), N_("commanded"), N_("sensed"), N_("mode"), N_("people")]
    rows = [
        (
            door.id,
            door.name,
            _(COMMANDED.get(door.commanded, door.commanded)),
            _(SENSED.get(door.sensed, door.sensed)),
            _(MODES.get(door.mode, door.mode)),
            door.people,
        )
        for door in msgspec.convert(_doors(document), list[DoorStatus], strict=False)
    ]
    shell.out(document, lambda: shell.table(columns, rows) if rows else _(N_("no door is configured")))
    return shell.done()


def _doors(document: Any) -> Any:
    return document.get("doors", []) if isinstance(document, dict) else document


def _show(arguments: argparse.Namespace, shell: Shell) -> int:
    document = shell.client().command("door.show", {"door": arguments.door})
    door = msgspec.convert(document, DoorStatus, strict=False)
    line = door_line(door)
    facts = [
        (N_("lock"), _(LOCKS.get(door.lock, door.lock))),
        (N_("mode"), _(MODES.get(door.mode, door.mode))),
        (N_("camera"), door.camera or "-"),
        (N_("faces"), _(FACES.get(door.face, door.face))),
    ]

    def human() -> None:
        shell.say(labelled(line.part, line.text))
        for name, value in facts:
            shell.say("  " + labelled(_(name), value))
        say_whys(door.whys, shell.say)

    shell.out(document, human)
    return shell.done()


def _order(arguments: argparse.Namespace, shell: Shell) -> int:
    document = shell.client().command(
        f"door.{arguments.verb}", {"door": arguments.door, "reason": arguments.reason or "loumen door"}
    )
    done = {
        "open": N_("{door} is open for {seconds} s"),
        "hold": N_("{door} is held open until `loumen door release {door}`"),
        "lock": N_("{door} is blocked until `loumen door release {door}`"),
        "release": N_("{door} runs by its rules again"),
    }[arguments.verb]
    seconds = document.get("opened_for", 0) if isinstance(document, dict) else 0
    shell.out(document, lambda: tell(done, {"door": arguments.door, "seconds": f"{seconds:g}"}))
    return shell.done()


def _identify(arguments: argparse.Namespace, shell: Shell) -> int:
    shell.confirm(
        N_("The relay of {door} clicks a few times; its lock may release for a moment. Go on?"), door=arguments.door
    )
    document = shell.client().command("door.identify", {"door": arguments.door}, time_out=30.0)
    shell.out(document, lambda: tell(N_("the relay of {door} clicked"), {"door": arguments.door}))
    return shell.done()


def _explain(arguments: argparse.Namespace, shell: Shell) -> int:
    client = shell.client()
    person = client.command("person.show", {"person": arguments.person})["person"]
    document = client.command("door.explain", {"door": arguments.door, "person": person["id"]})
    granted = bool(document.get("granted"))
    answer = (
        N_("{person} may pass {door} now: {reason}") if granted else N_("{person} may not pass {door} now: {reason}")
    )
    name = person["name"] or person["id"][:8]
    facts = {"person": name, "door": arguments.door, "reason": str(document.get("reason", ""))}
    mend = MENDS.get(str(document.get("code", "")))

    def human() -> None:
        shell.say(tell(answer, facts))
        if mend:
            shell.say(f"  {_(N_('mend:'))} {tell(mend, {'person': person['id'][:8], 'door': arguments.door})}")

    shell.out(document, human)
    return shell.done(granted)
