"""What can go wrong between a box and its broker."""

from __future__ import annotations

from gateway.errors import UplinkError


class ConnectionLost(UplinkError):
    """The connection could not be made or has ended.

    `unsupported`: the broker does not speak this version. `silent`: no answer to the first packet.
    `tls`: the handshake failed.
    """

    code = "uplink.lost"
    unsupported = False
    silent = False
    tls = False
