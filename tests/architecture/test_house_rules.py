"""The house rules that a machine can see. Each failure names the place; the rule's reason stands beside its number."""

from __future__ import annotations

import ast
import re
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path

import pytest

REPOSITORY = Path(__file__).resolve().parents[2]
CODE = ("drivers/", "gateway/")
FILE_LINES = 420  # a longer one is asking to become two rooms
FUNCTION_LINES = 60
SAYS_NOTHING = re.compile(r"(^|_)(utils?|helpers?|managers?|base|common|misc)(_|$)")
UNFINISHED = re.compile(r"\b(TODO|FIXME|XXX|HACK)\b|NotImplementedError")
INDEX = re.compile(r"https?://|--(extra-)?index-url|--find-links|--trusted-host")
MACHINE = re.compile(r"(?<![\w.])/(work|root|tmp/lv)(/|\b)")
#: Where a bug in what is called may not end the caller: each restarts, or answers and goes on.
SUPERVISORS = {
    "gateway/supervisor.py",  # services
    "gateway/cli/dispatch.py",  # what a person typed
    "gateway/control/server.py",  # what a client asked
    "gateway/journal/store.py",  # the journal's writer
}


@cache
def tracked() -> tuple[str, ...]:
    """The files that are committed, or about to be."""
    listed = subprocess.run(
        ["git", "ls-files", "--cached"], cwd=REPOSITORY, capture_output=True, text=True, check=False
    ).stdout
    names = tuple(name for name in listed.splitlines() if (REPOSITORY / name).is_file())
    if not names:
        pytest.skip("not a git checkout")
    return names


def python(*folders: str) -> Iterator[tuple[str, str, ast.Module]]:
    """Name, text and tree of each module in `folders`."""
    for name in tracked():
        if name.endswith(".py") and name.startswith(folders or ("",)):
            text = (REPOSITORY / name).read_text(encoding="utf-8")
            yield name, text, ast.parse(text)


def long_files() -> Iterator[str]:
    for name, text, _ in python(*CODE):
        if text.count("\n") > FILE_LINES:
            yield f"{name}: {text.count(chr(10))} lines"


def long_functions() -> Iterator[str]:
    for name, _, tree in python(*CODE):
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                lines = (node.end_lineno or node.lineno) - node.lineno + 1
                if lines > FUNCTION_LINES:
                    yield f"{name}:{node.lineno} {node.name}: {lines} lines"


def names_that_say_nothing() -> Iterator[str]:
    for name in tracked():
        if any(SAYS_NOTHING.search(Path(part).stem) for part in Path(name).parts):
            yield name


def catch_alls() -> Iterator[str]:
    for name, _, tree in python(*CODE):
        if name in SUPERVISORS:
            continue
        for node in ast.walk(tree):
            if not isinstance(node, ast.ExceptHandler) or ast.unparse(node.body[-1]) == "raise":
                continue  # what cleans up and raises again hides nothing
            if caught(node) & {"", "Exception", "BaseException"}:
                yield f"{name}:{node.lineno}"


def caught(handler: ast.ExceptHandler) -> set[str]:
    """The names in an `except` clause; the empty one for a bare `except`."""
    if handler.type is None:
        return {""}
    kinds = handler.type.elts if isinstance(handler.type, ast.Tuple) else [handler.type]
    return {kind.id for kind in kinds if isinstance(kind, ast.Name)}


def sleeping_tests() -> Iterator[str]:
    """A test that waits for the clock is slow or flaky; where it must, the line says why."""
    for name, text, tree in python("tests/"):
        lines = text.splitlines()
        for node in ast.walk(tree):
            if not isinstance(node, ast.Call) or ast.unparse(node.func) not in ("time.sleep", "sleep"):
                continue
            if "  # " not in lines[node.lineno - 1]:
                yield f"{name}:{node.lineno}"


def clocks_in_pure_modules() -> Iterator[str]:
    """The import contract keeps `time` out; `datetime.now()` is a clock as well."""
    contracts = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["tool"]["importlinter"]["contracts"]
    (pure,) = [contract["source_modules"] for contract in contracts if contract["id"] == "pure"]
    for name, _, tree in python(*(module.replace(".", "/") for module in pure)):
        for node in ast.walk(tree):
            if isinstance(node, ast.Attribute) and node.attr in ("today", "utcnow"):
                yield f"{name}:{node.lineno}"
            if isinstance(node, ast.Call) and ast.unparse(node.func).endswith("datetime.now"):
                yield f"{name}:{node.lineno}"


def unfinished() -> Iterator[str]:
    for name, text, _ in python():
        for number, line in enumerate(text.splitlines(), 1):
            if UNFINISHED.search(line) and Path(name) != Path(__file__).relative_to(REPOSITORY):
                yield f"{name}:{number} {line.strip()[:60]}"


def index_addresses() -> Iterator[str]:
    for name in tracked():
        if name.startswith("requirements/") or Path(name).name in ("pyproject.toml", "package-lock.json"):
            for number, line in enumerate((REPOSITORY / name).read_text().splitlines(), 1):
                if INDEX.search(line) and not name.endswith(".py"):
                    yield f"{name}:{number} {line.strip()[:60]}"


def machine_paths() -> Iterator[str]:
    for name in tracked():
        content = (REPOSITORY / name).read_bytes()
        if b"\0" in content or Path(name) == Path(__file__).relative_to(REPOSITORY):
            continue
        for number, line in enumerate(content.decode(errors="replace").splitlines(), 1):
            if MACHINE.search(line):
                yield f"{name}:{number} {line.strip()[:80]}"


RULES = (
    long_files,
    long_functions,
    names_that_say_nothing,
    catch_alls,
    sleeping_tests,
    clocks_in_pure_modules,
    unfinished,
    index_addresses,
    machine_paths,
)


@pytest.mark.parametrize("places", RULES, ids=lambda rule: rule.__name__)
def test_house_rule(places: Callable[[], Iterator[str]]) -> None:
    found = list(places())
    assert not found, "\n" + "\n".join(found)
