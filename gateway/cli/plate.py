"""`loumen plate`: the register of plates, and what a picture or a lane's camera shows."""

from __future__ import annotations

import argparse
import base64
import sys
from datetime import date, timedelta
from pathlib import Path
from typing import Any

from gateway.cli.shell import Shell, error_document
from gateway.errors import BadImage, BadRequest, N_, NotFound
from gateway.lanes.plates import Reading, shown
from gateway.locale import _, moment, tell

PAGE = 1000
STATES = {
    "ok": N_("valid"),
    "ok_clock": N_("valid"),
    "inactive": N_("suspended"),
    "not_yet": N_("not yet valid"),
    "expired": N_("expired"),
    "owner_inactive": N_("owner suspended"),
    "owner_not_yet": N_("owner not yet valid"),
    "owner_expired": N_("owner's validity ended"),
}
ORIGINS = {"box": N_("added here"), "import": N_("from a list")}


def add(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    one = verbs.add_parser("add", help=N_("put a plate on the register, or give it new rights"))
    one.add_argument("plate", help=N_("as on the car: 粤B·12345"))
    one.add_argument("--lane", action="append", default=[], metavar="LANE", help=N_("this lane; every lane without it"))
    whose = one.add_mutually_exclusive_group()
    whose.add_argument(
        "--person",
        default=None,
        metavar="PERSON",
        help=N_("whose it is: an id, the beginning of one, or the whole name"),
    )
    whose.add_argument("--nobody", action="store_true", help=N_("nobody's any more: a firm's, the property office's"))
    one.add_argument("--from", dest="begin", default="", metavar="DATE", help=N_("valid from this day"))
    one.add_argument("--until", dest="end", default="", metavar="DATE", help=N_("valid until the end of this day"))
    one.add_argument("--suspended", action="store_true", help=N_("on the register, and may not pass"))
    one = verbs.add_parser("list", help=N_("the plates on the register"))
    one.add_argument("--find", default="", metavar="TEXT", help=N_("only plates with this in them"))
    one.add_argument("--person", default="", metavar="PERSON", help=N_("only this person's"))
    one = verbs.add_parser("import", help=N_("take over a list in CSV (UTF-8 or GBK), all of it or nothing"))
    one.add_argument(
        "file", type=Path, help=N_("with a column 'plate' (车牌); 'lanes', 'person', 'from', 'until' if need be")
    )
    one.add_argument(
        "--replace", action="store_true", help=N_("remove what an earlier list brought and this one does not name")
    )
    one.add_argument("--dry-run", action="store_true", help=N_("only say what would change"))
    one = verbs.add_parser("remove", help=N_("take a plate off the register"))
    one.add_argument("plate", help=N_("the plate, or its vehicle id"))
    one = verbs.add_parser("read", help=N_("what a picture shows, or what a lane's camera read last"))
    one.add_argument("file", type=Path, nargs="*", help=N_("pictures"))
    one.add_argument("--lane", default="", help=N_("the lane whose camera is meant"))


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    return {"add": _add, "list": _list, "import": _import, "remove": _remove, "read": _read}[arguments.verb](
        arguments, shell
    )


def _add(arguments: argparse.Namespace, shell: Shell) -> int:
    fields = {
        "plate": arguments.plate,
        "lanes": arguments.lane or ["*"],
        "valid_from": arguments.begin or None,
        "valid_until": arguments.end or None,
        "active": not arguments.suspended,
    }
    if arguments.nobody or arguments.person is not None:
        fields["person"] = arguments.person or ""
    document = shell.client().command("plate.add", fields)
    facts = {"plate": shown(document["plate"]), "vehicle": document["id"]}
    shell.out(document, lambda: tell(N_("{plate} is on the register, as vehicle {vehicle}"), facts))
    return shell.done()


def _list(arguments: argparse.Namespace, shell: Shell) -> int:
    plates: list[dict[str, Any]] = []
    states: dict[str, str] = {}
    after, total = "", 0
    while True:
        page = shell.client().command(
            "plate.list", {"after": after, "limit": PAGE, "find": arguments.find, "person": arguments.person}
        )
        plates += page["plates"]
        states |= page["states"]
        total, after = page["total"], page["next"]
        if not after:
            break
    columns = [
        N_("plate"),
        N_("vehicle"),
        N_("person"),
        N_("lanes"),
        N_("from"),
        N_("until"),
        N_("state"),
        N_("origin"),
    ]
    names = _names(shell) if any(one["person"] for one in plates) else {}
    rows = [
        (
            shown(one["plate"]),
            one["id"],
            names.get(one["person"], one["person"][:8]) or "-",
            _(N_("all")) if "*" in one["lanes"] else ", ".join(one["lanes"]),
            _day(one["valid_from"]),
            _day(one["valid_until"], end=True),
            _(STATES.get(states[one["plate"]], states[one["plate"]])),
            _(ORIGINS.get(one["origin"], one["origin"])),
        )
        for one in plates
    ]
    shell.out({"plates": plates, "states": states, "total": total}, lambda: shell.table(columns, rows))
    return shell.done()


def _day(at: str | None, *, end: bool = False) -> str:
    """A limit as people type it, in the site's zone: a day, whose end counts, or a moment."""
    if at is None:
        return "-"
    shown_at = moment(at, "%Y-%m-%d %H:%M")
    day, _space, time = shown_at.partition(" ")
    return f"{date.fromisoformat(day) - timedelta(days=end)}" if time == "00:00" else shown_at


def _names(shell: Shell) -> dict[str, str]:
    """Everybody's name and home, by id: the register knows ids only."""
    names: dict[str, str] = {}
    after = 0
    while True:
        page = shell.client().command("person.list", {"after": after})
        for one in page["people"]:
            name = one["name"] or _(N_("(key lost)"))
            names[one["id"]] = f"{name} · {one['home']}" if one["home"] else name
        after = page["next"]
        if not after:
            return names


def _import(arguments: argparse.Namespace, shell: Shell) -> int:
    try:
        content = arguments.file.read_bytes()
    except OSError as error:
        raise NotFound(
            N_("{file} cannot be read: {problem}"), file=str(arguments.file), problem=error.strerror
        ) from error
    from gateway.lanes.commands import MOST_BYTES

    if len(content) > MOST_BYTES:
        raise BadRequest(N_("{file} is larger than {most} MB"), file=str(arguments.file), most=MOST_BYTES >> 20)
    fields = {
        "content": base64.b64encode(content).decode(),
        "replace": arguments.replace,
        "dry_run": arguments.dry_run,
    }
    if arguments.replace and not arguments.dry_run:
        _ask(fields, shell)
    document = shell.client().command("plate.import", fields, time_out=120.0)

    def human() -> str:
        for error in document["errors"]:
            facts = error["facts"]
            told = tell(error["what"], facts)
            mend = f"\n    {_(N_('mend:'))} {tell(error['mend'], facts)}" if error["mend"] else ""
            place = (
                tell(N_("line {line}: {problem}"), {"line": error["line"], "problem": told}) if error["line"] else told
            )
            shell.say(place + mend)
        if document["errors"]:
            count = len(document["errors"]) + document["more_errors"]
            if not document["errors"][0]["line"]:
                return _(N_("nothing was taken over"))
            return tell(N_("lines that are wrong: {count}; nothing was taken over"), {"count": count})
        done = (
            N_("{added} would be added, {changed} changed, {removed} removed; {same} are as they were")
            if arguments.dry_run
            else N_("{added} added, {changed} changed, {removed} removed; {same} are as they were")
        )
        return tell(done, document)

    shell.out(document, human)
    return shell.done(not document["errors"])


def _ask(fields: dict[str, Any], shell: Shell) -> None:
    """The wrong file would empty the register. A script without a terminal has said what it wants."""
    if shell.yes or not (sys.stdin.isatty() and sys.stderr.isatty()):
        return
    would = shell.client().command("plate.import", {**fields, "dry_run": True}, time_out=120.0)
    if would["removed"]:
        shell.confirm(N_("This list does not name {removed} plates: remove them?"), removed=would["removed"])


def _remove(arguments: argparse.Namespace, shell: Shell) -> int:
    document = shell.client().command("plate.remove", {"plate": arguments.plate})
    shell.out(document, lambda: tell(N_("{plate} is off the register"), {"plate": shown(document["plate"])}))
    return shell.done()


def _read(arguments: argparse.Namespace, shell: Shell) -> int:
    if bool(arguments.file) == bool(arguments.lane):
        raise BadRequest(N_("name pictures or --lane, one of them"))
    return _read_lane(arguments, shell) if arguments.lane else _read_files(arguments, shell)


def _read_lane(arguments: argparse.Namespace, shell: Shell) -> int:
    document = shell.client().command("plate.read", {"lane": arguments.lane})
    facts = {**document, "plate": shown(document["plate"]), "reason": _(document["reason"])}
    text = N_("{plate}, {age} s ago, in {votes} of {frames} frames: {reason}")
    shell.out(document, lambda: tell(text, facts))
    return shell.done(bool(document["granted"]))


def _read_files(arguments: argparse.Namespace, shell: Shell) -> int:
    """In this process: the pictures are the technician's own, and no box is needed."""
    from gateway.vision import threads

    threads.one()
    from gateway.vision import plates
    from gateway.vision.picture import read_picture

    reader = plates.load()
    documents: list[dict[str, Any]] = []
    for file in arguments.file:
        try:
            found = [seen.reading for seen in reader.read(read_picture(file))]
        except BadImage as error:
            if len(arguments.file) == 1:
                raise
            shell.note(shell.words(error))  # the others are read all the same
            documents.append({"file": str(file), "plates": [], "error": error_document(error)})
            continue
        documents.append({"file": str(file), "plates": [_seen(reading) for reading in found if reading.candidates]})

    def human() -> None:
        for document in documents:
            if not document["plates"] and "error" not in document:
                shell.say(tell(N_("{file}: no plate"), document))
            for one in document["plates"]:
                certain = N_("certain") if one["confident"] else N_("not certain")
                others = ", ".join(map(shown, one["others"]))
                shell.say(f"{document['file']}: {shown(one['plate'])} ({_(certain)})" + (f"; {others}" * bool(others)))

    shell.out({"pictures": documents}, human)
    readable = not any("error" in document for document in documents)
    return shell.done(readable and any(document["plates"] for document in documents))


def _seen(reading: Reading) -> dict[str, Any]:
    return {
        "plate": reading.best,
        "log_p": round(reading.log_p, 3),
        "confident": reading.confident,
        "others": [one.plate for one in reading.candidates[1:4]],
    }
