"""The nouns of the command line: name, module, one line of help. A module is imported only when used."""

from __future__ import annotations

from typing import NamedTuple

from gateway.errors import N_


class Noun(NamedTuple):
    """One noun. `module` has `add(parser)` and `run(arguments, shell) -> int`."""

    module: str
    help: str


NOUNS: dict[str, Noun] = {
    "run": Noun("gateway.cli.run", N_("run the daemon in the foreground")),
    "status": Noun("gateway.cli.status", N_("how the box is, on one screen")),
    "watch": Noun("gateway.cli.watch", N_("how the box is, and what happens, live")),
    "io": Noun("gateway.cli.io", N_("see all lines live; set or pulse one")),
    "door": Noun("gateway.cli.door", N_("list, open, hold, lock and explain doors")),
    "lane": Noun("gateway.cli.lane", N_("list, raise, hold and release barriers")),
    "person": Noun("gateway.cli.person", N_("residents: add, list, show, forget, export, import")),
    "face": Noun("gateway.cli.face", N_("faces: enrol, list, remove, try")),
    "plate": Noun("gateway.cli.plate", N_("number plates: add, list, import, remove, read")),
    "meter": Noun("gateway.cli.meter", N_("water meters: scan, list, read, history, chart, profile")),
    "event": Noun("gateway.cli.event", N_("the journal: list, follow, verify")),
    "sync": Noun("gateway.cli.sync", N_("the uplink: status, pause, resume, resend")),
    "config": Noun("gateway.cli.config", N_("the configuration file: new, check, show, apply")),
    "model": Noun("gateway.cli.model", N_("model files: list, verify, prepare")),
    "doctor": Noun("gateway.cli.doctor", N_("ten checks, each with its mend")),
    "label": Noun("gateway.cli.label", N_("the sticker for this box: id, address, fingerprint, QR code")),
    "enrol": Noun("gateway.cli.enrol", N_("make this box known to a community's desk")),
    "desk": Noun("gateway.cli.desk", N_("the community's server: receive, store, command")),
    "demo": Noun("gateway.cli.demo", N_("a whole house in one terminal, without hardware")),
    "evaluate": Noun("gateway.cli.evaluate", N_("measure recognition on labelled pictures")),
    "safe-state": Noun("gateway.cli.safe_state", N_("rest every output after the daemon ended")),
}
