"""What a vision process is told at its start: the part of `gateway.toml` it needs, and no more.

The daemon writes it to a file in its run folder (a camera's URL may carry a password, so it never
stands on a command line) and names the file's SHA-256 in Welcome: a worker that was started with
other settings exits and is started with these.
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from pathlib import Path

import msgspec

from gateway.config import schema
from gateway.errors import ConfigError, N_


class Settings(msgspec.Struct, frozen=True, kw_only=True):
    """Everything a worker needs to know."""

    group: str
    cameras: dict[str, schema.Camera]
    doors: dict[str, str]  # door -> camera
    vision: schema.Vision
    lanes: dict[str, str] = {}  # lane -> camera; a group has doors or lanes

    @staticmethod
    def of(
        group: str,
        vision: schema.Vision,
        cameras: Mapping[str, schema.Camera],
        doors: Mapping[str, schema.Door],
        lanes: Mapping[str, str] | None = None,
    ) -> Settings:
        """The settings of a group: every door with a camera, and the lanes (lane -> camera)."""
        watched = {name: door.camera for name, door in doors.items() if door.camera and door.face != "off"}
        read = dict(lanes or {})
        looked = {*watched.values(), *read.values()}
        used = {name: camera for name, camera in cameras.items() if name in looked}
        return Settings(group=group, cameras=used, doors=watched, vision=vision, lanes=read)


def encode(settings: Settings) -> bytes:
    """The file's bytes; the same settings give the same bytes."""
    return msgspec.json.format(msgspec.json.encode(settings, order="deterministic"))


def digest(data: bytes) -> str:
    """How Welcome names a file of settings."""
    return hashlib.sha256(data).hexdigest()


def read(given: str) -> tuple[Settings, str]:
    """Settings and their digest, from a file's path or from the JSON itself. Raises ConfigError."""
    try:
        data = given.encode() if given.lstrip().startswith("{") else Path(given).read_bytes()
        return msgspec.json.decode(data, type=Settings), digest(data)
    except (OSError, msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise ConfigError(
            N_("the vision process cannot read its settings: {error}"),
            where="" if given.lstrip().startswith("{") else given,
            mend=N_("the daemon writes this file: start loumen first"),
            error=str(error),
        ) from error
