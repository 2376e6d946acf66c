"""Asks the network for boxes, as any machine with mDNS does: one question, and what is answered within five seconds.

On the wire of RFC 6762: a question for the pointers of `_loumen._tcp.local`, from a port of our own, so that the
answer comes to us alone. Only the standard library.
"""

from __future__ import annotations

import socket
import sys

GROUP = ("224.0.0.251", 5353)
NAME = b"".join(bytes([len(label)]) + label for label in (b"_loumen", b"_tcp", b"local")) + b"\0"
POINTER, INTERNET = 12, 1


def ask(address: str, seconds: float) -> bytes:
    """The first answer's bytes. Raises TimeoutError."""
    question = bytes(5) + b"\x01" + bytes(6) + NAME + POINTER.to_bytes(2, "big") + INTERNET.to_bytes(2, "big")
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as wire:
        wire.bind((address, 0))
        wire.setsockopt(socket.IPPROTO_IP, socket.IP_MULTICAST_IF, socket.inet_aton(address))
        wire.settimeout(seconds / 5)
        for _ in range(5):
            wire.sendto(question, GROUP)
            try:
                return wire.recv(9000)
            except TimeoutError:
                continue
        raise TimeoutError(f"nobody answered in {seconds} s")


def main(address: str) -> None:
    """Print what can be read of the answer."""
    answer = ask(address, 5)
    print("".join(chr(byte) if 32 <= byte < 127 else " " for byte in answer))


if __name__ == "__main__":
    main(sys.argv[1])
