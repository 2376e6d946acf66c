"""`loumen io`: all lines of the box, live; set or pulse one that is no lock."""

from __future__ import annotations

import argparse
import sys
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from functools import partial
from typing import Any

import msgspec
from rich.text import Text

from gateway.cli import words
from gateway.cli.shell import Shell
from gateway.control.status import LineWhy
from gateway.errors import N_
from gateway.locale import _, moment, tell

EVERY = 0.5  # seconds between looks

OUTPUT_LEVELS = {True: N_("energised"), False: N_("resting"), None: N_("UNUSABLE")}
INPUT_LEVELS = {True: N_("signal"), False: N_("no signal"), None: N_("UNUSABLE")}


def add(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=False)
    parser.set_defaults(follow=False)
    parser.description = N_("All lines: on a terminal live, until Ctrl-C; `io show` once.")
    show = verbs.add_parser("show", help=N_("all lines"))
    show.add_argument("--follow", action="store_true", help=N_("again and again, until Ctrl-C"))
    setting = verbs.add_parser("set", help=N_("energise an indicator or a light, or let it rest"))
    setting.add_argument("line", help=N_("the line's name, as `io show` says"))
    setting.add_argument("level", choices=("on", "off"), help=N_("on: energised, off: resting"))
    pulse = verbs.add_parser("pulse", help=N_("energise an indicator or a light for a moment"))
    pulse.add_argument("line", help=N_("the line's name, as `io show` says"))
    pulse.add_argument("--seconds", type=float, default=0.5, help=N_("how long (default 0.5)"))


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    if arguments.verb in (None, "show"):
        live = arguments.follow or (arguments.verb is None and sys.stdout.isatty() and not shell.json)
        return _follow(shell) if live else _show(shell)
    if arguments.verb == "set":
        level = OUTPUT_LEVELS[arguments.level == "on"]
        shell.confirm(N_("Set {line}: {wanted}?"), line=arguments.line, wanted=level)
        document = shell.client().command("io.set", {"line": arguments.line, "on": arguments.level == "on"})
    else:
        shell.confirm(N_("Energise {line} for {seconds} s?"), line=arguments.line, seconds=f"{arguments.seconds:g}")
        document = shell.client().command("io.pulse", {"line": arguments.line, "seconds": arguments.seconds})
    shell.out(document, lambda: _table(shell, document))
    return shell.done()


def _show(shell: Shell) -> int:
    document = shell.client().get("/v1/io")
    shell.out(document, lambda: _table(shell, document))
    return shell.done()


def _follow(shell: Shell) -> int:
    """All lines first, then each change; with --json each look that differs from the one before."""
    client, before = shell.client(), dict[str, Any]()
    try:
        while True:
            document = client.get("/v1/io")
            now = {line["name"]: line for line in document.get("lines", [])}
            changed = [line for name, line in now.items() if before.get(name) != line]
            if not before:
                shell.out(document, partial(_table, shell, document))
            elif changed:
                shell.out({"lines": changed}, partial(_changes, changed))
            before = now
            time.sleep(EVERY)  # the lines are looked at, not waited for: a technician's eye needs no more
    except KeyboardInterrupt:
        return shell.hung_up()


def _changes(lines: list[dict[str, Any]]) -> str:
    at = moment(datetime.now(UTC).isoformat(), "%H:%M:%S")
    return "\n".join(
        tell(N_("{at}  {line}: {level}"), {"at": at, "line": line["name"], "level": _level(line)}) for line in lines
    )


def _level(line: dict[str, Any]) -> str:
    levels = OUTPUT_LEVELS if line.get("direction") == "output" else INPUT_LEVELS
    return _(levels[line.get("active")])


def _table(shell: Shell, document: dict[str, Any]) -> None:
    columns = [N_("line"), N_("purpose"), N_("level"), N_("chip"), N_("number")]
    rows, lines = [], document.get("lines", [])
    if lost := any(line.get("lost_edges") for line in lines):
        columns.append(N_("lost edges"))
    for line in lines:
        level = line.get("active")
        style = "bold red" if level is None else "green" if level else ""
        rows.append(
            (
                line["name"],
                words.line_name(line["name"]),
                Text(_level(line), style=style),
                line.get("chip", ""),
                line.get("line", ""),
                *([line.get("lost_edges") or ""] if lost else []),
            )
        )
    if not rows:
        shell.say(_(N_("no line is configured")))
        return
    shell.table(columns, rows)
    _problems(shell, lines)


def _problems(shell: Shell, lines: Iterable[dict[str, Any]]) -> None:
    for line in lines:
        if line.get("problem"):
            why = msgspec.convert(line["problem"], LineWhy, strict=False)
            shell.mark(f"{line['name']}: {tell(why.what, why.facts)}", "bold red", hang=2)
            if why.mend:
                shell.say(f"{_(N_('mend:'))} {tell(why.mend, why.facts)}", indent=4)
