"""What is wrong with a file of settings: where, what, and what is allowed, all of it at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Literal

from gateway import locale
from gateway.errors import ConfigError, N_

KeyPath = tuple[str | int, ...]
Severity = Literal["error", "warning", "hint"]


def key_text(path: KeyPath) -> str:
    """A key as a person writes it: door.east.lock, uplink.brokers[0].port."""
    text = ""
    for part in path:
        if isinstance(part, int):
            text += f"[{part}]"
        else:
            plain = part if part and all(c.isascii() and (c.isalnum() or c in "_-") for c in part) else f'"{part}"'
            text += f".{plain}" if text else plain
    return text


@dataclass(frozen=True, slots=True)
class Finding:
    """Something about one key; `what` and `mend` are message ids with places for `facts`."""

    path: KeyPath
    what: str
    mend: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    severity: Severity = "error"


@dataclass(frozen=True, slots=True)
class Mistake:
    """A finding with its place in the file. Line 0: the file as a whole."""

    file: str
    line: int
    key: str
    what: str
    mend: str = ""
    facts: Mapping[str, object] = field(default_factory=dict)
    severity: Severity = "error"

    def render(self, translate: Callable[[str], str] = lambda message: message) -> str:
        """`gateway.toml:12: door.east.lock: what`, and below it the mend."""
        place = f"{self.file}:{self.line}" if self.line else self.file
        head = f"{place}: {self.key}: " if self.key else f"{place}: "
        if self.severity != "error":
            head += f"{translate(SEVERITIES[self.severity])}: "
        text = head + locale.tell(self.what, self.facts, translate)
        if self.mend:
            text += f"\n  {translate(N_('mend:'))} {locale.tell(self.mend, self.facts, translate)}"
        return text

    def document(self) -> dict[str, object]:
        """The JSON form."""
        return {
            "file": self.file,
            "line": self.line,
            "key": self.key,
            "severity": self.severity,
            "what": self.what,
            "mend": self.mend,
            "facts": dict(self.facts),
            "text": self.render(locale._),
        }


SEVERITIES: Mapping[Severity, str] = {"error": N_("error"), "warning": N_("warning"), "hint": N_("hint")}


class ConfigMistakes(ConfigError):  # noqa: N818  (named for what it says)
    """The file cannot be used; `mistakes` says why, in the order of the file."""

    def __init__(self, path: Path, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = tuple(mistakes)
        what = N_("one mistake in {file}") if len(self.mistakes) == 1 else N_("{count} mistakes in {file}")
        super().__init__(
            what,
            file=path.name,
            count=len(self.mistakes),
            mistakes=[mistake.document() for mistake in self.mistakes],
        )

    def render(self, translate: Callable[[str], str] = lambda message: message) -> str:
        """Every mistake, each with its mend."""
        told = (mistake.render(translate) for mistake in self.mistakes)
        return "\n".join([locale.tell(self.what, self.facts, translate), *told])
