"""`loumen meter`: water meters as the daemon sees them; profiles without a daemon."""

from __future__ import annotations

import argparse
from typing import Any

from gateway.cli import chart, meter_profile
from gateway.cli.shell import Shell
from gateway.errors import BadRequest, N_
from gateway.locale import _, labelled, moment, spoken, tell
from gateway.metering.reasons import REASONS

STATES = {
    "ok": N_("ok"),
    "waiting": N_("waits for its first readings"),
    "silent": N_("silent"),
    "unusable": N_("unusable"),
}
RULES = {"no_still_hour": N_("no still hour in a day"), "burst": N_("high flow for half an hour")}
FLAGS = {
    "empty_pipe": N_("empty pipe"),
    "battery_low": N_("battery low"),
    "leak": N_("leak, says the meter"),
    "burst": N_("burst, says the meter"),
    "reverse_flow": N_("reverse flow"),
    "tamper": N_("tampered with"),
    "fault": N_("fault, says the meter"),
}
ANSWERS = {
    "registers": N_("registers"),
    "refusal": N_("a refusal"),
    "damaged": N_("damaged"),
    "other": N_("another unit"),
}
SCAN_TIME_OUT = 200.0  # seconds for the answers of 247 meters between the polls, with two for the silent
LITRE = 1.0
MINUTE = "%Y-%m-%d %H:%M"
LAST = {"hour": 24, "day": 30}


SLOW = N_(
    "it answered after {seconds} s, the polls wait {answers_within} s: raise answers_within in a profile of your own"
)


def add(parser: argparse.ArgumentParser) -> None:
    verbs = parser.add_subparsers(dest="verb", metavar="VERB", required=True)
    verbs.add_parser("list", help=N_("all meters and buses"))
    read = verbs.add_parser("read", help=N_("ask a meter now, for everything it knows"))
    read.add_argument("meter", help=N_("the meter's name in the configuration"))
    read.add_argument("--raw", action="store_true", help=N_("also the bare registers, to compare with a manual"))
    scan = verbs.add_parser("scan", help=N_("which adapters are plugged in; with a bus, who answers on it"))
    scan.add_argument("bus", nargs="?", default="", help=N_("the bus's name in the configuration"))
    scan.add_argument("--first", type=int, default=1, metavar="UNIT", help=N_("the first unit to ask (1)"))
    scan.add_argument("--last", type=int, default=247, metavar="UNIT", help=N_("the last unit to ask (247)"))
    scan.add_argument(
        "--within", type=float, default=0.2, metavar="SECONDS", help=N_("how long each has to answer (0.2)")
    )
    history = verbs.add_parser("history", help=N_("use by the hour, and what was refused"))
    history.add_argument("meter", help=N_("the meter's name in the configuration"))
    history.add_argument("--hours", type=int, default=48, help=N_("how many hours back (48)"))
    history.add_argument("--by", choices=("hour", "day"), default="hour", help=N_("a row an hour, or a day"))
    drawn = verbs.add_parser("chart", help=N_("use by the hour or the day as a picture; gaps stay gaps"))
    drawn.add_argument("meter", help=N_("the meter's name in the configuration"))
    drawn.add_argument("--by", choices=("hour", "day"), default="hour", help=N_("a bar an hour, or a day"))
    drawn.add_argument("--last", type=int, metavar="N", help=N_("how many of them back (24 hours, 30 days)"))
    meter_profile.add(verbs.add_parser("profile", help=N_("register maps: list, show, check; no daemon needed")))


def run(arguments: argparse.Namespace, shell: Shell) -> int:
    if arguments.verb == "profile":
        return meter_profile.run(arguments, shell)
    return {"list": _list, "read": _read, "scan": _scan, "history": _history, "chart": _chart}[arguments.verb](
        arguments, shell
    )


def _list(_arguments: argparse.Namespace, shell: Shell) -> int:
    document = shell.client().command("meter.list")

    def human() -> None:
        shell.table(
            [
                N_("meter"),
                N_("name"),
                N_("bus"),
                N_("unit"),
                N_("state"),
                N_("register, m3"),
                N_("read"),
                N_("remarks"),
            ],
            [_meter_row(meter) for meter in document["meters"]],
        )
        for bus in document["buses"]:
            told = tell(bus["problem"], bus["facts"]) if bus["problem"] else bus["device"]
            shell.say(labelled(f"{_(N_('bus'))} {bus['id']} ({bus['driver']})", told or _(N_("not open yet"))))

    shell.out(document, human)
    return shell.done()


def _meter_row(meter: dict[str, Any]) -> tuple[object, ...]:
    remarks = [tell(REASONS.get(meter["problem"], meter["problem"]), meter["facts"])] if meter["problem"] else []
    remarks += [_(FLAGS.get(flag, flag)) for flag in meter["flags"]]
    remarks += [_leak(leak) for leak in meter["leaks"]]
    register = "-" if meter["register"] is None else f"{meter['register'] / 1000:.3f}"
    read = "-" if meter["age"] is None else tell(N_("{seconds} s ago"), {"seconds": round(meter["age"])})
    state = _(STATES.get(meter["state"], meter["state"]))
    return meter["id"], meter["name"], meter["bus"], meter["unit"], state, register, read, "; ".join(remarks)


def _leak(leak: dict[str, Any]) -> str:
    return tell(
        N_("leak suspected ({rule}): {litres} L since {since}"),
        {"rule": RULES.get(leak["rule"], leak["rule"]), "litres": f"{leak['litres']:.1f}", "since": leak["since"]},
    )


def _read(arguments: argparse.Namespace, shell: Shell) -> int:
    document = shell.client().command("meter.read", {"meter": arguments.meter}, time_out=60.0)

    def human() -> None:
        register = "-" if document["register"] is None else f"{document['register'] / 1000:.6f} m3"
        shell.say(f"{document['meter']}: {register}  {moment(document['at'])}")
        if not document["believed"]:
            shell.say(f"  {_(N_('not believed:'))} {_(document['reason'])}")
        for name, value in document["values"].items():
            said = f"{value:g} {document['units'].get(name, '')}".rstrip()
            shell.say("  " + labelled(meter_profile.quantity(name), said))
        for flag in document["flags"]:
            shell.say(f"  {_(FLAGS.get(flag, flag))}")
        if arguments.raw:
            for address, word in document["registers"].items():
                shell.say(f"  {address:>5}  0x{int(address):04X}  {word:04X}  {word}")
        if document["step"] > LITRE:
            facts = {"litres": f"{document['step']:.1f}"}
            shell.say(f"  {tell(N_('its register counts in steps of {litres} L: smaller leaks are not seen'), facts)}")
        if document["seconds"] > document["answers_within"] > 0:
            shell.say(f"  {tell(SLOW, document)}")
        note = meter_profile.note(document, spoken())
        if note:
            shell.say(f"  {note}")

    shell.out(document, human)
    return shell.done(document["believed"])


def _scan(arguments: argparse.Namespace, shell: Shell) -> int:
    fields = {"bus": arguments.bus, "first": arguments.first, "last": arguments.last, "within": arguments.within}
    _ranged("--first", arguments.first, 1, 247)
    _ranged("--last", arguments.last, arguments.first, 247)
    _ranged("--within", arguments.within, 0.05, 3.0)
    units = arguments.last - arguments.first + 1
    with shell.progress(N_("units")):
        document = shell.client().command("meter.scan", fields, time_out=SCAN_TIME_OUT + 2 * units * arguments.within)

    def human() -> None:
        if not arguments.bus:
            columns = [N_("port"), N_("serial number"), N_("adapter")]
            shell.table(columns, [(one["device"], one["number"], one["name"]) for one in document["adapters"]])
            return
        shell.table(
            [N_("unit"), N_("answered with"), N_("profile"), N_("meter")],
            [
                (one["unit"], _(ANSWERS.get(one["answer"], one["answer"])), one["profile"] or "-", one["meter"] or "-")
                for one in document["found"]
            ],
        )
        shell.say(tell(N_("{count} of {asked} units answered"), _counts(document)))

    shell.out(document, human)
    return shell.done()


def _counts(document: dict[str, Any]) -> dict[str, object]:
    return {"count": len(document["found"]), "asked": document["asked"]}


def _ranged(option: str, value: float, low: float, high: float) -> None:
    """Raises BadRequest."""
    if not low <= value <= high:
        raise BadRequest(N_("{option} is a number from {low} to {high}"), option=option, low=low, high=high)


def _history(arguments: argparse.Namespace, shell: Shell) -> int:
    _ranged("--hours", arguments.hours, 1, 24 * 366)
    fields = {"meter": arguments.meter, "hours": arguments.hours, "by": arguments.by}
    document = shell.client().command("meter.history", fields)

    def human() -> None:
        shell.table(
            [N_("since"), N_("until"), N_("litres"), N_("total, m3"), N_("remarks")],
            [
                (
                    moment(use["since"], MINUTE),
                    moment(use["until"], MINUTE),
                    f"{use['litres']:.1f}",
                    f"{use['total'] / 1000:.3f}",
                    _(N_("no readings in between: when it ran is not known")) if use["gap"] else "",
                )
                for use in document["use"]
            ],
        )
        if document["waiting"]:
            shell.say(tell(chart.WAITING, {"count": document["waiting"]}))
        if document["refused"]:
            shell.table(
                [N_("refused since"), N_("until"), N_("times"), N_("register, m3"), N_("why")],
                [
                    (
                        moment(one["at"]),
                        moment(one["until"]),
                        one["times"],
                        "-" if one["register"] is None else f"{one['register'] / 1000:.3f}",
                        _(one["reason"]),
                    )
                    for one in document["refused"]
                ],
            )

    shell.out(document, human)
    return shell.done()


def _chart(arguments: argparse.Namespace, shell: Shell) -> int:
    last = LAST[arguments.by] if arguments.last is None else arguments.last
    _ranged("--last", last, 1, 366 if arguments.by == "day" else 24 * 366)
    hours = last * (24 if arguments.by == "day" else 1)
    history = shell.client().command("meter.history", {"meter": arguments.meter, "hours": hours, "by": arguments.by})
    document = chart.document(history)
    shell.out(document, lambda: "\n".join(chart.lines(document)))
    return shell.done()
