"""Errors on the wire: which HTTP status, which JSON, and back again in the client.

    {"error": {"code": "not_found", "what": "there is no door {door}", "where": "", "mend": "", "facts": {"door": "x"}}}

`what` and `mend` are message ids; the reader's own locale decides the words.
"""

from __future__ import annotations

from typing import Any, Final

import msgspec

from gateway import errors
from gateway.errors import LoumenError, N_

JSON: Final = "application/json; charset=utf-8"
NDJSON: Final = "application/x-ndjson; charset=utf-8"

_STATUS: Final[tuple[tuple[type[LoumenError], int], ...]] = (
    (errors.AlreadyUsed, 409),
    (errors.BadRequest, 400),
    (errors.BadCommand, 400),
    (errors.BadImage, 400),
    (errors.ConfigError, 400),
    (errors.Refused, 403),
    (errors.NotFound, 404),
    (errors.JournalDown, 503),
    (errors.DirectoryDown, 503),
    (errors.VisionDown, 503),
    (errors.UplinkError, 503),
    (errors.DriverError, 503),
)


class TooLarge(errors.BadRequest):
    """A request, or what waits in all of them, is larger than the daemon keeps in memory."""

    code = "request.too_large"


class Busy(LoumenError):  # noqa: N818  (named for what it says)
    """Too many clients at once."""

    code = "busy"


class Internal(LoumenError):  # noqa: N818  (named for what it says)
    """The daemon met an error of its own; its log has the rest."""

    code = "internal"


def status_of(error: LoumenError) -> int:
    """The HTTP status that stands for `error`."""
    if isinstance(error, TooLarge):
        return 413
    if isinstance(error, Busy):
        return 503
    if isinstance(error, Internal):
        return 500
    return next((status for kind, status in _STATUS if isinstance(error, kind)), 409)


def encode(document: object) -> bytes:
    """One JSON document; what msgspec does not know becomes its text."""
    return msgspec.json.encode(document, enc_hook=str)


def error_body(error: LoumenError) -> bytes:
    """The JSON form of `error`."""
    told = {"code": error.code, "what": error.what, "where": error.where, "mend": error.mend, "facts": error.facts}
    return encode({"error": told}) + b"\n"


def _kinds() -> dict[str, type[LoumenError]]:
    found: dict[str, type[LoumenError]] = {}
    waiting: list[type[LoumenError]] = [LoumenError]
    while waiting:
        kind = waiting.pop()
        found.setdefault(kind.code, kind)
        waiting += kind.__subclasses__()
    return found


def error_of(document: Any) -> LoumenError:
    """The error that an answer stands for, with its own type where this program knows the code."""
    told = document.get("error") if isinstance(document, dict) else None
    if not isinstance(told, dict) or not isinstance(told.get("what"), str):
        return LoumenError(N_("the daemon gave an answer that is no error of ours"))
    code = str(told.get("code", ""))
    kind = _kinds().get(code)
    if kind is None:  # a newer daemon: its family decides ("command.used" is a kind of "command")
        family = _kinds().get(code.split(".", maxsplit=1)[0], LoumenError)
        kind = type("ToldError", (family,), {"code": code})
    error = kind.__new__(kind)
    facts = told.get("facts")
    LoumenError.__init__(
        error,
        told["what"],
        where=str(told.get("where", "")),
        mend=str(told.get("mend", "")),
        **{str(name): fact for name, fact in (facts if isinstance(facts, dict) else {}).items() if name not in _TAKEN},
    )
    return error


_TAKEN: Final = frozenset({"self", "what", "where", "mend"})
