"""`loumen doctor`: ten checks, each with its mend. Exit 1 when one fails."""

from __future__ import annotations

import argparse

from gateway.cli.shell import Shell
from gateway.cli.words import PARTS
from gateway.config.machine import inspector
from gateway.doctor.checks import CHECKS
from gateway.doctor.look import Grade, Look, Outcome, look
from gateway.errors import N_
from gateway.locale import _, labelled, tell

STYLES: dict[Grade, str] = {"ok": "green", "warn": "yellow", "fail": "bold red", "skip": "dim"}
SIGNS: dict[Grade, str] = {"ok": "●", "warn": "▲", "fail": "✖", "skip": "○"}
TITLES = {
    "config": N_("configuration"),
    "permissions": N_("permissions"),
    "lines": N_("lines"),
    "camera": N_("cameras"),
    "models": N_("models"),
    "clock": N_("clock"),
    "disk": N_("disk"),
    "database": N_("databases"),
    "broker": N_("broker"),
    "certificate": N_("certificate"),
}


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = N_("Ten checks, each with its mend. Exit 1 when one fails.")
    parser.add_argument("check", nargs="*", metavar="CHECK", help=N_("only these (default: all)"))


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    names = arguments.check or list(CHECKS)
    for name in names:
        if name not in CHECKS:
            from gateway.cli.parser import WrongUsage

            raise WrongUsage(
                N_("there is no check {name}"), mend=N_("one of: {known}"), name=name, known=", ".join(CHECKS)
            )
    box = look(shell.config, shell.client(), inspector())
    if box.config is not None:
        shell.prefer(box.config.site.language)
    outcomes: dict[str, Outcome] = {}
    with shell.progress(N_("checking"), len(names)) as advance:
        for name in names:
            outcomes[name] = CHECKS[name](box)
            advance(1)
    shell.out(document(box, outcomes), lambda: _show(outcomes, shell))
    return shell.done(not any(outcome.grade == "fail" for outcome in outcomes.values()))


def document(box: Look, outcomes: dict[str, Outcome]) -> dict[str, object]:
    """The JSON form."""
    return {
        "running": box.status is not None,
        "checks": [
            {
                "check": name,
                "grade": outcome.grade,
                "what": outcome.what,
                "mend": outcome.mend,
                "facts": dict(outcome.facts),
                "text": tell(outcome.what, outcome.facts),
                "details": [
                    {"name": one.name, "what": one.what, "mend": one.mend, "facts": dict(one.facts)}
                    for one in outcome.details
                ],
            }
            for name, outcome in outcomes.items()
        ],
    }


def _show(outcomes: dict[str, Outcome], shell: Shell) -> None:
    for name, outcome in outcomes.items():
        grade = outcome.grade
        text = labelled(_(TITLES[name]), tell(outcome.what, outcome.facts))
        shell.mark(f"{SIGNS[grade]} {text}", STYLES[grade], hang=2)
        for one in outcome.details:
            shell.say(labelled(_(PARTS.get(one.name, one.name)), tell(one.what, one.facts)), indent=4)
            if one.mend:
                shell.say(f"{_(N_('mend:'))} {tell(one.mend, one.facts)}", indent=6)
        if outcome.mend:
            shell.say(f"{_(N_('mend:'))} {tell(outcome.mend, outcome.facts)}", indent=4)
