"""`loumen evaluate`: measure recognition on labelled pictures. No config, no daemon."""

from __future__ import annotations

import argparse
import os
from pathlib import Path
from typing import TYPE_CHECKING

from gateway.errors import BadRequest, N_
from gateway.locale import _

if TYPE_CHECKING:
    from gateway.cli.shell import Shell


def add(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="WHAT")
    faces = verbs.add_parser("faces", help=N_("error rates, the door's figure and the speed of a face engine"))
    source = faces.add_mutually_exclusive_group(required=True)
    source.add_argument("--pairs", type=Path, metavar="FILE.csv", help=N_("columns file_x,file_y,Decision (Yes, No)"))
    source.add_argument("--folder", type=Path, metavar="DIR", help=N_("pictures named person_number.ext; all pairs"))
    faces.add_argument("--images", type=Path, metavar="DIR", help=N_("where the pictures of --pairs lie"))
    faces.add_argument(
        "--engine", choices=("onnx", "face-recognition"), default="onnx", help=N_("the engine to measure")
    )
    faces.add_argument(
        "--detector",
        choices=("yunet", "blazeface"),
        default="",
        help=N_("insist on one of the onnx engine's detectors"),
    )
    faces.add_argument(
        "--models",
        type=Path,
        metavar="DIR",
        help=N_("where models lie that no package carries (else LOUMEN_MODELS, else ../shared/models)"),
    )
    faces.add_argument("--gallery", type=_positive, metavar="N", help=N_("also tell the rates of a door of N people"))
    faces.add_argument(
        "--fpir", type=_rate, default=0.001, metavar="RATE", help=N_("stated false-positive rate at a door (0.001)")
    )
    faces.add_argument("--scores", type=Path, metavar="FILE", help=N_("write one row a pair"))
    _add_water(verbs.add_parser("water", help=N_("what the leak detectors find in recorded registers, and when")))
    _add_plates(verbs.add_parser("plates", help=N_("what the plate chain reads, how surely and how fast")))


def _add_water(water: argparse.ArgumentParser) -> None:
    water.add_argument(
        "--readings", type=Path, required=True, metavar="FILE.csv.gz", help=N_("columns meter,minute,litres")
    )
    water.add_argument(
        "--labels",
        type=Path,
        required=True,
        metavar="FILE.csv",
        help=N_("columns meter,kind,litres_per_hour,start_minute,end_minute"),
    )
    water.add_argument("--scores", type=Path, metavar="FILE", help=N_("write one row an alarm"))


def _add_plates(plates: argparse.ArgumentParser) -> None:
    plates.add_argument("--labels", type=Path, required=True, metavar="FILE.csv", help=N_("columns filename,plate"))
    plates.add_argument("--images", type=Path, required=True, metavar="DIR", help=N_("where the pictures lie"))
    plates.add_argument("--scores", type=Path, metavar="FILE", help=N_("write one row a picture"))


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    _writable(arguments.scores)
    if arguments.verb == "plates":
        return _plates(arguments, shell)
    if arguments.verb == "water":
        return _water(arguments, shell)
    if arguments.pairs is not None and arguments.images is None:
        raise BadRequest(N_("--pairs needs --images"), mend=N_("name the folder in which the pictures lie"))
    if arguments.engine != "onnx" and arguments.detector:
        raise BadRequest(
            N_("--detector belongs to the engine onnx"), mend=N_("leave it out, or measure the engine onnx")
        )
    return _faces(arguments, shell)


def _writable(scores: Path | None) -> None:
    """Told before an hour of work, not after it."""
    if scores is None:
        return
    try:
        scores.open("a").close()
    except OSError as error:
        raise BadRequest(
            N_("the scores cannot be written: {error}"),
            where=str(scores),
            mend=N_("name a file in a folder that can be written"),
            error=error.strerror or str(error),
        ) from error


def _faces(arguments: argparse.Namespace, shell: Shell) -> int:
    from gateway.vision import threads

    threads.one()
    from gateway.evaluate import faces, sources
    from gateway.vision import engines

    if arguments.folder is not None:
        source = sources.of_folder(arguments.folder)
    else:
        source = sources.of_pairs(arguments.pairs, arguments.images)
    engine = engines.load(arguments.engine, extra_models=extra_models(arguments.models), detector=arguments.detector)
    with shell.progress(N_("pictures"), len(source.pictures)) as advance:
        measured = faces.measure(engine, source, advance)
    made = faces.report(engine, source, measured, arguments.fpir, arguments.gallery)
    if arguments.scores is not None:
        faces.write_scores(arguments.scores, source, made)
    shell.out(made.document, lambda: _tell(made.document, shell))
    return shell.done()


def _plates(arguments: argparse.Namespace, shell: Shell) -> int:
    from gateway.vision import threads

    threads.one()
    from gateway.evaluate import plates
    from gateway.evaluate.words import plate_rows
    from gateway.vision.plates import load

    labelled = plates.of_labels(arguments.labels, arguments.images)
    reader = load()
    with shell.progress(N_("pictures"), len(labelled)) as advance:
        results = plates.measure(reader, labelled, advance, lambda error: shell.note(shell.words(error)))
    document = plates.report(reader, results)
    if arguments.scores is not None:
        plates.write_scores(arguments.scores, results)
    heads = (N_("what"), N_("figure"), N_("95 % interval"))
    shell.out(document, lambda: shell.table(heads, plate_rows(document, shell.translate)))
    return shell.done()


def _water(arguments: argparse.Namespace, shell: Shell) -> int:
    from gateway.evaluate import water

    recorded = water.read(arguments.readings, arguments.labels)
    with shell.progress(N_("meters"), len(recorded.readings)) as advance:
        judged = water.judge(recorded, advance)
    document = water.report(recorded, judged)
    if arguments.scores is not None:
        water.write_scores(arguments.scores, judged)

    def human() -> None:
        columns = [N_("leak"), N_("litres an hour"), N_("detected"), N_("median, h"), N_("95 %, h")]
        shell.table(columns, water.rows(document))
        shell.say(shell._(N_("* below the start-up flow of a DN15 meter: about the detector, not about a pipe")))
        shell.say(shell._(N_("{false} false alarms in {years} dwelling-years"), **water.rate(document)))

    shell.out(document, human)
    return shell.done()


def extra_models(given: Path | None) -> Path | None:
    """Where YuNet may lie: as given, LOUMEN_MODELS, ../shared/models beside the checkout. Raises BadRequest."""
    if given is None and (named := os.environ.get("LOUMEN_MODELS")):
        given = Path(named)
    if given is not None:
        if not given.is_dir():
            raise BadRequest(
                N_("there is no such folder"), where=str(given), mend=N_("name the folder in which the models lie")
            )
        return given
    beside = Path(__file__).parents[2].parent / "shared" / "models"
    return beside if beside.is_dir() else None


def _tell(document: dict[str, object], shell: Shell) -> None:
    from gateway.evaluate.words import rows

    shell.table((N_("what"), N_("figure"), N_("95 % interval")), rows(document, shell.translate))


def _positive(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text) <= 1_000_000):
        raise argparse.ArgumentTypeError(_(N_("a whole number from 1 to 1000000")))
    return int(text)


def _rate(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0 < number < 0.1:
        raise argparse.ArgumentTypeError(_(N_("a rate above 0 and below 0.1")))
    return number
