"""What comes down: checks an envelope and says what to do with it; keeps the box's challenges and the list of keys."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import msgspec

from gateway.clock import Clock
from gateway.errors import IdentityError, LoumenError, N_
from gateway.identity import Credentials, replace_file
from gateway.identity.keys import KeyList, open_key_list
from gateway.journal.event import Event
from gateway.uplink import envelope
from gateway.uplink.envelope import Challenges, Refusal, VerifiedCommand
from gateway.uplink.events import CommandRefused, KeysReplaced
from gateway.uplink.limit import Limit
from gateway.uplink.messages import Reply, ReplyError, encode
from gateway.uplink.packets import Publish

NO_KEYS = KeyList(community="", version=0, issued="", keys=())


class NewKeys(msgspec.Struct, frozen=True):
    """The fields of the command `keys`: a list as the root signed it."""

    signed: str


class Incoming:
    """Judges commands. Refusals are recorded at most twenty an hour, and never with their contents."""

    def __init__(self, box: str, clock: Clock, note: Callable[[Event], None]) -> None:
        self._box, self._clock, self._note = box, clock, note
        self._limit = Limit(20, 3600)
        self._keys_path: Path | None = None
        self._root = ""
        self.challenges = Challenges()
        self.keys = NO_KEYS
        self.refused = 0

    def renew_challenge(self) -> str:
        return self.challenges.renew(os.urandom(16))

    def load_keys(self, credentials: Credentials | None) -> None:
        """The list of the accepted bundle. Raises IdentityError."""
        if credentials is None:
            self.keys, self._keys_path = NO_KEYS, None
            return
        self._root, self._keys_path = credentials.bundle.root, credentials.keys
        try:
            signed = credentials.keys.read_bytes()
        except OSError as error:
            raise IdentityError(
                N_("The list of keys cannot be read"),
                where=str(credentials.keys),
                mend=N_("ask the desk for a fresh bundle"),
            ) from error
        self.keys = open_key_list(signed, self._root, credentials.bundle.community)

    def check(self, message: Publish) -> VerifiedCommand:
        """The command, if it passes. Raises Refusal, which is recorded already."""
        try:
            if message.retain:
                raise Refusal("retained", envelope.RETAINED)
            return envelope.verify(
                message.payload, box=self._box, keys=self.keys, challenges=self.challenges, now=self._clock.now()
            )
        except Refusal as refusal:
            self.record(refusal)
            raise

    def record(self, refusal: Refusal) -> None:
        self.refused += 1
        unrecorded = self._limit.admit(self._clock.now().mono)
        if unrecorded is not None:
            self._note(
                CommandRefused(
                    reason=refusal.reason, key=refusal.kid, command_id=refusal.command_id, unrecorded=unrecorded
                )
            )

    def take_keys(self, command: VerifiedCommand) -> Reply:
        """Take a newer list of keys: what counts is the root's signature on the list, not who brings it."""
        try:
            if self._keys_path is None:
                raise IdentityError(N_("This box is not enrolled with a desk"))
            signed = msgspec.json.decode(command.fields, type=NewKeys).signed.encode()
            listed = open_key_list(signed, self._root, self.keys.community, self.keys.version)
            replace_file(self._keys_path, signed)
        except LoumenError as error:
            return failure(command.id, error)
        except (msgspec.MsgspecError, OSError):
            return failure(command.id, Refusal("malformed", envelope.MALFORMED))
        if listed.version > self.keys.version:
            self._note(KeysReplaced(version=listed.version, keys=tuple(key.kid for key in listed.keys)))
        self.keys = listed
        return Reply(command_id=command.id, ok=True, result=msgspec.Raw(encode({"version": listed.version})))


def failure(command_id: str, error: LoumenError) -> Reply:
    """A refusal in the catalogue's words."""
    code = f"{error.code}.{error.reason}" if isinstance(error, Refusal) else error.code
    facts = {name: str(value) for name, value in error.facts.items()}
    told = ReplyError(code=code, what=error.what, where=error.where, mend=error.mend, facts=facts)
    return Reply(command_id=command_id, ok=False, error=told)
