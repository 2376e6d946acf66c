"""Hands each door's gallery to the vision process whenever who may pass there has changed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping

from gateway.config import schema
from gateway.directory.store import Directory
from gateway.errors import DirectoryDown
from gateway.vision.client import VisionClient

SETTLE = 0.2  # seconds; an import of 3,000 people changes the directory in 60 steps, not 3,000


async def keep_galleries(
    doors: Mapping[str, schema.Door], engine: str, directory: Directory, vision: VisionClient, people: dict[str, int]
) -> None:
    """Publish until cancelled; `people` holds how many each door's gallery has, for `status`."""
    seen = -1
    while True:
        seen = await directory.wait_changed(seen)
        await asyncio.sleep(SETTLE)  # more changes are welcome before the files are written
        seen = directory.snapshot.generation
        for door, config in doors.items():
            if config.camera is not None and config.face != "off":
                try:
                    templates = await directory.templates(door, engine)
                except DirectoryDown:
                    break  # not open yet, or gone; `status` says so, and its next change is waited for
                people[door] = len({person for person, _ in templates})
                await vision.publish_gallery(door, templates)
