"""`loumen lane simulate`: what a lane would do, in words, with the times: no daemon, no line, nothing moves."""

from __future__ import annotations

import argparse
import sys
from collections import Counter
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

from gateway.cli.shell import Shell
from gateway.errors import BadRequest, N_, NotFound
from gateway.locale import _, tell

if TYPE_CHECKING:
    from gateway.journal.event import Event
    from gateway.lanes.rules.start import Fitted
    from gateway.lanes.simulate import Row, Simulation, Step
    from gateway.lanes.story import Kept

HAPPENS = {
    "": N_("time passes"),
    "plate": N_("a plate of the register is read"),
    "stranger": N_("a plate is read that may not pass"),
    "button": N_("the button is pressed"),
    "raise": N_("the desk raises the arm"),
    "hold": N_("an order holds it up"),
    "release": N_("the hold ends"),
    "loop occupied": N_("a vehicle is on the loop"),
    "loop free": N_("the loop is free"),
    "loop cut": N_("the loop's wire is cut"),
    "loop rattle": N_("the loop rattles"),
    "photocell occupied": N_("something breaks the photocell's beam"),
    "photocell free": N_("the photocell sees its light"),
    "photocell cut": N_("the photocell's wire is cut"),
    "photocell rattle": N_("the photocell rattles"),
    "limit_up on": N_("the upper limit switch closes"),
    "limit_up off": N_("the upper limit switch stays open"),
    "limit_up cut": N_("the upper limit switch's wire is cut"),
    "limit_up well": N_("the upper limit switch works again"),
    "limit_down on": N_("the lower limit switch closes"),
    "limit_down off": N_("the lower limit switch stays open"),
    "limit_down cut": N_("the lower limit switch's wire is cut"),
    "limit_down well": N_("the lower limit switch works again"),
    "fire on": N_("fire"),
    "fire off": N_("the fire input clears"),
    "arm jams": N_("the arm jams"),
    "arm freed": N_("the arm is freed"),
    "arm up": N_("somebody moves the arm up by hand"),
    "arm down": N_("somebody moves the arm down by hand"),
    "arm halfway": N_("somebody moves the arm half-way by hand"),
    "arm leaves": N_("the arm leaves its limit switch"),
    "arm top": N_("the arm is at the top"),
    "arm bottom": N_("the arm is at the bottom"),
    "restart": N_("the daemon is killed and starts again"),
}
BY_ITSELF = ("leaves", "top", "bottom")
MOTIONS = {
    "down": N_("down"),
    "rising": N_("rising"),
    "up": N_("up"),
    "lowering": N_("coming down"),
    "adrift": N_("moved without an order"),
    "lost": N_("unknown"),
    "fault": N_("STOPPED"),
}
PULSES = {"open": N_("opening pulse"), "close": N_("closing pulse"), "stop": N_("stop pulse")}
LOOKED_AT = 2000  # of the newest events, for the last passage
TRAVELS = 0.6  # of the configured travel time: what the arm of the simulation takes, where nobody says


def add(parser: argparse.ArgumentParser) -> None:
    from gateway.lanes.story import STORIES, WORDS

    parser.description = N_(
        "Plays a story over the lane's own rules and configuration: 'plate' '+5 loop occupied' '+3 loop free'. "
        "'5' is five seconds from the beginning, '+5' five after the step before."
    )
    parser.add_argument("lane", help=N_("the lane's name in the configuration"))
    parser.add_argument(
        "step", nargs="*", metavar="STEP", help=tell(N_("what happens: {words}"), {"words": ", ".join(WORDS)})
    )
    which = parser.add_mutually_exclusive_group()
    which.add_argument(
        "--story",
        default="",
        metavar="FILE",
        help=tell(
            N_("a file with a step a line ('-': as you type them), or a known story: {stories}"),
            {"stories": ", ".join(STORIES)},
        ),
    )
    which.add_argument(
        "--events",
        nargs="?",
        const="",
        default=None,
        metavar="FILE",
        help=N_("the last passage that the journal kept, of this box or of a file by 'loumen event export'"),
    )
    parser.add_argument(
        "--takes", type=float, default=None, metavar="SECONDS", help=N_("how long this arm takes from end to end")
    )


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    from gateway.config.load import load
    from gateway.lanes.inputs import built
    from gateway.lanes.simulate import Simulation

    lanes = load(shell.config).config.lane
    lane = lanes.get(arguments.lane)
    if lane is None:
        known = ", ".join(lanes) or "-"
        raise NotFound(N_("there is no lane {lane}; this box has: {known}"), lane=arguments.lane, known=known)
    takes = lane.arm.travel * TRAVELS if arguments.takes is None else arguments.takes
    if not 0 < takes <= 600:
        raise BadRequest(N_("an arm takes between 0 and 600 s from end to end"))
    if sum((bool(arguments.step), bool(arguments.story), arguments.events is not None)) > 1:
        raise BadRequest(N_("name steps, --story or --events, one of them"))
    fitted = built(lane)
    simulation = Simulation(arguments.lane, fitted, takes)
    if arguments.events is not None:
        return _recorded(arguments, shell, simulation)
    steps = _steps(arguments, shell)
    shell.say(_settings(arguments.lane, fitted, takes))
    rows: list[dict[str, Any]] = []
    for row in simulation.play(steps):
        _tell(row, rows, shell)
    shell.out({"lane": arguments.lane, "takes": takes, "rows": rows})
    return shell.done()


def _settings(name: str, fitted: Fitted, takes: float) -> str:
    parts = [(fitted.loop, N_("loop")), (fitted.beam, N_("photocell")), (fitted.arm.limits, N_("limit switches"))]
    return tell(
        N_(
            "{lane}: comes down {close_after} s after the vehicle has left, {stay_open} s after an opening that nobody "
            "used; must arrive within {travel} s (here: {takes} s); fitted: {parts}"
        ),
        {
            "lane": name,
            "close_after": f"{fitted.arm.close_after:g}",
            "stay_open": f"{fitted.arm.stay_open:g}",
            "travel": f"{fitted.arm.travel:g}",
            "takes": f"{takes:g}",
            "parts": ", ".join(_(part) for there, part in parts if there) or "-",
        },
    )


def _steps(arguments: argparse.Namespace, shell: Shell) -> Iterable[Step]:
    from gateway.lanes.story import STORIES, parsed

    if arguments.step:
        return parsed(arguments.step)
    story = arguments.story or "home"
    if story == "-":
        return _typed(shell)
    if story in STORIES:
        return parsed(STORIES[story].splitlines())
    try:
        return parsed(Path(story).read_text(encoding="utf-8-sig").splitlines(), story)
    except (OSError, UnicodeDecodeError) as error:
        raise NotFound(
            N_("{file} cannot be read: {problem}"),
            mend=N_("a file, '-', or one of: {stories}"),
            file=story,
            problem=getattr(error, "strerror", None) or str(error),
            stories=", ".join(STORIES),
        ) from error


def _typed(shell: Shell) -> Iterator[Step]:
    """Steps as they are typed; at a terminal a wrong one is told, and the next one may be right."""
    from gateway.lanes.story import step_of

    before = 0.0
    for number, text in enumerate(sys.stdin, start=1):
        try:
            step = step_of(text, before, f"-:{number}")
        except BadRequest as error:
            if not sys.stdin.isatty():
                raise
            shell.error(error)
            continue
        if step is not None:
            before = step.at
            yield step


def _tell(row: Row, rows: list[dict[str, Any]], shell: Shell) -> None:
    """A row as it comes; one in which nothing is new is left out."""
    document = {
        "at": row.at,
        "what": row.what,
        "how": row.how,
        "motion": row.motion,
        "under": row.under,
        "pulses": list(row.pulses),
        "events": [event.type_name() for event in row.events],
        "why": row.why.text,
        "why_facts": row.why.facts,
    }
    before = rows[-1] if rows else {}
    news = row.pulses or row.events or any(document[key] != before.get(key) for key in ("motion", "under", "why"))
    by_itself = not row.what or row.how in BY_ITSELF
    if not news and (by_itself or (row.what, row.how) == (before.get("what"), before.get("how"))):
        return
    rows.append(document)
    happens = _(HAPPENS[" ".join(filter(None, (row.what, row.how)))])
    shell.say(f"{row.at:8.1f} s  {happens}")
    shell.say(f"{'':12}{' · '.join(_(word) for word in (MOTIONS[row.motion], *(PULSES[one] for one in row.pulses)))}")
    for event in row.events:
        shell.say(f"{'':12}{_sentence(event)}")
    if row.why.text:
        shell.say(f"{'':12}{tell(row.why.text, row.why.facts)}")


def _sentence(event: Event) -> str:
    import msgspec

    from gateway.cli.happenings import told

    return told({"type": event.type_name(), "event": msgspec.to_builtins(event)})


# --- what the journal kept


def _recorded(arguments: argparse.Namespace, shell: Shell, simulation: Simulation) -> int:
    from gateway.lanes.story import from_events

    counts = "loop" if simulation.fitted.loop else "photocell"
    passage = from_events(_kept(arguments.events, shell), arguments.lane, counts=counts)
    shell.say(_settings(arguments.lane, simulation.fitted, simulation.takes))
    rows: list[dict[str, Any]] = []
    for row in simulation.play(passage.steps):
        _tell(row, rows, shell)
    told = Counter(kind for _, event in passage.told if (kind := event.type_name()) not in passage.left_out)
    played = Counter(kind for row in rows for kind in row["events"])
    differs = {"journal": sorted((told - played).elements()), "rules": sorted((played - told).elements())}
    same = not any(differs.values())
    document = {
        "lane": arguments.lane,
        "rows": rows,
        "told": [[at, event.type_name()] for at, event in passage.told],
        "differs": differs,
    }

    def human() -> None:
        shell.say(_(N_("the journal told, in seconds from the opening:")))
        for at, event in passage.told:
            shell.say(f"{at:8.1f} s  {_sentence(event)}")
        if passage.left_out:
            kinds = ", ".join(passage.left_out)
            shell.say(
                tell(N_("not played, because the journal does not say what caused it: {kinds}"), {"kinds": kinds})
            )
        for who, kinds in (
            (N_("only the journal has: {kinds}"), "journal"),
            (N_("only the rules have: {kinds}"), "rules"),
        ):
            if differs[kinds]:
                shell.mark(tell(who, {"kinds": ", ".join(differs[kinds])}), "yellow")
        if same:
            shell.mark(_(N_("the rules of today would have told the same")), "green")

    shell.out(document, human)
    return shell.done(same)


def _kept(file: str, shell: Shell) -> Iterator[Kept]:
    """Rows of the journal: of a file, else of this box."""
    import msgspec

    from gateway.cli.event import latest
    from gateway.lanes.story import Kept

    if not file:
        for row in latest(shell, "lane.", LOOKED_AT):
            yield msgspec.json.decode(msgspec.json.encode(row), type=Kept)
        return
    try:
        lines = (sys.stdin.buffer.read() if file == "-" else Path(file).read_bytes()).splitlines()
        yield from (msgspec.json.decode(line, type=Kept) for line in lines if line.strip())
    except OSError as error:
        raise NotFound(N_("{file} cannot be read: {problem}"), file=file, problem=error.strerror) from error
    except msgspec.MsgspecError as error:
        raise BadRequest(N_("this is no export of events: {problem}"), where=file, problem=str(error)) from error
