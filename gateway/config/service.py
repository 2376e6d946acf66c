"""The daemon's side of `config apply`: restart with a new file, take it back when nobody confirms it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from gateway.clock import Clock
from gateway.command import Actor, Command, Handler
from gateway.config import last_good
from gateway.config.apply import Applied, Verdict, boot_id, remaining, verdict_now
from gateway.config.commands import (
    ApplyConfig,
    ApplyResult,
    ConfigView,
    ConfirmConfig,
    ConfirmResult,
    ShowConfig,
)
from gateway.config.load import load
from gateway.config.show import toml
from gateway.errors import N_, NotFound, Refused

LOOK_EVERY = 5.0  # seconds between looks at the deadline


class ConfigService:
    """`restart` asks the daemon to stop in good order, so that systemd (or its caller) starts it again."""

    def __init__(self, chosen: last_good.Chosen, path: Path, clock: Clock, restart: Callable[[str], None]) -> None:
        self._chosen, self._path, self._clock, self._restart = chosen, path, clock, restart
        self._applied = Applied(Path(chosen.config.box.state) / last_good.FOLDER, path)

    def handlers(self) -> dict[type[Command], Handler]:
        """Command -> who answers it."""
        return {ApplyConfig: self.apply, ConfirmConfig: self.confirm, ShowConfig: self.show}

    def confirm_within(self) -> float | None:
        """Seconds left to confirm an applied file; None when nothing is pending. For `status`."""
        now = self._clock.now()
        try:
            pending = self._applied.pending()
        except OSError:
            return None
        if pending is None or self._applied.file_sha256() != pending.after:
            return None
        return remaining(pending, now, boot_id())

    async def run(self) -> None:
        """Watch over the confirmation; at its deadline restart, and the start takes the file back."""
        while True:
            if verdict_now(self._applied, self._clock.now()) is Verdict.EXPIRED and not self._is_back():
                self._restart("the new configuration was not confirmed")
            await asyncio.sleep(LOOK_EVERY)

    def _is_back(self) -> bool:
        """The daemon could not put the file back and runs the old text already."""
        return self._chosen.source == "before apply"

    async def apply(self, command: ApplyConfig, _actor: Actor) -> ApplyResult:
        if self._applied.file_sha256() != command.sha256:
            raise Refused(
                N_("the file in place is not the one that was checked"),
                where=str(self._path),
                mend=N_("apply it again"),
            )
        load(self._path)
        asyncio.get_running_loop().call_later(0.2, self._restart, "config apply")  # the answer goes out first
        return ApplyResult(restarting=True, confirm_within=self.confirm_within() or 0.0)

    async def confirm(self, _command: ConfirmConfig, _actor: Actor) -> ConfirmResult:
        if not self._applied.confirm():
            raise NotFound(N_("no configuration waits for a confirmation"))
        return ConfirmResult(confirmed=True)

    async def show(self, _command: ShowConfig, _actor: Actor) -> ConfigView:
        return ConfigView(
            source=self._chosen.source, toml=toml(self._chosen.config), confirm_within=self.confirm_within()
        )
