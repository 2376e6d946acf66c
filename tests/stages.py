"""`make test`: the tiers in their order, with seconds for each, and the kernel's build beside the first ones.

Only the standard library, and any Python from 3.11 on: it starts before the virtual environment is there.
What fails does not hide what comes after it; the exit code is 1 if anything failed.
"""

from __future__ import annotations

import contextlib
import os
import re
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parent.parent
PACKAGES = REPOSITORY / "tests" / "real" / "debian-packages.txt"
PACKAGES_NIGHTLY = PACKAGES.with_name("debian-packages-nightly.txt")
KERNEL = REPOSITORY / "tests" / "real" / "uml" / "build.py"
PYTEST = (".venv/bin/python", "-m", "pytest", "-q", "--durations=5", "--durations-min=5")
PARALLEL = ("-n", "2", "--dist", "loadfile")
CLOSING = re.compile(r"(\d+) (passed|failed|skipped|errors?)\b")


class Stages:
    """Runs one stage after the other and remembers what each took and found."""

    def __init__(self) -> None:
        self.rows: list[tuple[str, float, bool]] = []
        self.counts = {"passed": 0, "failed": 0, "skipped": 0}

    def stage(self, name: str, run: Callable[[], bool]) -> bool:
        """Run it, time it; True when it went well."""
        print(f"\n=== {name}", flush=True)
        began = time.monotonic()
        well = run()
        self.rows.append((name, time.monotonic() - began, well))
        print(f"=== {name}: {self.rows[-1][1]:.0f} s{'' if well else ' (failed)'}", flush=True)
        return well

    def pytest(self, *arguments: str) -> bool:
        """One run of pytest, its closing line counted. No test chosen is no failure of a tier."""
        process = subprocess.Popen(
            [*PYTEST, *arguments], cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True
        )
        assert process.stdout is not None
        self._count(process.stdout)
        return process.wait() in (0, 5)

    @contextlib.contextmanager
    def beside(self, *arguments: str) -> Iterator[Callable[[], bool]]:
        """Begin a run of pytest that goes on beside the next stage; what is yielded waits for it and tells of it."""
        with tempfile.TemporaryFile("w+") as said:
            process = subprocess.Popen(
                [*PYTEST, *arguments], cwd=REPOSITORY, stdin=subprocess.DEVNULL, stdout=said, text=True
            )

            def ended() -> bool:
                code = process.wait()
                said.seek(0)
                self._count(said)
                return code in (0, 5)

            try:
                yield ended
            finally:
                process.terminate()
                process.wait()

    def _count(self, lines: Iterable[str]) -> None:
        """Print what a run says, and add up its closing line."""
        last = ""
        for line in lines:
            print(line, end="", flush=True)
            last = line if CLOSING.search(line) and " in " in line else last
        for number, kind in CLOSING.findall(last):
            self.counts["failed" if kind.startswith("error") else kind] += int(number)

    def report(self) -> bool:
        """Seconds per stage, then one closing line over all runs of pytest."""
        print("\nseconds per stage")
        for name, seconds, well in self.rows:
            print(f"{seconds:7.0f}  {name}{'' if well else '  FAILED'}")
        print(f"{sum(seconds for _, seconds, _ in self.rows):7.0f}  in all\n")
        counts = self.counts
        print(f"{counts['passed']} passed, {counts['failed']} failed, {counts['skipped']} skipped", flush=True)
        return all(well for _, _, well in self.rows) and counts["passed"] > 0


def command(*words: str) -> bool:
    """Run in the checkout; True when it ended with 0."""
    return subprocess.run(words, cwd=REPOSITORY, stdin=subprocess.DEVNULL, check=False).returncode == 0


def listed(*, nightly: bool) -> list[str]:
    """The Debian packages of the real parts."""
    lines = PACKAGES.read_text().splitlines()
    lines += PACKAGES_NIGHTLY.read_text().splitlines() if nightly else []
    return [line.strip() for line in lines if line.strip() and not line.startswith("#")]


def not_installed(*, nightly: bool) -> list[str]:
    """Those of them that this machine lacks; none where it is no Debian."""
    lacking = []
    for package in listed(nightly=nightly):
        query = ["dpkg-query", "--show", "--showformat=${db:Status-Status}", package]
        try:
            state = subprocess.run(query, capture_output=True, text=True, check=False).stdout
        except FileNotFoundError:
            print("no dpkg here: the tests of real parts use what they find")
            return []
        if state != "installed":
            lacking.append(package)
    return lacking


def packages(*, nightly: bool) -> bool:
    """Install what is missing as root; else say how, and let the tests that need it be skipped by name."""
    lacking = not_installed(nightly=nightly)
    if not lacking:
        return True
    install = ["apt-get", "install", "-y", "--no-install-recommends", *lacking]
    if os.geteuid() != 0:
        print(f"for the tests of real parts:\n  sudo {shlex.join(install)}")
        return True
    os.environ["DEBIAN_FRONTEND"] = "noninteractive"
    return command("apt-get", "update", "-qq") and command(*install[:2], "-qq", *install[2:])


@contextlib.contextmanager
def kernel_in_the_background() -> Iterator[Callable[[], bool]]:
    """Start building at low priority; what is yielded waits for the end. A kernel that exists takes no time."""
    process = subprocess.Popen(
        [sys.executable, str(KERNEL)], cwd=REPOSITORY, stdin=subprocess.DEVNULL, start_new_session=True
    )
    try:
        yield lambda: process.wait() == 0 or os.environ.get("CI") != "true"
    finally:
        if process.poll() is None:
            os.killpg(process.pid, signal.SIGTERM)
            process.wait()


def short(stages: Stages, *, ready: Callable[[], bool]) -> None:
    """Tiers 1 to 3 and the short form of 4."""
    stages.stage("lint", lambda: command("make", "--no-print-directory", "--keep-going", "lint"))
    stages.stage("rules and services", lambda: stages.pytest("tests", "--ignore=tests/real", *PARALLEL))
    stages.stage("waiting for the kernel", ready)
    # A guest kernel has one processor and waits most of the time: the other one runs the host's real parts meanwhile.
    with stages.beside("tests/real", "-m", "kernel and not nightly") as kernel:
        stages.stage("real parts", lambda: stages.pytest("tests/real", "-m", "not kernel and not nightly"))
        stages.stage("a real kernel (begun beside the real parts)", kernel)


def long(stages: Stages, *, ready: Callable[[], bool]) -> None:
    """What only `make nightly` has the time for."""
    stages.stage("waiting for the kernel", ready)
    stages.stage("nightly", lambda: stages.pytest("tests", "-m", "nightly", "--timeout=7200"))


def main(arguments: list[str]) -> int:
    """`stages.py`, or `stages.py --nightly`."""
    stages, nightly = Stages(), arguments == ["--nightly"]
    stages.stage("Debian packages", lambda: packages(nightly=nightly))
    with kernel_in_the_background() as ready:
        if stages.stage("virtual environment", lambda: command("make", "--no-print-directory", ".venv")):
            (long if nightly else short)(stages, ready=ready)
    return 0 if stages.report() else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
