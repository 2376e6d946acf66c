"""The way back: pure verdicts, and a power cut between any two writes."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.clock import Now
from gateway.config import files
from gateway.config.apply import WINDOW, Applied, Verdict, pend, remaining, renewed, sha256, verdict, verdict_now

START = datetime(2026, 11, 24, 12, tzinfo=UTC)


def at(seconds: float, *, boot: float | None = None, trusted: bool = True, wall: datetime | None = None) -> Now:
    return Now(
        mono=seconds,
        boot=seconds if boot is None else boot,
        wall=wall or START + timedelta(seconds=seconds),
        trusted=trusted,
    )


PENDING = pend("old", "new", at(100), "boot-1")


@pytest.mark.parametrize(
    ("now", "boot", "file", "expected"),
    [
        (at(100), "boot-1", "new", Verdict.WAITING),
        (at(699.9), "boot-1", "new", Verdict.WAITING),
        (at(700), "boot-1", "new", Verdict.EXPIRED),
        (at(700), "boot-1", "other", Verdict.MOOT),
        (at(700), "boot-1", "", Verdict.MOOT),
        # a hand on the wall clock changes nothing within a boot
        (at(200, wall=START + timedelta(days=400)), "boot-1", "new", Verdict.WAITING),
        (at(700, wall=START - timedelta(days=400)), "boot-1", "new", Verdict.EXPIRED),
        # after a reboot UTC decides, where it is trusted
        (at(699, boot=3), "boot-2", "new", Verdict.WAITING),
        (at(701, boot=3), "boot-2", "new", Verdict.EXPIRED),
        (at(9999, boot=3, trusted=False), "boot-2", "new", Verdict.RENEW),
    ],
)
def test_verdict(now: Now, boot: str, file: str, expected: Verdict) -> None:
    assert verdict(PENDING, file, now, boot) is expected


def test_nothing_pending() -> None:
    assert verdict(None, "new", at(0), "boot-1") is Verdict.NONE


def test_a_renewed_one_has_its_whole_window() -> None:
    fresh = renewed(PENDING, at(5, trusted=False), "boot-2")
    assert verdict(fresh, "new", at(5 + WINDOW - 1, trusted=False), "boot-2") is Verdict.WAITING
    assert verdict(fresh, "new", at(5 + WINDOW, trusted=False), "boot-2") is Verdict.EXPIRED
    assert remaining(fresh, at(5), "boot-2") == WINDOW


@given(st.lists(st.tuples(st.floats(0, 500), st.booleans(), st.booleans()), max_size=30))
def test_never_early_whatever_boots_and_clocks_do(history: list[tuple[float, bool, bool]]) -> None:
    """Real time passes; the machine reboots; the wall clock is right only where it is trusted."""
    pending, real, boot, booted = pend("old", "new", at(0), "0"), 0.0, 0, 0.0
    for pause, reboots, trusted in history:
        real += pause
        if reboots:
            boot, booted = boot + 1, real
        wall = START + timedelta(seconds=real) if trusted else START - timedelta(days=1)
        now = at(real, boot=real - booted, trusted=trusted, wall=wall)
        found = verdict(pending, "new", now, str(boot))
        if found is Verdict.RENEW:
            pending = renewed(pending, now, str(boot))
        assert found is not Verdict.EXPIRED or real >= WINDOW - 1e-3
        assert found in {Verdict.WAITING, Verdict.RENEW, Verdict.EXPIRED}
        if found is Verdict.EXPIRED:
            return


class Cut(Exception):  # noqa: N818
    """The power goes."""


@pytest.mark.parametrize("writes", range(4))
def test_a_power_cut_between_any_two_writes(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, writes: int) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text("old")
    applied = Applied(tmp_path / "state" / "config", path)
    left = [writes]
    replace = files.replace

    def cut(target: Path, data: bytes, mode: int = 0o640) -> None:
        if not left[0]:
            raise Cut
        left[0] -= 1
        replace(target, data, mode)

    monkeypatch.setattr("gateway.config.apply.files.replace", cut)
    try:
        applied.put_in_place("new", at(0))
    except Cut:
        assert path.read_text() == "old"
        monkeypatch.undo()
        assert verdict_now(applied, at(10)) in {Verdict.NONE, Verdict.MOOT}
        assert applied.pending() is None
    else:
        assert path.read_text() == "new"
        assert applied.pending() is not None


def test_confirm_and_put_back(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text("one")
    applied = Applied(tmp_path / "config", path)
    assert not applied.confirm()
    applied.put_in_place("two", at(0))
    assert applied.confirm()
    assert applied.pending() is None
    applied.put_in_place("three", at(0))
    applied.put_in_place("four", at(0))  # over an unconfirmed one: the way back leads to the confirmed
    pending = applied.pending()
    assert pending is not None
    assert pending.before == sha256(b"two")
    applied.put_back()
    assert path.read_text() == "two"
    assert applied.refused.read_text() == "four"


def test_a_damaged_note_is_none(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text("one")
    applied = Applied(tmp_path, path)
    applied.put_in_place("two", at(0))
    (tmp_path / "pending.json").write_bytes(b"\xff{")
    assert verdict_now(applied, at(9999)) is Verdict.NONE


def test_the_file_keeps_its_mode(tmp_path: Path) -> None:
    path = tmp_path / "gateway.toml"
    path.write_text("one")
    path.chmod(0o600)
    files.replace(path, b"two")
    assert path.stat().st_mode & 0o777 == 0o600
