"""Keys and their lines, in every way TOML can write them."""

from __future__ import annotations

import tomllib
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.config.mistakes import KeyPath, key_text
from gateway.config.positions import Positions

TEXT = '''\
top = 1 # a comment with = and [brackets]
"quoted key" = "a # no comment"
dotted.inner . last = [ 1,
  2, # two
  { x = 1, "y" = [
    3 ] } ]
multi = """
not = "a key"
[nor.a.table]
escaped \\""" still inside
"""
literal = \'\'\'
also = not\'\'\'
after = 'C:\\'

[table]
inline = { a = 1, b.c = { d = "}" }, e = [] }

[table.sub."with.dot"]
key = 2024-01-01

[[array]]
name = 1
[array.below]
x = 1
[[array]]
name = 2
[[array.nested]]
y = 1
[array.below]
x = 2
[chinese."东门"]
k = 1'''

EXPECTED: dict[KeyPath, int] = {
    ("top",): 1,
    ("quoted key",): 2,
    ("dotted", "inner", "last"): 3,
    ("dotted", "inner", "last", 1): 4,
    ("dotted", "inner", "last", 2, "x"): 5,
    ("dotted", "inner", "last", 2, "y", 0): 6,
    ("multi",): 7,
    ("literal",): 12,
    ("after",): 14,
    ("table",): 16,
    ("table", "inline", "b", "c", "d"): 17,
    ("table", "sub", "with.dot", "key"): 20,
    ("array", 0, "name"): 23,
    ("array", 0, "below", "x"): 25,
    ("array", 1, "name"): 27,
    ("array", 1, "nested", 0, "y"): 29,
    ("array", 1, "below", "x"): 31,
    ("chinese", "东门", "k"): 33,
}


def test_lines() -> None:
    tomllib.loads(TEXT)
    positions = Positions(TEXT)
    assert {path: positions.line(path) for path in EXPECTED} == EXPECTED
    assert positions.line(("table", "sub", "with.dot", "absent")) == 19
    assert positions.line(("nothing",)) == 1


def test_key_text() -> None:
    assert key_text(("uplink", "brokers", 0, "port")) == "uplink.brokers[0].port"
    assert key_text(("door", "a.b")) == 'door."a.b"'


def _paths(value: Any, path: KeyPath = ()) -> list[KeyPath]:
    if isinstance(value, dict):
        return [path, *(found for name, inner in value.items() for found in _paths(inner, (*path, name)))]
    if isinstance(value, list):
        return [path, *(found for at, inner in enumerate(value) for found in _paths(inner, (*path, at)))]
    return [path]


LINES = st.lists(
    st.sampled_from(
        [
            "# comment",
            "",
            "[a]",
            "[a.b]",
            "[[c]]",
            "[c.d]",
            "[[c.e]]",
            "x = 1",
            'y.z = "s"',
            "i = { p = 1, q = [2, 3] }",
            "l = [\n 1,\n 2\n]",
            "m = '''\n[x]\n'''",
            '"k k" = true',
            "w = 1.5e3",
        ]
    ),
    max_size=14,
)


@settings(max_examples=300, deadline=None)
@given(LINES)
def test_every_key_of_a_valid_file_has_its_line(lines: list[str]) -> None:
    text = "\n".join(lines)
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError:
        Positions(text)  # whatever it makes of it, it does not fail
        return
    positions = Positions(text)
    for path in _paths(document):
        if path:
            assert positions.knows(path), path
            assert 1 <= positions.line(path) <= text.count("\n") + 1


@given(st.text(alphabet="ab.=[]{}\"'\\#\n ,1", max_size=60))
def test_nonsense_never_fails(text: str) -> None:
    assert Positions(text).line(("a",)) >= 1


def test_an_array_that_is_none_ends() -> None:
    assert Positions("a = [}").line(("a",)) == 1
