"""`loumen safe-state` in the table of commands. The work is in gateway/safe_state.py, which imports nothing
of ours; `main` goes there before any of this is loaded, and this module only gives it a line in `--help`.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from gateway import safe_state
from gateway.errors import N_

if TYPE_CHECKING:
    from gateway.cli.shell import Shell


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = N_(
        "Bring every output to rest, without the daemon and its configuration: systemd runs it when the daemon has "
        "ended, a technician may run it at any time. A line that rests already shows no edge; twice is harmless. "
        "Exit 0: every listed output rests. Exit 1: some could not be brought to rest, and which is said."
    )
    parser.add_argument(
        "--pins",
        default=safe_state.PINS,
        metavar="FILE",
        help=N_("the list of outputs that the daemon has written (default: in its run folder)"),
    )


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    return safe_state.main(["--pins", arguments.pins, *(["--json"] if shell.json else [])])
