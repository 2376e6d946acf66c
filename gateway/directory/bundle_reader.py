"""`python -m gateway.directory.bundle_reader`: verifies, decrypts and checks a bundle, record by record."""

from __future__ import annotations

import math
import struct
import sys
from collections.abc import Iterator
from datetime import datetime
from pathlib import Path

import msgspec
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from gateway.directory import bundle, wording
from gateway.directory.bundle import BadBundle, BundledConsent, BundledPerson
from gateway.directory.children import Answer, Bad, End, Order, Record, RecordRefused, begin, decode_order, say
from gateway.errors import N_

_VECTOR = struct.Struct("<128f")
_decode = msgspec.msgpack.Decoder(BundledPerson).decode


class _BadRecord(Exception):  # noqa: N818  (named for what it says)
    """Why a record is not taken."""


def main() -> int:
    begin()
    order = decode_order(bundle.read_frame(sys.stdin.buffer, bundle.MAX_RECORD) or b"")
    for answer in answers(order):
        say(sys.stdout.buffer, answer)
    sys.stdout.buffer.flush()
    return 0


def answers(order: Order) -> Iterator[Answer]:
    """Everything that is to be said of the bundle. Raises nothing of the file's making."""
    count = 0
    seen: set[str] = set()
    try:
        with Path(order.path).open("rb") as file:
            for data in bundle.records(file, X25519PrivateKey.from_private_bytes(order.private), order.other):
                yield _judge(count, data, seen)
                count += 1
    except (BadBundle, OSError) as error:
        yield Bad(why=str(error))
        return
    yield End(people=count)


def _judge(place: int, data: bytes, seen: set[str]) -> Answer:
    person = ""
    try:
        record = _decode(data)
        person = record.id
        if person in seen:
            raise _BadRecord(N_("the same person twice"))
        seen.add(person)
        return _checked(record)
    except _BadRecord as error:
        return RecordRefused(place=place, person=person, why=str(error))
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        return RecordRefused(place=place, person=person, why=str(error)[:200])


def _checked(record: BundledPerson) -> Record:
    begin_at, end_at = _check_moment(record.valid_from), _check_moment(record.valid_until)
    if begin_at and end_at and begin_at >= end_at:
        raise _BadRecord(N_("the validity ends before it begins"))
    for consent in record.consents:
        _check_consent(consent, record)
    for face in record.faces:
        if not all(map(math.isfinite, _VECTOR.unpack(face.embedding))):
            raise _BadRecord(N_("a face that is no numbers"))
        _check_moment(face.added_at)
    stands = any(consent.purpose == "face" and consent.withdrawn_at is None for consent in record.consents)
    if record.faces and not stands:
        without = msgspec.structs.replace(record, faces=())
        return Record(person=without, note=N_("without a consent that stands, the faces were left out"))
    return Record(person=record)


def _check_consent(consent: BundledConsent, record: BundledPerson) -> None:
    _check_moment(consent.given_at)
    _check_moment(consent.withdrawn_at)
    if record.under_14 and not consent.guardian.strip():
        raise _BadRecord(N_("a child's consent without a guardian"))
    shipped = wording.WORDINGS.get(consent.wording)
    if not consent.text.strip() or (shipped is not None and shipped != consent.text):
        raise _BadRecord(N_("a consent without its words, or with others than that version has"))


def _check_moment(text: str | None) -> datetime | None:
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError as error:
        raise _BadRecord(N_("a date or a moment that is none")) from error
    if moment.utcoffset() is None:
        raise _BadRecord(N_("a moment without its offset from UTC"))
    return moment


if __name__ == "__main__":
    sys.exit(main())
