"""`loumen enrol`: this box asks a community's desk to be admitted, and takes the answer."""

from __future__ import annotations

import argparse
from pathlib import Path

import msgspec

from gateway.cli.shell import Shell
from gateway.errors import IdentityError, N_
from gateway.identity import Box, replace_file

REQUEST_FILE = "loumen-request.json"


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--accept", metavar="FILE", type=Path, help=N_("take the desk's answer"))
    parser.add_argument("--output", metavar="FILE", type=Path, help=N_("where to write the request"))
    parser.add_argument("--state", metavar="DIR", type=Path, help=N_("the box's state folder, else as configured"))
    parser.add_argument("--name", default="", help=N_("the box's name, else as configured"))
    parser.add_argument("--root", default="", metavar="FINGERPRINT", help=N_("accept this root without asking"))


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    box = _box(arguments, shell)
    return _accept(box, arguments, shell) if arguments.accept else _ask(box, arguments, shell)


def _box(arguments: argparse.Namespace, shell: Shell) -> Box:
    if arguments.state:
        return Box.load_or_create(arguments.state, arguments.name)
    from gateway.config.load import load

    config = load(shell.config).config
    return Box.load_or_create(Path(config.box.state), arguments.name or config.box.name)


def _ask(box: Box, arguments: argparse.Namespace, shell: Shell) -> int:
    request, fingerprint = box.request()
    path = arguments.output or Path(REQUEST_FILE)
    try:
        replace_file(path, msgspec.json.format(msgspec.json.encode(request)), 0o644)
    except OSError as error:
        raise IdentityError(
            N_("The request cannot be written: {problem}"), where=str(path), problem=error.strerror or ""
        ) from error

    def human() -> None:
        shell.say(shell._(N_("This box: {box}"), box=box.uuid))
        shell.say(shell._(N_("Fingerprint of its key: {fingerprint}"), fingerprint=fingerprint))
        shell.say(
            shell._(
                N_("The request is in {path}. Take it to the desk and run there: loumen desk admit {name}"),
                path=path,
                name=path.name,
            )
        )
        shell.say(shell._(N_("The desk shows the same fingerprint. Then, here: loumen enrol --accept FILE")))

    shell.out({"box": box.uuid, "fingerprint": fingerprint, "request": str(path)}, human)
    return shell.done()


def _accept(box: Box, arguments: argparse.Namespace, shell: Shell) -> int:
    try:
        data = arguments.accept.read_bytes()
    except OSError as error:
        raise IdentityError(
            N_("The bundle cannot be read: {problem}"), where=str(arguments.accept), problem=error.strerror or ""
        ) from error

    def confirm(fingerprint: str) -> bool:
        if arguments.root:
            return _plain(arguments.root) == _plain(fingerprint)
        shell.note(shell._(N_("Fingerprint of the community's root: {fingerprint}"), fingerprint=fingerprint))
        return shell.confirm(N_("Does the desk show the same fingerprint?"))

    bundle = box.accept(data, confirm=confirm)
    credentials = box.credentials()
    until = credentials.not_after.isoformat(timespec="seconds") if credentials else ""
    document = {"box": box.uuid, "community": bundle.community, "until": until}
    shell.out(
        document,
        lambda: shell._(
            N_("This box belongs to {community}, until {until}; a running daemon connects by itself"),
            community=bundle.community,
            until=until,
        ),
    )
    return shell.done()


def _plain(fingerprint: str) -> str:
    return fingerprint.replace(" ", "").replace(":", "").lower()
