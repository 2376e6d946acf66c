"""`loumen meter profile`: register maps, without a daemon."""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.shell import Shell
from gateway.errors import N_
from gateway.locale import _, spoken, tell

if TYPE_CHECKING:
    from gateway.metering.profile import Profile

QUANTITIES = {
    "flow": N_("flow"),
    "velocity": N_("velocity"),
    "negative": N_("backwards"),
    "negative_fraction": N_("backwards, fraction"),
    "reverse": N_("backwards"),
    "net": N_("net"),
    "pressure": N_("pressure"),
    "battery": N_("battery"),
    "signal_quality": N_("signal quality"),
    "error_word": N_("error word"),
    "status": N_("status word"),
    "valve_and_status": N_("valve and status"),
    "forward_coarse": N_("total, coarse"),
}
COUNTS = {1_000_000.0: "m3", 100_000.0: "0.1 m3", 10_000.0: "0.01 m3", 1000.0: "L", 100.0: "0.1 L", 1.0: "mL"}


def quantity(name: str) -> str:
    """A value's name for people; one of a technician's own profile stays as she wrote it."""
    return _(QUANTITIES[name]) if name in QUANTITIES else name


def note(document: dict[str, Any], language: str) -> str:
    """What the profile tells people, in their language where it can."""
    return str(document["note_zh"] if language == "zh" and document.get("note_zh") else document["note"])


def add(parser: argparse.ArgumentParser) -> None:
    deeds = parser.add_subparsers(dest="deed", metavar="VERB", required=True)
    listing = deeds.add_parser("list", help=N_("all profiles"))
    listing.add_argument("--folder", default="", metavar="DIR", help=N_("a folder with profiles of one's own"))
    show = deeds.add_parser("show", help=N_("one profile: registers and requests"))
    show.add_argument("profile", help=N_("a name of the list, or a file"))
    show.add_argument("--folder", default="", metavar="DIR", help=N_("a folder with profiles of one's own"))
    check = deeds.add_parser("check", help=N_("every mistake of a profile: file, line, key"))
    check.add_argument("file", type=Path, nargs="+", help=N_("profile files"))


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    return {"list": _list, "show": _show, "check": _check}[arguments.deed](arguments, shell)


def _list(arguments: argparse.Namespace, shell: Shell) -> int:
    from gateway.metering import profiles

    if arguments.folder and not profiles.readable(Path(arguments.folder)):
        raise profiles.no_folder(arguments.folder)
    found = []
    for name, path in profiles.known(arguments.folder).items():
        profile, said = profiles.examine(path)
        mistakes = [] if profile is not None else said
        found.append(
            {
                "profile": name,
                "model": "" if profile is None else profile.model,
                "source": "" if profile is None else profile.source,
                "problem": "\n".join(mistake.render(_) for mistake in mistakes),
            }
        )

    def human() -> None:
        shell.table(
            [N_("profile"), N_("model"), N_("source")],
            [(one["profile"], one["model"] or one["problem"], one["source"]) for one in found],
        )

    shell.out({"profiles": found}, human)
    return shell.done()


def _show(arguments: argparse.Namespace, shell: Shell) -> int:
    import msgspec

    from gateway.metering import profile as p
    from gateway.metering import profiles

    given = Path(arguments.profile)
    is_file = given.suffix == ".toml"
    profile = profiles.load_file(given) if is_file else profiles.load(arguments.profile, arguments.folder)
    document: dict[str, Any] = msgspec.to_builtins(profile)
    document["requests"] = [
        {"function": int(span.function), "address": span.address, "count": span.count} for span in p.spans(profile)
    ]
    document["rolls_over_at"] = p.rolls_over_at(profile) / 1000
    document["coarse_from"] = p.coarse_from(profile)
    document["advice"] = [finding.what for finding in profiles.advice(profile)]

    def human() -> None:
        shell.say(f"{profile.model}\n  {profile.source}")
        if said := note(document, spoken()):
            shell.say(f"  {said}")
        shell.table([N_("what"), N_("register"), N_("type"), N_("counts in")], _rows(profile))
        for span in document["requests"]:
            shell.say(tell(N_("a poll asks function {function}, from {address} on, {count} registers"), span))
        if document["rolls_over_at"]:
            cubic = {"cubic": f"{document['rolls_over_at'] / 1000:,.0f}"}
            shell.say(tell(N_("the total begins again at {cubic} m3"), cubic))
        for finding in profiles.advice(profile):
            shell.say(tell(finding.what, finding.facts))

    shell.out(document, human)
    return shell.done()


def _rows(profile: Profile) -> list[tuple[object, ...]]:
    rows: list[tuple[object, ...]] = [
        (_(N_("total")), part.address, part.type, COUNTS.get(part.millilitres, f"{part.millilitres:g} mL"))
        for part in profile.total
    ]
    if profile.running is not None:
        rows.append((_(N_("run time")), profile.running.address, profile.running.type, profile.running.unit))
    if profile.probe is not None:
        rows.append((_(N_("probe")), profile.probe.address, profile.probe.type, f"= {profile.probe.equals:g}"))
    rows += [(flag.name, flag.address, "", "") for flag in profile.flag]
    rows += [
        (quantity(name), value.address, value.type, value.unit if value.scale == 1 else f"{value.scale:g} {value.unit}")
        for name, value in profile.value.items()
    ]
    return rows


def _check(arguments: argparse.Namespace, shell: Shell) -> int:
    from gateway.metering import profiles

    said = [mistake for file in arguments.file for mistake in profiles.examine(file)[1]]
    wrong = any(mistake.severity == "error" for mistake in said)

    def human() -> None:
        for mistake in said:
            shell.say(mistake.render(_))
        if not wrong:
            shell.say(_(N_("no mistakes")))

    shell.out({"ok": not wrong, "mistakes": [mistake.document() for mistake in said]}, human)
    return shell.done(not wrong)
