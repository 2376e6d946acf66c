"""What the uplink and the command envelope put into the journal. All of it is rate limited (see limit.py):
an event about the uplink goes up the uplink, and must never be the reason for the next one.
"""

from __future__ import annotations

from typing import ClassVar

from gateway.journal.event import Event, Importance


class UplinkConnected(Event, frozen=True, kw_only=True, tag="uplink.connected.v1"):
    importance: ClassVar[Importance] = Importance.CHATTER
    broker: str  # host:port
    protocol: str  # "5" or "3.1.1"
    session: int
    unrecorded: int = 0  # how many such events were passed over before this one


class UplinkDisconnected(Event, frozen=True, kw_only=True, tag="uplink.disconnected.v1"):
    importance: ClassVar[Importance] = Importance.CHATTER
    broker: str
    session: int
    reason: str  # English
    seconds: float  # how long it held
    unrecorded: int = 0


class ReceiptRefused(Event, frozen=True, kw_only=True, tag="uplink.receipt_refused.v1"):
    """A receipt that cannot be true; see receipts.Lie."""

    importance: ClassVar[Importance] = Importance.RECORD
    reason: str
    key: str  # the signing key's id
    unrecorded: int = 0


class CommandRefused(Event, frozen=True, kw_only=True, tag="command.refused.v1"):
    """A command from afar that failed a check; never its contents."""

    importance: ClassVar[Importance] = Importance.COMMAND
    reason: str  # the code of envelope.Refusal, or "retained"
    key: str = ""  # only when the key is on the list
    command_id: str = ""  # only when the signature was good
    unrecorded: int = 0


class KeysReplaced(Event, frozen=True, kw_only=True, tag="uplink.keys_replaced.v1"):
    importance: ClassVar[Importance] = Importance.COMMAND
    version: int
    keys: tuple[str, ...]


EVENTS: tuple[type[Event], ...] = (
    UplinkConnected,
    UplinkDisconnected,
    ReceiptRefused,
    CommandRefused,
    KeysReplaced,
)
