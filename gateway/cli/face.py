"""`loumen face`: enrol, list, remove, try. Pictures are read here and looked at by the vision process."""

from __future__ import annotations

import argparse
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any, Final

from gateway.cli.consent import SHIPPED, add_consent_options, consent_fields
from gateway.cli.shell import Shell
from gateway.errors import BadImage, BadRequest, LoumenError, N_
from gateway.locale import _, moment, tell

MOST: Final = 10 * 1024 * 1024  # one picture
TOGETHER: Final = 4 * 1024 * 1024  # pictures of one request, unless one alone is larger
A_REQUEST: Final = 10
PATIENCE: Final = 120.0
LOOK: Final = (1, 60)  # seconds that a camera may look
#: What a folder is looked through for. Kinds that nothing here reads are among them: told, and not passed over.
PICTURES: Final = frozenset(
    {".jpg", ".jpeg", ".png", ".bmp", ".webp", ".tif", ".tiff", ".heic", ".heif", ".avif", ".gif"}
)


def add(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    one = verbs.add_parser("enrol", help=N_("take reference pictures of a person"))
    _add_person(one)
    _add_sources(one, many=True)
    one.add_argument("--despite-likeness", action="store_true", help=N_("although somebody looks alike (twins)"))
    add_consent_options(one)
    one = verbs.add_parser("consent", help=N_("record a consent, without a picture"))
    _add_person(one)
    add_consent_options(one)
    one = verbs.add_parser("list", help=N_("stored faces of one person, or of all"))
    one.add_argument("person", nargs="?", default="", help=N_("id, the beginning of one, or the whole name"))
    one = verbs.add_parser("remove", help=N_("delete stored faces"))
    _add_person(one)
    one.add_argument("face", nargs="*", help=N_("the ids of the faces, as `face list` shows them"))
    one.add_argument("--all", action="store_true", help=N_("all faces of the person"))
    one.add_argument(
        "--withdraw-consent", action="store_true", help=N_("the person takes the consent back: all faces go")
    )
    one = verbs.add_parser("try", help=N_("what would the door say to this face? Stores nothing"))
    one.add_argument("--door", default="", help=N_("the door (default: the only one with a camera)"))
    _add_sources(one, many=False)


def _add_person(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("person", help=N_("id, the beginning of one, or the whole name"))


def _add_sources(parser: argparse.ArgumentParser, *, many: bool) -> None:
    parser.add_argument(
        "file", nargs="*" if many else "?", type=Path, help=N_("picture files") if many else N_("a picture")
    )
    if many:
        parser.add_argument("--folder", type=Path, default=None, metavar="DIR", help=N_("all pictures of a folder"))
    parser.add_argument(
        "--camera",
        nargs="?",
        const=True,
        default=False,
        metavar="DOOR",
        help=N_("the camera of this door (without a name: of the only door with one)"),
    )
    parser.add_argument("--seconds", type=float, default=10.0, help=N_("how long the camera looks"))


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    return {"enrol": _enrol, "consent": _consent, "list": _list, "remove": _remove, "try": _try}[arguments.verb](
        arguments, shell
    )


# --- enrol


def _enrol(arguments: argparse.Namespace, shell: Shell) -> int:
    fields = {"person": arguments.person, "despite_likeness": arguments.despite_likeness}
    files = list(arguments.file)
    if arguments.consent is not None and Path(arguments.consent).is_file():  # 'enrol NAME --consent PICTURE'
        files, arguments.consent = [Path(arguments.consent), *files], SHIPPED
    once = consent_fields(arguments)
    if arguments.folder is not None:
        files += _pictures_in(arguments.folder)
    if bool(files) == (arguments.camera is not False):
        raise BadRequest(N_("give picture files, a --folder, or a --camera"), mend=N_("see 'loumen face enrol --help'"))
    if arguments.camera is not False:
        done = shell.client().command(
            "face.enrol",
            {**fields, **once, "camera": arguments.camera, "seconds": _seconds(arguments)},
            time_out=PATIENCE,
        )
    else:
        done = _enrol_files(files, fields, once, shell)
    shell.out(done, lambda: _tell_enrolled(done, shell))
    return shell.done(bool(done["faces"]))


def _seconds(arguments: argparse.Namespace) -> float:
    given = float(arguments.seconds)
    if not LOOK[0] <= given <= LOOK[1]:
        raise BadRequest(
            N_("a camera looks for {least} to {most} seconds, not for {given}"),
            mend=N_("give --seconds 10, or leave it out"),
            least=LOOK[0],
            most=LOOK[1],
            given=given,
        )
    return given


def _enrol_files(files: Sequence[Path], fields: dict[str, Any], once: dict[str, Any], shell: Shell) -> dict[str, Any]:
    """Some pictures a request; what is refused of one does not stop the others. Raises when none was taken."""
    whole: dict[str, Any] = {"person": "", "faces": [], "quality": [], "engine": "", "refused": []}
    first: LoumenError | None = None
    with shell.progress(N_("looking at the pictures"), len(files)) as advance:
        for pictures, unread in _together(files):
            whole["refused"] += [_refused(path.name, error) for path, error in unread]
            first = first or next((error for _, error in unread), None)
            if pictures:
                try:
                    done = shell.client().command(
                        "face.enrol", {**fields, **once, "pictures": pictures}, time_out=PATIENCE
                    )
                except BadImage as error:
                    first = first or error
                    refused = error.facts.get("refused")
                    whole["refused"] += refused if isinstance(refused, list) else [_refused(error.where, error)]
                else:
                    whole["person"], whole["engine"] = done["person"], done["engine"]
                    for name in ("faces", "quality", "refused"):
                        whole[name] += done[name]
                once = {}  # the consent stands since the first request
            advance(len(pictures) + len(unread))
    if first is not None and len(files) == 1:
        raise first
    return whole


def _refused(name: str, error: LoumenError) -> dict[str, Any]:
    return {"name": name, "why": error.what, "mend": error.mend, "facts": error.facts}


def _tell_enrolled(done: dict[str, Any], shell: Shell) -> None:
    if done["faces"]:
        facts = {"count": len(done["faces"]), "person": done["person"][:8]}
        shell.say(tell(N_("{count} faces are stored for {person}"), facts))
    else:
        shell.say(_(N_("no picture was taken")))
    for face, quality in zip(done["faces"], done["quality"], strict=False):
        shell.say(f"  {face}  {_(N_('quality'))} {quality:.2f}")
    _tell_refused(done["refused"], shell)


def _tell_refused(refused: Sequence[dict[str, Any]], shell: Shell) -> None:
    for picture in refused:
        why = tell(picture["why"], picture["facts"])
        shell.say(tell(N_("  not taken: {name}: {why}"), {"name": picture["name"], "why": why}))
        if picture["mend"]:
            shell.say(f"    {_(N_('mend:'))} {tell(picture['mend'], picture['facts'])}")


def _pictures_in(folder: Path) -> list[Path]:
    try:
        found = sorted(path for path in folder.iterdir() if path.suffix.lower() in PICTURES)
    except OSError as error:
        raise BadRequest(
            N_("{file} cannot be read: {error}"),
            file=str(folder),
            mend=N_("check the path and its permissions"),
            error=error.strerror or str(error),
        ) from error
    if not found:
        raise BadRequest(
            N_("there is no picture in {folder}"),
            mend=N_("pictures end in .jpg, .png, .webp or .bmp"),
            folder=str(folder),
        )
    return found


def _together(
    files: Sequence[Path],
) -> Iterator[tuple[list[dict[str, Any]], list[tuple[Path, LoumenError]]]]:
    """The pictures of each request, and what could not be read meanwhile."""
    waiting: list[dict[str, Any]] = []
    unread: list[tuple[Path, LoumenError]] = []
    size = 0
    for path in files:
        try:
            data = _read(path)
        except LoumenError as error:
            unread.append((path, error))
            continue
        if waiting and (size + len(data) > TOGETHER or len(waiting) >= A_REQUEST):
            yield waiting, unread
            waiting, unread, size = [], [], 0
        waiting.append({"name": path.name, "data": data})
        size += len(data)
    yield waiting, unread


def _read(path: Path) -> bytes:
    try:
        if path.stat().st_size > MOST:
            raise BadImage(
                N_("{file} has more than {most} MB"), file=str(path), most=MOST >> 20, mend=N_("use a smaller picture")
            )
        data = path.read_bytes()
    except OSError as error:
        raise BadRequest(
            N_("{file} cannot be read: {error}"),
            file=str(path),
            mend=N_("check the path and its permissions"),
            error=error.strerror or str(error),
        ) from error
    if not data:
        raise BadImage(N_("the picture is empty"), where=str(path), mend=N_("take or copy it again"))
    return data


# --- the others


def _consent(arguments: argparse.Namespace, shell: Shell) -> int:
    if arguments.consent is None:
        arguments.consent = SHIPPED
    done = shell.client().command("face.consent", {"person": arguments.person, **consent_fields(arguments)})
    facts = {"wording": done["wording"], "date": moment(done["given_at"])}
    shell.out(done, lambda: tell(N_("the consent to '{wording}' of {date} is recorded"), facts))
    return shell.done()


def _list(arguments: argparse.Namespace, shell: Shell) -> int:
    document = shell.client().command("face.list", {"person": arguments.person})
    columns = [N_("face"), N_("person"), N_("quality"), N_("taken"), N_("engine"), N_("origin")]
    rows = (
        (
            face["id"],
            face["person"][:8],
            f"{face['quality']:.2f}",
            moment(face["added_at"], "%Y-%m-%d"),
            face["engine"],
            face["origin"],
        )
        for face in document["faces"]
    )
    shell.out(document, lambda: shell.table(columns, rows))
    return shell.done()


def _remove(arguments: argparse.Namespace, shell: Shell) -> int:
    if not (arguments.face or arguments.all or arguments.withdraw_consent):
        raise BadRequest(N_("which faces?"), mend=N_("name them, or give --all or --withdraw-consent"))
    if not arguments.face:
        shell.confirm(N_("Delete all faces of {person}?"), person=arguments.person)
    fields = {
        "person": arguments.person,
        "faces": arguments.face,
        "withdraw_consent": arguments.withdraw_consent,
    }
    done = shell.client().command("face.remove", fields, time_out=60.0)
    shell.out(done, lambda: tell(N_("{count} faces are deleted"), {"count": len(done["removed"])}))
    return shell.done()


def _try(arguments: argparse.Namespace, shell: Shell) -> int:
    if (arguments.file is None) == (arguments.camera is False):
        raise BadRequest(N_("give a picture or a --camera"), mend=N_("see 'loumen face try --help'"))
    fields: dict[str, Any] = {"door": arguments.door, "camera": arguments.camera, "seconds": _seconds(arguments)}
    if arguments.file is not None:
        fields["pictures"] = [{"name": arguments.file.name, "data": _read(arguments.file)}]
    done = shell.client().command("face.try", fields, time_out=PATIENCE)

    def human() -> None:
        shell.say(f"{done['door']}: {_(done['reason'])}")
        for near in done["best"]:
            shell.say(f"  {near['distance']:.3f}  {near['name']}  {near['person'][:8]}")
        if done["threshold"] is not None:
            shell.say(f"  {done['threshold']:.3f}  {_(N_('threshold: only what is nearer opens'))}")
        _tell_refused(done["refused"], shell)

    shell.out(done, human)
    return shell.done(done["would_open"])
