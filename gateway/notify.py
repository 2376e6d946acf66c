"""Tells systemd how the daemon is (sd_notify(3)): one datagram each, nothing where nobody asked."""

from __future__ import annotations

import os
import socket


def notify(state: str) -> None:
    """Send e.g. 'READY=1'; without NOTIFY_SOCKET, or when nobody reads it, nothing happens."""
    address = os.environ.get("NOTIFY_SOCKET", "")
    if not address:
        return
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as sender:
        try:
            sender.sendto(state.encode(), "\0" + address[1:] if address.startswith("@") else address)
        except OSError:
            return  # systemd will miss the message and act on it; there is nothing better to do here


def watchdog_seconds() -> float | None:
    """How often systemd expects a sign, or None where it does not (sd_watchdog_enabled(3))."""
    micro = os.environ.get("WATCHDOG_USEC", "")
    meant_for = os.environ.get("WATCHDOG_PID", "")
    if not micro.isdigit() or (meant_for and meant_for != str(os.getpid())):
        return None
    return int(micro) / 1_000_000
