"""What root makes in the daemon's folders belongs to the daemon."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gateway.identity import Box
from gateway.state_lock import StateLock

DAEMON = 54321


@pytest.mark.real("root")
def test_what_a_technician_makes_as_root_is_the_daemons(tmp_path: Path) -> None:
    state = tmp_path / "state"
    state.mkdir(mode=0o700)
    os.chown(state, DAEMON, DAEMON)
    with StateLock(state):
        pass
    Box.load_or_create(state, "unit-1").request()
    made = [state / "lock", *(state / "identity").rglob("*"), state / "identity"]
    assert len(made) >= 5
    assert {(path.stat().st_uid, path.stat().st_gid) for path in made} == {(DAEMON, DAEMON)}
