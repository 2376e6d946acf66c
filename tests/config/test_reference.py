"""The pages are made from the types and the parsers; what is committed is fresh."""

from __future__ import annotations

import msgspec
import pytest

from gateway.cli import reference as commands
from gateway.config import reference, schema
from gateway.metering import reference as profile


def test_the_page_of_keys_is_fresh() -> None:
    assert reference.PAGE.read_text("utf-8") == reference.page(), "run: python -m gateway.config.reference"


def test_every_key_has_its_text() -> None:
    kinds = [kind for kind in vars(schema).values() if isinstance(kind, type) and issubclass(kind, schema.Part)]
    silent = {
        f"{kind.__name__}.{field.name}"
        for kind in kinds
        for field in msgspec.structs.fields(kind)
        if f"{kind.__name__}.{field.name}" not in reference.TEXTS
    }
    tables = {f"Gateway.{name}" for name in schema.Gateway.__struct_fields__} - {"Gateway.healthy_seconds"}
    lines = {name for name in silent if name.partition(".")[0].endswith(("Output", "Input"))}
    assert silent - tables - lines == set()


def test_no_text_without_its_key() -> None:
    known = {
        f"{kind.__name__}.{name}"
        for kind in vars(schema).values()
        if isinstance(kind, type) and issubclass(kind, msgspec.Struct)
        for name in kind.__struct_fields__
    }
    known |= {f"Output.{name}" for name in ("driver", "chip", "line", "active_low", "bias")} | {"Input.debounce"}
    assert set(reference.TEXTS) - known == set()


def test_the_page_of_commands_is_fresh() -> None:
    assert commands.PAGE.read_text("utf-8") == commands.page(), "run: python -m gateway.cli.reference"


def test_the_page_of_a_profile_s_keys_is_fresh() -> None:
    assert profile.PAGE.read_text("utf-8") == profile.page(), "run: python -m gateway.metering.reference"
    kinds = [kind for _title, kind in profile.TABLES]
    assert set(profile.TEXTS) == {f"{kind.__name__}.{name}" for kind in kinds for name in kind.__struct_fields__}


@pytest.mark.parametrize("word", ["loumen door open", "Idempotency-Key", "| 3 | the daemon is not reachable |"])
def test_it_says_what_it_must(word: str) -> None:
    assert word in commands.page()
