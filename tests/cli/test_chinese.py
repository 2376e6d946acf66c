"""What a Chinese technician reads has no English sentence in it: help pages, answers, refusals."""

from __future__ import annotations

import argparse
import importlib
import re
from collections.abc import Iterator

import pytest

from gateway import locale
from gateway.cli.nouns import NOUNS
from gateway.cli.parser import Parser
from gateway.demo.stage import Stage
from tests.cli.test_box import stage as stage  # noqa: PLC0414  (a fixture)
from tests.cli.test_box import zh

SENTENCE = re.compile(r"\b[A-Za-z]+ [a-z]{2,} [a-z]{2,} [a-z]{2,}\b")  # four words in a row, the last three small
OURS = re.compile(r"`[^`]*`|“[^”]*”|loumen [\w -]+|journalctl [-\w' *]+|systemctl [\w -]+|timedatectl \w+|sudo [\w -]+")


def english(text: str) -> list[str]:
    """The English sentences of a text; what is typed is no sentence."""
    return SENTENCE.findall(OURS.sub("", text))


def parsers(parser: argparse.ArgumentParser) -> Iterator[argparse.ArgumentParser]:
    yield parser
    for action in parser._actions:
        if isinstance(action, argparse._SubParsersAction):
            for verb in action.choices.values():
                yield from parsers(verb)


@pytest.mark.parametrize("noun", NOUNS)
def test_help(noun: str) -> None:
    locale.speak("zh")
    parser = Parser(prog=f"loumen {noun}", description=NOUNS[noun].help)
    importlib.import_module(NOUNS[noun].module).add(parser)
    for one in parsers(parser):
        assert english(one.format_help()) == []


def test_a_sentence_is_seen() -> None:
    assert english("门 main: the line does not work") != []
    assert english("处理： loumen person change --door main --until") == []


@pytest.mark.parametrize(
    "line",
    [
        "status", "status --all", "doctor", "door list", "door show main", "door show back", "door open main",
        "door identify main", "io show", "io set main.lock on --yes", "person list", "person show nobody",
        "person add a --door nowhere", "face list", "face enrol nobody none.jpg", "face try none.jpg", "event verify",
        "event list --limit 30", "event list --after x", "sync status", "sync keys", "sync resend --after x",
        "config new --board pi4", "config check", "config check /none.toml", "config apply /none.toml",
        "config apply --confirm", "model list", "label", "enrol --accept /none", "desk --folder /none status", "run",
        "evaluate faces --folder /none", "plate list", "meter list", "lane list", "nothing", "door", "status --nothing",
    ],
)  # fmt: skip
def test_answers(stage: Stage, line: str) -> None:
    told = zh(stage, *line.split())
    assert english(told.out + told.err) == [], told
