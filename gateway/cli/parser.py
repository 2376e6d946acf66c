"""argparse in two languages, with the global options on every level.

`add(parser)` of a noun marks its texts `N_("...")`; they are translated when they are shown. A noun
that needs a global option's name for itself just adds it: the noun's own wins.
"""

from __future__ import annotations

import argparse
from typing import Any, NoReturn

from gateway.errors import BadRequest, N_
from gateway.locale import _

FLAGS = {
    "--json": ("json", N_("one JSON document on stdout")),
    "--debug": ("debug", N_("show tracebacks")),
    "--yes": ("yes", N_("answer every question with yes")),
}
VALUES = {
    "--config": ("config", "FILE", N_("the configuration file (default /etc/loumen/gateway.toml)")),
    "--socket": ("socket", "PATH", N_("the daemon's socket (default: as the configuration says)")),
    "--lang": ("lang", "zh|en", N_("the language (default: as the locale says)")),
}


class WrongUsage(BadRequest):
    """The command line cannot be understood; exit code 2."""

    code = "usage"


class _Formatter(argparse.RawDescriptionHelpFormatter):
    def _get_help_string(self, action: argparse.Action) -> str | None:
        return _(action.help) if action.help else action.help


class Parser(argparse.ArgumentParser):
    """Raises WrongUsage instead of exiting; every level knows the global options."""

    def __init__(self, *args: Any, **kwargs: Any) -> None:
        kwargs.setdefault("formatter_class", _Formatter)
        kwargs["conflict_handler"] = "resolve"
        kwargs["allow_abbrev"] = False
        super().__init__(*args, **kwargs)
        self._mixing = False
        group = self.add_argument_group(_(N_("options of every command")))
        for option, (name, help_text) in FLAGS.items():
            group.add_argument(option, dest=name, action="store_true", default=argparse.SUPPRESS, help=help_text)
        for option, (name, metavar, help_text) in VALUES.items():
            group.add_argument(option, dest=name, metavar=metavar, default=argparse.SUPPRESS, help=help_text)

    def format_help(self) -> str:
        told, self.description = self.description, _(self.description) if self.description else None
        try:
            return super().format_help()
        finally:
            self.description = told

    def parse_known_args(self, args: Any = None, namespace: Any = None) -> Any:
        """A missing verb is asked for by naming the verbs; of a verb, words and options may come in any order."""
        verbs = [action for action in self._actions if isinstance(action, argparse._SubParsersAction)]
        if verbs and verbs[0].required and not any(word in verbs[0].choices for word in args or ()):
            words = [word for word in args or () if not word.startswith("-")]
            if not words and not {"-h", "--help"} & set(args or ()):
                raise WrongUsage(
                    N_("`{command}` needs a verb: {verbs}"),
                    mend=N_("see `{command} --help`"),
                    command=self.prog,
                    verbs=", ".join(verbs[0].choices),
                )
        fixed = {argparse.PARSER, argparse.REMAINDER}
        if self._mixing or any(action.nargs in fixed for action in self._actions if not action.option_strings):
            return super().parse_known_args(args, namespace)
        self._mixing = True  # parse_known_intermixed_args calls this very method for options, then for the rest
        before = self.usage
        self.usage = before or self.format_usage().removeprefix(_("usage: "))  # it cuts seven signs, as of English
        try:
            return super().parse_known_intermixed_args(args, namespace)
        finally:
            self._mixing, self.usage = False, before

    def error(self, message: str) -> NoReturn:
        raise WrongUsage(
            N_("wrong usage: {problem}"), mend=N_("see `{command} --help`"), problem=message, command=self.prog
        )
