"""What the daemon says to the two bundle children over their pipes, and how a child begins: meek and bounded.

Every message is a frame of msgpack. The reader is told an Order and answers with Records and RecordRefused,
then End, or with Bad. The writer is told an Order, then people, then its stdin is closed; it answers with
End or Bad. Keys go through the pipe, never over a command line or into the environment.
"""

from __future__ import annotations

import contextlib
import os
import resource
from typing import BinaryIO

import msgspec

from gateway.directory.boxes import KeyDocument
from gateway.directory.bundle import BundledPerson, frame

MOST_MEMORY = 512 * 1024 * 1024
MOST_SECONDS = 300


class Order(msgspec.Struct, frozen=True, kw_only=True):
    """Read or write the bundle at `path`; `other` is the box it comes from or goes to."""

    path: str
    other: KeyDocument
    own: KeyDocument
    private: bytes  # the reader's X25519 key, or the writer's Ed25519 key
    created: str = ""


class Record(msgspec.Struct, frozen=True, kw_only=True, tag="record"):
    person: BundledPerson
    note: str = ""  # what was left out of it, a message id


class RecordRefused(msgspec.Struct, frozen=True, kw_only=True, tag="refused"):
    place: int
    person: str
    why: str


class Bad(msgspec.Struct, frozen=True, kw_only=True, tag="bad"):
    why: str


class End(msgspec.Struct, frozen=True, kw_only=True, tag="end"):
    people: int


Answer = Record | RecordRefused | Bad | End

encode = msgspec.msgpack.Encoder().encode
decode_order = msgspec.msgpack.Decoder(Order).decode
decode_answer = msgspec.msgpack.Decoder(Answer).decode


def begin() -> None:
    """Step back behind the daemon and bound what a hostile file can cost."""
    os.nice(10)
    with contextlib.suppress(ValueError):
        resource.setrlimit(resource.RLIMIT_AS, (MOST_MEMORY, MOST_MEMORY))
        resource.setrlimit(resource.RLIMIT_CPU, (MOST_SECONDS, MOST_SECONDS))


def say(out: BinaryIO, answer: Answer) -> None:
    out.write(frame(encode(answer)))
