"""Collects every marked text of the sources and brings the catalogues up to date. A developer's tool.

    python -m gateway.locale.update                 collect, write both .po and .mo, list what lacks a translation
    python -m gateway.locale.update --missing       the untranslated ids as JSON, to be filled in
    python -m gateway.locale.update --merge FILE    take {id: translation} from a JSON file, then collect
    python -m gateway.locale.update --check         change nothing; exit 1 when something is not up to date

Needs Babel (requirements/dev). A translation whose id has gone is dropped: the history has it.
"""

from __future__ import annotations

import argparse
import ast
import io
import json
import os
import re
import string
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from babel.messages import Catalog
from babel.messages.mofile import write_mo
from babel.messages.pofile import read_po, write_po

from gateway.config import new
from gateway.locale import DOMAIN, FOLDER, LOCALES, Language

ROOT: Final = FOLDER.parents[1]
SOURCES: Final = ("drivers", "gateway")
KEYWORDS: Final = frozenset({"N_", "_", "translate"})
STAMP: Final = datetime(2026, 1, 1, tzinfo=UTC)  # a date that moves would make every run a change

Id = str | tuple[str, ...]


def collect(root: Path = ROOT) -> set[Id]:
    """Every id that the sources mark, and the comments of a new configuration."""
    files = (path for folder in SOURCES for path in sorted((root / folder).rglob("*.py")))
    return {known for path in files for known in ids_of(path.read_text("utf-8"))} | set(new.comments())


def ids_of(source: str) -> Iterator[Id]:
    """The ids of one source. Babel's own extraction does not see into f-strings; the syntax tree does."""
    for node in ast.walk(ast.parse(source)):
        if not isinstance(node, ast.Call):
            continue
        name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
        texts = [argument.value if isinstance(argument, ast.Constant) else None for argument in node.args[:2]]
        match texts:
            case [str(one), str(many)] if name == "ngettext":
                yield (one, many)
            case [str(one), *_] if one and name in KEYWORDS:
                yield one


def po_path(language: Language) -> Path:
    return FOLDER / LOCALES[language] / "LC_MESSAGES" / f"{DOMAIN}.po"


def read(language: Language) -> dict[Id, Id]:
    """The committed translations; an empty one is not there."""
    path = po_path(language)
    if not path.exists():
        return {}
    with path.open("rb") as file:
        catalogue = read_po(file, locale=LOCALES[language])
    found = {_plain(message.id): _plain(message.string) for message in catalogue if message.id}
    return {known: words for known, words in found.items() if words and any(words)}


def _plain(words: object) -> Id:
    return tuple(map(str, words)) if isinstance(words, list | tuple) else str(words)


def write(language: Language, translations: dict[Id, Id], ids: set[Id]) -> None:
    """Write .po and .mo, sorted, so that two runs write the same bytes."""
    catalogue = Catalog(
        locale=LOCALES[language],
        domain=DOMAIN,
        project="Loumen",
        version="1",
        header_comment="# Loumen: made by `python -m gateway.locale.update`; edit the translations, not the ids.",
        copyright_holder="",
        msgid_bugs_address="",
        creation_date=STAMP,
        revision_date=STAMP,
        last_translator="Loumen",
        language_team=language,
        fuzzy=False,
    )
    for known in sorted(ids, key=lambda known: known if isinstance(known, str) else known[0]):
        flags = ("python-brace-format",) if _names(known) else ()
        catalogue.add(known, translations.get(known, ""), flags=flags)
    path = po_path(language)
    path.parent.mkdir(parents=True, exist_ok=True)
    source, compiled = io.BytesIO(), io.BytesIO()
    write_po(source, catalogue, width=0, no_location=True)
    write_mo(compiled, catalogue)
    for target, made in (
        (path, source),
        (path.with_suffix(".mo"), compiled),
    ):  # in one step: others read them meanwhile
        partial = target.with_name(f".{target.name}.{os.getpid()}")
        partial.write_bytes(made.getvalue())
        partial.replace(target)


def wrong(ids: set[Id], translations: dict[Id, Id]) -> Iterator[str]:
    """What is the matter with a catalogue, one sentence each."""
    for known in sorted(ids, key=str):
        words = translations.get(known)
        if words is None:
            yield f"not translated: {known!r}"
        elif _names(known) != _names(words) or _percents(known) != _percents(words):
            yield f"other places than the id: {known!r} -> {words!r}"
    for gone in sorted(set(translations) - ids, key=str):
        yield f"not in the sources any more: {gone!r}"


def _names(words: Id) -> set[str]:
    """The {named} places."""
    texts = (words,) if isinstance(words, str) else words
    try:
        return {
            name for text in texts for _text, name, _spec, _how in string.Formatter().parse(text) if name is not None
        }
    except ValueError:
        return set()


def _percents(words: Id) -> set[str]:
    """The %s and %(named)s places of argparse's texts."""
    texts = (words,) if isinstance(words, str) else words
    return set(re.findall(r"%(?:\([a-z_]+\))?[srd]", " ".join(texts)))


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m gateway.locale.update")
    parser.add_argument("--missing", action="store_true")
    parser.add_argument("--merge", type=Path)
    parser.add_argument("--check", action="store_true")
    given = parser.parse_args(words)
    ids, chinese = collect(), read("zh")
    if given.merge is not None:
        fresh = json.loads(given.merge.read_text("utf-8"))
        chinese.update({known: tuple(text) if isinstance(text, list) else text for known, text in fresh.items()})
    if given.missing:
        blank = {known if isinstance(known, str) else known[0]: "" for known in ids if known not in chinese}
        sys.stdout.write(json.dumps(blank, ensure_ascii=False, indent=0, sort_keys=True) + "\n")
        return 0
    if not given.check:
        write("zh", chinese, ids)
        write("en", {known: known for known in ids}, ids)
        chinese = read("zh")
    problems = list(wrong(ids, chinese))
    sys.stdout.writelines(f"{problem}\n" for problem in problems)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
