"""`loumen model`: which model files there are, whether they are the manifest's, and how to get what is missing."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.errors import BadRequest, N_
from gateway.locale import tell
from gateway.vision import models

if TYPE_CHECKING:
    from gateway.cli.shell import Shell


#: What the models of the manifest are for, so that it is in our catalogue.
USES = (
    N_("a face's 150 x 150 chip to 128 numbers"),
    N_("a detector's points to the five by which the chip is cut"),
    N_("finds faces (the shipped detector's first look)"),
    N_("a face's points (the shipped detector's second look)"),
    N_("finds number plates and their four corners"),
    N_("reads a plate that was set upright"),
    N_("finds faces and five points: used instead of blazeface where it has been put"),
)
STATES = {"ok": N_("there"), "missing": N_("missing"), "damaged": N_("damaged")}


def add(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")
    for name, text in (
        ("list", N_("every model of the manifest: use, licence, state")),
        ("verify", N_("whether every needed model is the manifest's; exit code 1 where not")),
    ):
        verb = verbs.add_parser(name, help=text)
        verb.add_argument("--models", type=Path, metavar="DIR", help=N_("where optional models have been put"))
    for name in ("fetch", "prepare"):
        verb = verbs.add_parser(
            name, help=N_("make what is missing from the installed packages, or put a file in place")
        )
        verb.add_argument("--from", dest="file", type=Path, metavar="FILE", help=N_("an optional model you have got"))
        verb.add_argument("--models", type=Path, metavar="DIR", help=N_("the folder to put it into"))


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    if arguments.verb in {"list", "verify"}:
        return _list(arguments.models, shell, verify=arguments.verb == "verify")
    if arguments.file is not None:
        return _put(arguments.file, arguments.models, shell)
    made = models.prepare()
    shell.out({"made": made, "folder": str(models.folder())}, lambda: _tell_made(made, shell))
    return shell.done()


def _list(extra: Path | None, shell: Shell, *, verify: bool) -> int:
    vision = _configured(shell)
    found = list(models.states(extra=extra or _folder(vision)))
    engine, detector = _runs(vision, {model.name: state for model, state in found})
    well = all(state == "ok" for model, state in found if isinstance(model, models.Model))
    well = well and all(state != "damaged" for _, state in found)
    document = {
        "ok": well,
        "folder": str(models.folder()),
        "engine": engine,
        "detector": detector,
        "models": [
            {
                "name": model.name,
                "file": model.file,
                "state": state,
                "needed": isinstance(model, models.Model),
                "use": model.use,
                "licence": model.licence,
                "origin": model.origin,
                "source": f"{model.package} {model.version}" if isinstance(model, models.Model) else model.upstream,
                "sha256": model.sha256,
            }
            for model, state in found
        ],
    }
    rows = [
        (model.name, _state(model, state, shell), model.licence, shell.translate(model.use), _source(model))
        for model, state in found
    ]
    columns = (N_("model"), N_("state"), N_("licence"), N_("use"), N_("source"))

    def human() -> None:
        shell.table(columns, rows)
        words = N_("faces, as configured: engine {engine}, detector {detector}; what runs is in 'loumen status'")
        shell.say(tell(words, {"engine": engine, "detector": detector}))

    shell.out(document, human)
    return shell.done(well or not verify)


def _configured(shell: Shell) -> dict[str, object]:
    """The table `vision` of the box's configuration, where there is one that can be read."""
    import tomllib

    try:
        vision = tomllib.loads(shell.config.read_text("utf-8")).get("vision", {})
    except (OSError, ValueError):
        return {}
    return vision if isinstance(vision, dict) else {}


def _folder(vision: dict[str, object]) -> Path | None:
    named = vision.get("models", "")
    return Path(named) if isinstance(named, str) and named else None


def _runs(vision: dict[str, object], states: dict[str, models.State]) -> tuple[str, str]:
    """Engine and detector that a worker with this configuration loads."""
    engine = str(vision.get("engine", "onnx"))
    if engine == "face-recognition":
        return engine, "hog"
    return engine, "yunet" if states.get("yunet") == "ok" else "blazeface"


def _state(model: models.Model | models.Optional, state: models.State, shell: Shell) -> str:
    if state == "missing" and isinstance(model, models.Optional):
        return shell.translate(N_("not put anywhere (optional)"))
    return shell.translate(STATES[state])


def _source(model: models.Model | models.Optional) -> str:
    return f"{model.package} {model.version}" if isinstance(model, models.Model) else model.upstream


def _put(file: Path, folder: Path | None, shell: Shell) -> int:
    folder = folder or _folder(_configured(shell))
    if folder is None:
        raise BadRequest(
            N_("no folder for optional models is known"),
            mend=N_("name it: --models DIR, and vision.models in the file"),
        )
    made = models.put_in_place(file, folder)
    shell.out({"made": [made.name], "folder": str(folder)}, lambda: _tell_made([made.name], shell))
    return shell.done()


def _tell_made(made: list[str], shell: Shell) -> None:
    shell.say(", ".join(made) if made else shell.translate(N_("every model is there")))
