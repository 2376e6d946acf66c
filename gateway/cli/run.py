"""`loumen run`: the daemon in the foreground, as systemd starts it."""

from __future__ import annotations

import argparse

from gateway.cli.shell import Shell
from gateway.errors import N_


def add(parser: argparse.ArgumentParser) -> None:
    parser.description = N_("Run the daemon until SIGTERM or Ctrl-C. An invalid configuration does not keep it away.")


def run(_arguments: argparse.Namespace, shell: Shell) -> int:
    from gateway import daemon

    return daemon.main(shell.config)
