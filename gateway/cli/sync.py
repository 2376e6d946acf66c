"""`loumen sync`: how the way up is doing, and what a technician may do about it."""

from __future__ import annotations

import argparse
from typing import Any

import msgspec

from gateway.cli.shell import Shell
from gateway.errors import BadRequest, N_
from gateway.uplink.status import UplinkStatus, sentences


def add(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    verbs.add_parser("status", help=N_("connection, marks and backlog, in words"))
    pause = verbs.add_parser("pause", help=N_("hang up until `sync resume`, also over a restart; events are kept"))
    pause.add_argument("--reason", default="", help=N_("why; it stands in the journal"))
    verbs.add_parser("resume", help=N_("connect again"))
    resend = verbs.add_parser("resend", help=N_("send again what the receiver does not name"))
    resend.add_argument(
        "--after", default="", metavar="EPOCH/SEQ", help=N_("from here on; without: from the beginning")
    )
    verbs.add_parser("keys", help=N_("whose commands this box obeys"))


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    if arguments.verb == "keys":
        return _keys(shell)
    fields: dict[str, Any] = {}
    if arguments.verb == "pause":
        fields = {"reason": arguments.reason}
    if arguments.verb == "resend" and arguments.after:
        fields = _position(arguments.after)
    document = shell.client().command(f"sync.{arguments.verb}", fields)
    status = msgspec.convert(document, UplinkStatus, strict=False)
    shell.out(document, lambda: say(status, shell))
    return shell.done(status.state == "connected" or arguments.verb != "status")


def say(status: UplinkStatus, shell: Shell) -> None:
    """The status in words; what needs a person stands out."""
    for sentence in sentences(status):
        text = shell._(sentence.text, **sentence.facts)
        if sentence.bad:
            shell.mark(f"! {text}", "yellow")
        else:
            shell.say(f"  {text}")
        if sentence.mend:
            shell.say(f"    {shell._(N_('mend:'))} {shell._(sentence.mend)}")


def _position(text: str) -> dict[str, Any]:
    epoch, _slash, seq = text.rpartition("/")
    if not epoch or not seq.isdigit():
        raise BadRequest(N_("a place in the journal is written EPOCH/SEQ, not {text}"), text=text)
    return {"epoch": epoch, "seq": int(seq)}


def _keys(shell: Shell) -> int:
    document = shell.client().command("sync.keys")
    columns = [N_("key"), N_("role"), N_("name"), N_("gives receipts")]
    rows = [
        (key["kid"], shell._(key["role"]), key["name"], shell._(N_("yes") if key["receiver"] else N_("no")))
        for key in document["keys"]
    ]

    def human() -> None:
        if not document["keys"]:
            shell.say(shell._(N_("no keys yet: this box obeys its own terminal only, until it is enrolled")))
            return
        facts = {"version": document["version"], "community": document["community"] or "-"}
        shell.say(shell._(N_("List {version} of {community}"), **facts))
        shell.table(columns, rows)

    shell.out(document, human)
    return shell.done()
