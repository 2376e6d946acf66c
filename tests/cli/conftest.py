"""Every test begins in English, whatever the one before it spoke."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from gateway import locale


@pytest.fixture(autouse=True)
def _english(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setenv("LANGUAGE", "en")
    locale.speak("en")
    yield
    locale.speak("en")
