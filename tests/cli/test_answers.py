"""What --json prints is documented: every verb, and the keys that a real box really prints."""

from __future__ import annotations

import argparse
import importlib
import typing
from collections.abc import Iterator
from typing import Any

import msgspec
import pytest

from gateway.cli import answers
from gateway.cli.nouns import NOUNS
from gateway.cli.parser import Parser
from gateway.demo.stage import Stage
from tests.cli.test_box import stage as stage  # noqa: PLC0414  (a fixture)


def verbs(parser: argparse.ArgumentParser, so_far: str) -> Iterator[str]:
    below = [action for action in parser._actions if isinstance(action, argparse._SubParsersAction)]
    if not below:
        yield so_far
    for action in below:
        for name, verb in action.choices.items():
            yield from verbs(verb, f"{so_far} {name}")


def test_the_page_is_fresh() -> None:
    assert answers.PAGE.read_text("utf-8") == answers.page(), "run: python -m gateway.cli.answers"


def test_every_verb_says_what_it_prints() -> None:
    known = set[str]()
    for noun, entry in NOUNS.items():
        parser = Parser(prog=noun)
        importlib.import_module(entry.module).add(parser)
        known |= set(verbs(parser, noun))
    assert {*answers.answers(), *answers.OWN} - answers.BEHIND == known


@pytest.mark.parametrize(
    "line",
    [
        "status", "door list", "door show main", "door open main", "door hold main", "door release main",
        "door identify main --yes", "io show", "io pulse main.indicators.denied --yes", "person add 钱一",
        "person list", "person show 钱一", "person key", "face list", "event list", "event verify",
        "sync status", "sync keys",
        "config new --board pi4", "config check", "model list", "doctor", "label",
    ],
)  # fmt: skip
def test_a_real_box_prints_the_documented_keys(stage: Stage, line: str) -> None:
    document = stage.ask(*line.split(), ok=False)
    name = next(verb for verb in (" ".join(line.split()[:2]), line.split(maxsplit=1)[0]) if verb in known())
    assert set(document) <= keys(name), document


def known() -> dict[str, Any]:
    return {**answers.OWN, **answers.answers()}


def keys(verb: str) -> set[str]:
    own, kind = set(answers.OWN.get(verb, {})), answers.answers().get(verb)
    if isinstance(kind, type) and issubclass(kind, msgspec.Struct):
        return {field.encode_name for field in msgspec.structs.fields(kind)} | own
    assert own or typing.get_origin(kind) is dict
    return own
