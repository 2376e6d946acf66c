"""Reads `gateway.toml`: all mistakes at once, each with file, line, key, what is wrong and what is allowed."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import msgspec

from gateway.config import schema
from gateway.config.mistakes import ConfigMistakes, Finding, KeyPath, Mistake, key_text
from gateway.config.places import MAX_FILE
from gateway.config.positions import Positions
from gateway.config.typed import read
from gateway.errors import N_


@dataclass(frozen=True, slots=True)
class Loaded:
    """A configuration that can be used."""

    config: schema.Gateway
    source_text: str
    warnings: tuple[Mistake, ...] = ()  # warnings and hints, in the order of the file
    positions: Positions | None = None


def load(path: Path) -> Loaded:
    """Read and check the file. Raises ConfigMistakes (a ConfigError)."""
    return parse(text_of(path), path)


def parse(text: str, path: Path) -> Loaded:
    """Check the text of a file; `path` is for the messages. Raises ConfigMistakes."""
    from gateway.config.check import check

    document = _document(text, path)
    positions = Positions(text)
    config, findings = read(document, schema.Gateway)
    if not findings:
        config = _converted(document, path)
    told = {finding.path for finding in findings}
    findings += [found for found in check(config, document) if not _told_already(found.path, told)]
    mistakes = located(findings, positions, path)
    if any(mistake.severity == "error" for mistake in mistakes):
        raise ConfigMistakes(path, [mistake for mistake in mistakes if mistake.severity == "error"])
    return Loaded(config, text, tuple(mistakes), positions)


def located(findings: Iterable[Finding], positions: Positions | None, path: Path) -> list[Mistake]:
    """Findings with their lines, in the order of the file."""
    mistakes = [
        Mistake(
            file=path.name,
            line=positions.line(found.path) if positions else 0,
            key=key_text(found.path),
            what=found.what,
            mend=found.mend,
            facts=found.facts,
            severity=found.severity,
        )
        for found in findings
    ]
    return sorted(mistakes, key=lambda mistake: mistake.line)


def text_of(path: Path) -> str:
    """The file's text. Raises ConfigMistakes."""
    try:
        with path.open("rb") as file:
            data = file.read(MAX_FILE + 1)
    except FileNotFoundError:
        raise _file(path, N_("the file does not exist"), N_("make one: loumen config new --board pi4")) from None
    except IsADirectoryError:
        raise _file(path, N_("this is a folder, not a file"), N_("name the file in it")) from None
    except PermissionError:
        raise _file(path, N_("no permission to read the file"), N_("chgrp loumen {path}; chmod 640 {path}")) from None
    except (OSError, ValueError) as error:
        raise _file(path, N_("the file cannot be read: {problem}"), problem=str(error)) from error
    if len(data) > MAX_FILE:
        raise _file(path, N_("the file is larger than {limit} bytes"), limit=MAX_FILE)
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise _file(
            path, N_("this is not UTF-8 text"), N_("save the file as UTF-8 (not GBK, not UTF-16)"), line=line
        ) from None
    text = text.removeprefix("\ufeff").replace("\r\n", "\n")
    if not text.strip():
        raise _file(path, N_("the file is empty"), N_("make one: loumen config new --board pi4"))
    return text


def _file(path: Path, what: str, mend: str = "", line: int = 0, **facts: object) -> ConfigMistakes:
    return ConfigMistakes(path, [Mistake(str(path), line, "", what, mend, {"path": str(path), **facts})])


def _document(text: str, path: Path) -> dict[str, Any]:
    try:
        return tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        told = str(error)
        at = re.search(r" \(at (?:line ([0-9]+), column ([0-9]+)|end of document)\)$", told)
        line = int(at.group(1)) if at and at.group(1) else text.rstrip().count("\n") + 1
        problem = told[: at.start()] if at else told
    except ValueError:  # Python's own limit, of which the parser knows nothing
        long = re.search(r"[0-9_]{4000}", text)
        line, problem = text.count("\n", 0, long.start() if long else 0) + 1, N_("a number of thousands of digits")
    except RecursionError:
        line, problem = 1, N_("tables in tables without end")
    raise ConfigMistakes(
        path,
        [
            Mistake(
                path.name,
                line,
                "",
                N_("this is not TOML: {problem}"),
                N_("look at this line and the one before: quotes, brackets, equals signs, keys that stand twice"),
                {"problem": problem},
            )
        ],
    )


def _converted(document: dict[str, Any], path: Path) -> schema.Gateway:
    """The last word is that of msgspec: what it refuses and our walk did not find is a mistake all the same."""
    try:
        return msgspec.convert(document, schema.Gateway)
    except msgspec.ValidationError as error:
        raise ConfigMistakes(
            path, [Mistake(path.name, 0, "", N_("this cannot be used: {problem}"), "", {"problem": str(error)})]
        ) from error


def _told_already(path: KeyPath, told: set[KeyPath]) -> bool:
    """Whether a finding speaks of a value that is wrong already, or has a wrong one in it."""
    return any(path[: len(other)] == other or other[: len(path)] == path for other in told)


#: What tomllib says, so that it is translated; a text that is not here is shown in English.
TOML_TEXTS = (
    N_("Cannot overwrite a value"),
    N_("Expected '=' after a key in a key/value pair"),
    N_("Expected ']' at the end of a table declaration"),
    N_("Expected ']]' at the end of an array declaration"),
    N_('Expected "\'"'),
    N_("Expected newline or end of document after a statement"),
    N_("Illegal character '\\n'"),
    N_("Invalid initial character for a key part"),
    N_("Invalid statement"),
    N_("Invalid value"),
    N_("Unclosed array"),
    N_("Unclosed inline table"),
    N_("Unescaped '\\' in a string"),
    N_("Unterminated string"),
)
