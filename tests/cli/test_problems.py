"""Whatever `status` calls a problem carries its mend: no sentence that only complains."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2] / "gateway"


def problems(path: Path) -> Iterator[ast.Call]:
    """Every `Problem(...)` that a source makes."""
    for node in ast.walk(ast.parse(path.read_text("utf-8"))):
        if isinstance(node, ast.Call):
            name = node.func.attr if isinstance(node.func, ast.Attribute) else getattr(node.func, "id", "")
            if name == "Problem":
                yield node


@pytest.mark.parametrize(
    "path", ["report.py", *(f"directory/{path.name}" for path in (ROOT / "directory").glob("*.py"))]
)
def test_every_problem_has_a_mend(path: str) -> None:
    for call in problems(ROOT / path):
        assert "mend" in {keyword.arg for keyword in call.keywords}, f"{path}:{call.lineno}"


def test_they_are_found() -> None:
    assert len(list(problems(ROOT / "report.py"))) >= 6
    assert len(list(problems(ROOT / "directory" / "starting.py"))) >= 8
