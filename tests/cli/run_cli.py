"""Runs `loumen` as a program of its own, in a language and without the caller's settings."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

ROOT = Path(__file__).parents[2]


def loumen(
    *words: str, home: Path, lang: str = "en_GB.UTF-8", stdin: str = "", more: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """The finished program."""
    environment = {
        "PATH": os.environ["PATH"],
        "PYTHONPATH": str(ROOT),
        "LANG": lang,
        "HOME": str(home),
        **(more or {}),
    }
    return subprocess.run(
        [sys.executable, "-m", "gateway.cli.main", *words],
        capture_output=True,
        text=True,
        encoding="utf-8",
        env=environment,
        input=stdin,
        timeout=60,
        check=False,
    )
