"""The console entry. `loumen safe-state` runs before anything else is imported.

It is what ends a pulse after the daemon died: it must work where the rest of this program does not.
"""

import sys
from collections.abc import Sequence


def main(argv: Sequence[str] | None = None) -> int:
    """Run one command line; returns the exit code."""
    arguments = list(sys.argv[1:] if argv is None else argv)
    if arguments[:1] == ["safe-state"] and not {"-h", "--help"} & set(arguments):
        from gateway import safe_state

        return safe_state.main(arguments[1:])
    from gateway.cli.dispatch import dispatch

    return dispatch(arguments)


if __name__ == "__main__":
    sys.exit(main())
