"""`python -m gateway.directory.bundle_writer`: encrypts and signs the people that come through its stdin."""

from __future__ import annotations

import os
import sys
from pathlib import Path

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from gateway.directory import bundle
from gateway.directory.bundle import BadBundle
from gateway.directory.children import Bad, End, Order, begin, decode_order, say
from gateway.errors import N_


def main() -> int:
    begin()
    order = decode_order(bundle.read_frame(sys.stdin.buffer, bundle.MAX_RECORD) or b"")
    try:
        say(sys.stdout.buffer, End(people=write(order)))
    except (BadBundle, OSError) as error:
        Path(order.path).unlink(missing_ok=True)
        say(sys.stdout.buffer, Bad(why=str(error)))
    sys.stdout.buffer.flush()
    return 0


def write(order: Order) -> int:
    """Returns how many people were written. Raises BadBundle, OSError."""
    handle = os.open(order.path, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    with os.fdopen(handle, "wb") as file:
        sign = Ed25519PrivateKey.from_private_bytes(order.private)
        writer = bundle.Writer(file, sign, order.own, order.other, order.created)
        count = 0
        while record := bundle.read_frame(sys.stdin.buffer, bundle.MAX_RECORD):
            writer.add(record)
            count += 1
            if file.tell() > bundle.MAX_BUNDLE:
                raise BadBundle(N_("it would be larger than any box takes: export in parts"))
        writer.finish()
    return count


if __name__ == "__main__":
    sys.exit(main())
