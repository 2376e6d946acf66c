"""What a person may order about the uplink."""

from __future__ import annotations

from typing import ClassVar

from gateway.command import Command, Kind, Role


class SyncStatus(Command, frozen=True, kw_only=True, tag="sync.status"):
    role: ClassVar[Role] = Role.CLERK
    kind: ClassVar[Kind] = Kind.QUERY


class SyncPause(Command, frozen=True, kw_only=True, tag="sync.pause"):
    """Hang up and stay silent, also after a restart, until `sync.resume`."""

    role: ClassVar[Role] = Role.TECHNICIAN
    kind: ClassVar[Kind] = Kind.MODE
    reason: str = ""


class SyncResume(Command, frozen=True, kw_only=True, tag="sync.resume"):
    role: ClassVar[Role] = Role.TECHNICIAN
    kind: ClassVar[Kind] = Kind.MODE


class SyncResend(Command, frozen=True, kw_only=True, tag="sync.resend"):
    """Send again what comes after `epoch`/`seq` (from the very beginning without), except what receipts name."""

    role: ClassVar[Role] = Role.TECHNICIAN
    kind: ClassVar[Kind] = Kind.MODE
    epoch: str = ""
    seq: int = 0


class SyncKeys(Command, frozen=True, kw_only=True, tag="sync.keys"):
    role: ClassVar[Role] = Role.TECHNICIAN
    kind: ClassVar[Kind] = Kind.QUERY
