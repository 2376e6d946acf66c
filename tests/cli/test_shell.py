"""What a noun is given: JSON or words, Chinese widths, questions, progress."""

from __future__ import annotations

import io
import json
import sys

import pytest
from rich.cells import cell_len

from gateway.cli.exits import Exit, exit_of
from gateway.cli.shell import Options, Shell
from gateway.config.mistakes import ConfigMistakes, Mistake
from gateway.control.answers import Busy, TooLarge
from gateway.errors import AlreadyUsed, BadCommand, DaemonUnreachable, JournalDown, LoumenError, NotFound, Refused


class Terminal(io.StringIO):
    """A stream that says it is a terminal."""

    def isatty(self) -> bool:
        return True


def test_a_table_counts_chinese_characters_as_two(capsys: pytest.CaptureFixture[str]) -> None:
    Shell(Options()).table(["name", "home"], [("东门", "1-1-101"), ("East gate", "x"), ("[not markup]", "")])
    rows = [row for row in capsys.readouterr().out.splitlines() if row.strip()]
    assert len({cell_len(row) for row in rows}) == 1
    assert any("[not markup]" in row for row in rows)


def test_json_is_one_document_and_nothing_else(capsys: pytest.CaptureFixture[str]) -> None:
    shell = Shell(Options(json=True))
    shell.say("words")
    shell.mark("more words", "green")
    shell.table(["name"], [("x",)])
    shell.out({"answer": 1, "name": "东门"}, lambda: "words")
    assert json.loads(capsys.readouterr().out) == {"answer": 1, "name": "东门"}


def test_words_for_people(capsys: pytest.CaptureFixture[str]) -> None:
    shell = Shell(Options())
    shell.out({"answer": 1}, lambda: "one")
    shell.mark("two", "bold red")
    assert capsys.readouterr().out == "one\ntwo\n"


def test_colour_on_a_terminal_only(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stdout", terminal)
    monkeypatch.setenv("TERM", "xterm-256color")
    monkeypatch.delenv("NO_COLOR", raising=False)
    Shell(Options()).mark("well", "green")
    assert "\x1b[32m" in terminal.getvalue()


@pytest.mark.parametrize(
    ("typed", "holds"), [("y\n", True), ("YES\n", True), ("是\n", True), ("n\n", False), ("\n", False), ("", False)]
)
def test_confirm_on_a_terminal(monkeypatch: pytest.MonkeyPatch, typed: str, holds: bool) -> None:
    asked = Terminal()
    monkeypatch.setattr(sys, "stdin", Terminal(typed))
    monkeypatch.setattr(sys, "stderr", asked)
    shell = Shell(Options())
    if holds:
        assert shell.confirm("Open {door}?", door="main")
    else:
        with pytest.raises(Refused, match="not confirmed"):
            shell.confirm("Open {door}?", door="main")
    assert asked.getvalue().startswith("Open main? [y/N")


def test_confirm_without_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", io.StringIO("y\n"))
    with pytest.raises(Refused, match="no terminal"):
        Shell(Options()).confirm("Open?")
    assert Shell(Options(yes=True)).confirm("Open?")


def test_progress_is_silent_in_a_pipe(capsys: pytest.CaptureFixture[str]) -> None:
    with Shell(Options()).progress("working", 2) as advance:
        advance(1)
        advance(1)
    assert capsys.readouterr() == ("", "")


def test_progress_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    terminal = Terminal()
    monkeypatch.setattr(sys, "stderr", terminal)
    with Shell(Options()).progress("working", 2) as advance:
        advance(2)
    assert "working" in terminal.getvalue()


@pytest.mark.parametrize(
    ("error", "code"),
    [
        (NotFound("x"), Exit.NO),
        (LoumenError("x"), Exit.NO),
        (Busy("x"), Exit.NO),
        (TooLarge("x"), Exit.USAGE),
        (DaemonUnreachable("x"), Exit.UNREACHABLE),
        (Refused("x"), Exit.REFUSED),
        (BadCommand("x"), Exit.REFUSED),
        (AlreadyUsed("x"), Exit.REFUSED),
        (JournalDown("x"), Exit.REFUSED),
    ],
)
def test_exit_codes(error: LoumenError, code: Exit) -> None:
    assert exit_of(error) is code


def test_errors_in_words_and_as_json(capsys: pytest.CaptureFixture[str]) -> None:
    error = NotFound("there is no door {door}", where="main", mend="did you mean {near}?", door="x", near="y")
    assert Shell(Options()).error(error) == 1
    assert capsys.readouterr().err == "there is no door x\n  where: main\n  mend: did you mean y?\n"
    assert Shell(Options(json=True)).error(error) == 1
    told = json.loads(capsys.readouterr().out)["error"]
    assert told == {
        "code": "not_found",
        "what": "there is no door {door}",
        "where": "main",
        "mend": "did you mean {near}?",
        "facts": {"door": "x", "near": "y"},
        "text": "there is no door x\n  where: main\n  mend: did you mean y?",
    }


def test_an_error_that_stands_for_several_tells_each(capsys: pytest.CaptureFixture[str]) -> None:
    from pathlib import Path

    mistakes = [Mistake("g.toml", 3, "a.b", "wrong {x}", "do {x}", {"x": "y"}), Mistake("g.toml", 0, "", "more")]
    assert Shell(Options()).error(ConfigMistakes(Path("g.toml"), mistakes)) == 1
    assert capsys.readouterr().err == (
        "2 mistakes in g.toml\n  g.toml:3: a.b: wrong y\n    mend: do y\n  g.toml: more\n"
    )
