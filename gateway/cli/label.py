"""`loumen label`: what is stuck on the box at its installation, and how the box is found on the network.

Nothing on it is a secret: the id and the fingerprint tell this box from another one. Whoever admits it at
the desk compares the fingerprint with the sticker. `--avahi` prints the service file that makes the box
answer to `avahi-browse -rt _loumen._tcp`: avahi does that for it, the daemon listens on no network for it.
"""

from __future__ import annotations

import argparse
import io
import socket
from pathlib import Path
from typing import TYPE_CHECKING, TypedDict
from urllib.parse import urlencode
from xml.sax.saxutils import escape

from gateway.cli.shell import Shell
from gateway.errors import N_
from gateway.identity import Box

if TYPE_CHECKING:
    import segno

SSH = 22  # what a technician reaches a box by
ANYWHERE = ("192.0.2.1", 9)  # never sent to: only asked which address this machine would use


class Label(TypedDict):
    """The document of `--json`."""

    box: str
    name: str
    site: str
    host: str
    address: str
    fingerprint: str
    qr: str


def add(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--state", metavar="DIR", type=Path, help=N_("the box's state folder, else as configured"))
    parser.add_argument("--svg", metavar="FILE", type=Path, help=N_("write the QR code as a picture for a printer"))
    parser.add_argument("--avahi", action="store_true", help=N_("print the service file for avahi instead"))


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from gateway.config.last_good import choose

    config = choose(shell.config).config
    label = label_of(Box.load_or_create(arguments.state or Path(config.box.state), config.box.name), config.site.name)
    if arguments.avahi:
        shell.say(service(label))
        return shell.done()
    if arguments.svg:
        _qr(label).save(str(arguments.svg), kind="svg", scale=4)
    shell.out(dict(label), lambda: _show(label, shell))
    return shell.done()


def label_of(box: Box, site: str) -> Label:
    """What this box says of itself."""
    from gateway.identity import certificates

    enrolled = box.folder / "current" / "box.key"
    if enrolled.exists():
        fingerprint = certificates.key_fingerprint(certificates.load_key(enrolled).public_key())
    else:
        _request, fingerprint = box.request()
    host = f"{socket.gethostname()}.local"
    words = {"id": box.uuid, "name": box.name, "host": host, "key": fingerprint.replace(" ", "")}
    return Label(
        box=box.uuid,
        name=box.name,
        site=site,
        host=host,
        address=address(),
        fingerprint=fingerprint,
        qr=f"loumen:box?{urlencode(words)}",
    )


def address() -> str:
    """This machine's own address on its network; empty where it has none."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as asked:
        try:
            asked.connect(ANYWHERE)
        except OSError:
            return ""
        return str(asked.getsockname()[0])


def service(label: Label) -> str:
    """A service file for avahi (avahi.service(5))."""
    told = {"id": label["box"], "name": label["name"], "key": label["fingerprint"].replace(" ", "")}
    records = "\n".join(f"    <txt-record>{escape(f'{name}={value}')}</txt-record>" for name, value in told.items())
    return f"""\
<?xml version="1.0" standalone="no"?>
<!DOCTYPE service-group SYSTEM "avahi-service.dtd">
<service-group>
  <name replace-wildcards="yes">{escape(f"Loumen {label['name']}")} (%h)</name>
  <service>
    <type>_loumen._tcp</type>
    <port>{SSH}</port>
{records}
  </service>
</service-group>"""


def _show(label: Label, shell: Shell) -> str:
    picture = io.StringIO()
    _qr(label).terminal(picture, compact=True, border=2)
    rows = (
        (N_("box"), label["name"]),
        (N_("site"), label["site"]),
        (N_("id"), label["box"]),
        (N_("address"), " · ".join(filter(None, (label["address"], label["host"])))),
        (N_("fingerprint"), label["fingerprint"]),
    )
    return "\n".join([*(f"{shell._(word)}: {value}" for word, value in rows), picture.getvalue().rstrip("\n")])


def _qr(label: Label) -> segno.QRCode:
    import segno

    return segno.make(label["qr"], error="m", micro=False)
