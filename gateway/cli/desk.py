"""`loumen desk`: the community's own server. Its folder is its own; no box and no gateway.toml is needed."""

from __future__ import annotations

import argparse
import os
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec

from gateway.cli.parser import FLAGS
from gateway.cli.shell import Shell
from gateway.command import Role
from gateway.errors import BadRequest, IdentityError, N_, NotFound
from gateway.locale import moment

if TYPE_CHECKING:
    from gateway.desk.authority import Authority

FOLDER = "/var/lib/loumen-desk"
RENEW_WITHIN = timedelta(days=90)  # a certificate that is forgotten for a summer still connects


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--folder", type=Path, default=Path(os.environ.get("LOUMEN_DESK", FOLDER)),
                        help=N_("the desk's folder (default: LOUMEN_DESK, else /var/lib/loumen-desk)"))  # fmt: skip
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    init = verbs.add_parser("init", help=N_("make a community: root key, authority, broker certificate"))
    init.add_argument("--community", required=True, help=N_("its short name; part of every topic"))
    init.add_argument(
        "--host", action="append", required=True, help=N_("a name or address of the broker (may be repeated)")
    )
    init.add_argument("--port", type=int, default=8883)
    init.add_argument("--protocol", choices=["5", "3.1.1", "auto"], default="auto", help=N_("the broker's MQTT"))
    broker = verbs.add_parser("broker", help=N_("new certificates for the broker and the desk; files for mosquitto"))
    broker.add_argument(
        "--host", action="append", default=[], help=N_("a name or address of the broker (may be repeated)")
    )
    broker.add_argument("--keep", action="store_true", help=N_("keep the certificates as they are"))
    broker.add_argument(
        "--install", type=Path, metavar="DIR", help=N_("where Debian's mosquitto is set up: /etc/mosquitto")
    )
    admit = verbs.add_parser("admit", help=N_("answer a box's request with a bundle"))
    admit.add_argument("file", type=Path, help=N_("what `loumen enrol` wrote on the box"))
    admit.add_argument("--output", type=Path, help=N_("where to write the bundle"))
    admit.add_argument("--fingerprint", default="", help=N_("admit this key without asking"))
    verbs.add_parser("run", help=N_("receive, store, confirm, command; until stopped"))
    verbs.add_parser("status", help=N_("connection, counts, findings"))
    verbs.add_parser("boxes", help=N_("every box and what is held of it"))
    events = verbs.add_parser("events", help=N_("what came"))
    events.add_argument("--box", default="", help=N_("one box: its whole history in order"))
    events.add_argument("--type", default="", help=N_("one type of event"))
    events.add_argument("--last", type=int, default=50, help=N_("how many, without --box"))
    events.add_argument("--follow", action="store_true", help=N_("go on as they come"))
    command = verbs.add_parser("command", help=N_("order something at a box and wait for its answer"))
    command.add_argument("--as", dest="kid", default="desk", help=N_("the key to sign with"))
    command.add_argument("--within", type=float, default=10.0, help=N_("seconds to wait"))
    command.add_argument("box", help=N_("uuid, its beginning, or name"))
    command.add_argument("name", help=N_("for example door.open"))
    command.add_argument("fields", nargs=argparse.REMAINDER, help=N_("--field text, or --field:=json"))
    keys = verbs.add_parser("keys", help=N_("online keys: list, add, remove, send"))
    keys.add_argument("what", choices=["list", "add", "remove", "send"], nargs="?", default="list")
    keys.add_argument("kid", nargs="?", default="", help=N_("the key's short name; for send: the box"))
    keys.add_argument("--role", choices=[role.name.lower() for role in Role], default="clerk")
    keys.add_argument("--name", default="", help=N_("whose key it is"))
    keys.add_argument("--root", type=Path, help=N_("the root key, where it is not in the folder"))


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from gateway.desk.authority import Authority

    verb: Callable[[Authority, argparse.Namespace, Shell], int] = {
        "init": _init, "broker": _broker, "admit": _admit, "run": _run, "status": _status, "boxes": _boxes,
        "events": _events, "command": _command, "keys": _keys,
    }[arguments.verb]  # fmt: skip
    return verb(Authority(arguments.folder), arguments, shell)


def _init(authority: Authority, arguments: argparse.Namespace, shell: Shell) -> int:
    fingerprint = authority.init(arguments.community, tuple(arguments.host), arguments.port, arguments.protocol)
    document = {
        "community": arguments.community,
        "folder": str(authority.folder),
        "root": fingerprint,
        "root_key": str(authority.root_key),
        "mosquitto": str(authority.folder / "broker" / "mosquitto.conf"),
    }

    def human() -> None:
        shell.say(shell._(N_("Fingerprint of the community's root: {fingerprint}"), fingerprint=fingerprint))
        shell.say(shell._(N_("Every box asks for it once: keep it where technicians find it")))
        shell.say(
            shell._(
                N_("Move {path} to a USB stick and lock it away; only `desk keys` needs it"), path=authority.root_key
            )
        )
        shell.say(shell._(N_("A configuration for mosquitto is in {path}"), path=document["mosquitto"]))
        shell.say(shell._(N_("For Debian's service: sudo loumen desk broker --keep --install /etc/mosquitto")))

    shell.out(document, human)
    return shell.done()


def _broker(authority: Authority, arguments: argparse.Namespace, shell: Shell) -> int:
    from gateway.desk import mosquitto

    port = authority.settings().brokers[0].port
    until = authority.broker_until() if arguments.keep else authority.certify(tuple(arguments.host))
    installed = ""
    if arguments.install:
        installed = str(mosquitto.install(authority.folder / "broker", port, arguments.install))
    document = {"until": until.isoformat(timespec="seconds"), "mosquitto": installed}

    def human() -> None:
        shell.say(shell._(N_("The broker's certificate is good until {until}"), until=f"{until:%Y-%m-%d}"))
        if installed:
            shell.say(shell._(N_("mosquitto is set up in {path}; now: systemctl restart mosquitto"), path=installed))
        if not arguments.keep:
            shell.say(shell._(N_("The broker and the desk use the new certificates after their next start")))

    shell.out(document, human)
    return shell.done()


def _admit(authority: Authority, arguments: argparse.Namespace, shell: Shell) -> int:
    try:
        data = arguments.file.read_bytes()
    except OSError as error:
        raise IdentityError(
            N_("The request cannot be read: {problem}"), where=str(arguments.file), problem=error.strerror or ""
        ) from error

    def confirm(box: str, name: str, fingerprint: str) -> bool:
        if arguments.fingerprint:
            return bool(arguments.fingerprint.replace(" ", "").lower() == fingerprint.replace(" ", ""))
        shell.note(
            shell._(
                N_("Box {box} ({name}), fingerprint of its key: {fingerprint}"),
                box=box,
                name=name,
                fingerprint=fingerprint,
            )
        )
        return shell.confirm(N_("Does the box show the same fingerprint?"))

    from gateway.identity import replace_file

    bundle = authority.admit(data, confirm)
    path = arguments.output or Path(f"loumen-bundle-{bundle.box[:8]}.json")
    try:
        replace_file(path, msgspec.json.encode(bundle), 0o644)
    except OSError as error:
        raise IdentityError(
            N_("The bundle cannot be written: {problem}"), where=str(path), problem=error.strerror or ""
        ) from error
    document = {"box": bundle.box, "community": bundle.community, "bundle": str(path)}
    said = N_("Admitted. Take {path} to the box and run there: loumen enrol --accept {name}")
    shell.out(document, lambda: shell._(said, path=path, name=path.name))
    return shell.done()


def _run(authority: Authority, _arguments: argparse.Namespace, shell: Shell) -> int:
    import asyncio
    import logging

    from gateway.desk.process import run_desk

    logging.basicConfig(level=logging.INFO, format="%(asctime)s %(name)s %(message)s")
    asyncio.run(run_desk(authority, lambda: shell.note(shell._(N_("The desk is ready")))))
    return shell.done()


def _status(authority: Authority, _arguments: argparse.Namespace, shell: Shell) -> int:
    from gateway.desk.local import Client
    from gateway.desk.reading import reading

    live = Client(authority.socket).ask(ask="status")
    with reading(authority.database) as store:
        document = {**live, "boxes": store.boxes(), "found": store.findings()}
    until = authority.broker_until()
    document["broker_certificate_until"] = until.isoformat(timespec="seconds")

    def human() -> None:
        if live["connected_since"]:
            shell.say(
                shell._(
                    N_("Connected to {broker} (MQTT {protocol}) since {since}"),
                    broker=live["broker"],
                    protocol=live["protocol"],
                    since=live["connected_since"],
                )
            )
        else:
            shell.mark(shell._(N_("Not connected: {problem}"), problem=live["problem"] or "-"), "yellow")
        shell.say(
            shell._(
                N_("Since its start: {stored} stored, {doubles} doubles dropped, {receipts} receipts given"),
                **{name: live[name] for name in ("stored", "doubles", "receipts")},
            )
        )
        if until - datetime.now(UTC) < RENEW_WITHIN:
            warning = N_("The broker's certificate is good until {until}; make a new one: loumen desk broker")
            shell.mark(shell._(warning, until=f"{until:%Y-%m-%d}"), "yellow")
        for finding in document["found"]:
            shell.mark(shell._(N_("Found at {box}/{epoch}/{seq}: {kind} ({times} times)"), **finding), "bold red")

    shell.out(document, human)
    return shell.done(bool(live["connected_since"]))


def _boxes(authority: Authority, _arguments: argparse.Namespace, shell: Shell) -> int:
    from gateway.desk.reading import reading

    admitted = authority.boxes()
    with reading(authority.database) as store:
        boxes = store.boxes()
    heard = {box["box"] for box in boxes}
    silent = [box for uuid, box in admitted.items() if uuid not in heard]
    columns = [N_("box"), N_("name"), N_("connected"), N_("last heard"), N_("events"), N_("missing"), N_("findings")]
    rows: list[tuple[object, ...]] = [
        (box["box"], box["name"], shell._(N_("yes") if box["online"] else N_("no")), moment(box["last_seen"]),
         box["events"], sum(last - first + 1 for epoch in box["epochs"] for first, last in epoch["holes"]),
         box["findings"])
        for box in boxes
    ]  # fmt: skip
    rows += [(box.box, box.name, shell._(N_("never")), "-", 0, 0, 0) for box in silent]
    never = [{"box": box.box, "name": box.name, "admitted": box.at} for box in silent]
    shell.out({"boxes": boxes, "never_heard": never}, lambda: shell.table(columns, rows))
    return shell.done()


def _events(authority: Authority, arguments: argparse.Namespace, shell: Shell) -> int:
    from gateway.desk.reading import PAGE, reading

    with reading(authority.database) as store:
        box = store.box(arguments.box) if arguments.box else ""
        if box is None:
            raise NotFound(
                N_("No box or more than one box is called {box}"), box=arguments.box, mend=N_("see: loumen desk boxes")
            )
        newest = store.newest()
        shown = store.history(box, arguments.type) if box else iter(store.last(arguments.last, "", arguments.type))
        for event in shown:
            _show(event, shell)
    while arguments.follow:
        with reading(authority.database) as store:
            page = store.arrived(newest, box, arguments.type)
        for event in page:
            _show(event, shell)
            newest = event["arrival"]
        if len(page) < PAGE:
            _wait(authority)
    return shell.done()


def _wait(authority: Authority) -> None:
    """Until the desk has stored something; at most a second, in case it did while nobody asked."""
    from gateway.desk.local import Client

    Client(authority.socket).ask(5.0, ask="changed", within=1.0)


def _show(event: dict[str, Any], shell: Shell) -> None:
    if shell.json:
        shell.line(event)
        return
    from gateway.cli.happenings import told

    late = " ~" if event["historical"] else ""
    place = f"{event['box'][:8]}/{event['epoch'][:4]}/{event['seq']}"
    said = told({"type": event["type"], "event": event["body"]})
    shell.say(f"{moment(event['at'])}{late}  {place}  {event['type']}  {said}")


def _command(authority: Authority, arguments: argparse.Namespace, shell: Shell) -> int:
    from gateway.desk.local import Client

    fields = read_fields(_own(arguments.fields))
    shell.json = shell.json or "--json" in arguments.fields
    answer = Client(authority.socket).ask(
        arguments.within + 5,
        ask="command", box=arguments.box, name=arguments.name, fields=fields, kid=arguments.kid,
        within=arguments.within,
    )  # fmt: skip
    shell.out(answer, lambda: shell._(N_("Done: {answer}"), answer=msgspec.json.encode(answer).decode()))
    return shell.done()


def _own(texts: list[str]) -> list[str]:
    """What is the command's own: global options may stand at the end of a line here, too."""
    waiting, own = iter(texts), list[str]()
    for text in waiting:
        if text == "--lang":
            next(waiting, "")
        elif text not in FLAGS and not text.startswith("--lang="):
            own.append(text)
    return own


def read_fields(texts: list[str]) -> dict[str, Any]:
    """`--door main --seconds:=5` as fields: text, or JSON after `:=`. Raises BadRequest."""
    fields: dict[str, Any] = {}
    waiting = iter(texts)
    for text in waiting:
        name, sign, value = text.removeprefix("--").partition("=")
        if not text.startswith("--") or not name.rstrip(":"):
            raise BadRequest(N_("a field is written --name text, or --name:=json, not {text}"), text=text)
        if not sign:
            value = next(waiting, "")
        if sign and name.endswith(":"):
            try:
                fields[name[:-1].replace("-", "_")] = msgspec.json.decode(value)
            except msgspec.DecodeError as error:
                raise BadRequest(N_("this is no JSON: {text}"), text=value) from error
        else:
            fields[name.replace("-", "_")] = value
    return fields


def _keys(authority: Authority, arguments: argparse.Namespace, shell: Shell) -> int:
    listed = authority.key_list()
    match arguments.what:
        case "add":
            role = next(role for role in Role if role.name.lower() == arguments.role)
            listed = authority.add_key(arguments.kid, role, arguments.name, root=arguments.root)
        case "remove":
            listed = authority.remove_key(arguments.kid, arguments.root)
        case "send":
            return _send_keys(authority, arguments.kid, shell)
    columns = [N_("key"), N_("role"), N_("name"), N_("gives receipts")]
    rows = [
        (key.kid, shell._(key.role), key.name, shell._(N_("yes") if key.receiver else N_("no"))) for key in listed.keys
    ]
    document = {"version": listed.version, "keys": [msgspec.to_builtins(key) for key in listed.keys]}

    def human() -> None:
        shell.table(columns, rows)
        if arguments.what != "list":
            shell.say(shell._(N_("Boxes hear of it with: loumen desk keys send BOX")))

    shell.out(document, human)
    return shell.done()


def _send_keys(authority: Authority, box: str, shell: Shell) -> int:
    from gateway.desk.local import Client

    signed = authority.signed_list().decode()
    answer = Client(authority.socket).ask(15.0, ask="command", box=box, name="keys", fields={"signed": signed})
    shell.out(answer, lambda: shell._(N_("The box has list {version}"), version=answer["version"]))
    return shell.done()
