"""What a box signs about events whose headers it lets go: who, which epoch, up to where, ending in which head. Pure."""

from __future__ import annotations

import base64
import binascii
from typing import TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey


class Closed(msgspec.Struct, frozen=True, kw_only=True):
    """The statement about one epoch; a later one takes its place."""

    number: int
    box: str
    epoch: str
    last: int
    head: str
    at: int
    key: str  # the public key, base64
    signature: str

    def is_signed(self) -> bool:
        """Whether the key's holder said so."""
        return is_signed(self.box, self.epoch, self.last, self.head, self.key, self.signature)


def is_signed(box: str, epoch: str, last: int, head: str, key: str, signature: str) -> bool:
    """Whether the holder of `key` closed `epoch` of `box` up to `last` with this head."""
    from cryptography.exceptions import InvalidSignature
    from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PublicKey

    try:
        public = Ed25519PublicKey.from_public_bytes(base64.b64decode(key, validate=True))
        public.verify(base64.b64decode(signature, validate=True), _statement(box, epoch, last, head))
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def public(key: Ed25519PrivateKey) -> str:
    """As a statement names it."""
    return base64.b64encode(key.public_key().public_bytes_raw()).decode()


def signature(box: str, epoch: str, last: int, head: str, key: Ed25519PrivateKey) -> str:
    """The box's word for it, base64."""
    return base64.b64encode(key.sign(_statement(box, epoch, last, head))).decode()


def _statement(box: str, epoch: str, last: int, head: str) -> bytes:
    return f"loumen-journal-closed-1\n{box}\n{epoch}\n{last}\n{head}".encode("utf-8", "surrogatepass")
