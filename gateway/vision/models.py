"""The model files: what the manifest promises, what is there, and how it is made.

`python -m gateway.vision.models prepare` makes every model of `models/manifest.toml` from installed
packages into <prefix>/share/loumen/models: once, checked by SHA-256 on both ends, each file renamed
into place when it is whole. A file that is there and right is left alone.
"""

from __future__ import annotations

import argparse
import contextlib
import hashlib
import os
import sys
import tomllib
from collections.abc import Callable, Iterator
from importlib import metadata
from pathlib import Path
from typing import Literal

import msgspec

from gateway.errors import LoumenError, ModelError, N_

State = Literal["ok", "missing", "damaged"]

PREPARE = N_("prepare the models: python -m gateway.vision.models prepare")


class Model(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model that is made from a package."""

    name: str
    file: str
    use: str
    package: str
    version: str
    source: str
    source_sha256: str
    conversion: Literal["copy", "resnet", "trees"]
    sha256: str
    licence: str
    origin: str
    input: str
    threshold: str


class Optional(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """A model that no package carries: used where it has been put."""

    name: str
    file: str
    use: str
    sha256: str
    licence: str
    origin: str
    upstream: str
    input: str
    threshold: str


class Manifest(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    model: tuple[Model, ...]
    optional: tuple[Optional, ...] = ()

    def named(self, name: str) -> Model:
        return next(model for model in self.model if model.name == name)

    def optional_named(self, name: str) -> Optional:
        return next(model for model in self.optional if model.name == name)


def folder() -> Path:
    """Where prepared models lie."""
    return Path(sys.prefix) / "share" / "loumen" / "models"


def manifest() -> Manifest:
    """The manifest: of the checkout, or the one that was installed. Raises ModelError."""
    checkout = Path(__file__).parents[2] / "models" / "manifest.toml"
    path = checkout if checkout.is_file() else folder() / "manifest.toml"
    try:
        return msgspec.convert(tomllib.loads(path.read_text("utf-8")), Manifest)
    except (OSError, ValueError) as error:  # msgspec's and tomllib's errors are ValueErrors
        raise ModelError(
            N_("the manifest of the models cannot be read: {error}"),
            where=str(path),
            mend=N_("install Loumen again"),
            error=str(error),
        ) from error


def sha256(path: Path) -> str:
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def state(model: Model | Optional, where: Path) -> State:
    """Whether the file is in the folder, and the one of the manifest."""
    try:
        return "ok" if sha256(where / model.file) == model.sha256 else "damaged"
    except OSError:
        return "missing"


def checked(model: Model | Optional, where: Path) -> Path:
    """The path of a file that is the manifest's. Raises ModelError."""
    found = state(model, where)
    if found == "ok":
        return where / model.file
    what = N_("the model {name} is missing") if found == "missing" else N_("the model {name} is damaged")
    mend = PREPARE if isinstance(model, Model) else N_("get it again from its upstream, or remove the file: {upstream}")
    upstream = "" if isinstance(model, Model) else model.upstream
    raise ModelError(what, where=str(where / model.file), mend=mend, name=model.name, upstream=upstream)


def put(model: Optional, where: Path | None) -> Path | None:
    """The path of an optional model; None where nobody has put it. Raises ModelError if it is another file."""
    if where is None or not (where / model.file).exists():
        return None
    return checked(model, where)


def put_in_place(file: Path, where: Path) -> Optional:
    """Copy an optional model that somebody has got into a folder, if it is the manifest's. Raises ModelError."""
    try:
        data = file.read_bytes()
    except OSError as error:
        raise ModelError(
            N_("the file cannot be read: {error}"), where=str(file), mend=N_("check the path"), error=error.strerror
        ) from error
    found = hashlib.sha256(data).hexdigest()
    for model in manifest().optional:
        if model.sha256 == found:
            write(where / model.file, data)
            return model
    raise ModelError(
        N_("this file is none of the manifest's optional models"),
        where=str(file),
        mend=N_("see `loumen model list --json` for their names and SHA-256"),
    )


def prepare(where: Path | None = None, note: Callable[[str, State], None] = lambda _name, _state: None) -> list[str]:
    """Make what is not there, or not right; returns the names of what was made. Raises ModelError."""
    where = where or folder()
    made = []
    for model in manifest().model:
        before = state(model, where)
        note(model.name, before)
        if before == "ok":
            continue
        data = _convert(model, _source(model))
        if hashlib.sha256(data).hexdigest() != model.sha256:
            raise ModelError(
                N_("the model {name} did not come out as the manifest promises"),
                where=str(where / model.file),
                mend=N_("this is a fault of Loumen or of this machine's memory: report it"),
                name=model.name,
            )
        write(where / model.file, data)
        made.append(model.name)
    return made


def _source(model: Model) -> bytes:
    """The package's file, checked."""
    mend = N_("install the packages of requirements/models.txt without their dependencies")
    try:
        path = Path(str(metadata.distribution(model.package).locate_file(model.source)))
        data = path.read_bytes()
    except (metadata.PackageNotFoundError, OSError) as error:
        raise ModelError(
            N_("the package {package}, which carries the model {name}, is not installed"),
            mend=mend,
            package=model.package,
            name=model.name,
        ) from error
    if hashlib.sha256(data).hexdigest() != model.source_sha256:
        raise ModelError(
            N_("the package {package} carries another file than the manifest names"),
            where=str(path),
            mend=mend,
            package=model.package,
        )
    return data


def _convert(model: Model, data: bytes) -> bytes:
    if model.conversion == "copy":
        return data
    from gateway.vision.convert import resnet, trees

    return resnet.convert(data) if model.conversion == "resnet" else trees.convert(data)


def write(path: Path, data: bytes) -> None:
    """Write a file so that nobody ever sees half of it. Raises ModelError."""
    unfinished = path.with_name(f"{path.name}.{os.getpid()}.unfinished")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with unfinished.open("wb") as file:
            file.write(data)
            file.flush()
            os.fsync(file.fileno())
        unfinished.replace(path)
    except OSError as error:
        raise ModelError(
            N_("a model cannot be written: {error}"),
            where=str(path),
            mend=N_("make room, or run this as the user who owns the folder"),
            error=error.strerror or str(error),
        ) from error
    finally:
        with contextlib.suppress(OSError):
            unfinished.unlink(missing_ok=True)


def states(where: Path | None = None, extra: Path | None = None) -> Iterator[tuple[Model | Optional, State]]:
    """Every model of the manifest with its state; an optional one is looked for in `extra`."""
    content = manifest()
    for model in content.model:
        yield model, state(model, where or folder())
    for optional in content.optional:
        yield optional, state(optional, extra) if extra else "missing"


def main(words: list[str] | None = None) -> int:
    """`prepare` or `verify`, for make and deploy.sh; people use `loumen model`."""
    parser = argparse.ArgumentParser(prog="python -m gateway.vision.models")
    parser.add_argument("verb", choices=("prepare", "verify"))
    parser.add_argument("--folder", type=Path, default=None)
    given = parser.parse_args(words)
    try:
        if given.verb == "prepare":
            prepare(given.folder, lambda name, found: print(f"{name}: {_WORDS[found]}", flush=True))  # noqa: T201
            return 0
        wrong = [m.name for m, found in states(given.folder) if found != "ok" and isinstance(m, Model)]
        sys.stdout.writelines(f"{name}: missing or damaged\n" for name in wrong)
        return 1 if wrong else 0
    except LoumenError as error:
        sys.stderr.write(f"{error}\n")
        return 1


_WORDS = {"ok": "there", "missing": "made from its package", "damaged": "was damaged, made again"}


if __name__ == "__main__":
    sys.exit(main())
