"""The daemon's side of `config apply`."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gateway.clock import SystemClock
from gateway.command import Actor, Role
from gateway.config import service
from gateway.config.apply import Applied, sha256
from gateway.config.commands import ApplyConfig, ConfirmConfig, ShowConfig
from gateway.config.last_good import FOLDER, choose
from gateway.config.new import text
from gateway.config.service import ConfigService
from gateway.errors import ConfigError, NotFound, Refused

ROOT = Actor("uid:0", Role.ADMINISTRATOR, "cli")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    path = tmp_path / "gateway.toml"
    path.write_text(text("simulated", str(tmp_path)))
    return path


def test_apply_restarts_with_the_checked_file_only(file: Path) -> None:
    async def scenario() -> None:
        restarted = asyncio.Event()
        answers = ConfigService(choose(file), file, SystemClock(), lambda _why: restarted.set())
        with pytest.raises(Refused, match="not the one that was checked"):
            await answers.apply(ApplyConfig(sha256="0"), ROOT)
        told = await answers.apply(ApplyConfig(sha256=sha256(file.read_bytes())), ROOT)
        assert told.restarting
        await asyncio.wait_for(restarted.wait(), 5)
        file.write_text("broken")
        with pytest.raises(ConfigError):
            await answers.apply(ApplyConfig(sha256=sha256(b"broken")), ROOT)

    asyncio.run(scenario())


def test_confirm(file: Path) -> None:
    async def scenario() -> None:
        answers = ConfigService(choose(file), file, SystemClock(), lambda _why: None)
        assert answers.confirm_within() is None
        with pytest.raises(NotFound):
            await answers.confirm(ConfirmConfig(), ROOT)
        with pytest.raises(NotFound):
            await answers.confirm(ConfirmConfig(), ROOT)
        Applied(file.parent / "state" / FOLDER, file).put_in_place(file.read_text() + "# new", SystemClock().now())
        answers = ConfigService(choose(file), file, SystemClock(), lambda _why: None)
        left = answers.confirm_within()
        assert left is not None
        assert 590 < left <= 600
        assert (await answers.confirm(ConfirmConfig(), ROOT)).confirmed
        assert answers.confirm_within() is None

    asyncio.run(scenario())


def test_nobody_confirms(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(service, "LOOK_EVERY", 0.01)

    async def scenario() -> None:
        restarted = asyncio.Event()
        Applied(file.parent / "state" / FOLDER, file).put_in_place(
            file.read_text() + "# new", SystemClock().now(), window=0.2
        )
        answers = ConfigService(choose(file), file, SystemClock(), lambda _why: restarted.set())
        watching = asyncio.create_task(answers.run())
        await asyncio.wait_for(restarted.wait(), 5)
        watching.cancel()

    asyncio.run(scenario())
    assert choose(file).source == "before apply"


def test_show_masks(file: Path) -> None:
    file.write_text(
        file.read_text().replace('# camera = "main"', 'camera = "main"')
        + '\n[camera.main]\ndriver = "rtsp"\nurl = "rtsp://admin:geheim@10.0.0.9/s1"\n'
    )
    answers = ConfigService(choose(file), file, SystemClock(), lambda _why: None)
    view = asyncio.run(answers.show(ShowConfig(), ROOT))
    assert view.source == "file"
    assert "geheim" not in view.toml
    assert 'url = "rtsp://***@10.0.0.9/s1"' in view.toml
