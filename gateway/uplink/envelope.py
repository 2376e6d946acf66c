"""Commands from afar: who may say what to which box, and how the box knows. Pure.

A command is a signed payload (identity/keys.py): the box, a command id, issued, expires, a challenge, the
command's name and fields.

Checks, in this order, each with a reason of its own: oversized (before anything is parsed), malformed,
unknown key, bad signature, wrong box, stale challenge, too early and expired (where the box's time is
trusted), role. The challenge is one of the last three that this box has told: that is what makes a
recording useless to a box whose clock cannot be believed. Single use is not checked here: the mark must
be durable, so the journal keeps it (`Journal.record(once=...)`). 'Retained' is a property of the
transport and is refused there.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import msgspec

from gateway.clock import Now
from gateway.command import Actor, Role
from gateway.errors import BadCommand, N_
from gateway.identity.keys import MAX_SIGNED, READING, Key, KeyList, Signed, read_signed, signed_by

MAX_ENVELOPE = MAX_SIGNED
MAX_COMMAND_ID = 64
CHALLENGES_KEPT = 3
CLOCKS_APART = timedelta(seconds=60)  # how far two trusted clocks may differ

#: Commands that the uplink answers itself; they are not in the command table.
RECEIPT = "receipt"
KEYS = "keys"


class Payload(msgspec.Struct, frozen=True, kw_only=True):
    """What a command says; `fields` stay as they came, for the command's own type to read."""

    box: str
    id: str
    issued: str
    expires: str
    challenge: str
    command: str
    fields: msgspec.Raw = msgspec.Raw(b"{}")


class VerifiedCommand(msgspec.Struct, frozen=True, kw_only=True):
    """A command that passed every check but single use and the command's own role."""

    name: str
    fields: bytes  # JSON object
    actor: Actor
    id: str
    expires: str
    receiver: bool = False  # the key may give receipts


class Refusal(BadCommand):
    """A command that is not obeyed. `reason` is stable and stands in `command.refused.v1`.

    `known` says that the signature was good: only then does the sender get an answer.
    """

    def __init__(self, reason: str, what: str, *, kid: str = "", command_id: str = "", known: bool = False) -> None:
        super().__init__(what)
        self.reason, self.kid, self.command_id, self.known = reason, kid, command_id, known


OVERSIZED = N_("The command is larger than 64 kB")
MALFORMED = N_("The command cannot be read")
UNKNOWN_KEY = N_("The command is signed with a key that is not on the list")
BAD_SIGNATURE = N_("The signature of the command is wrong")
WRONG_BOX = N_("The command is for another box")
STALE_CHALLENGE = N_("The command answers no recent challenge of this box")
TOO_EARLY = N_("The command is dated in the future")
EXPIRED = N_("The command has expired")
NO_ROLE = N_("The key may not order this")
RETAINED = N_("The command was retained by the broker")
REPLAYED = N_("The command was carried out before")
#: The words of the codes, as `command.refused.v1` has them.
REFUSALS = {
    "oversized": OVERSIZED,
    "malformed": MALFORMED,
    "unknown_key": UNKNOWN_KEY,
    "bad_signature": BAD_SIGNATURE,
    "wrong_box": WRONG_BOX,
    "stale_challenge": STALE_CHALLENGE,
    "too_early": TOO_EARLY,
    "expired": EXPIRED,
    "role": NO_ROLE,
    "retained": RETAINED,
    "replayed": REPLAYED,
}

_payload = msgspec.json.Decoder(Payload)


class Challenges:
    """The last three random words of this box; the newest is told with each birth and state message."""

    def __init__(self) -> None:
        self._kept: deque[str] = deque(maxlen=CHALLENGES_KEPT)

    def renew(self, random: bytes) -> str:
        """Keep a new one, made of at least 16 random bytes, and return it."""
        self._kept.append(random.hex())
        return self._kept[-1]

    @property
    def newest(self) -> str:
        return self._kept[-1] if self._kept else ""

    def __contains__(self, word: object) -> bool:
        return bool(word) and word in self._kept


def verify(
    data: bytes, *, box: str, keys: KeyList, challenges: Challenges | Sequence[str], now: Now
) -> VerifiedCommand:
    """The command in `data`. Raises Refusal, and nothing else."""
    if len(data) > MAX_ENVELOPE:
        raise Refusal("oversized", OVERSIZED)
    try:
        envelope = read_signed(data)
        envelope.payload.encode()
    except READING as error:
        raise Refusal("malformed", MALFORMED) from error
    key = keys.find(envelope.kid)
    if key is None:
        raise Refusal("unknown_key", UNKNOWN_KEY)
    if not signed_by(envelope, key.public):
        raise Refusal("bad_signature", BAD_SIGNATURE, kid=key.kid)
    payload, issued, expires = _read(envelope, key)

    def refuse(reason: str, what: str) -> Refusal:
        return Refusal(reason, what, kid=key.kid, command_id=payload.id, known=True)

    if payload.box != box:
        raise refuse("wrong_box", WRONG_BOX)
    if payload.challenge not in challenges or not payload.challenge:
        raise refuse("stale_challenge", STALE_CHALLENGE)
    if now.trusted and issued > now.wall + CLOCKS_APART:
        raise refuse("too_early", TOO_EARLY)
    if now.trusted and expires <= now.wall:
        raise refuse("expired", EXPIRED)
    role = _role(key.role)
    if role is None or (payload.command == RECEIPT and not key.receiver):
        raise refuse("role", NO_ROLE)
    actor = Actor(f"key:{key.kid}", role, "platform", command_id=payload.id, expires=payload.expires)
    return VerifiedCommand(
        name=payload.command,
        fields=bytes(payload.fields),
        actor=actor,
        id=payload.id,
        expires=payload.expires,
        receiver=key.receiver,
    )


def _read(envelope: Signed, key: Key) -> tuple[Payload, datetime, datetime]:
    try:
        payload = _payload.decode(envelope.payload)
        issued, expires = datetime.fromisoformat(payload.issued), datetime.fromisoformat(payload.expires)
        if issued.tzinfo is None or expires.tzinfo is None or not 0 < len(payload.id) <= MAX_COMMAND_ID:
            raise ValueError
        return payload, issued.astimezone(UTC), expires.astimezone(UTC)
    except (*READING, OverflowError) as error:
        raise Refusal("malformed", MALFORMED, kid=key.kid, known=True) from error


def _role(name: str) -> Role | None:
    return next((role for role in Role if role.name.lower() == name), None)
