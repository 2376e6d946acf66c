"""What a row of the journal is, and how rows are chained. Pure.

A row is a header (epoch, seq, type, time, SHA-256 of the body, hash of the previous header) and a body,
the event's JSON. A header's hash, its *head*, covers every field of it, so one head vouches for the
whole history of its epoch; the platform keeps the heads it was told and is the witness. Each row carries the
first eight bytes of its own head too, so that a damaged row is known without its neighbours. The first
header of an epoch stands on ZERO and its body names the head of the epoch before.

Retention removes bodies. Headers go only from the beginning of an epoch, when the box has signed what they
ended in (`closing`).
"""

from __future__ import annotations

import functools
import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, NamedTuple

import msgspec

from gateway.journal.event import Event, Importance

ZERO = "0" * 64
MAX_BODY = 64 * 1024
#: What `noted` raises for what is no event, or none that can be written.
UNFIT = (TypeError, ValueError, OverflowError, RecursionError, AttributeError)
_SEQ_BITS = 40
_sha256 = hashlib.sha256
_encode = msgspec.json.Encoder().encode
_names: dict[type[Event], str] = {}  # asking a type for its tag costs more than a hash
_LATEST = 1 << 53  # microseconds: the year 2255
_ORIGIN = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class Position(NamedTuple):
    """A place in the history: sequence numbers have no gap within an epoch and begin at 1."""

    epoch: str  # 16 hex characters
    seq: int


class Row(msgspec.Struct, frozen=True, kw_only=True):
    """One event as stored."""

    epoch: str
    seq: int
    type: str
    at: str  # UTC with offset
    trusted: bool  # whether the clock was believable then
    body: bytes | None  # the event's JSON, `type` included; None when retention removed it
    body_sha256: str
    previous: str  # the head of the row before
    head: str

    @property
    def position(self) -> Position:
        return Position(self.epoch, self.seq)

    def document(self, box: str) -> dict[str, Any]:
        """The row as people and programs get it: `GET /v1/event`, `event list --json`, `event export`."""
        return {
            "id": f"{box}/{self.epoch}/{self.seq}",
            "epoch": self.epoch,
            "seq": self.seq,
            "type": self.type,
            "at": self.at,
            "trusted": self.trusted,
            "event": None if self.body is None else msgspec.Raw(self.body),
            "body_sha256": self.body_sha256,
            "previous": self.previous,
            "head": self.head,
        }


class Epoch(msgspec.Struct, frozen=True, kw_only=True):
    """One unbroken life of a journal file."""

    id: str
    number: int  # epochs of a file are ordered by it
    box: str
    created: str
    reason: str
    first: int  # the lowest and highest sequence number there is; 0 when it holds none
    last: int
    predecessor: str = ""
    lost: tuple[tuple[int, int], ...] = ()  # ranges of this epoch that are known to be unreadable


class Noted(msgspec.Struct, frozen=True, gc=False):
    """An event on its way to the disk: encoded, timed, without a place yet."""

    type: str
    importance: Importance
    at: int  # microseconds since 1970, UTC
    trusted: bool
    body: bytes
    sha256: bytes  # of the body: hashed as events come, not when a whole group is written


#: The columns of a stored event, in the order of `Chain.link` and of every SELECT.
Stored = tuple[int, str, int, int, int, bytes, bytes, bytes, bytes | None]


@dataclass(slots=True)
class Chain:
    """The end of an epoch, to which rows are linked."""

    epoch: str
    number: int
    seq: int = 0
    head: str = ZERO

    def link(self, noted: Noted) -> Stored:
        """Give `noted` the next place; returns the row's columns."""
        previous, self.seq, sha256 = self.head, self.seq + 1, noted.sha256
        digest = _digest(previous, self.epoch, self.seq, noted.type, iso(noted.at), noted.trusted, sha256.hex())
        self.head = digest.hex()
        return (
            self.number << _SEQ_BITS | self.seq,
            noted.type,
            int(noted.importance),
            noted.at,
            int(noted.trusted),
            sha256,
            bytes.fromhex(previous),
            digest[:8],
            noted.body,
        )

    def copy(self) -> Chain:
        return Chain(self.epoch, self.number, self.seq, self.head)


def head_of(
    previous: str,
    epoch: str,
    seq: int,
    type_: str,
    at: str,
    trusted: bool,  # noqa: FBT001  (the order of the hashed text)
    body_sha256: str,
) -> str:
    """The hash of a header. Receivers compute it too; `previous` and `body_sha256` are hex."""
    return _digest(previous, epoch, seq, type_, at, trusted, body_sha256).hex()


def _digest(
    previous: str,
    epoch: str,
    seq: int,
    type_: str,
    at: str,
    trusted: bool,  # noqa: FBT001
    body_sha256: str,
) -> bytes:
    header = f"loumen-journal-1\n{previous}\n{epoch}\n{seq}\n{type_}\n{at}\n{trusted:d}\n{body_sha256}"
    return _sha256(header.encode("utf-8", "surrogatepass")).digest()


def row_of(stored: Sequence[Any], epoch: str) -> Row:
    """A stored row with its head. Total: what a damaged disk returns becomes a row whose head fits nothing.

    A body that does not match its hash is damaged and is not shown.
    """
    where, type_, _importance, at, trusted, body_sha256, previous, _seal, body = stored
    if body is not None and (not isinstance(body, bytes) or hashlib.sha256(body).digest() != body_sha256):
        body = None
    seq, time = seq_of(where), iso(at if isinstance(at, int) else 0)
    digest, before = _hex(body_sha256), _hex(previous)
    head = head_of(before, epoch, seq, str(type_), time, bool(trusted), digest)
    return Row(
        epoch=epoch,
        seq=seq,
        type=str(type_),
        at=time,
        trusted=bool(trusted),
        body=body,
        body_sha256=digest,
        previous=before,
        head=head,
    )


def is_sound(stored: Sequence[Any], row: Row) -> bool:
    """Whether a stored row is as it was written: its header fits its seal, its body fits its hash."""
    return is_header_sound(stored, row) and (row.body is None) == (stored[8] is None)


def is_header_sound(stored: Sequence[Any], row: Row) -> bool:
    return bool(stored[7] == bytes.fromhex(row.head[:16]))


def seal(*values: str | int) -> str:
    """A short checksum for the few rows outside the chain that must not be believed when damaged."""
    return hashlib.sha256("\n".join(map(str, values)).encode("utf-8", "replace")).hexdigest()[:16]


def _hex(value: object) -> str:
    return value.hex() if isinstance(value, bytes) else ""


def noted(event: Event, wall: datetime, *, trusted: bool) -> Noted:
    """Encode an event. Raises one of UNFIT when that is not possible."""
    body = _encode(event)
    if len(body) > MAX_BODY:
        raise ValueError(f"an event of {len(body)} bytes; at most {MAX_BODY} are kept")
    kind = type(event)
    name = _names.get(kind) or _names.setdefault(kind, event.type_name())
    return Noted(name, event.importance, microseconds(wall), trusted, body, _sha256(body).digest())


def place(number: int, seq: int) -> int:
    """Epoch number and sequence number in one integer, ordered as the history is."""
    return number << _SEQ_BITS | seq


def number_of(where: int) -> int:
    return where >> _SEQ_BITS


def seq_of(where: int) -> int:
    return where & (1 << _SEQ_BITS) - 1


def microseconds(wall: datetime) -> int:
    return (wall - _ORIGIN) // _MICROSECOND


def iso(at: int) -> str:
    """UTC with offset, always with microseconds: it is hashed. What is no time of ours becomes 1970."""
    at = at if 0 <= at < _LATEST else 0
    second, rest = divmod(at, 1_000_000)
    return f"{_second(second)}.{rest:06d}+00:00"


@functools.lru_cache(maxsize=64)
def _second(second: int) -> str:
    return (_ORIGIN + timedelta(seconds=second)).strftime("%Y-%m-%dT%H:%M:%S")
