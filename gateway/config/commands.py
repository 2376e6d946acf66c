"""What may be ordered of the configuration. The file is put in place by who may write it; the daemon
starts again with it, and watches over its confirmation.
"""

from __future__ import annotations

from typing import ClassVar

import msgspec

from gateway.command import Command, Kind, Role


class ApplyConfig(Command, frozen=True, kw_only=True, tag="config.apply", forbid_unknown_fields=True):
    """Start again with the file that is in place now. `sha256` says which one was checked."""

    role: ClassVar[Role] = Role.ADMINISTRATOR
    kind: ClassVar[Kind] = Kind.RECORD
    sha256: str
    reason: str = ""


class ConfirmConfig(Command, frozen=True, kw_only=True, tag="config.confirm", forbid_unknown_fields=True):
    """The applied file stays."""

    role: ClassVar[Role] = Role.ADMINISTRATOR
    kind: ClassVar[Kind] = Kind.RECORD


class ShowConfig(Command, frozen=True, kw_only=True, tag="config.show", forbid_unknown_fields=True):
    """What the daemon runs, secrets masked."""

    role: ClassVar[Role] = Role.TECHNICIAN


class ConfigView(msgspec.Struct, frozen=True, kw_only=True):
    source: str
    toml: str
    confirm_within: float | None = None


class ApplyResult(msgspec.Struct, frozen=True, kw_only=True):
    restarting: bool
    confirm_within: float


class ConfirmResult(msgspec.Struct, frozen=True, kw_only=True):
    confirmed: bool


COMMANDS: tuple[type[Command], ...] = (ApplyConfig, ConfirmConfig, ShowConfig)
