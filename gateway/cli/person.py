"""`loumen person`: who lives here. The daemon keeps the people; this asks it."""

from __future__ import annotations

import argparse
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from gateway.cli.consent import add_consent_options, consent_fields
from gateway.cli.shell import Shell
from gateway.errors import BadRequest, N_, NotFound
from gateway.lanes.plates import shown
from gateway.locale import _, labelled, moment, tell

PIECE: Final = 192 * 1024  # of a bundle, a request
LONG: Final = 300.0  # seconds an import or export may take
LARGEST: Final = 64 * 1024 * 1024  # gateway.directory.bundle.MAX_BUNDLE, without importing its cryptography

_CHANGES = ("name", "home", "phone", "valid_from", "valid_until")


def add(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    one = verbs.add_parser("add", help=N_("a new person"))
    one.add_argument("name", help=N_("the person's name"))
    _add_fields(one)
    one.add_argument("--under-14", action="store_true", help=N_("a child: a guardian consents"))
    add_consent_options(one)
    one = verbs.add_parser("change", help=N_("change a person: doors, validity, suspension, name"))
    one.add_argument("person", help=N_("id, the beginning of one, or the whole name"))
    one.add_argument("--name", default=None, help=N_("a new name"))
    _add_fields(one)
    which = one.add_mutually_exclusive_group()
    which.add_argument("--suspend", action="store_true", help=N_("may pass no door until resumed"))
    which.add_argument("--resume", action="store_true", help=N_("end a suspension"))
    one = verbs.add_parser("list", help=N_("all people, or those whose name or home has a text in it"))
    one.add_argument("--search", default="", metavar="TEXT", help=N_("part of a name or home"))
    one = verbs.add_parser("show", help=N_("one person in full"))
    one.add_argument("person", help=N_("id, the beginning of one, or the whole name"))
    one = verbs.add_parser("forget", help=N_("delete a person for ever: key, record and faces"))
    one.add_argument("person", help=N_("id, the beginning of one, or the whole name"))
    verbs.add_parser("key", help=N_("this box's key document, for `person export --to` and `import --from` elsewhere"))
    one = verbs.add_parser("export", help=N_("people for another box, signed and encrypted to it"))
    one.add_argument("file", type=Path, help=N_("the bundle to write"))
    one.add_argument("person", nargs="*", help=N_("only these people (default: all)"))
    one.add_argument(
        "--to", required=True, type=Path, metavar="BOXKEYFILE", help=N_("the receiving box's key document")
    )
    one = verbs.add_parser("import", help=N_("take the people of a bundle"))
    one.add_argument("file", type=Path, help=N_("the bundle"))
    one.add_argument(
        "--from",
        dest="sender",
        required=True,
        type=Path,
        metavar="BOXKEYFILE",
        help=N_("the sending box's key document"),
    )
    one.add_argument(
        "--door", action="append", default=None, metavar="DOOR", help=N_("these doors instead of the sending box's")
    )


def _add_fields(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--home", default=None, help=N_("building, unit, flat"))
    parser.add_argument("--phone", default=None, help=N_("telephone"))
    parser.add_argument("--door", action="append", default=None, metavar="DOOR", help=N_("a door to pass; repeatable"))
    parser.add_argument("--all-doors", action="store_true", help=N_("every door of this box"))
    parser.add_argument("--from", dest="valid_from", default=None, metavar="DATE", help=N_("valid from this day on"))
    parser.add_argument("--until", dest="valid_until", default=None, metavar="DATE", help=N_("valid to this day's end"))


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    return {
        "add": _add,
        "change": _change,
        "list": _list,
        "show": _show,
        "forget": _forget,
        "key": _key,
        "export": _export,
        "import": _import,
    }[arguments.verb](arguments, shell)


def _fields(arguments: argparse.Namespace) -> dict[str, Any]:
    fields = {name: getattr(arguments, name, None) for name in _CHANGES}
    if arguments.all_doors:
        fields["doors"] = ["*"]
    elif arguments.door is not None:
        fields["doors"] = [door for door in arguments.door if door]
    return {name: value for name, value in fields.items() if value is not None}


def _add(arguments: argparse.Namespace, shell: Shell) -> int:
    fields = {**_fields(arguments), "under_14": arguments.under_14, **consent_fields(arguments)}
    document = shell.client().command("person.add", fields)
    shell.out(document, lambda: _tell_person(document, shell))
    return shell.done()


def _change(arguments: argparse.Namespace, shell: Shell) -> int:
    fields = _fields(arguments)
    if arguments.suspend or arguments.resume:
        fields["active"] = bool(arguments.resume)
    if not fields:
        raise BadRequest(N_("nothing to change was given"), mend=N_("see 'loumen person change --help'"))
    document = shell.client().command("person.change", {"person": arguments.person, **fields})
    shell.out(document, lambda: _tell_person(document, shell))
    return shell.done()


def _list(arguments: argparse.Namespace, shell: Shell) -> int:
    people: list[dict[str, Any]] = []
    after, total = 0, 0
    while True:
        page = shell.client().command("person.list", {"after": after, "search": arguments.search}, time_out=60.0)
        people += page["people"]
        after, total = page["next"], page["total"]
        if not after:
            break

    def human() -> None:
        columns = [N_("id"), N_("name"), N_("home"), N_("doors"), N_("state"), N_("faces"), N_("origin")]
        shell.table(columns, map(_line, people))
        shell.say(tell(N_("{shown} of {total} people"), {"shown": len(people), "total": total}))

    shell.out({"people": people, "total": total}, human)
    return shell.done()


def _line(person: dict[str, Any]) -> tuple[object, ...]:
    name = person["name"] if person["readable"] else _(N_("(key lost)"))
    return (
        person["id"][:8],
        name,
        person["home"],
        _doors(person["doors"]),
        _state(person),
        person["faces"],
        person["origin"][:15],
    )


def _state(person: dict[str, Any]) -> str:
    if not person["active"]:
        return _(N_("suspended"))
    if person["valid_until"]:
        return tell(N_("until {date}"), {"date": person["valid_until"][:10]})
    return _(N_("valid"))


def _doors(doors: list[str]) -> str:
    if "*" in doors:
        return _(N_("all"))
    return ", ".join(doors) or _(N_("none"))


def _show(arguments: argparse.Namespace, shell: Shell) -> int:
    document = shell.client().command("person.show", {"person": arguments.person})
    document["plates"] = _plates(document["person"]["id"], shell)
    shell.out(document, lambda: _tell_person(document, shell))
    return shell.done()


def _plates(person: str, shell: Shell) -> list[str]:
    """Her plates; none on a box without lanes, which does not know the question."""
    try:
        page = shell.client().command("plate.list", {"person": person})
    except NotFound:
        return []
    return [one["plate"] for one in page["plates"]]


def _tell_person(document: dict[str, Any], shell: Shell) -> None:
    person = document["person"]
    name = person["name"] if person["readable"] else _(N_("(key lost)"))
    shell.say(f"{name}  {person['id']}")
    for label, value in (
        (N_("home"), person["home"]),
        (N_("phone"), person["phone"]),
        (N_("doors"), _doors(person["doors"])),
        (N_("state"), _state(person)),
        (N_("valid from"), moment(person["valid_from"] or "")),
        (N_("child under 14"), _(N_("yes")) if person["under_14"] else ""),
        (N_("origin"), _origin(person)),
        (N_("faces"), len(document["faces"])),
        (N_("plates"), ", ".join(map(shown, document.get("plates", ())))),
    ):
        if value not in {None, ""}:
            shell.say("  " + labelled(_(label), str(value)))
    for consent in document["consents"]:
        end = (
            tell(N_(", withdrawn {date}"), {"date": moment(consent["withdrawn_at"])}) if consent["withdrawn_at"] else ""
        )
        guardian = tell(N_(", guardian {name}"), {"name": consent["guardian"]}) if consent["guardian"] else ""
        facts = {"date": moment(consent["given_at"]), "wording": consent["wording"], "by": consent["recorded_by"]}
        told = tell(N_("consented {date} to '{wording}', recorded by {by}"), facts)
        shell.say(f"  {told}{guardian}{end}")


def _origin(person: dict[str, Any]) -> str:
    """Who keeps this record, and how often it was changed."""
    kind, _colon, box = str(person["origin"]).partition(":")
    told = {"box": N_("this box"), "platform": N_("the platform"), "import": N_("imported from box {box}")}.get(kind)
    where = tell(told, {"box": box[:8]}) if told else person["origin"]
    return tell(N_("{where}, version {version}"), {"where": where, "version": person["version"]})


def _forget(arguments: argparse.Namespace, shell: Shell) -> int:
    document = shell.client().command("person.show", {"person": arguments.person})
    person = document["person"]
    plates = _plates(person["id"], shell)
    shell.confirm(
        N_(
            "Forget {name} ({id}) for ever, with {faces} faces and {plates} plates? "
            "No copy and no backup brings the record back."
        ),
        name=person["name"] or "?",
        id=person["id"][:8],
        faces=len(document["faces"]),
        plates=len(plates),
    )
    done = shell.client().command("person.forget", {"person": person["id"]}, time_out=60.0)
    shell.out(
        done,
        lambda: tell(N_("{id} is forgotten: key, record, faces and plates are destroyed"), {"id": person["id"][:8]}),
    )
    return shell.done()


def _key(_arguments: argparse.Namespace, shell: Shell) -> int:
    document = shell.client().command("person.key")
    shell.out(document, lambda: msgspec.json.encode(document).decode())  # a document to be carried, in any case
    return shell.done()


def _export(arguments: argparse.Namespace, shell: Shell) -> int:
    fields = {"to": _read_text(arguments.to), "people": arguments.person}
    client = shell.client()
    done = client.command("person.export", fields, time_out=LONG)
    beside = arguments.file.with_name(arguments.file.name + ".unfinished")
    offset = 0
    try:
        with shell.progress(N_("fetching the bundle"), done["size"]) as advance, beside.open("wb") as file:
            while offset < done["size"]:
                answer = client.command("bundle.read", {"bundle": done["bundle"], "offset": offset})
                data = msgspec.convert(answer["data"], bytes)
                file.write(data)
                offset += len(data)
                advance(len(data))
        beside.replace(arguments.file)
    except OSError as error:
        beside.unlink(missing_ok=True)
        raise BadRequest(N_("{file} cannot be written: {error}"), file=str(arguments.file), error=str(error)) from error
    document = {name: done[name] for name in ("people", "faces", "unreadable", "receiver", "size")}
    text = N_("{people} people with {faces} faces are in {file}, readable by box {receiver} only")
    shell.out({**document, "file": str(arguments.file)}, lambda: tell(text, {**document, "file": str(arguments.file)}))
    if done["unreadable"]:
        shell.note(tell(N_("{count} people were left out: their keys are lost"), {"count": done["unreadable"]}))
    return shell.done()


def _import(arguments: argparse.Namespace, shell: Shell) -> int:
    client = shell.client()
    name = secrets.token_hex(16)
    sender = _read_text(arguments.sender)
    try:
        size = arguments.file.stat().st_size
        _check_size(arguments.file, size)
        with shell.progress(N_("handing over the bundle"), size) as advance, arguments.file.open("rb") as file:
            offset = 0
            for data in _pieces(file):
                client.command("bundle.write", {"bundle": name, "offset": offset, "data": data})
                offset += len(data)
                advance(len(data))
    except OSError as error:
        raise BadRequest(
            N_("{file} cannot be read: {error}"),
            file=str(arguments.file),
            mend=N_("check the path and its permissions"),
            error=error.strerror or str(error),
        ) from error
    fields = {"bundle": name, "sender": sender, "doors": arguments.door}
    done = client.command("person.import", fields, time_out=LONG)

    def human() -> None:
        text = N_("{added} added, {changed} changed, {unchanged} unchanged, {refused_count} refused; {faces} faces")
        shell.say(tell(text, done))
        for refused in done["refused"]:
            shell.say(f"  {refused['person'][:8]}: {_(refused['why'])}")
        if not done["complete"]:
            shell.say(tell(N_("not complete ({problem}): import the same file once more"), done))

    shell.out(done, human)
    return shell.done(done["complete"] and not done["refused_count"])


def _check_size(file: Path, size: int) -> None:
    if not size:
        raise BadRequest(N_("{file} is empty"), mend=N_("copy it again from the other box"), file=str(file))
    if size > LARGEST:
        raise BadRequest(
            N_("{file} has {size} MB, which no bundle has"),
            mend=N_("take the file that 'loumen person export' wrote"),
            file=str(file),
            size=size >> 20,
        )


def _pieces(file: Any) -> Iterator[bytes]:
    while data := file.read(PIECE):
        yield data


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(N_("{file} cannot be read: {error}"), file=str(path), error=str(error)) from error
