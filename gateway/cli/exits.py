"""Exit codes. Stable and documented: scripts rely on them."""

from __future__ import annotations

from enum import IntEnum

from gateway.errors import (
    AlreadyUsed,
    BadCommand,
    BadRequest,
    DaemonUnreachable,
    JournalDown,
    LoumenError,
    N_,
    Refused,
)


class Exit(IntEnum):
    """What `loumen` ends with."""

    DONE = 0
    NO = 1
    USAGE = 2
    UNREACHABLE = 3
    REFUSED = 4


MEANINGS: dict[Exit, str] = {
    Exit.DONE: N_("done"),
    Exit.NO: N_("no: the answer is no, or it did not work"),
    Exit.USAGE: N_("wrong usage"),
    Exit.UNREACHABLE: N_("the daemon is not reachable"),
    Exit.REFUSED: N_("refused: understood and not allowed"),
}

_BY_ERROR: tuple[tuple[type[LoumenError], Exit], ...] = (
    (DaemonUnreachable, Exit.UNREACHABLE),
    (Refused, Exit.REFUSED),
    (AlreadyUsed, Exit.REFUSED),
    (BadCommand, Exit.REFUSED),
    (JournalDown, Exit.REFUSED),
    (BadRequest, Exit.USAGE),
)


def exit_of(error: LoumenError) -> Exit:
    """The exit code that stands for `error`."""
    return next((code for kind, code in _BY_ERROR if isinstance(error, kind)), Exit.NO)
