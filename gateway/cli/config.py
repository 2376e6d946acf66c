"""`loumen config`: write a new file, check it (also against this machine), show what runs, apply with a way back."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from gateway.cli.shell import Shell
from gateway.cli.status import duration
from gateway.config import files, new
from gateway.config.apply import Applied, sha256
from gateway.config.load import Loaded, load, located, text_of
from gateway.config.machine import check_machine, inspector
from gateway.config.mistakes import ConfigMistakes, Mistake
from gateway.config.places import places
from gateway.config.show import document, flat, toml
from gateway.errors import BadRequest, ConfigError, DaemonUnreachable, LoumenError, N_, Refused
from gateway.locale import _, tell


def add(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    make = verbs.add_parser("new", help=N_("write a commented file for a board"))
    make.add_argument("--board", choices=new.BOARDS, required=True, help=N_("the board"))
    make.add_argument("--output", metavar="FILE", help=N_("where to write it (default: stdout)"))
    make.add_argument("--folder", default="", metavar="DIR", help=N_("state and run in this folder (a bench)"))
    check = verbs.add_parser("check", help=N_("every mistake, each with its line and its mend"))
    check.add_argument("file", nargs="?", help=N_("the file (default: the configuration)"))
    check.add_argument("--no-machine", action="store_true", help=N_("do not look at this machine's lines and cameras"))
    show = verbs.add_parser("show", help=N_("the configuration with its defaults, secrets masked"))
    show.add_argument("--running", action="store_true", help=N_("what the daemon runs, not the file"))
    apply = verbs.add_parser(
        "apply", help=N_("check, show the difference, ask, put in place; taken back unless confirmed")
    )
    apply.add_argument("file", nargs="?", help=N_("the new file"))
    apply.add_argument("--confirm", action="store_true", help=N_("keep what was applied"))
    apply.add_argument("--no-machine", action="store_true", help=N_("do not look at this machine's lines and cameras"))


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    return {"new": _new, "check": _check, "show": _show, "apply": _apply}[arguments.verb](arguments, shell)


# --- new


def _new(arguments: argparse.Namespace, shell: Shell) -> int:
    folder = str(Path(arguments.folder).resolve()) if arguments.folder else ""
    text = new.text(arguments.board, folder, _)
    if not arguments.output:
        shell.out({"board": arguments.board, "toml": text}, lambda: text.rstrip("\n"))
        return shell.done()
    path = Path(arguments.output)
    if path.exists():
        raise Refused(N_("{path} exists already"), mend=N_("name another file, or move it away"), path=str(path))
    try:
        files.replace(path, text.encode())
    except OSError as error:
        raise _unwritable(path, error) from error
    shell.out(
        {"board": arguments.board, "file": str(path)},
        lambda: tell(N_("{path} is written; next: loumen config check {path}"), {"path": str(path)}),
    )
    return shell.done()


def _unwritable(path: Path, error: OSError) -> LoumenError:
    return ConfigError(N_("{path} cannot be written: {problem}"), path=str(path), problem=error.strerror or str(error))


# --- check


def _check(arguments: argparse.Namespace, shell: Shell) -> int:
    path = Path(arguments.file) if arguments.file else shell.config
    loaded, found = _examined(path, machine=not arguments.no_machine)
    told = [*loaded.warnings, *found]
    document_ = {"file": str(path), "valid": True, "findings": [mistake.document() for mistake in told]}

    def human() -> None:
        for mistake in told:
            shell.mark(mistake.render(_), "yellow" if mistake.severity == "warning" else "")
        shell.mark(tell(N_("{file} can be used"), {"file": str(path)}), "green")

    shell.out(document_, human)
    return shell.done()


def _examined(path: Path, *, machine: bool) -> tuple[Loaded, list[Mistake]]:
    """The file, and what this machine says to it. Raises ConfigMistakes with both together."""
    loaded = load(path)
    if not machine:
        return loaded, []
    found = located(check_machine(loaded.config, inspector(), path), loaded.positions, path)
    if errors := [mistake for mistake in found if mistake.severity == "error"]:
        raise ConfigMistakes(path, errors)
    return loaded, found


# --- show


def _show(arguments: argparse.Namespace, shell: Shell) -> int:
    if arguments.running:
        answer = shell.client().command("config.show")
        shell.out(answer, lambda: str(answer.get("toml", "")).rstrip("\n"))
        return shell.done()
    config = load(shell.config).config
    shell.out(document(config), lambda: toml(config).rstrip("\n"))
    return shell.done()


# --- apply


def _apply(arguments: argparse.Namespace, shell: Shell) -> int:
    if arguments.confirm:
        return _confirm(shell)
    if not arguments.file:
        raise BadRequest(N_("name the new file, or --confirm"), mend=N_("see `loumen config apply --help`"))
    path, fresh = shell.config, Path(arguments.file)
    if fresh.exists() and path.exists() and fresh.samefile(path):
        raise BadRequest(N_("this file is the configuration already"), mend=N_("edit a copy and apply that"))
    loaded, found = _examined(fresh, machine=not arguments.no_machine)
    for mistake in (*loaded.warnings, *found):
        shell.note(mistake.render(_))
    changes = difference(_current(path), flat(loaded.config))
    if not shell.json:
        _show_difference(changes, shell)
    if not changes and path.exists():
        shell.out({"changed": [], "applied": False}, lambda: _(N_("nothing would change")))
        return shell.done()
    shell.confirm(N_("Put {file} in place of {path} and start the daemon again?"), file=str(fresh), path=str(path))
    window = _put_in_place(path, text_of(fresh))
    restarted = _restart(path, shell)
    answer = {"changed": changes, "applied": True, "restarting": restarted, "confirm_within": window}

    def human() -> None:
        if not restarted:
            shell.say(_(N_("the daemon does not run; it takes the file at its next start")))
        shell.say(
            tell(
                N_(
                    "in place. Look at `loumen status`, then `loumen config apply --confirm` within {left}, "
                    "or the old file comes back by itself"
                ),
                {"left": duration(window)},
            )
        )

    shell.out(answer, human)
    return shell.done()


def _current(path: Path) -> dict[str, str]:
    try:
        return flat(load(path).config)
    except ConfigMistakes:
        return {}  # an invalid or absent file: everything is new


def difference(before: dict[str, str], after: dict[str, str]) -> list[dict[str, Any]]:
    """Every key that differs; None where it was not or will not be there."""
    keys = sorted({*before, *after})
    return [
        {"key": key, "before": before.get(key), "after": after.get(key)}
        for key in keys
        if before.get(key) != after.get(key)
    ]


def _show_difference(changes: list[dict[str, Any]], shell: Shell) -> None:
    for change in changes:
        if change["before"] is not None:
            shell.mark(f"- {change['key']} = {change['before']}", "red")
        if change["after"] is not None:
            shell.mark(f"+ {change['key']} = {change['after']}", "green")


def _put_in_place(path: Path, text: str) -> float:
    from gateway.clock import SystemClock
    from gateway.config.last_good import FOLDER

    state = places(path).state
    try:
        if not path.exists():
            files.replace(path, text.encode())
            return 0.0
        return Applied(state / FOLDER, path).put_in_place(text, SystemClock().now()).window
    except OSError as error:
        raise _unwritable(Path(error.filename or path), error) from error


def _restart(path: Path, shell: Shell) -> bool:
    try:
        shell.client().command("config.apply", {"sha256": sha256(path.read_bytes()), "reason": "loumen config apply"})
    except DaemonUnreachable:
        return False
    return True


def _confirm(shell: Shell) -> int:
    try:
        shell.client().command("config.confirm")
    except DaemonUnreachable:
        from gateway.config.last_good import FOLDER

        try:
            confirmed = Applied(places(shell.config).state / FOLDER, shell.config).confirm()
        except OSError as error:
            raise _unwritable(shell.config, error) from error
        if not confirmed:
            raise ConfigError(N_("no configuration waits for a confirmation")) from None
    shell.out({"confirmed": True}, lambda: _(N_("confirmed: the new configuration stays")))
    return shell.done()
