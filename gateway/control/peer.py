"""Who is at the other end of the socket, and what she may order.

The kernel says which user connected (SO_PEERCRED); the configuration says which role a user has.
User names are turned into numbers once, at the start: a directory service that hangs must not hold
the loop that doors run on. The daemon's own user and root are administrators: both could do as they
like with this process anyway.
"""

from __future__ import annotations

import os
import pwd
import socket
import struct
from collections.abc import Iterable
from typing import NamedTuple

from gateway.command import Role
from gateway.config.schema import Control

_CREDENTIALS = struct.Struct("3i")


class Peer(NamedTuple):
    """The process that connected."""

    pid: int
    uid: int
    gid: int


def peer_of(connection: socket.socket) -> Peer:
    """The kernel's word for who connected. Raises OSError."""
    raw = connection.getsockopt(socket.SOL_SOCKET, socket.SO_PEERCRED, _CREDENTIALS.size)
    return Peer(*_CREDENTIALS.unpack(raw))


class Roles:
    """The role of each user that the configuration names."""

    def __init__(self, config: Control) -> None:
        self.unknown: list[str] = []  # names that this machine does not know; `config check` tells
        self._roles: dict[int, Role] = {}
        for role, names in (
            (Role.CLERK, config.clerks),
            (Role.TECHNICIAN, config.technicians),
            (Role.ADMINISTRATOR, config.administrators),
        ):
            self._roles.update(dict.fromkeys(self._numbers(names), role))
        self._roles.update({0: Role.ADMINISTRATOR, os.geteuid(): Role.ADMINISTRATOR})

    def of(self, uid: int) -> Role | None:
        """The role of a user; None for one who may not speak here."""
        return self._roles.get(uid)

    def _numbers(self, names: Iterable[str]) -> list[int]:
        numbers = []
        for name in names:
            try:
                numbers.append(pwd.getpwnam(name).pw_uid)
            except KeyError:
                self.unknown.append(name)
        return numbers
