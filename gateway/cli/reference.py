"""Writes `docs/reference/commands.md`: nouns, verbs, exit codes, errors. `python -m gateway.cli.reference`."""

from __future__ import annotations

import argparse
import importlib
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from gateway import locale
from gateway.cli.exits import MEANINGS, exit_of
from gateway.cli.nouns import NOUNS
from gateway.cli.parser import FLAGS, VALUES, Parser
from gateway.control.answers import status_of
from gateway.errors import LoumenError

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "commands.md"

HEAD: Final = """\
# The command line

Made by `python -m gateway.cli.reference`; do not edit.

`loumen NOUN [VERB] …`. `loumen NOUN --help` and `loumen NOUN VERB --help` say the rest, in Chinese or English as the
locale (or `--lang zh|en`) asks. With `--json` a command prints one JSON document on stdout; one that follows
prints one document a line. An error is `{"error": {"code", "what", "where", "mend", "facts", "text"}}`: `what` and
`mend` are message ids whose `{places}` are filled from `facts`, `text` is what a person reads.
"""

HTTP: Final = """\
## Control over HTTP

The daemon listens on a unix socket; the kernel says which user asks, `[control]` in the configuration which role she
has. What the commands are called and which fields they take: `loumen` and this socket run the same ones.

    curl --unix-socket /run/loumen/loumen.sock http://box/v1/status
    curl --unix-socket /run/loumen/loumen.sock http://box/v1/io
    curl --unix-socket /run/loumen/loumen.sock 'http://box/v1/event?after=&limit=50'
    curl --unix-socket /run/loumen/loumen.sock -N 'http://box/v1/event?after=head&follow=1'
    curl --unix-socket /run/loumen/loumen.sock -d '{"door": "main"}' http://box/v1/command/door.open

A client that repeats a command after a broken connection sends the same `Idempotency-Key` header: a momentary command
runs once for one key.
"""


def page() -> str:
    """The whole page, in English."""
    before = locale.spoken()
    locale.speak("en")
    try:
        return "\n".join([HEAD, _options(), *(_noun(noun) for noun in NOUNS), _exits(), HTTP, _errors()])
    finally:
        locale.speak(before)


def _options() -> str:
    lines = ["## Options of every command", "", "| option | |", "|---|---|"]
    lines += [f"| `{option}` | {text} |" for option, (_name, text) in FLAGS.items()]
    lines += [f"| `{option} {meta}` | {text} |" for option, (_name, meta, text) in VALUES.items()]
    return "\n".join(lines) + "\n"


def _noun(noun: str) -> str:
    parser = Parser(prog=f"loumen {noun}")
    importlib.import_module(NOUNS[noun].module).add(parser)
    lines = [f"## loumen {noun}", "", f"{NOUNS[noun].help[0].upper()}{NOUNS[noun].help[1:]}.", ""]
    lines += [f"- `{usage}`{text}" for usage, text in _usages(parser, "")]
    return "\n".join(lines) + "\n"


def _usages(parser: argparse.ArgumentParser, text: str) -> Iterator[tuple[str, str]]:
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            helps = {choice.dest: choice.help or "" for choice in action._choices_actions}
            for name, verb in action.choices.items():
                yield from _usages(verb, helps.get(name, ""))
            return
    yield _usage(parser), f": {text}" if text else ""


def _usage(parser: argparse.ArgumentParser) -> str:
    """The usage line without what every command takes."""
    words = " ".join(parser.format_usage().removeprefix("usage: ").split())
    words = re.sub(r"\[(-h|--json|--debug|--yes|--config FILE|--socket PATH|--lang zh\|en)\] ?", "", words)
    return words.strip()


def _exits() -> str:
    lines = ["## Exit codes", "", "| code | meaning |", "|---|---|"]
    lines += [f"| {code.value} | {meaning} |" for code, meaning in MEANINGS.items()]
    return "\n".join([*lines, "| 130 | ended by Ctrl-C |"]) + "\n"


def _errors() -> str:
    lines = ["## Errors", "", "| code | HTTP | exit | what it says |", "|---|---|---|---|"]
    for kind in sorted(_kinds(), key=lambda kind: kind.code):
        error = kind.__new__(kind)
        told = (kind.__doc__ or "").splitlines()[0]
        lines.append(f"| `{kind.code}` | {status_of(error)} | {exit_of(error).value} | {told} |")
    return "\n".join(lines) + "\n"


def _kinds() -> list[type[LoumenError]]:
    """The errors that are documented: those of the table of errors, of control and of the drivers."""
    from gateway import errors
    from gateway.control import answers

    found = [value for module in (errors, answers) for value in vars(module).values() if isinstance(value, type)]
    return list({kind for kind in found if issubclass(kind, LoumenError)})


def main() -> int:
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
