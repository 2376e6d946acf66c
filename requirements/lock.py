"""Turns the lists (*.in) into locks (*.txt): `make lock`. Every release is pinned, with the hashes of all its files.

The locks hold for Python 3.11 and 3.13, x86-64 and aarch64: pip-compile writes the hashes of every wheel of a
release, and `check` asks pip whether each release has one for all four. No index address, no local folder and no
machine's path comes into them: what this machine's pip is told about is left out while they are made.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import venv
from pathlib import Path

HERE = Path(__file__).parent
COMPILED = ("runtime", "demo", "dev", "bench", "build", "rpi-lgpio")  # each may lean on those before it
NO_DEPS = "no-deps"
HEADER = "# Made from {name}.in by `make lock`. Change that file, not this one.\n"
COMPILE = (
    "--quiet --generate-hashes --no-header --no-emit-index-url --no-emit-find-links --no-emit-trusted-host "
    "--strip-extras --allow-unsafe"
).split()
PYTHONS = ("3.11", "3.13")
NOT_ON = {"3.13": {"rpi-lgpio"}}  # no wheel there: see its list
PLATFORMS = {
    "aarch64": (
        "manylinux_2_34_aarch64",
        "manylinux_2_28_aarch64",
        "manylinux_2_27_aarch64",
        "manylinux_2_17_aarch64",
        "manylinux2014_aarch64",
    ),
    "x86_64": (
        "manylinux_2_34_x86_64",
        "manylinux_2_28_x86_64",
        "manylinux_2_27_x86_64",
        "manylinux_2_17_x86_64",
        "manylinux2014_x86_64",
    ),
}


def environment() -> dict[str, str]:
    """This machine's, without what could bring its own folders or caps into a lock."""
    kept = {name: value for name, value in os.environ.items() if name not in {"PIP_FIND_LINKS", "PIP_CONSTRAINT"}}
    return kept | {"PIP_CONFIG_FILE": os.devnull}


def run(*command: str | Path) -> None:
    """Run in this folder; a failure ends the program."""
    subprocess.run(command, cwd=HERE, env=environment(), check=True)


def lock(tools: Path) -> None:
    """Write every lock."""
    for name in COMPILED:
        print(f"{name}.txt", flush=True)
        target = HERE / f"{name}.txt"
        run(tools / "pip-compile", *COMPILE, "-o", target.name, f"{name}.in")
        target.write_text(HEADER.format(name=name) + target.read_text().removeprefix(HEADER.format(name=name)))
    lock_no_deps(tools)


def lock_no_deps(tools: Path) -> None:
    """What is installed without its dependencies cannot be resolved: pip is asked for the files it would take."""
    print(f"{NO_DEPS}.txt", flush=True)
    with tempfile.NamedTemporaryFile(suffix=".json") as report:
        ask = "install --quiet --dry-run --no-deps --ignore-installed --ignore-requires-python".split()
        ask += "--only-binary :all:".split()
        run(tools / "pip", *ask, "--report", report.name, "-r", f"{NO_DEPS}.in")
        chosen = json.loads(Path(report.name).read_text())["install"]
    lines = sorted(
        f"{entry['metadata']['name'].lower()}=={entry['metadata']['version']} \\\n"
        f"    --hash=sha256:{entry['download_info']['archive_info']['hashes']['sha256']}\n"
        for entry in chosen
    )
    (HERE / f"{NO_DEPS}.txt").write_text(HEADER.format(name=NO_DEPS) + "".join(lines))


def check(tools: Path) -> None:
    """Ask for a wheel of everything, on both processors and both Pythons."""
    for python in PYTHONS:
        for machine, names in PLATFORMS.items():
            platforms = [word for name in names for word in ("--platform", name)]
            with tempfile.TemporaryDirectory() as target:
                for name in (*COMPILED, NO_DEPS):
                    if name in NOT_ON.get(python, ()):
                        continue
                    print(f"{name}.txt: Python {python}, {machine}", flush=True)
                    ask = "install --quiet --dry-run --ignore-installed --no-deps --require-hashes".split()
                    ask += ["--ignore-requires-python"] if name == NO_DEPS else []  # carriers of models: see its list
                    run(tools / "pip", *ask, "--only-binary", ":all:", "--target", target, "--python-version", python,
                        *platforms, "-r", f"{name}.txt")  # fmt: skip


def main(arguments: list[str]) -> int:
    """`lock.py` locks and checks, `lock.py check` only checks."""
    with tempfile.TemporaryDirectory(prefix="loumen-lock-") as scratch:
        venv.create(scratch, with_pip=True)
        tools = Path(scratch) / "bin"
        run(tools / "pip", "install", "--quiet", "pip-tools")
        if arguments != ["check"]:
            lock(tools)
        check(tools)
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
