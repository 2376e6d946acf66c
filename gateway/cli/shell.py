"""What a noun of the command line is given: where to speak, in which language, and to whom.

Answers go to stdout, either one JSON document (`--json`, stable keys) or words and tables for
people; everything else (questions, progress, warnings) goes to stderr, so that a pipe gets the
answer alone. Colour only on a terminal. Column widths count Chinese characters as two.
"""

from __future__ import annotations

import contextlib
import sys
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import msgspec

from gateway import locale
from gateway.cli.exits import Exit, exit_of
from gateway.errors import LoumenError, N_, Refused

if TYPE_CHECKING:
    from rich.console import Console

    from gateway.control.client import Client

PIPE_WIDTH = 1000  # a table in a pipe is never folded


@dataclass(frozen=True, slots=True)
class Options:
    """The global options."""

    json: bool = False
    debug: bool = False
    yes: bool = False
    config: str = ""
    socket: str = ""
    lang: locale.Language | None = None  # None: as the locale says


class Shell:
    """One command line being answered."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.json, self.debug, self.yes = options.json, options.debug, options.yes
        self._console: Console | None = None
        self._client: Client | None = None

    # --- words

    def _(self, message: str, **facts: object) -> str:
        """`message` in the reader's language, with `facts` in its {places}."""
        return locale.tell(message, facts) if facts else locale._(message)

    translate = _

    def prefer(self, language: str) -> None:
        """Speak the site's language where neither --lang nor the locale says one."""
        import os

        if self.options.lang is None and locale.of_environment(os.environ) is None and language in locale.LOCALES:
            locale.speak("zh" if language == "zh" else "en")

    # --- places

    @property
    def config(self) -> Path:
        """The configuration file: --config, LOUMEN_CONFIG, else the box's own."""
        from gateway.config.places import config_path

        return config_path(self.options.config)

    @property
    def socket(self) -> Path:
        """The daemon's socket: --socket, LOUMEN_SOCKET, else as the configuration says."""
        from gateway.config.places import socket_path

        return socket_path(self.options.socket, self.config)

    def client(self) -> Client:
        """The daemon, by its socket. Raises DaemonUnreachable when used, not here."""
        if self._client is None:
            from gateway.control.client import Client

            self._client = Client(self.socket)
        return self._client

    # --- answers

    def out(self, document: object, human: Callable[[], object] | None = None) -> None:
        """The answer: one JSON document, or what `human` says (it prints, or returns a text)."""
        if self.json:
            self.line(document)
            return
        said = human() if human is not None else None
        if isinstance(said, str):
            self.say(said)

    def line(self, document: object) -> None:
        """One JSON document on one line; commands that follow print one a happening."""
        sys.stdout.write(_encode(document) + "\n")
        sys.stdout.flush()

    def say(self, text: str = "", *, indent: int = 0) -> None:
        """A line for people on stdout; nothing with --json."""
        if not self.json:
            sys.stdout.write("".join(f"{row}\n" for row in self.folded(text, indent=indent)))
            sys.stdout.flush()

    def mark(self, text: str, style: str, *, hang: int = 0) -> None:
        """A line for people in a rich style ("green", "yellow", "bold red"); plain in a pipe."""
        if not self.json:
            for row in self.folded(text, hang=hang):
                self.console.print(row, style=style or None, markup=False, highlight=False, soft_wrap=True)

    def folded(self, text: str, *, indent: int = 0, hang: int = 0) -> list[str]:
        """The rows of a line: one in a pipe; on a terminal as many as it takes, the rest below, so far indented."""
        if not (indent or hang) or not sys.stdout.isatty():
            return [" " * indent + text]
        from rich.text import Text

        rows = Text(text).wrap(self.console, max(20, self.console.width - max(indent, hang)))
        return [" " * (max(indent, hang) if at else indent) + row.plain.rstrip() for at, row in enumerate(rows)]

    @property
    def height(self) -> int:
        """The rows of the terminal; a pipe has no end."""
        return self.console.height if sys.stdout.isatty() else sys.maxsize

    def note(self, text: str) -> None:
        """A remark on stderr (also with --json)."""
        sys.stderr.write(text + "\n")
        sys.stderr.flush()

    def table(self, columns: Sequence[str], rows: Iterable[Sequence[object]], *, title: str = "") -> None:
        """A table for people; `columns` and `title` are translated, cells are shown as they are."""
        if self.json:
            return
        rows = list(rows)
        if not rows:
            self.say(self._(N_("nothing to show")))
            return
        from rich import box
        from rich.table import Table
        from rich.text import Text

        table = Table(title=self._(title) or None, box=box.SIMPLE_HEAD, title_justify="left", pad_edge=False)
        for column in columns:
            table.add_column(self._(column), overflow="fold")
        for row in rows:
            table.add_row(*(cell if isinstance(cell, Text) else Text(str(cell)) for cell in row))
        self.console.print(table)

    @property
    def console(self) -> Console:
        """The console on stdout, made on first use."""
        if self._console is None:
            from rich.console import Console

            terminal = sys.stdout.isatty()
            self._console = Console(
                file=sys.stdout, width=None if terminal else PIPE_WIDTH, no_color=not terminal, highlight=False
            )
        return self._console

    @contextlib.contextmanager
    def progress(self, label: str, total: float | None = None) -> Iterator[Callable[[float], None]]:
        """A bar on stderr for what takes longer than a second; yields `advance(steps)`. Silent in a pipe."""
        if self.json or not sys.stderr.isatty():
            yield lambda _steps: None
            return
        from rich.console import Console
        from rich.progress import Progress

        with Progress(console=Console(file=sys.stderr), transient=True) as bar:
            task = bar.add_task(self._(label), total=total)
            yield lambda steps: bar.advance(task, steps)

    def confirm(self, question: str, **facts: object) -> Literal[True]:
        """Ask; True on yes, raises Refused on no. Without a terminal only --yes is a yes."""
        if self.yes:
            return True
        if not (sys.stdin.isatty() and sys.stderr.isatty()):
            raise Refused(
                N_("this needs a confirmation and there is no terminal to ask on"), mend=N_("add --yes to confirm")
            )
        sys.stderr.write(f"{self._(question, **facts)} {self._(N_('[y/N]'))} ")
        sys.stderr.flush()
        if sys.stdin.readline().strip().lower() not in {"y", "yes", "是", "好"}:
            raise Refused(N_("not confirmed; nothing was changed"))
        return True

    # --- errors

    def error(self, error: LoumenError) -> int:
        """Tell `error` (JSON on stdout with --json, else words on stderr); returns its exit code."""
        if self.json:
            self.line({"error": error_document(error)})
        else:
            self.note(self.words(error))
        return int(exit_of(error))

    def words(self, error: LoumenError) -> str:
        """`error` in the reader's language, one to three lines and more where it stands for several."""
        return render(error, self._)

    def hung_up(self) -> int:
        """The end of what goes on until Ctrl-C: the prompt comes on a line of its own."""
        if sys.stderr.isatty():
            self.note("")
        return self.done()

    @staticmethod
    def done(well: bool = True) -> int:  # noqa: FBT001, FBT002  (an answer: `done(ok)`)
        """The exit code of an answer: 0 for yes, 1 for no."""
        return int(Exit.DONE if well else Exit.NO)


def render(error: LoumenError, translate: Callable[[str], str]) -> str:
    """`error` in words; an error that stands for several (`mistakes`) tells each."""
    said = locale.tell(error.what, error.facts, translate)
    lines = [said]
    for mistake in getattr(error, "mistakes", ()):
        lines += [f"  {line}" for line in mistake.render(translate).splitlines()]
    if error.where and error.where not in said:
        lines.append(f"  {translate(N_('where:'))} {error.where}")
    if error.mend:
        lines.append(f"  {translate(N_('mend:'))} {locale.tell(error.mend, error.facts, translate)}")
    return "\n".join(lines)


def error_document(error: LoumenError) -> dict[str, Any]:
    """The JSON form of an error: ids with facts for programs, `text` for people."""
    return {
        "code": error.code,
        "what": error.what,
        "where": error.where,
        "mend": error.mend,
        "facts": error.facts,
        "text": render(error, locale._),
    }


def _encode(document: object) -> str:
    return msgspec.json.encode(document, enc_hook=str).decode()
