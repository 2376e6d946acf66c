"""Where the configuration, the state and the socket are, even when the file cannot be read.

An invalid file keeps neither the daemon from starting nor the CLI from finding it: both look for
`state`, `run` and `socket` in the broken text with the same tolerant eyes.
"""

from __future__ import annotations

import os
import re
import tomllib
from dataclasses import dataclass
from pathlib import Path
from typing import Final

DEFAULT_CONFIG: Final = Path("/etc/loumen/gateway.toml")
DEFAULT_STATE: Final = "/var/lib/loumen"
DEFAULT_RUN: Final = "/run/loumen"
DEFAULT_ZONE: Final = "Asia/Shanghai"
SOCKET_NAME: Final = "loumen.sock"
MAX_FILE: Final = 1024 * 1024  # nobody writes a megabyte of configuration by hand


@dataclass(frozen=True, slots=True)
class Places:
    """What a file says of places, as far as it can be read; defaults elsewhere."""

    state: Path
    run: Path
    socket: Path
    language: str = ""  # of the site; empty where nothing is said
    timezone: str = ""  # of the site; empty where nothing is said


def config_path(given: str = "") -> Path:
    """The file: as given, else LOUMEN_CONFIG, else the box's own."""
    return Path(given or os.environ.get("LOUMEN_CONFIG") or DEFAULT_CONFIG)


def socket_path(given: str, config: Path) -> Path:
    """The socket: as given, else LOUMEN_SOCKET, else as the configuration says."""
    if told := given or os.environ.get("LOUMEN_SOCKET"):
        return Path(told)
    return places(config).socket


def places(config: Path) -> Places:
    """Read the places out of `config`. Never raises."""
    try:
        with config.open("rb") as file:
            text = file.read(MAX_FILE).decode("utf-8", "replace")
    except OSError:
        text = ""
    return places_of(text)


def places_of(text: str) -> Places:
    """Read the places out of the text of a file, valid or not. Never raises."""
    try:
        document = tomllib.loads(text)
        state, run = _text(document, "box", "state"), _text(document, "box", "run")
        socket, language = _text(document, "control", "socket"), _text(document, "site", "language")
        timezone = _text(document, "site", "timezone")
    except (tomllib.TOMLDecodeError, RecursionError, ValueError):
        state, run, socket, language = _scan(text, "state"), _scan(text, "run"), _scan(text, "socket"), ""
        timezone = ""
    folder = Path(run or DEFAULT_RUN)
    return Places(
        state=Path(state or os.environ.get("STATE_DIRECTORY") or DEFAULT_STATE),
        run=folder,
        socket=Path(socket) if socket else folder / SOCKET_NAME,
        language=language or ("zh" if text.strip() else ""),
        timezone=timezone or (DEFAULT_ZONE if text.strip() else ""),
    )


def _text(document: dict[str, object], table: str, key: str) -> str:
    part = document.get(table)
    value = part.get(key) if isinstance(part, dict) else None
    return value if isinstance(value, str) and "\0" not in value else ""


def _scan(text: str, key: str) -> str:
    found = re.search(rf"""^\s*{key}\s*=\s*["'](/[^"'\n\0]*)["']""", text, re.MULTILINE)
    return found.group(1) if found else ""
