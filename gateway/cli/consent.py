"""The options with which `person` and `face` record a consent."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

from gateway.errors import BadRequest, N_

SHIPPED = "face-1"  # gateway.directory.wording.CURRENT; not imported: the CLI starts without the directory


def add_consent_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group("consent")
    group.add_argument(
        "--consent",
        nargs="?",
        const=SHIPPED,
        default=None,
        metavar="WORDING",
        help=N_("record that the person consented to this wording (default: the shipped one, face-1)"),
    )
    group.add_argument("--consent-text", type=Path, default=None, metavar="FILE", help=N_("the words of a new wording"))
    group.add_argument("--guardian", default="", metavar="NAME", help=N_("who consented for a child under 14"))
    group.add_argument("--consented-on", default="", metavar="DATE", help=N_("when (default: now)"))


def consent_fields(arguments: argparse.Namespace) -> dict[str, Any]:
    """The command's `consent`, or nothing. Raises BadRequest."""
    if arguments.consent is None:
        if arguments.guardian or arguments.consent_text or arguments.consented_on:
            raise BadRequest(N_("these options belong to --consent"), mend=N_("add --consent"))
        return {}
    try:
        text = arguments.consent_text.read_text(encoding="utf-8") if arguments.consent_text else ""
    except (OSError, UnicodeDecodeError) as error:
        raise BadRequest(
            N_("{file} cannot be read: {error}"), file=str(arguments.consent_text), error=str(error)
        ) from error
    return {
        "consent": {
            "wording": arguments.consent,
            "text": text,
            "guardian": arguments.guardian,
            "given_at": arguments.consented_on,
        }
    }
