"""People on their way from one box to another: signed by the sender, encrypted to the receiver.

    "LOUMEN BUNDLE 1" and a line feed
    u32 length, header (JSON: who sends, to whom, an ephemeral X25519 key, when, how many)
    u32 length, ciphertext        as often as needed; each opens to records
    u32 zero
    64 bytes                      Ed25519 over the SHA-256 of everything before

A record is a u32 length and msgpack. The key of the ciphertexts is HKDF-SHA256 of X25519(ephemeral,
receiver), salted with the header's hash; AES-256-GCM, the nonce counts, the additional data is the
header's hash and whether another piece follows, so that pieces cannot be dropped, swapped or added.
The signature is checked over the whole file before anything is decrypted. Lengths are big-endian.

Runs in the short-lived children `bundle_writer` and `bundle_reader`; nothing here is called by the daemon
but the types and the framing.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Iterator
from typing import Annotated, BinaryIO

import msgspec
from cryptography.exceptions import InvalidSignature, InvalidTag
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from cryptography.hazmat.primitives.asymmetric.x25519 import X25519PrivateKey, X25519PublicKey
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from gateway.directory import boxes
from gateway.directory.people import Doors, Text
from gateway.errors import N_

MAGIC = b"LOUMEN BUNDLE 1\n"
MAX_HEADER = 4096
PIECE = 64 * 1024
MAX_PIECE = 512 * 1024
MAX_RECORD = 256 * 1024
MAX_BUNDLE = 64 * 1024 * 1024
SIGNATURE = 64
_LENGTH = struct.Struct(">I")

Hex32 = Annotated[str, msgspec.Meta(pattern=r"^[0-9a-f]{32}$")]
Moment = Annotated[str, msgspec.Meta(max_length=40)]


class BadBundle(Exception):  # noqa: N818  (named for what it says)
    """The file is no bundle, not signed by whom it should be, or not for this box."""


class BundledFace(msgspec.Struct, frozen=True, kw_only=True):
    engine: Annotated[str, msgspec.Meta(max_length=64)]
    embedding: Annotated[bytes, msgspec.Meta(min_length=512, max_length=512)]
    quality: Annotated[float, msgspec.Meta(ge=0, le=1)]
    model: Text
    added_at: Moment


class BundledConsent(msgspec.Struct, frozen=True, kw_only=True):
    purpose: Annotated[str, msgspec.Meta(max_length=64)]
    wording: Annotated[str, msgspec.Meta(min_length=1, max_length=64)]
    text: Annotated[str, msgspec.Meta(max_length=8000)]
    guardian: Text
    recorded_by: Text
    given_at: Moment
    withdrawn_at: Moment | None


class BundledPerson(msgspec.Struct, frozen=True, kw_only=True):
    id: Hex32
    version: Annotated[int, msgspec.Meta(ge=1, le=2**53)]
    name: Annotated[str, msgspec.Meta(min_length=1, max_length=200)]
    home: Text
    phone: Text
    doors: Doors
    active: bool
    valid_from: Moment | None
    valid_until: Moment | None
    under_14: bool
    faces: Annotated[tuple[BundledFace, ...], msgspec.Meta(max_length=40)]
    consents: Annotated[tuple[BundledConsent, ...], msgspec.Meta(max_length=100)]


class Header(msgspec.Struct, frozen=True, kw_only=True):
    sender: boxes.KeyDocument
    receiver: str  # the receiving box's X25519 key, base64
    ephemeral: bytes
    created: Moment
    people: int | None = None


def frame(data: bytes) -> bytes:
    """A length and the bytes."""
    return _LENGTH.pack(len(data)) + data


def read_frame(file: BinaryIO, most: int) -> bytes | None:
    """The next frame; None at the end. Raises BadBundle."""
    head = file.read(_LENGTH.size)
    if not head:
        return None
    if len(head) < _LENGTH.size:
        raise BadBundle(N_("it ends in the middle of a length"))
    (length,) = _LENGTH.unpack(head)
    if length > most:
        raise BadBundle(N_("a part of it is larger than is allowed"))
    data = file.read(length)
    if len(data) < length:
        raise BadBundle(N_("it ends in the middle of a part"))
    return data


class Writer:
    """Writes one bundle. Raises OSError."""

    def __init__(
        self,
        file: BinaryIO,
        sign: Ed25519PrivateKey,
        sender: boxes.KeyDocument,
        receiver: boxes.KeyDocument,
        created: str,
    ) -> None:
        self._file, self._sign, self._hash = file, sign, hashlib.sha256()
        ephemeral = X25519PrivateKey.generate()
        header = Header(
            sender=sender,
            receiver=receiver.seal,
            ephemeral=ephemeral.public_key().public_bytes_raw(),
            created=created,
        )
        start = MAGIC + frame(msgspec.json.encode(header))
        self._bound = hashlib.sha256(start).digest()
        shared = ephemeral.exchange(X25519PublicKey.from_public_bytes(boxes.raw(receiver.seal)))
        self._aead, self._count = AESGCM(_derive(shared, self._bound)), 0
        self._waiting = bytearray()
        self._put(start)

    def add(self, record: bytes) -> None:
        self._waiting += frame(record)
        if len(self._waiting) >= PIECE:
            self._seal(b"more")

    def finish(self) -> None:
        self._seal(b"last")
        self._put(_LENGTH.pack(0))
        self._file.write(self._sign.sign(self._hash.digest()))
        self._file.flush()

    def _seal(self, position: bytes) -> None:
        sealed = self._aead.encrypt(_nonce(self._count), bytes(self._waiting), self._bound + position)
        self._count += 1
        self._waiting.clear()
        self._put(frame(sealed))

    def _put(self, data: bytes) -> None:
        self._hash.update(data)
        self._file.write(data)


def records(file: BinaryIO, seal: X25519PrivateKey, trusted: boxes.KeyDocument) -> Iterator[bytes]:
    """The records of a bundle that `trusted` signed for the box of `seal`. Raises BadBundle, OSError."""
    _check_signature(file, trusted)
    file.seek(0)
    header, start = _header(file)
    if header.sender.sign != trusted.sign:
        raise BadBundle(N_("its header names another sender than its signature"))
    own = seal.public_key().public_bytes_raw()
    if boxes.raw(header.receiver) != own:
        raise BadBundle(N_("it was encrypted for another box"))
    try:
        shared = seal.exchange(X25519PublicKey.from_public_bytes(header.ephemeral))
    except ValueError as error:
        raise BadBundle(N_("its key is no key")) from error
    bound = hashlib.sha256(start).digest()
    aead = AESGCM(_derive(shared, bound))
    count = 0
    piece = read_frame(file, MAX_PIECE)
    while piece:
        following = read_frame(file, MAX_PIECE)
        try:
            plain = aead.decrypt(_nonce(count), piece, bound + (b"more" if following else b"last"))
        except InvalidTag as error:
            raise BadBundle(N_("a part of it does not open")) from error
        yield from _split(plain)
        piece, count = following, count + 1


def _check_signature(file: BinaryIO, trusted: boxes.KeyDocument) -> None:
    size = file.seek(0, 2)
    if not len(MAGIC) < size - SIGNATURE <= MAX_BUNDLE:
        raise BadBundle(N_("a file of this size is no bundle"))
    file.seek(0)
    if file.read(len(MAGIC)) != MAGIC:
        raise BadBundle(N_("it does not begin as a bundle does"))
    digest = hashlib.sha256(MAGIC)
    left = size - SIGNATURE - len(MAGIC)
    while left > 0:
        data = file.read(min(PIECE, left))
        if not data:
            raise BadBundle(N_("it shrank while it was read"))
        digest.update(data)
        left -= len(data)
    try:
        Ed25519PublicKey.from_public_bytes(boxes.raw(trusted.sign)).verify(file.read(SIGNATURE), digest.digest())
    except InvalidSignature as error:
        raise BadBundle(N_("it was not signed by the box that is trusted, or it was changed")) from error


def _header(file: BinaryIO) -> tuple[Header, bytes]:
    file.read(len(MAGIC))
    data = read_frame(file, MAX_HEADER) or b""
    try:
        return msgspec.json.decode(data, type=Header), MAGIC + frame(data)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise BadBundle(N_("its header cannot be read")) from error


def _split(plain: bytes) -> Iterator[bytes]:
    at = 0
    while at < len(plain):
        if at + _LENGTH.size > len(plain):
            raise BadBundle(N_("a record's length is cut off"))
        (length,) = _LENGTH.unpack_from(plain, at)
        at += _LENGTH.size
        if length > MAX_RECORD or at + length > len(plain):
            raise BadBundle(N_("a record runs over its part"))
        yield plain[at : at + length]
        at += length


def _derive(shared: bytes, salt: bytes) -> bytes:
    return HKDF(algorithm=SHA256(), length=32, salt=salt, info=b"loumen bundle 1").derive(shared)


def _nonce(count: int) -> bytes:
    return count.to_bytes(12, "big")
