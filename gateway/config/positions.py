"""Which line a key stands on: a small index beside `tomllib`, which gives no positions.

It reads text that `tomllib` has accepted already, so it checks nothing; what it does not understand
it leaves out, and a key without a line is told with its table's.
"""

from __future__ import annotations

import tomllib
from bisect import bisect_right

from gateway.config.mistakes import KeyPath

_BLANK = " \t"
_SPACE = " \t\r\n"


class Positions:
    """Lines by key: ("door", "east", "lock") -> 12, list elements by their number."""

    def __init__(self, text: str) -> None:
        self._text, self._at = text, 0
        self._starts = [0, *(at + 1 for at, letter in enumerate(text) if letter == "\n")]
        self._lines: dict[KeyPath, int] = {}
        self._last: dict[KeyPath, int] = {}  # arrays of tables: the number of the newest element
        try:
            self._document()
        except (IndexError, RecursionError, ValueError):
            return

    def line(self, path: KeyPath) -> int:
        """The line of `path`, else of the nearest table around it, else 1."""
        while path and path not in self._lines:
            path = path[:-1]
        return self._lines.get(path, 1)

    def knows(self, path: KeyPath) -> bool:
        """Whether the key itself stands in the text."""
        return path in self._lines

    def _note(self, path: KeyPath) -> None:
        self._lines.setdefault(path, bisect_right(self._starts, self._at))

    def _document(self) -> None:
        table: KeyPath = ()
        while self._skip():
            if self._text.startswith("[[", self._at):
                table = self._array_header()
            elif self._text[self._at] == "[":
                table = self._header()
            else:
                self._pair(table)

    def _header(self) -> KeyPath:
        self._at += 1
        self._blank()
        table: KeyPath = ()
        for part in self._key():
            table = self._newest((*table, part))
            self._note(table)
        self._at += 1
        return table

    def _array_header(self) -> KeyPath:
        self._at += 2
        self._blank()
        *outer, name = self._key()
        table: KeyPath = ()
        for part in outer:
            table = self._newest((*table, part))
            self._note(table)
        table = (*table, name)
        number = self._last.get(table, -1) + 1
        self._last[table] = number
        self._note(table)
        self._note((*table, number))
        self._at += 2
        return (*table, number)

    def _newest(self, path: KeyPath) -> KeyPath:
        return (*path, self._last[path]) if path in self._last else path

    def _pair(self, table: KeyPath) -> None:
        started = self._at
        parts = self._key()
        path = table
        for part in parts:
            path = (*path, part)
            self._lines.setdefault(path, bisect_right(self._starts, started))
        self._at += 1  # the equals sign
        self._blank()
        self._value(path)

    def _key(self) -> list[str]:
        parts = [self._part()]
        self._blank()
        while self._text[self._at] == ".":
            self._at += 1
            self._blank()
            parts.append(self._part())
            self._blank()
        return parts

    def _part(self) -> str:
        started = self._at
        if self._text[started] in "\"'":
            self._string()
            quoted = self._text[started : self._at]
            return str(tomllib.loads(f"k={quoted}")["k"])
        while self._text[self._at] not in " \t.=]\r\n":
            self._at += 1
        if self._at == started:
            raise IndexError
        return self._text[started : self._at]

    def _value(self, path: KeyPath) -> None:
        match self._text[self._at]:
            case '"' | "'":
                self._string()
            case "[":
                self._array(path)
            case "{":
                self._inline(path)
            case _:
                started = self._at
                while self._at < len(self._text) and self._text[self._at] not in ",]}#\r\n":
                    self._at += 1
                if self._at == started:
                    raise IndexError  # no value at all: this is not the text that tomllib accepted

    def _string(self) -> None:
        quote = self._text[self._at]
        mark = quote * 3 if self._text.startswith(quote * 3, self._at) else quote
        self._at += len(mark)
        while not self._text.startswith(mark, self._at):
            self._at += 2 if quote == '"' and self._text[self._at] == "\\" else 1
            if self._at >= len(self._text):
                raise IndexError
        self._at += len(mark)
        while len(mark) == 3 and self._text[self._at : self._at + 1] == quote:
            self._at += 1  # up to two quotes may stand before the closing mark

    def _array(self, path: KeyPath) -> None:
        self._at += 1
        number = 0
        while self._skip() and self._text[self._at] != "]":
            self._note((*path, number))
            self._value((*path, number))
            number += 1
            if self._skip() and self._text[self._at] == ",":
                self._at += 1
        self._at += 1

    def _inline(self, path: KeyPath) -> None:
        self._at += 1
        while self._skip() and self._text[self._at] != "}":
            self._pair(path)
            if self._skip() and self._text[self._at] == ",":
                self._at += 1
        self._at += 1

    def _blank(self) -> None:
        while self._text[self._at] in _BLANK:
            self._at += 1

    def _skip(self) -> bool:
        """Past spaces, ends of lines and comments; False at the end of the text."""
        while self._at < len(self._text):
            if self._text[self._at] == "#":
                end = self._text.find("\n", self._at)
                self._at = len(self._text) if end < 0 else end
            elif self._text[self._at] in _SPACE:
                self._at += 1
            else:
                return True
        return False
