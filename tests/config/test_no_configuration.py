"""Files that are no configuration at all, and our walk of the types against msgspec's own word."""

from __future__ import annotations

import os
import tomllib
from pathlib import Path
from typing import Any

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config import schema
from gateway.config.load import load, parse
from gateway.config.mistakes import ConfigMistakes
from gateway.config.typed import read
from tests.config.test_load import FILE, GOOD

# --- files that are no TOML


@pytest.mark.parametrize(
    ("text", "line", "problem"),
    [
        ("[site\nname = 1", 1, "Expected ']' at the end of a table declaration"),
        ("a = 1\na = 2", 2, "Cannot overwrite a value"),
        ("a = 1\n\nb = \n", 3, "Invalid value"),
        ("a = 'x", 1, 'Expected "\'"'),
        ("a 1", 1, "Expected '=' after a key in a key/value pair"),
        ("x = [1,\n2", 2, "Unclosed array"),
        ("a = " + "[" * 5000, 1, "tables in tables without end"),
        ("[site]\nname = " + "9" * 5000, 2, "a number of thousands of digits"),
    ],
)
def test_not_toml(text: str, line: int, problem: str) -> None:
    with pytest.raises(ConfigMistakes) as error:
        parse(text, FILE)
    (mistake,) = error.value.mistakes
    assert (mistake.line, mistake.facts["problem"]) == (line, problem)
    assert mistake.render().startswith(f"gateway.toml:{line}: this is not TOML: {problem}\n  mend: look at this line")


def test_not_a_text_file(tmp_path: Path) -> None:
    def what(data: bytes) -> str:
        path = tmp_path / "gateway.toml"
        path.write_bytes(data)
        with pytest.raises(ConfigMistakes) as error:
            load(path)
        return error.value.mistakes[0].render().removeprefix(f"{path}")

    assert what(b"") == ": the file is empty\n  mend: make one: loumen config new --board pi4"
    assert what(b" \n\n") == ": the file is empty\n  mend: make one: loumen config new --board pi4"
    assert what('[site]\nname = "花园"'.encode("gbk")) == (
        ":2: this is not UTF-8 text\n  mend: save the file as UTF-8 (not GBK, not UTF-16)"
    )
    assert what(b"x" * 2_000_000) == ": the file is larger than 1048576 bytes"
    with pytest.raises(ConfigMistakes, match="this is a folder, not a file"):
        load(tmp_path)
    with pytest.raises(ConfigMistakes, match="the file does not exist"):
        load(tmp_path / "none.toml")


def test_no_permission(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text(GOOD)
    path.chmod(0)
    before = os.geteuid()
    if before == 0:
        os.seteuid(65534)  # root may read everything
    try:
        with pytest.raises(ConfigMistakes, match="no permission to read the file"):
            load(path)
    finally:
        os.seteuid(before)


def test_windows_line_ends_and_a_byte_order_mark(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_bytes(b"\xef\xbb\xbf" + GOOD.replace("\n", "\r\n").encode())
    assert load(path).config.site.name == "Garden"


# --- our walk and msgspec's word

VALUES = st.one_of(
    st.booleans(),
    st.integers(-5, 2000),
    st.floats(allow_nan=False),
    st.sampled_from(["", "east", "East", "up", "simulated", "momentary", "pi4", "x" * 40]),
    st.lists(st.integers(), max_size=2),
    st.dictionaries(st.sampled_from(["a", "line", "driver"]), st.integers(), max_size=2),
)


def _document() -> dict[str, Any]:
    return tomllib.loads(GOOD)


def _places(value: Any, path: tuple[str, ...] = ()) -> list[tuple[str, ...]]:
    if not isinstance(value, dict):
        return [path]
    return [path, *(place for name, inner in value.items() for place in _places(inner, (*path, name)))]


@settings(max_examples=300, deadline=None)
@given(st.data())
def test_our_walk_agrees_with_msgspec(data: st.DataObject) -> None:
    document = _document()
    place = data.draw(st.sampled_from([place for place in _places(document) if place]))
    inner = document
    for name in place[:-1]:
        inner = inner[name]
    match data.draw(st.sampled_from(["replace", "remove", "add"])):
        case "remove":
            del inner[place[-1]]
        case "add":
            inner[data.draw(st.sampled_from(["bias", "debounce", "held_open_after", "timezone", "nonsense"]))] = (
                data.draw(VALUES)
            )
        case _:
            inner[place[-1]] = data.draw(VALUES)
    ours, findings = read(document, schema.Gateway)
    try:
        theirs = msgspec.convert(document, schema.Gateway)
    except msgspec.ValidationError:
        assert findings
    else:
        assert not findings or _is_whole_float(document)
        if not findings:
            assert ours == theirs


def _is_whole_float(document: Any) -> bool:
    """msgspec takes 5.0 for a whole number; we ask for 5."""
    if isinstance(document, dict):
        return any(map(_is_whole_float, document.values()))
    return isinstance(document, float) and document.is_integer()
