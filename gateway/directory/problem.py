"""What is wrong with the directory, in words that `status` shows: loud, and with what to do."""

from __future__ import annotations

from typing import Literal

import msgspec

State = Literal["starting", "ok", "degraded", "down"]


class Problem(msgspec.Struct, frozen=True):
    """What is wrong and what to do, as message ids of the catalogue, and their facts. `grave`: nobody is recognised."""

    text: str
    facts: dict[str, str | int] = {}
    grave: bool = False
    mend: str = ""

    def render(self) -> str:
        """English, for logs and tests."""
        return self.text.format_map(self.facts)


class DirectoryHealth(msgspec.Struct, frozen=True, kw_only=True):
    """What `loumen status` says of the directory."""

    state: State
    problems: tuple[Problem, ...]
    people: int
    unreadable: int  # people whose keys are lost
    generation: int
    last_copy: str  # UTC with offset; empty where there is none

    @property
    def problem(self) -> str:
        """The first problem's message id, or empty."""
        return self.problems[0].text if self.problems else ""
