"""What the operating system says when a file, a device or the network fails: its sentences, for our catalogue.

They arrive as `OSError.strerror`, in English whatever the reader speaks: a box has no other locale installed.
"""

from __future__ import annotations

from gateway.locale import _


def texts() -> tuple[str, ...]:
    """Every text, for the extraction; nobody else calls this."""
    return (
        _("No such file or directory"),
        _("Permission denied"),
        _("Operation not permitted"),
        _("Is a directory"),
        _("Not a directory"),
        _("File exists"),
        _("File name too long"),
        _("File too large"),
        _("No space left on device"),
        _("Disk quota exceeded"),
        _("Read-only file system"),
        _("Input/output error"),
        _("No such device"),
        _("No such device or address"),
        _("Device or resource busy"),
        _("Invalid argument"),
        _("Cannot allocate memory"),
        _("Too many open files"),
        _("Broken pipe"),
        _("Connection refused"),
        _("Connection reset by peer"),
        _("Connection timed out"),
        _("Network is unreachable"),
        _("No route to host"),
        _("Host is down"),
        _("Address already in use"),
        _("Name or service not known"),
        _("Temporary failure in name resolution"),
        _("timed out"),
        _("unable to open database file"),
        _("database is locked"),
        _("database disk image is malformed"),
        _("disk I/O error"),
        _("attempt to write a readonly database"),
        _("database or disk is full"),
        _("file is not a database"),
    )
