"""Who a bundle is for and from: a box's key document, which a person carries from one box to the other.

    {"loumen": "box key 1", "box": uuid, "name": ..., "sign": Ed25519, "seal": X25519, "signature": ...}

The document is signed by its own Ed25519 key, so the two keys cannot be mixed from two documents. It
proves nothing about who made it: trusting a box is taking its document by hand. Pure.
"""

from __future__ import annotations

import base64
import binascii
from typing import Protocol

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey

from gateway.errors import BadRequest, N_

KIND = "box key 1"


class Identity(Protocol):
    """Of this box, what bundles need (`gateway.identity.Box`)."""

    @property
    def uuid(self) -> str: ...

    @property
    def name(self) -> str: ...

    def signing_key(self) -> Ed25519PrivateKey: ...

    def sealing_key(self) -> X25519PrivateKey: ...


class KeyDocument(msgspec.Struct, frozen=True):
    """The document as it is written; the keys are base64."""

    loumen: str
    box: str
    name: str
    sign: str
    seal: str
    signature: str


def document(identity: Identity) -> KeyDocument:
    """This box's document."""
    sign, seal = identity.signing_key(), identity.sealing_key().public_key().public_bytes_raw()
    return KeyDocument(
        loumen=KIND,
        box=identity.uuid,
        name=identity.name,
        sign=_text(sign.public_key().public_bytes_raw()),
        seal=_text(seal),
        signature=_text(sign.sign(_signed(identity.uuid, seal))),
    )


def read(text: str) -> KeyDocument:
    """Another box's document. Raises BadRequest."""
    try:
        found = msgspec.json.decode(text, type=KeyDocument)
        if found.loumen != KIND:
            raise ValueError(found.loumen)
        seal = raw(found.seal)
        Ed25519PublicKey.from_public_bytes(raw(found.sign)).verify(_raw(found.signature, 64), _signed(found.box, seal))
    except (msgspec.DecodeError, ValueError, InvalidSignature, UnicodeError, RecursionError) as error:
        raise BadRequest(
            N_("this is no box key document, or it was changed"),
            mend=N_("on the other box: 'loumen person key --json > FILE'"),
        ) from error
    return found


def raw(text: str) -> bytes:
    """The 32 bytes of a key. Raises ValueError."""
    return _raw(text, 32)


def _raw(text: str, length: int) -> bytes:
    try:
        found = base64.b64decode(text, validate=True)
    except binascii.Error as error:
        raise ValueError("no base64") from error
    if len(found) != length:
        raise ValueError(f"{len(found)} bytes")
    return found


def _text(key: bytes) -> str:
    return base64.b64encode(key).decode()


def _signed(box: str, seal: bytes) -> bytes:
    return b"loumen " + KIND.encode() + b"\0" + box.encode() + b"\0" + seal
