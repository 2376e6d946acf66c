"""Writes `docs/reference/answers.md`: what every verb prints with --json. `python -m gateway.cli.answers`.

What a daemon's command answers is read from its handler's own type; what the command line makes itself
stands in OWN, and a test compares both with what is really printed.
"""

from __future__ import annotations

import importlib
import inspect
import re
import sys
import types
import typing
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.command import Command
from gateway.control.status import Status
from gateway.uplink.status import UplinkStatus

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "answers.md"
HEAD: Final = """\
# What `--json` prints

Made by `python -m gateway.cli.answers`; do not edit.

One document on stdout. Keys are stable: they are added, never renamed or reused; a reader passes over what it
does not know. Moments are ISO 8601 in UTC with offset. A text that a person reads is a message id (`what`, `mend`,
`reason`, ...) whose `{places}` are filled from the `facts` beside it. An error is
`{"error": {"code", "what", "where", "mend", "facts", "text"}}`, its codes are in [commands.md](commands.md). What
`curl` gets of the socket is the same.
"""
#: Where the handlers of the daemon's commands are.
ROOMS: Final = (
    "gateway.access.answers",
    "gateway.lanes.answers",
    "gateway.lanes.plate_answers",
    "gateway.directory.service",
    "gateway.directory.enrolling",
    "gateway.directory.transfer",
    "gateway.config.service",
    "gateway.journal.commands",
    "gateway.metering.answers",
    "gateway.io.service",
)
#: Commands that a verb gives among others.
BEHIND: Final = frozenset({"bundle read", "bundle write", "config confirm"})
#: Verbs whose document is a structure that no handler's type names.
NAMED: Final[dict[str, type]] = {
    "status": Status,
    "sync status": UplinkStatus,
    "sync pause": UplinkStatus,
    "sync resume": UplinkStatus,
    "sync resend": UplinkStatus,
}
#: Documents that the command line makes: verb -> key -> what it is.
OWN: Final[dict[str, dict[str, str]]] = {
    "watch": {
        "status": "the whole status, at the start and after each change",
        "event": "or: a row as of `event list`",
    },
    "event list": {
        "events": "rows: `id`, `epoch`, `seq`, `type`, `at`, `trusted`, `event` (null: removed by retention), hashes",
        "next": "the `--after` of the next page",
    },
    "event export": {"events": "how many", "file": "where to; without --output the rows themselves are printed"},
    "doctor": {
        "running": "whether a daemon answers",
        "checks": "each: `check`, `grade` (ok, warn, fail, skip), `what`, `mend`, `facts`, `text`, `details`",
    },
    "config new": {"board": "pi4, pi5, simulated", "toml": "the text; with --output `file` instead"},
    "config check": {
        "file": "",
        "valid": "true; an invalid file is an error whose `facts.mistakes` are like the findings",
        "findings": "each: `file`, `line`, `key`, `severity` (warning, hint), `what`, `mend`, `facts`, `text`",
    },
    "config show": {"(tables)": "the configuration with its defaults, secrets masked; --running: `toml`, `source`"},
    "config apply": {
        "changed": "each: `key`, `before`, `after` (null: not there)",
        "applied": "false where nothing would change",
        "restarting": "whether a daemon begins anew with it",
        "confirm_within": "seconds until it is taken back",
    },
    "model list": {
        "ok": "whether every needed model is there and whole",
        "folder": "",
        "engine": "as configured",
        "detector": "as configured",
        "models": "each: `name`, `file`, `state` (ok, missing, damaged), `needed`, `use`, `licence`, `source`, ...",
    },
    "model verify": {"...": "as `model list`"},
    "model prepare": {"...": "as `model fetch`"},
    "door list": {"doors": "list of [DoorView](#doorview)"},
    "lane list": {"lanes": "list of [LaneView](#laneview)"},
    "lane simulate": {
        "lane": "",
        "takes": "seconds; with `--events` instead `told` (seconds and type) and `differs` (`journal`, `rules`)",
        "rows": "each: `at` in seconds, `what`, `how`, `motion`, `under`, `pulses`, `events`, `why`, `why_facts`",
    },
    "io show": {"lines": "list of [LineView](#lineview)"},
    "io set": {"lines": "the one [LineView](#lineview)"},
    "io pulse": {"lines": "the one [LineView](#lineview)"},
    "person show": {"...": "[PersonShown](#personshown)", "plates": "her plates, on a box with lanes"},
    "meter chart": {"meter": "", "by": "hour or day", "zone": "", "litres": "", "bars": "each an hour or day"},
    "meter profile list": {"profiles": "each: `profile`, `model`, `source`, `problem`"},
    "meter profile show": {
        "...": "the profile's keys: see [profiles](profile.md)",
        "requests": "what is asked at once",
    },
    "meter profile check": {"file": "", "valid": "", "...": "mistakes as of `config check`"},
    "event follow": {"...": "a row as of `event list`, one document a line"},
    "event schema": {"(type)": "its JSON Schema"},
    "run": {"error": "only where it cannot start"},
    "desk init": {"community": "", "folder": "", "root": "fingerprint", "root_key": "a file", "mosquitto": "a file"},
    "desk broker": {"until": "its certificate is good", "mosquitto": "where it was installed, or null"},
    "desk admit": {"box": "uuid", "community": "", "bundle": "the file that was written"},
    "desk run": {"...": "one document a line"},
    "desk status": {
        "broker": "",
        "protocol": "",
        "connected_since": "empty while it is not",
        "problem": "",
        "stored": "events since its start",
        "doubles": "dropped",
        "receipts": "given",
        "boxes": "as of `desk boxes`",
        "found": "what does not fit: `box`, `epoch`, `seq`, `kind`, `times`",
        "broker_certificate_until": "",
    },
    "desk boxes": {
        "boxes": "each: `box`, `name`, `online`, `last_seen`, `events`, `epochs` (with `holes`), `findings`",
        "never_heard": "each: `box`, `name`, `admitted`",
    },
    "desk events": {"...": "an event, one document a line: `box`, `epoch`, `seq`, `type`, `at`, `historical`, `body`"},
    "desk command": {"...": "what the box answered: see the command of this name"},
    "desk keys": {"version": "of the list", "keys": "each: `kid`, `role`, `name`, `receiver`"},
    "evaluate faces": {
        "engine": "",
        "detector": "",
        "images": "",
        "found": "",
        "pairs_same": "",
        "pairs_different": "",
        "eer": "",
        "tar_at_far": "object: rate -> rate",
        "threshold": "",
        "ms_per_face": "",
        "door": "`residents`, `accepted`, `strangers`, `let_in`, `enrolled_each`, `rule`",
    },
    "evaluate plates": {
        "images": "",
        "detected": "",
        "exact": "",
        "exact_without_province": "",
        "confident": "",
        "confident_wrong": "",
        "ms_per_image": "",
    },
    "evaluate water": {
        "dwelling_years": "",
        "false_alarms": "",
        "kinds": "each: `kind`, `litres_per_hour`, `count`, `detected`, `median_hours`, `p95_hours`",
    },
    "model fetch": {"made": "names", "folder": ""},
    "face list": {"faces": "each: `id`, `person`, `name`, `quality`, `taken_at`, `engine`, `origin`"},
    "face remove": {"person": "id", "removed": "how many faces", "withdrawn": "whether the consent went too"},
    "person forget": {"person": "id", "forgotten": "true"},
    "sync keys": {"community": "", "version": "of the list", "issued": "", "keys": "`kid`, `role`, ...", "ca": ""},
    "label": {
        "box": "uuid",
        "name": "",
        "site": "",
        "host": "",
        "address": "",
        "fingerprint": "of the box's key",
        "qr": "the text in it",
    },
    "enrol": {"box": "uuid", "fingerprint": "of the box's key", "request": "the file that was written"},
    "safe-state": {"resting": "names of outputs", "problems": "each: `name`, `why`"},
    "demo": {"held": "whether every step held", "seconds": "", "steps": "each: `step`, `held`, `saw`, `seconds`"},
}


def answers() -> dict[str, Any]:
    """Verb -> the type of its document, where a type says it."""
    found: dict[str, Any] = {}
    for room in ROOMS:
        module = importlib.import_module(room)
        for _name, kind in inspect.getmembers(module, inspect.isclass):
            if kind.__module__ == room:
                found.update(_answers_of(kind))
    return {**found, **NAMED}


def _answers_of(kind: type) -> Iterator[tuple[str, Any]]:
    for _name, function in inspect.getmembers(kind, inspect.isfunction):
        try:
            hints = typing.get_type_hints(function)
        except NameError:
            continue  # a name for the type checker only: no handler has one
        first = next(iter(hints.values()), None)
        if isinstance(first, type) and issubclass(first, Command) and first is not Command:
            yield first.command_name().replace(".", " "), hints.get("return")


def page() -> str:
    """The whole page."""
    lines, shown = [HEAD], dict[str, type]()
    found = answers()
    for verb in sorted({*found, *OWN}):
        lines.append(f"## loumen {verb}\n" if verb not in BEHIND else f"## POST /v1/command/{verb.replace(' ', '.')}\n")
        if verb in found:
            _name(found[verb], shown)  # also where OWN has more to say: its structures are told
        if verb in OWN:
            lines += [f"- `{key}`{f': {text}' if text else ''}" for key, text in OWN[verb].items()]
        else:
            lines.append(_name(found[verb], shown))
        lines.append("")
    lines.append("# Structures\n")
    told: set[str] = set()
    while left := sorted(set(shown) - told):
        for name in left:
            told.add(name)
            lines += [f"## {name}\n", "| key | | |", "|---|---|---|", *_rows(shown[name], shown), ""]
    return "\n".join(lines)


def _rows(kind: type, shown: dict[str, type]) -> Iterator[str]:
    remarks = _remarks(kind)
    hints = typing.get_type_hints(kind)
    for field in msgspec.structs.fields(kind):
        yield f"| `{field.encode_name}` | {_name(hints[field.name], shown)} | {remarks.get(field.name, '')} |"


def _remarks(kind: type) -> dict[str, str]:
    """The comments beside the fields, as the source has them."""
    found = re.findall(r"^    (\w+):[^#\n]*#\s*(.*)$", inspect.getsource(kind), re.MULTILINE)
    return {name: remark.replace("|", "\\|") for name, remark in found}


PLAIN: Final = {str: "text", int: "whole number", float: "number", bool: "true or false", bytes: "base64", Any: "any"}


def _name(kind: Any, shown: dict[str, type]) -> str:
    """A type in words; structures are remembered."""
    origin, inner = typing.get_origin(kind), typing.get_args(kind)
    if origin is typing.Annotated:
        return _name(inner[0], shown)
    if origin in {types.UnionType, typing.Union}:
        return " or ".join("null" if one is type(None) else _name(one, shown) for one in inner)
    if origin is typing.Literal:
        return ", ".join(f"`{one}`" for one in inner)
    if origin in {tuple, list}:
        return f"list of {_name(inner[0], shown)}"
    if origin is dict:
        return f"object of {_name(inner[1], shown)}"
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        name = kind.__name__
        if shown.get(name, kind) is not kind:  # two rooms have a structure of this name
            name = f"{kind.__module__.split('.')[1].capitalize()}{name}"
        shown[name] = kind
        return f"[{name}](#{name.lower()})"
    return PLAIN.get(kind, getattr(kind, "__name__", str(kind)))


def main() -> int:
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
