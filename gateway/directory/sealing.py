"""How personal fields and faces are encrypted, and how a stored row shows that it is whole.

Every person has one random key; AES-256-GCM, a random nonce in front. The additional data names the
person and the field, so a ciphertext that was moved to another row or column does not open. The
person's key is wrapped by the box key in the same way. Destroying the wrapped key is deleting the
person: nothing that was ever copied opens again.

A checksum of each row stands beside it. It is no signature (who can write the file can write the
checksum): it tells noise on a worn card from data, also where SQLite's own check sees nothing wrong.

Pure, but for the operating system's random numbers.
"""

from __future__ import annotations

import hashlib
import secrets

import msgspec
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

KEY = 32
NONCE = 12
TAG = 16
WRAPPED = NONCE + KEY + TAG

_encode = msgspec.msgpack.Encoder().encode


class Unreadable(Exception):  # noqa: N818  (named for what it says)
    """A ciphertext that this key does not open: another key, another field, or noise."""


class Cipher:
    """One person's key, ready for use."""

    def __init__(self, person: str, key: bytes) -> None:
        self._person, self._aead = person, AESGCM(key)

    def seal(self, field: str, plain: bytes) -> bytes:
        nonce = secrets.token_bytes(NONCE)
        return nonce + self._aead.encrypt(nonce, plain, _bound(self._person, field))

    def open(self, field: str, sealed: bytes) -> bytes:
        """The plain bytes. Raises Unreadable."""
        return _open(self._aead, sealed, _bound(self._person, field))

    def seal_text(self, field: str, text: str) -> bytes:
        return self.seal(field, text.encode())

    def open_text(self, field: str, sealed: bytes) -> str:
        """The text. Raises Unreadable."""
        try:
            return self.open(field, sealed).decode()
        except UnicodeDecodeError as error:
            raise Unreadable(field) from error


def new_key() -> bytes:
    return AESGCM.generate_key(bit_length=KEY * 8)


def wrap(box_key: bytes, person: str, key: bytes) -> bytes:
    """The person's key, to be kept in `keys.db`: WRAPPED bytes."""
    nonce = secrets.token_bytes(NONCE)
    return nonce + AESGCM(box_key).encrypt(nonce, key, _bound(person, "key"))


def unwrap(box_key: bytes, person: str, wrapped: bytes) -> bytes:
    """The person's key. Raises Unreadable."""
    return _open(AESGCM(box_key), wrapped, _bound(person, "key"))


def checksum(values: tuple[object, ...]) -> bytes:
    """Eight bytes that tell whether a row is the one that was written."""
    return hashlib.blake2b(_encode(values), digest_size=8).digest()


def _bound(person: str, field: str) -> bytes:
    return f"loumen:{person}:{field}".encode()


def _open(aead: AESGCM, sealed: bytes, bound: bytes) -> bytes:
    if len(sealed) < NONCE + TAG:
        raise Unreadable("too short")
    try:
        return aead.decrypt(sealed[:NONCE], sealed[NONCE:], bound)
    except InvalidTag as error:
        raise Unreadable("it does not open with this key") from error
