"""The texts of Python's own argparse that a technician can meet, so that they are in our catalogue."""

from __future__ import annotations

from gettext import gettext as _
from gettext import ngettext


def texts() -> tuple[str, ...]:
    """Every text, for the extraction; nobody else calls this."""
    return (
        _("usage: "),
        _("options"),
        _("positional arguments"),
        _("subcommands"),
        _("show this help message and exit"),
        _("%(prog)s: error: %(message)s\n"),
        _("argument %(argument_name)s: %(message)s"),
        _("the following arguments are required: %s"),
        _("unrecognized arguments: %s"),
        _("one of the arguments %s is required"),
        _("not allowed with argument %s"),
        _("ignored explicit argument %r"),
        _("expected one argument"),
        _("expected at most one argument"),
        _("expected at least one argument"),
        ngettext("expected %s argument", "expected %s arguments", 2),
        _("ambiguous option: %(option)s could match %(matches)s"),
        _("invalid %(type)s value: %(value)r"),
        _("invalid choice: %(value)r (choose from %(choices)s)"),
        _("unknown parser %(parser_name)r (choices: %(choices)s)"),
        _("can't open '%(filename)s': %(error)s"),
        _("unexpected option string: %s"),
    )
