"""`loumen safe-state` in the table of commands. The work is in gateway/safe_state.py, which imports nothing
of ours; `main` goes there before any of this is loaded, and this module only gives it a line in `--help`.
"""

from __future__ import annotations

import argparse
from typing import TYPE_CHECKING

from gateway import safe_state

if TYPE_CHECKING:
    from gateway.cli.shell import Shell


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--pins", default=safe_state.PINS, metavar="FILE")


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    return safe_state.main(["--pins", arguments.pins, *(["--json"] if shell.json else [])])
