"""What goes over the wire between a box and its receiver, and under which topics. Pure.

    loumen/<community>/<box>/event       the backlog, in order         CloudEvents 1.0, structured JSON
    loumen/<community>/<box>/event/live  what happens now              the same
    loumen/<community>/<box>/birth       a session begins; as the will: it has ended
    loumen/<community>/<box>/state       every two minutes
    loumen/<community>/<box>/reply       what became of a command
    loumen/<community>/<box>/command     to the box: signed envelopes (envelope.py)

Nothing depends on MQTT 5 and nothing is retained. Beside the attributes of CloudEvents an event carries
its place (`epoch`, `seq`), the hashes that chain it to the one before (`previous`, `head`, `bodyhash`),
`historical` (it comes late) and `trusted` (the box's clock could be believed). An event whose body
retention has removed has no `data`: the chain stays whole.
"""

from __future__ import annotations

from typing import NamedTuple, TypeVar

import msgspec

from gateway.journal.rows import Row

MAX_EVENT = 256 * 1024

ReadT = TypeVar("ReadT")


class Topics(NamedTuple):
    """The topics of one box."""

    prefix: str

    @classmethod
    def of(cls, community: str, box: str) -> Topics:
        return cls(f"loumen/{community}/{box}")

    @property
    def event(self) -> str:
        return f"{self.prefix}/event"

    @property
    def live(self) -> str:
        return f"{self.prefix}/event/live"

    @property
    def birth(self) -> str:
        return f"{self.prefix}/birth"

    @property
    def state(self) -> str:
        return f"{self.prefix}/state"

    @property
    def reply(self) -> str:
        return f"{self.prefix}/reply"

    @property
    def command(self) -> str:
        return f"{self.prefix}/command"


class CloudEvent(msgspec.Struct, frozen=True, kw_only=True):
    """One event on its way up. Unknown attributes are ignored."""

    specversion: str
    id: str
    source: str
    type: str
    time: str
    epoch: str
    seq: int
    bodyhash: str
    previous: str
    head: str
    historical: bool
    trusted: bool
    datacontenttype: str = "application/json"
    data: msgspec.Raw = msgspec.Raw(b"null")


class Birth(msgspec.Struct, frozen=True, kw_only=True):
    """A session begins, or (as the will) has ended. A lower `session` than one heard of is old news:
    a will can overtake the next birth.
    """

    box: str
    session: int
    online: bool
    name: str = ""
    version: str = ""
    epoch: str = ""
    epochs: tuple[str, ...] = ()  # those the journal still holds, oldest first
    head: int = 0  # the newest seq of `epoch`
    challenge: str = ""
    state: int = 0


class State(Birth, frozen=True, kw_only=True):
    """The same, every two minutes: `state` counts within the session, and a receipt names the newest it
    has seen. `sent` is how many events are known to the broker and not yet to the receiver.
    """

    backlog: int = 0


class ReplyError(msgspec.Struct, frozen=True, kw_only=True):
    """A refusal or failure, as the catalogue's message with its facts."""

    code: str
    what: str
    where: str = ""
    mend: str = ""
    facts: dict[str, str] = {}


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What became of a command: a result or an error."""

    command_id: str
    ok: bool
    result: msgspec.Raw = msgspec.Raw(b"null")
    error: ReplyError | None = None
    box: str = ""


_event = msgspec.json.Decoder(CloudEvent)
_birth = msgspec.json.Decoder(Birth)
_state = msgspec.json.Decoder(State)
_reply = msgspec.json.Decoder(Reply)
encode = msgspec.json.Encoder().encode


class Unreadable(Exception):  # noqa: N818  (named for what it says)
    """A payload that is not what its topic says."""


def cloud_event(row: Row, community: str, box: str, *, historical: bool) -> bytes:
    """The event of `row` as it travels."""
    return encode(
        CloudEvent(
            specversion="1.0",
            id=f"{box}/{row.epoch}/{row.seq}",
            source=f"/loumen/{community}/{box}",
            type=row.type,
            time=row.at,
            epoch=row.epoch,
            seq=row.seq,
            bodyhash=row.body_sha256,
            previous=row.previous,
            head=row.head,
            historical=historical,
            trusted=row.trusted,
            data=msgspec.Raw(row.body if row.body is not None else b"null"),
        )
    )


def read_event(payload: bytes, box: str) -> CloudEvent:
    """The event, if it is what box `box` may say. Raises Unreadable."""
    event = _read(_event, payload)
    if event.id != f"{box}/{event.epoch}/{event.seq}" or not 1 <= event.seq < 1 << 40 or not _names(event):
        raise Unreadable("an event under another name than its topic's")
    return event


def _names(event: CloudEvent) -> bool:
    hashes = (event.bodyhash, event.previous, event.head)
    return 0 < len(event.epoch) <= 64 and 0 < len(event.type) <= 128 and all(len(text) == 64 for text in hashes)


def read_birth(payload: bytes, box: str) -> Birth:
    """Raises Unreadable."""
    birth = _read(_birth, payload)
    if birth.box != box:
        raise Unreadable("a birth under another name than its topic's")
    return birth


def read_state(payload: bytes, box: str) -> State:
    """Raises Unreadable."""
    state = _read(_state, payload)
    if state.box != box:
        raise Unreadable("a state under another name than its topic's")
    return state


def read_reply(payload: bytes) -> Reply:
    """Raises Unreadable."""
    return _read(_reply, payload)


def _read(decoder: msgspec.json.Decoder[ReadT], payload: bytes) -> ReadT:
    if len(payload) > MAX_EVENT:
        raise Unreadable("a payload that is too large")
    try:
        return decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeError, RecursionError) as error:
        raise Unreadable(str(error)) from error
