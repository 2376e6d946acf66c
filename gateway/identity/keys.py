"""Signed words: an Ed25519 signature over exactly the bytes of a payload, and the root-signed list of online keys.

    {"kid": "desk", "payload": "...", "sig": "base64"}

The payload is a text inside the text, so nobody has to agree on a canonical JSON. The list of online keys
is signed by the community's offline root key, has a version, and an older one is never taken. Pure.
"""

from __future__ import annotations

import base64
import binascii

import msgspec
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from gateway.errors import IdentityError, N_

MAX_SIGNED = 64 * 1024
READING = (msgspec.DecodeError, UnicodeError, RecursionError, ValueError)


class Signed(msgspec.Struct, frozen=True):
    """What is signed, who says it, the signature."""

    kid: str
    payload: str
    sig: str


class Key(msgspec.Struct, frozen=True, kw_only=True):
    """An online key: what it may order, and whether its receipts free the journal."""

    kid: str
    public: str  # base64, 32 bytes
    role: str
    name: str = ""
    receiver: bool = False


class KeyList(msgspec.Struct, frozen=True, kw_only=True):
    """What the root vouches for: the online keys and the fingerprints of the TLS authorities."""

    community: str
    version: int
    issued: str
    keys: tuple[Key, ...]
    ca: tuple[str, ...] = ()  # SHA-256 of each certificate, hex

    def find(self, kid: str) -> Key | None:
        return next((key for key in self.keys if key.kid == kid), None)


read_signed = msgspec.json.Decoder(Signed).decode
_key_list = msgspec.json.Decoder(KeyList)


def sign(payload: bytes, kid: str, key: Ed25519PrivateKey) -> bytes:
    """The envelope as it travels."""
    signed = Signed(kid, payload.decode(), base64.b64encode(key.sign(payload)).decode())
    return msgspec.json.encode(signed)


def public_text(key: Ed25519PublicKey) -> str:
    return base64.b64encode(key.public_bytes_raw()).decode()


def public_key(text: str) -> Ed25519PublicKey:
    """Raises ValueError."""
    return Ed25519PublicKey.from_public_bytes(base64.b64decode(text, validate=True))


def signed_by(signed: Signed, public: str) -> bool:
    """Whether the holder of `public` (base64) signed it."""
    try:
        public_key(public).verify(base64.b64decode(signed.sig, validate=True), signed.payload.encode())
    except (InvalidSignature, binascii.Error, ValueError):
        return False
    return True


def open_key_list(data: bytes, root: str, community: str = "", newest: int = 0) -> KeyList:
    """The list, if the root signed it, it is for this community and not older than `newest`.

    Raises IdentityError.
    """
    mend = N_("ask the desk for a fresh bundle")
    try:
        signed = read_signed(data[:MAX_SIGNED])
        if not signed_by(signed, root):
            raise IdentityError(N_("The list of keys is not signed by this community's root key"), mend=mend)
        listed = _key_list.decode(signed.payload)
        for key in listed.keys:
            public_key(key.public)
    except READING as error:
        raise IdentityError(N_("The list of keys cannot be read"), mend=mend) from error
    if community and listed.community != community:
        raise IdentityError(
            N_("The list of keys is for the community {community}"), community=listed.community, mend=mend
        )
    if listed.version < newest:
        raise IdentityError(N_("The list of keys is older than the one in use"), mend=mend)
    return listed
