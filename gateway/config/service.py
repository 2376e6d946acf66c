"""The daemon's side of `config apply`: restart with a new file, take it back when nobody confirms it."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

from gateway.clock import Clock
from gateway.command import Actor, Command, Handler
from gateway.config import last_good
from gateway.config.apply import Applied, Pending, Verdict, boot_id, remaining, verdict_now
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

LOOK_EVERY = 5.0  # seconds at most between looks at the clock; it may become trusted, and the deadline nearer


class ConfigService:
    """`restart` asks the daemon to stop in good order, so that systemd (or its caller) starts it again.

    What waits for a confirmation is read once, at the start: whoever applies a file has the daemon started
    again. So `status` and the watch over the deadline touch no disk; what does runs in a thread.
    """

    def __init__(self, chosen: last_good.Chosen, path: Path, clock: Clock, restart: Callable[[str], None]) -> None:
        self._chosen, self._path, self._clock, self._restart = chosen, path, clock, restart
        self._applied = Applied(Path(chosen.config.box.state) / last_good.FOLDER, path)
        self._boot = boot_id()
        self._pending = _of_this_file(self._applied)

    def handlers(self) -> dict[type[Command], Handler]:
        """Command -> who answers it."""
        return {ApplyConfig: self.apply, ConfirmConfig: self.confirm, ShowConfig: self.show}

    def confirm_within(self) -> float | None:
        """Seconds left to confirm an applied file; None when nothing is pending. For `status`."""
        return None if self._pending is None else remaining(self._pending, self._clock.now(), self._boot)

    async def run(self) -> None:
        """Watch over the confirmation; at its deadline restart, and the start takes the file back."""
        while True:
            left = self.confirm_within()
            if left == 0.0 and self._chosen.source != "before apply":  # else the old text runs already
                if await asyncio.to_thread(verdict_now, self._applied, self._clock.now()) is Verdict.EXPIRED:
                    self._restart("the new configuration was not confirmed")
                self._pending = None
            await asyncio.sleep(LOOK_EVERY if left is None else min(max(left, 0.01), LOOK_EVERY))

    async def apply(self, command: ApplyConfig, _actor: Actor) -> ApplyResult:
        pending = await asyncio.to_thread(self._checked, command.sha256)
        asyncio.get_running_loop().call_later(0.2, self._restart, "config apply")  # the answer goes out first
        left = 0.0 if pending is None else remaining(pending, self._clock.now(), self._boot)
        return ApplyResult(restarting=True, confirm_within=left)

    def _checked(self, sha256: str) -> Pending | None:
        if self._applied.file_sha256() != sha256:
            raise Refused(
                N_("the file in place is not the one that was checked"),
                where=str(self._path),
                mend=N_("apply it again"),
            )
        load(self._path)
        return _of_this_file(self._applied)

    async def confirm(self, _command: ConfirmConfig, _actor: Actor) -> ConfirmResult:
        if not await asyncio.to_thread(self._applied.confirm):
            raise NotFound(N_("no configuration waits for a confirmation"))
        self._pending = None
        return ConfirmResult(confirmed=True)

    async def show(self, _command: ShowConfig, _actor: Actor) -> ConfigView:
        return ConfigView(
            source=self._chosen.source, toml=toml(self._chosen.config), confirm_within=self.confirm_within()
        )


def _of_this_file(applied: Applied) -> Pending | None:
    """What is pending for the file that is in place."""
    try:
        pending = applied.pending()
    except OSError:
        return None
    return pending if pending is not None and pending.after == applied.file_sha256() else None
