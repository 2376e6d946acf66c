"""The daemon's side against real worker processes: from a picture to candidates, and what goes wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path

from tests.vision.double import BLUE, GREEN, RED, scene, template_of
from tests.vision.running import put, running, until


def test_a_picture_becomes_candidates(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with running(tmp_path) as (client, heard):
            generation = await client.publish_gallery(
                "front", [("p-red", template_of(RED)), ("p-red", template_of(RED)), ("p-green", template_of(GREEN))]
            )
            await until(lambda: client.status().generations.get("front") == generation)
            put(tmp_path / "porch", "1", scene((RED, 200, 150)))
            await until(lambda: bool(heard.candidates), heard)
            told = heard.candidates[0]
            assert (told.camera, told.door, told.generation, told.frames) == ("porch", "front", generation, 3)
            assert [candidate.person for candidate in told.best] == ["p-red", "p-green"]
            assert told.best[0].distance < told.threshold < told.best[1].distance
            assert heard.presence[0].present
            put(tmp_path / "porch", "2", scene((BLUE, 200, 150)))
            await until(lambda: heard.candidates[-1].track != told.track, heard)
            assert heard.candidates[-1].best[0].distance > told.threshold
            assert heard.kinds() == ["vision.started.v1"]

    asyncio.run(scenario())
