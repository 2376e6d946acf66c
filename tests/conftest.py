"""What every test may ask for: the shared data, short temporary folders, and the real parts of the host.

    def test_x(shared: Path): ...                 # ../shared beside the checkout, or LOUMEN_SHARED; else skipped
    def test_x(tmp_path: Path): ...               # short enough for a unix socket in it
    @pytest.mark.real("mosquitto", "strace")      # programs; or "kernel" (user-mode Linux), or "root"

A missing part skips the test and names what brings it; with CI=true it fails it.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.real.uml import build

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = REPOSITORY / "tests" / "real" / "debian-packages.txt"
SEARCHED = os.pathsep.join((os.environ.get("PATH", os.defpath), "/usr/sbin", "/sbin"))


def missing(part: str) -> str:
    """Why `part` cannot be used here; empty when it can."""
    if part == "root":
        return "" if os.geteuid() == 0 else "needs root"
    if part == "kernel":
        if build.kernel().exists():
            return ""
        return f"no user-mode kernel: {build.missing() or 'python3 tests/real/uml/build.py builds it'}"
    if shutil.which(part, path=SEARCHED):
        return ""
    return f"no {part}: install the packages of {PACKAGES.relative_to(REPOSITORY)}"


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """`-m kernel` chooses the fourth tier."""
    for item in items:
        if any("kernel" in marker.args for marker in item.iter_markers("real")):
            item.add_marker("kernel")


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip, or on CI fail, what lacks a real part."""
    parts = {part for marker in item.iter_markers("real") for part in marker.args}
    reasons = sorted(filter(None, map(missing, parts)))
    if not reasons:
        return
    if os.environ.get("CI") == "true":
        pytest.fail("; ".join(reasons), pytrace=False)
    pytest.skip("; ".join(reasons))


@pytest.fixture(scope="session")
def shared() -> Path:
    """The project's shared data; a test that needs it is skipped without it, on CI too."""
    folder = Path(os.environ.get("LOUMEN_SHARED", REPOSITORY.parent / "shared"))
    if not folder.is_dir():
        pytest.skip(f"no shared data at {folder} (LOUMEN_SHARED names another place)")
    return folder


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """A folder of the test's own. pytest's names are too long for a unix socket's 107 bytes."""
    with tempfile.TemporaryDirectory(prefix="lm-", ignore_cleanup_errors=True) as folder:
        yield Path(folder)
