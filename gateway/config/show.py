"""The configuration in force, as TOML, with its secrets masked.

A secret is what stands between `//` and `@` of an address: an RTSP camera's user and password. The
masked text is what `config show`, the difference before `config apply` and every message print.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, Final

import msgspec

MASK: Final = "***"
_CREDENTIALS: Final = re.compile(r"(?<=://)[^/@\s\"']*@")
_SECRET_QUERY: Final = re.compile(r"(?i)((?:password|passwd|pwd|token|secret|key)=)[^&\s\"']+")


def mask_text(text: str) -> str:
    """`text` without the credentials of the addresses in it."""
    return _SECRET_QUERY.sub(rf"\1{MASK}", _CREDENTIALS.sub(f"{MASK}@", text))


def masked(value: Any) -> Any:
    """A document with every text masked."""
    if isinstance(value, str):
        return mask_text(value)
    if isinstance(value, Mapping):
        return {name: masked(inner) for name, inner in value.items()}
    if isinstance(value, list | tuple):
        return [masked(inner) for inner in value]
    return value


def document(config: msgspec.Struct) -> dict[str, Any]:
    """The whole configuration with its defaults, secrets masked, absent parts left out."""
    made: dict[str, Any] = _present(masked(msgspec.to_builtins(config)))
    return made


def _present(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _present(inner) for name, inner in value.items() if inner is not None}
    if isinstance(value, list):
        return [_present(inner) for inner in value]
    return value


def flat(config: msgspec.Struct) -> dict[str, str]:
    """Every key with its value, masked: what two configurations are compared by."""
    return dict(_leaves(document(config), ""))


def _leaves(value: Any, path: str) -> list[tuple[str, str]]:
    if isinstance(value, dict) and value:
        return [leaf for name, inner in value.items() for leaf in _leaves(inner, f"{path}.{name}" if path else name)]
    if isinstance(value, list) and value and isinstance(value[0], dict):
        return [leaf for at, inner in enumerate(value) for leaf in _leaves(inner, f"{path}[{at}]")]
    return [(path, toml_value(value))]


def toml_value(value: Any) -> str:
    """One value as TOML."""
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    if isinstance(value, dict):
        return "{ " + ", ".join(f"{name} = {toml_value(inner)}" for name, inner in value.items()) + " }"
    if isinstance(value, float) and value.is_integer():
        return f"{value:.1f}"
    return str(value)


def toml(config: msgspec.Struct) -> str:
    """The whole configuration as TOML text, secrets masked."""
    lines: list[str] = []
    _table(document(config), "", lines)
    return "\n".join(lines).strip() + "\n"


_INLINE: Final = frozenset({"output", "contact", "exit_button", "fire", "granted", "denied", "wait", "fault", "buzzer"})


def _table(table: Mapping[str, Any], path: str, lines: list[str]) -> None:
    tables: dict[str, Any] = {}
    for name, value in table.items():
        if isinstance(value, dict) and name not in _INLINE:
            tables[name] = value
        else:
            lines.append(f"{name} = {toml_value(value)}")
    for name, inner in tables.items():
        below = f"{path}.{name}" if path else name
        if any(not isinstance(value, dict) or key in _INLINE for key, value in inner.items()):
            lines += ["", f"[{below}]"]
        _table(inner, below, lines)
