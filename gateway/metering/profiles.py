"""Finds and loads profiles: all mistakes of a file at once, each with file, line, key and what is allowed."""

from __future__ import annotations

import os
import re
import sys
import tomllib
from collections.abc import Iterator
from difflib import get_close_matches
from pathlib import Path
from typing import Any

from gateway.config.load import located
from gateway.config.mistakes import ConfigMistakes, Finding, KeyPath, Mistake
from gateway.config.positions import Positions
from gateway.config.typed import read
from gateway.errors import N_, NotFound
from gateway.metering.profile import FLOATS, WIDTHS, Profile, Value, coarse_from, format_ends_at

LARGEST = 64 * 1024  # bytes of a profile


def shipped() -> Path:
    """The folder of the profiles that come with Loumen: of the checkout, or where they were installed."""
    checkout = Path(__file__).parents[2] / "profiles"
    return checkout if checkout.is_dir() else Path(sys.prefix) / "share" / "loumen" / "profiles"


def known(own: str = "") -> dict[str, Path]:
    """Every profile by name; one of the own folder hides a shipped one of the same name."""
    folders = [shipped(), *([Path(own)] if own else [])]
    return {path.stem: path for folder in folders if readable(folder) for path in sorted(folder.glob("*.toml"))}


def readable(folder: Path) -> bool:
    """Whether this is a folder whose files can be seen by us; what is in the way of that raises nothing."""
    return os.path.isdir(folder) and os.access(folder, os.R_OK | os.X_OK)  # noqa: PTH112  (Path raises PermissionError)


def load(name: str, own: str = "") -> Profile:
    """The profile of this name. Raises NotFound, ConfigMistakes."""
    paths = known(own)
    if name not in paths:
        near = get_close_matches(name, paths, n=1)
        if own and not near and not readable(Path(own)):
            raise no_folder(own)
        raise NotFound(
            N_("there is no profile {profile}"),
            mend=N_('did you mean "{near}"?') if near else N_("known: {known}"),
            profile=name,
            near="".join(near),
            known=", ".join(paths) or "-",
        )
    return load_file(paths[name])


def no_folder(own: str) -> NotFound:
    """The folder of one's own profiles cannot be used."""
    return NotFound(
        N_("the folder of profiles {folder} is not there, or may not be read"),
        mend=N_("check the path and its permissions: the daemon's user must be able to read it"),
        folder=own,
    )


def load_file(path: Path) -> Profile:
    """Read and check a file. Raises ConfigMistakes."""
    document, text = _read(path)
    return parse(document, text, path)


def examine(path: Path) -> tuple[Profile | None, list[Mistake]]:
    """A file's profile and all there is to say about it; no profile where something is wrong."""
    try:
        document, text = _read(path)
        profile = parse(document, text, path)
    except ConfigMistakes as error:
        return None, list(error.mistakes)
    return profile, located(advice(profile), Positions(text), path)


def _read(path: Path) -> tuple[dict[str, Any], str]:
    try:
        with path.open("rb") as file:
            data = file.read(LARGEST + 1)
    except OSError as error:
        raise _whole(path, N_("the file cannot be read: {problem}"), problem=error.strerror or str(error)) from error
    if len(data) > LARGEST:
        raise _whole(path, N_("the file is larger than {limit} bytes"), limit=LARGEST)
    try:
        text = data.decode("utf-8").removeprefix("\ufeff").replace("\r\n", "\n")
        document = tomllib.loads(text)
    except UnicodeDecodeError:
        raise _whole(path, N_("this is not UTF-8 text")) from None
    except (ValueError, RecursionError) as error:  # a number of thousands of digits is a bare ValueError
        line = re.search(r"at line (\d+)", str(error))
        raise _whole(
            path, N_("this is not TOML: {problem}"), int(line.group(1)) if line else 1, problem=str(error)
        ) from error
    return document, text


def parse(document: dict[str, Any], text: str, path: Path) -> Profile:
    """Check a document; `text` and `path` are for the messages. Raises ConfigMistakes."""
    profile, findings = read(document, Profile)
    told = {finding.path for finding in findings}
    findings += [found for found in check(profile) if not _told_already(found.path, told)]
    if findings:
        raise ConfigMistakes(path, located(findings, Positions(text), path))
    return profile


def advice(profile: Profile) -> Iterator[Finding]:
    """What is no mistake of the file, and what its reader should know."""
    coarse = coarse_from(profile)
    if coarse is not None:
        yield Finding(
            ("total", len(profile.total) - 1, "type"),
            N_("from {cubic} m3 on this total counts in steps of more than a litre: small leaks are not seen then"),
            N_("read a whole number if the meter has one"),
            {"cubic": f"{coarse / 1000:,.0f}"},
            "warning",
        )
    if profile.running is None and profile.probe is None:
        yield Finding(
            ("probe",),
            N_("nothing in this profile proves the model: a wrong map may look like water"),
            N_("compare the first readings with the display"),
            severity="hint",
        )


def _told_already(path: KeyPath, told: set[KeyPath]) -> bool:
    return any(path[: len(other)] == other or other[: len(path)] == path for other in told)


def _whole(path: Path, what: str, line: int = 0, **facts: object) -> ConfigMistakes:
    return ConfigMistakes(path, [Mistake(path.name, line, "", what, "", facts)])


def check(profile: Profile) -> Iterator[Finding]:
    """What the types cannot say."""
    for key in ("model", "source"):
        if not str(getattr(profile, key)).strip():
            yield Finding((key,), N_("this says nothing"), N_("name the document and its version"))
    yield from _total(profile)
    ends = format_ends_at(profile) if all(part.type in WIDTHS for part in profile.total) else 0
    if 0 < ends < profile.rolls_over_at * 1000:
        yield Finding(
            ("rolls_over_at",),
            N_("the total's registers end at {litres} L already"),
            N_("leave the key out where the document names no earlier end"),
            {"litres": f"{ends / 1000:.0f}"},
        )
    for name, value in profile.value.items():
        yield from _quantity(profile, ("value", name), value)
    if profile.running is not None:
        yield from _quantity(profile, ("running",), profile.running)
    if profile.probe is not None:
        yield from _fits(profile, ("probe",), profile.probe.address, profile.probe.type)
    for place, flag in enumerate(profile.flag):
        if (flag.bit < 0) == (flag.equals < 0):
            yield Finding(
                ("flag", place, "bit"), N_("a flag is either a bit or a value"), N_("give one of bit and equals")
            )


def _total(profile: Profile) -> Iterator[Finding]:
    if not profile.total:
        yield Finding(("total",), N_("a profile without a total reads nothing"), N_("add [[total]]"))
    taken: dict[int, int] = {}
    for place, part in enumerate(profile.total):
        yield from _fits(profile, ("total", place), part.address, part.type)
        for address in range(part.address, part.address + WIDTHS.get(part.type, 1)):
            if taken.setdefault(address, place) != place:
                yield Finding(
                    ("total", place, "address"),
                    N_("register {register} is part {other} of the total already"),
                    N_("look at the addresses and types in the source document"),
                    {"register": address, "other": taken[address] + 1},
                )
                break
        above = profile.total[place - 1].millilitres if place else part.millilitres + 1
        if part.millilitres > above or (part.millilitres == above and part.type not in FLOATS):
            yield Finding(
                ("total", place, "millilitres"),
                N_("a fraction counts less than the part before it"),
                N_("the whole part first: 1000000 for m3, 1000 for L, 1 for mL"),
            )


def _quantity(profile: Profile, path: KeyPath, value: Value) -> Iterator[Finding]:
    yield from _fits(profile, path, value.address, value.type)
    if value.scale == 0:
        yield Finding((*path, "scale"), N_("0 times anything is 0"), N_("say what one count is worth"))


def _fits(profile: Profile, path: KeyPath, address: int, kind: str) -> Iterator[Finding]:
    width = WIDTHS.get(kind, 1)
    if address + width > 65536:
        yield Finding((*path, "address"), N_("this ends beyond the last register"), N_("allowed: 0 to 65535"))
    if width > profile.most_registers > 0:
        yield Finding(
            (*path, "type"),
            N_("{type} takes {width} registers, and the meter gives {most} at once"),
            N_("look at most_registers"),
            {"type": kind, "width": width, "most": profile.most_registers},
        )
