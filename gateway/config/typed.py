"""From a TOML document to the typed configuration, with every mistake and not the first alone.

msgspec stops at its first error, so the document is walked beside the tree of types that msgspec
itself gives (`msgspec.inspect`), each leaf on its own. What is broken takes its default or a
stand-in, so that the checks that follow see as much of the rest as there is.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from typing import Any, Final, TypeVar, cast

import msgspec
from msgspec import inspect

from gateway.config.mistakes import Finding, KeyPath, key_text
from gateway.config.show import mask_text
from gateway.errors import N_

_Struct = TypeVar("_Struct", bound=msgspec.Struct)
BROKEN: Final = object()
NEAR: Final = 0.65  # how alike two words must be for 'did you mean'

TEXT = N_("text in quotes")
SWITCH = N_("true or false")
TABLE = N_("a table")
LIST = N_("a list in brackets")
IDENTIFIER = N_("1 to 32 small letters, digits, '-' and '_'")


def read(document: Mapping[str, Any], kind: type[_Struct]) -> tuple[_Struct, list[Finding]]:
    """The configuration as far as it can be made, and everything that is wrong with the document.

    With findings it must not be used for anything but further checks: it has stand-ins in it.
    """
    reading = _Reading()
    value = reading.value(dict(document), inspect.type_info(kind), ())
    return cast("_Struct", value), reading.findings


class _Reading:
    def __init__(self) -> None:
        self.findings: list[Finding] = []

    def _wrong(self, path: KeyPath, what: str, mend: str = "", **facts: object) -> object:
        self.findings.append(Finding(path, what, mend, facts))
        return BROKEN

    def value(self, given: Any, kind: inspect.Type, path: KeyPath) -> Any:
        match kind:
            case inspect.StructType():
                return self._struct(given, kind, path)
            case inspect.UnionType():
                return self._union(given, kind, path)
            case inspect.DictType():
                return self._dict(given, kind, path)
            case inspect.VarTupleType():
                return self._list(given, kind, path)
            case inspect.LiteralType():
                return self._literal(given, kind, path)
            case inspect.IntType() | inspect.FloatType():
                return self._number(given, kind, path)
            case inspect.StrType():
                return self._text(given, kind, path)
            case inspect.BoolType():
                return given if isinstance(given, bool) else self._kind(given, SWITCH, path)
            case _:
                raise TypeError(f"the configuration has a type that its reader does not know: {kind}")

    # --- tables

    def _struct(self, given: Any, kind: inspect.StructType, path: KeyPath) -> Any:
        if not isinstance(given, dict):
            return self._kind(given, TABLE, path)
        fields = {field.encode_name: field for field in kind.fields}
        allowed = [*fields, *([kind.tag_field] if kind.tag_field else [])]
        for name in given:
            if name not in allowed:
                self._unknown(name, allowed, path)
        made: dict[str, Any] = {}
        for name, field in fields.items():
            if name not in given:
                if field.required:
                    self._wrong(
                        (*path, name),
                        N_("{name} is missing"),
                        N_("add {name}: {expected}"),
                        name=name,
                        expected=described(field.type),
                    )
                    made[field.name] = _stand_in(field.type)
                continue
            value = self.value(given[name], field.type, (*path, name))
            if value is not BROKEN:
                made[field.name] = value
            elif field.required:
                made[field.name] = _stand_in(field.type)
        return kind.cls(**made)

    def _unknown(self, name: str, allowed: Iterable[str], path: KeyPath) -> None:
        near = get_close_matches(name, list(allowed), n=1, cutoff=NEAR)
        self._wrong(
            (*path, name),
            N_("{name} is not known here"),
            N_("did you mean {near}?") if near else N_("known here: {allowed}"),
            name=name,
            near="".join(near),
            allowed=", ".join(sorted(allowed)),
        )

    def _union(self, given: Any, kind: inspect.UnionType, path: KeyPath) -> Any:
        choices = [choice for choice in kind.types if not isinstance(choice, inspect.NoneType)]
        if len(choices) == 1:
            return self.value(given, choices[0], path)
        structs = [choice for choice in choices if isinstance(choice, inspect.StructType)]
        if not isinstance(given, dict):
            return self._kind(given, TABLE, path)
        tag = str(structs[0].tag_field)
        tags = [str(choice.tag) for choice in structs]
        if tag not in given:
            return self._wrong(
                (*path, tag), N_("{name} is missing"), N_("one of {allowed}"), name=tag, allowed=_or(tags)
            )
        for choice in structs:
            if choice.tag == given[tag]:
                return self._struct(given, choice, path)
        return self._choice(given[tag], tags, (*path, tag))

    def _dict(self, given: Any, kind: inspect.DictType, path: KeyPath) -> Any:
        if not isinstance(given, dict):
            return self._kind(given, TABLE, path)
        made = {}
        for name, inner in given.items():
            key = self._text(name, cast("inspect.StrType", _bare(kind.key_type)), (*path, name))
            value = self.value(inner, kind.value_type, (*path, name))
            if key is not BROKEN and value is not BROKEN:
                made[name] = value
        return made

    def _list(self, given: Any, kind: inspect.VarTupleType, path: KeyPath) -> Any:
        if not isinstance(given, list):
            return self._kind(given, LIST, path)
        values = [self.value(inner, kind.item_type, (*path, at)) for at, inner in enumerate(given)]
        return tuple(_stand_in(kind.item_type) if value is BROKEN else value for value in values)

    # --- leaves

    def _kind(self, given: Any, expected: str, path: KeyPath) -> object:
        mend = ""
        if expected == TEXT and isinstance(given, int | float):
            mend = N_("put it in quotes")
        elif expected == SWITCH and isinstance(given, str) and given.lower() in {"true", "false"}:
            mend = N_("write it without quotes")
        elif expected == LIST and isinstance(given, str):
            mend = N_("write it in brackets: [{given}]")
        elif expected == TABLE and not any(isinstance(part, int) for part in path):
            mend = N_("write its keys below a line of its own: [{table}]")
        return self._wrong(
            path, N_("{given} is not {expected}"), mend, given=shown(given), expected=expected, table=key_text(path)
        )

    def _literal(self, given: Any, kind: inspect.LiteralType, path: KeyPath) -> Any:
        return given if given in kind.values and isinstance(given, str) else self._choice(given, kind.values, path)

    def _choice(self, given: Any, allowed: Iterable[Any], path: KeyPath) -> object:
        names = [str(value) for value in allowed]
        near = get_close_matches(given, names, n=1, cutoff=NEAR) if isinstance(given, str) else []
        return self._wrong(
            path,
            N_("{given} is not one of {allowed}"),
            N_('did you mean "{near}"?') if near else "",
            given=shown(given),
            allowed=_or(names),
            near="".join(near),
        )

    def _number(self, given: Any, kind: inspect.IntType | inspect.FloatType, path: KeyPath) -> Any:
        whole = isinstance(kind, inspect.IntType)
        if isinstance(given, bool) or not isinstance(given, int if whole else int | float):
            quoted = isinstance(given, str) and re.fullmatch(r"-?[0-9.]+", given)
            return self._wrong(
                path,
                N_("{given} is not a whole number") if whole else N_("{given} is not a number"),
                N_("write it without quotes") if quoted else N_("allowed: {allowed}") if _range(kind) else "",
                given=shown(given),
                allowed=_range(kind),
            )
        if not _within(given, kind):
            return self._wrong(
                path,
                N_("{given} is out of range"),
                N_("allowed: {allowed}"),
                given=shown(given),
                allowed=_range(kind),
            )
        return given if whole else float(given)

    def _text(self, given: Any, kind: inspect.StrType, path: KeyPath) -> Any:
        if not isinstance(given, str):
            return self._kind(given, TEXT, path)
        if kind.pattern and not re.search(kind.pattern, given):
            return self._wrong(
                path,
                N_("{given} is not a name of ours"),
                N_("allowed: {allowed}"),
                given=shown(given),
                allowed=IDENTIFIER,
            )
        return given


def _stand_in(kind: inspect.Type) -> Any:
    """Something of the right type for a required value that cannot be used; no real value looks like it."""
    match _bare(kind):
        case inspect.StructType(cls=cls, fields=fields):
            return cls(**{field.name: _stand_in(field.type) for field in fields if field.required})
        case inspect.UnionType(types=types):
            return _stand_in(types[0])
        case inspect.IntType() | inspect.FloatType():
            return -1
        case inspect.VarTupleType():
            return ()
        case _:
            return "?"


def shown(value: Any) -> str:
    """A value as it stands in the file, short, its secrets masked."""
    if isinstance(value, dict):
        return N_("a table")
    if isinstance(value, list):
        return N_("a list")
    if isinstance(value, str):
        text = mask_text(value)
        return json.dumps(text if len(text) <= 60 else text[:57] + "...", ensure_ascii=False)
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def described(kind: inspect.Type) -> str:
    """What a value may be, in a word or as a range (for the reference too)."""
    match _bare(kind):
        case inspect.LiteralType(values=values):
            return _or([str(value) for value in values])
        case inspect.IntType() | inspect.FloatType() as number:
            return _range(number) or N_("a number")
        case inspect.StrType(pattern=pattern):
            return IDENTIFIER if pattern else TEXT
        case inspect.BoolType():
            return SWITCH
        case inspect.VarTupleType():
            return LIST
        case _:
            return TABLE


def _bare(kind: inspect.Type) -> inspect.Type:
    return kind.type if isinstance(kind, inspect.Metadata) else kind


def _or(names: Iterable[str]) -> str:
    return ", ".join(f'"{name}"' for name in names)


def _range(kind: inspect.IntType | inspect.FloatType) -> str:
    bounds = ((kind.gt, ">"), (kind.ge, "≥"), (kind.lt, "<"), (kind.le, "≤"))
    return ", ".join(f"{sign} {bound:g}" for bound, sign in bounds if bound is not None)


def _within(value: float, kind: inspect.IntType | inspect.FloatType) -> bool:
    return (
        (kind.gt is None or value > kind.gt)
        and (kind.ge is None or value >= kind.ge)
        and (kind.lt is None or value < kind.lt)
        and (kind.le is None or value <= kind.le)
    )
