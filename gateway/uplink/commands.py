"""What a person may order about the uplink."""

from __future__ import annotations

from typing import ClassVar, Protocol

from gateway.command import Actor, Command, Handler, Kind, Role
from gateway.identity.keys import KeyList
from gateway.journal.rows import Position
from gateway.uplink.status import UplinkStatus


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


class Uplink(Protocol):
    """What the commands need of an uplink."""

    def status(self) -> UplinkStatus: ...
    def keys(self) -> KeyList: ...
    async def pause(self) -> None: ...
    async def resume(self) -> None: ...
    async def resend(self, after: Position | None = None) -> None: ...


def handlers(uplink: Uplink) -> dict[type[Command], Handler]:
    """The uplink's part of the command table; each answers with the status, `sync.keys` with the list."""

    async def status(_command: SyncStatus, _actor: Actor) -> UplinkStatus:
        return uplink.status()

    async def pause(_command: SyncPause, _actor: Actor) -> UplinkStatus:
        await uplink.pause()
        return uplink.status()

    async def resume(_command: SyncResume, _actor: Actor) -> UplinkStatus:
        await uplink.resume()
        return uplink.status()

    async def resend(command: SyncResend, _actor: Actor) -> UplinkStatus:
        await uplink.resend(Position(command.epoch, command.seq) if command.epoch else None)
        return uplink.status()

    async def keys(_command: SyncKeys, _actor: Actor) -> KeyList:
        return uplink.keys()

    return {SyncStatus: status, SyncPause: pause, SyncResume: resume, SyncResend: resend, SyncKeys: keys}
