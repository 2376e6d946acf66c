"""Which configuration the daemon runs: the file, else the last good copy of it, else almost none.

An invalid file never keeps the daemon from starting. The copy is saved after `healthy_seconds` under
it, so a file that is valid and still makes the daemon fail is not the copy. Without a copy a minimal
configuration runs: no doors, but the control socket, so that a technician can see what is wrong.
"""

from __future__ import annotations

import hashlib
import logging
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from gateway.config import files, schema
from gateway.config.apply import Applied, Verdict, verdict_now
from gateway.config.load import Loaded, load, parse
from gateway.config.mistakes import ConfigMistakes, Mistake
from gateway.config.places import places
from gateway.errors import LoumenError, N_

log = logging.getLogger("loumen.config")

FOLDER: Final = "config"
COPY: Final = "last-good.toml"

Source = Literal["file", "last good", "before apply", "minimal"]


@dataclass(frozen=True, slots=True)
class Chosen:
    """What runs, where it came from, and what a person must be told about it."""

    config: schema.Gateway
    source: Source
    problems: tuple[LoumenError, ...] = ()
    warnings: tuple[Mistake, ...] = ()
    text: str = ""  # the source text, for `save`


def choose(path: Path) -> Chosen:
    """The configuration to run. Never raises for what is wrong with files."""
    state = places(path).state
    applied = Applied(state / FOLDER, path)
    problems: list[LoumenError] = []
    if verdict_now(applied) is Verdict.EXPIRED:
        before = _before(applied, path, problems)
        if before is not None:
            return Chosen(before.config, "before apply", tuple(problems), before.warnings, before.source_text)
    try:
        loaded = load(path)
    except ConfigMistakes as error:
        problems.append(error)
    else:
        return Chosen(loaded.config, "file", tuple(problems), loaded.warnings, loaded.source_text)
    log.error("%s", problems[-1])
    good = _last_good(state, path, problems)
    if good is not None:
        return Chosen(good.config, "last good", tuple(problems), good.warnings, good.source_text)
    return Chosen(_minimal(path), "minimal", tuple(problems))


def save(chosen: Chosen) -> None:
    """Keep the running file as the last good one; call it after `healthy_seconds`. Raises OSError."""
    if chosen.source != "file":
        return
    folder = Path(chosen.config.box.state) / FOLDER
    folder.mkdir(mode=0o750, parents=True, exist_ok=True)
    copy = folder / COPY
    data = _sealed(chosen.text)
    if not copy.exists() or copy.read_bytes() != data:
        files.replace(copy, data)


def _before(applied: Applied, path: Path, problems: list[LoumenError]) -> Loaded | None:
    """The file that an unconfirmed `config apply` replaced; put back where the daemon may write."""
    try:
        before = parse(applied.before_text(), path)
    except (OSError, ValueError, ConfigMistakes) as error:
        log.error("the configuration before the last apply cannot be used: %s", error)
        return None
    try:
        applied.put_back()
    except OSError as error:
        log.error("%s could not be put back: %s", path, error)
        problems.append(
            LoumenError(
                N_(
                    "the new configuration was not confirmed in time; the one before it runs, and the file is still new"
                ),
                where=str(path),
                mend=N_("apply it again and confirm it, or put the old file back: {before}"),
                before=str(applied.before),
            )
        )
    else:
        problems.append(
            LoumenError(
                N_("the new configuration was not confirmed in time and was taken back"),
                where=str(path),
                mend=N_("the refused one is kept in {refused}"),
                refused=str(applied.refused),
            )
        )
    return before


def _last_good(state: Path, path: Path, problems: list[LoumenError]) -> Loaded | None:
    copy = state / FOLDER / COPY
    try:
        text = _unsealed(copy.read_bytes())
        loaded = parse(text, copy)
    except FileNotFoundError:
        problem, reason = N_("there is no last good configuration; no door is served"), ""
    except (OSError, ValueError, ConfigMistakes) as error:
        problem = N_("the last good configuration cannot be used ({reason}); no door is served")
        reason = str(error).splitlines()[0]
    else:
        problems.append(
            LoumenError(
                N_("the configuration file is invalid; the last good one runs"),
                where=str(path),
                mend=N_("loumen config check; then restart the daemon"),
            )
        )
        return loaded
    problems.append(
        LoumenError(problem, where=str(path), mend=N_("loumen config check; then restart the daemon"), reason=reason)
    )
    return None


def _minimal(path: Path) -> schema.Gateway:
    found = places(path)
    socket = str(found.socket)
    return schema.Gateway(
        site=schema.Site(name="?", community="unknown"),
        box=schema.Box(name="unconfigured", state=str(found.state), run=str(found.run)),
        vision=schema.Vision(run="off"),
        control=schema.Control(socket=socket),
    )


def _sealed(text: str) -> bytes:
    """The text under a comment with its hash: a copy that a power cut or a hand changed is seen."""
    body = text.encode()
    return b"# sha256 " + hashlib.sha256(body).hexdigest().encode() + b"\n" + body


def _unsealed(data: bytes) -> str:
    head, _, body = data.partition(b"\n")
    if head != b"# sha256 " + hashlib.sha256(body).hexdigest().encode():
        raise ValueError("its hash does not fit")
    return body.decode()
