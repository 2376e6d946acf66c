"""An event as a sentence, for `event list`, `event follow` and `watch`. Programs read its fields with --json.

A sentence that depends on a field is a table of that field's values. What has no sentence (a newer
release's event) is told by its type and its fields.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gateway.access.decision import REASONS as AT_DOORS
from gateway.cli.words import LANE_MODES, MODES, line_name, part_name
from gateway.errors import N_
from gateway.lanes.decision import REASONS as AT_LANES
from gateway.locale import _, tell
from gateway.metering.reasons import REASONS as AT_METERS
from gateway.vision.status import ENDS

Sentence = str | tuple[str, Mapping[Any, str]]
ANY = "*"  # any other value of the field

SENTENCES: dict[str, Sentence] = {
    "clock.synchronised.v1": N_("the clock is trusted now (it was {offset} s off)"),
    "command.accepted.v1": N_("command {command} accepted from {actor}"),
    "command.done.v1": (
        "result",
        {
            "done": N_("command {command} from {actor} done"),
            ANY: N_("command {command} from {actor} did not succeed: {result}"),
        },
    ),
    "command.refused.v1": N_("a command from afar was refused: {reason}"),
    "consent.recorded.v1": N_("consent of {person} recorded ({wording})"),
    "consent.withdrawn.v1": N_("consent of {person} withdrawn; the faces are deleted"),
    "daemon.started.v1": N_("Loumen {version} started; doors ready after {ready_seconds} s"),
    "daemon.stopped.v1": N_("Loumen was stopped ({signal})"),
    "directory.exported.v1": N_("{people} people with {faces} faces were exported for box {receiver}"),
    "directory.imported.v1": N_("people were imported: {added} added, {changed} changed, {refused} refused"),
    "directory.keys_damaged.v1": N_("keys.db was damaged: {saved} keys saved, {unreadable} people unreadable"),
    "directory.restored.v1": (
        "copy",
        {
            "": N_("the directory was damaged and no copy could be used: nobody is recognised"),
            ANY: N_("the directory was damaged and restored from a copy: {people} people"),
        },
    ),
    "door.fire.v1": (
        "active",
        {True: N_("door {door}: FIRE, the lock is released"), False: N_("door {door}: fire input cleared")},
    ),
    "door.forced.v1": N_("door {door}: FORCED OPEN"),
    "door.forced_ended.v1": N_("door {door}: forced opening ended after {open_seconds} s"),
    "door.held_open.v1": N_("door {door}: HELD OPEN TOO LONG ({open_seconds} s)"),
    "door.held_open_ended.v1": N_("door {door}: closed again after {open_seconds} s"),
    "door.line_fault.v1": (
        "gone",
        {True: N_("door {door}: line {line} does not work"), False: N_("door {door}: line {line} works again")},
    ),
    "door.machine_fault.v1": N_("door {door}: a fault of its rules, it goes on from what is sensed ({given})"),
    "door.mode_changed.v1": N_("door {door}: now {mode} ({actor})"),
    "door.opened.v1": (
        "by",
        {
            "face": N_("door {door} opened by a face: {person}"),
            "exit": N_("door {door} opened by the exit button"),
            "command": N_("door {door} opened by command of {actor}"),
        },
    ),
    "door.passed.v1": N_("door {door}: somebody passed, open for {open_seconds} s"),
    "door.refused.v1": N_("door {door} refused: {why}"),
    "face.enrolled.v1": N_("faces of {person} enrolled"),
    "face.removed.v1": N_("faces of {person} removed"),
    "journal.closed.v1": N_("the journal's events up to {through} were signed as closed"),
    "journal.dropped.v1": N_("events were dropped ({reason})"),
    "journal.epoch_started.v1": N_("a new epoch of the journal begins ({reason})"),
    "journal.gap.v1": N_("a damaged journal was set aside: {aside}"),
    "lane.contradiction.v1": (
        "over",
        {
            False: N_("lane {lane}: sensors contradict each other ({line})"),
            True: N_("lane {lane}: sensors agree again ({line})"),
        },
    ),
    "lane.fire.v1": (
        "active",
        {True: N_("lane {lane}: FIRE, the arm goes up"), False: N_("lane {lane}: fire input cleared")},
    ),
    "lane.late.v1": N_("lane {lane}: the arm did not arrive within {within} s and was stopped"),
    "lane.line_fault.v1": (
        "gone",
        {True: N_("lane {lane}: line {line} does not work"), False: N_("lane {lane}: line {line} works again")},
    ),
    "lane.lowered.v1": N_("lane {lane}: the arm is down"),
    "lane.machine_fault.v1": N_("lane {lane}: a fault of its rules, it goes on from what is sensed ({given})"),
    "lane.mode_changed.v1": N_("lane {lane}: now {mode} ({actor})"),
    "lane.moved.v1": N_("lane {lane}: the arm moved without an order"),
    "lane.passed.v1": N_("lane {lane}: a vehicle passed in {seconds} s"),
    "lane.raised.v1": (
        "by",
        {
            "plate": N_("lane {lane}: arm raised for a plate, vehicle {vehicle}"),
            "button": N_("lane {lane}: arm raised by the button"),
            "command": N_("lane {lane}: arm raised by command of {actor}"),
        },
    ),
    "lane.refused.v1": N_("lane {lane} refused: {why}"),
    "lane.reversed.v1": N_("lane {lane}: something under the closing arm, raised again ({line})"),
    "lane.sensor_stuck.v1": (
        "over",
        {
            False: N_("lane {lane}: {line} active for {seconds} s, longer than traffic explains"),
            True: N_("lane {lane}: {line} works again"),
        },
    ),
    "meter.back.v1": N_("meter {meter} answers again after {silent_seconds} s; {litres} L ran meanwhile"),
    "meter.bus_back.v1": N_("bus {bus} is back after {away_seconds} s"),
    "meter.bus_gone.v1": N_("bus {bus} is gone, with {meters} meters"),
    "meter.flags_changed.v1": N_("meter {meter} says of itself: {flags}"),
    "meter.reading_refused.v1": N_("meter {meter}: a reading was not believed ({reason})"),
    "meter.replaced.v1": N_("meter {meter}: another meter, or set anew"),
    "meter.rolled_over.v1": N_("meter {meter}: the register began anew at zero"),
    "meter.silent.v1": N_("meter {meter} gives no believable answer any more"),
    "person.added.v1": N_("person {person} added by {actor}"),
    "person.changed.v1": N_("person {person} changed by {actor}: {fields}"),
    "person.forgotten.v1": N_("person {person} forgotten by {actor}"),
    "service.restarted.v1": N_("{service} failed ({problem}) and is started again"),
    "uplink.connected.v1": N_("connected to {broker}"),
    "uplink.disconnected.v1": N_("the connection to {broker} ended"),
    "uplink.keys_replaced.v1": N_("list {version} of the community's keys is in use"),
    "uplink.receipt_refused.v1": N_("a receipt that cannot be true was refused ({reason})"),
    "vehicle.added.v1": N_("vehicle {vehicle} put on the register by {actor}"),
    "vehicle.imported.v1": N_("plates were imported: {added} added, {changed} changed, {removed} removed"),
    "vehicle.register_problem.v1": N_("the register of plates was damaged: {problem}"),
    "vehicle.removed.v1": N_("vehicle {vehicle} taken off the register by {actor}"),
    "vision.camera_back.v1": N_("camera {camera} gives pictures again"),
    "vision.camera_lost.v1": N_("camera {camera} gives no pictures"),
    "vision.started.v1": N_("recognition '{group}' runs: engine {engine}, detector {detector}"),
    "vision.stopped.v1": N_("recognition '{group}' ended: {why}"),
    "water.leak_cleared.v1": N_("meter {meter}: the suspected leak is over, {litres} L since {since}"),
    "water.leak_suspected.v1": N_("meter {meter}: LEAK SUSPECTED, {litres} L since {since}"),
}
LINE_FIELDS = ("line", "because", "sensor", "what")


def told(row: Mapping[str, Any]) -> str:
    """The event of a journal's row in the reader's language."""
    event = row["event"]
    if event is None:
        return _(N_("(body removed by retention)"))
    fields = {name: value for name, value in event.items() if name != "type"}
    sentence = _sentence(row["type"], fields)
    if not sentence:
        shown = {name: value for name, value in fields.items() if value not in ("", None, [], {})}
        return " ".join((row["type"], *(f"{name}={value}" for name, value in shown.items())))
    said = tell(sentence, _facts(row["type"], fields))
    reason = fields.get("reason") if "actor" in fields else ""  # a person's; other reasons are codes or for logs
    return f"{said} · {reason}" if reason else said


def _sentence(kind: str, fields: Mapping[str, Any]) -> str:
    entry = SENTENCES.get(kind, "")
    if isinstance(entry, str):
        return entry
    field, variants = entry
    return variants.get(fields.get(field, False), variants.get(ANY, ""))


def _facts(kind: str, fields: Mapping[str, Any]) -> dict[str, Any]:
    facts = {name: _short(value) for name, value in fields.items()}
    for name in LINE_FIELDS:
        if fields.get(name):
            facts["line"] = line_name(str(fields[name]))
    if "code" in fields:
        reasons = AT_LANES if kind.startswith("lane.") else AT_DOORS
        facts["why"] = reasons.get(fields["code"], fields["code"])
    if kind == "meter.reading_refused.v1":
        facts["reason"] = AT_METERS.get(str(fields.get("reason", "")), fields.get("reason"))
    if kind == "command.refused.v1":
        from gateway.uplink.envelope import REFUSALS  # not above: what checks signatures is slow to import

        facts["reason"] = REFUSALS.get(str(fields.get("reason", "")), fields.get("reason"))
    if kind == "vision.stopped.v1":
        facts["why"] = ENDS.get(str(fields.get("why", "")).partition(":")[0], fields.get("why"))
    if "mode" in fields:
        facts["mode"] = (LANE_MODES if kind.startswith("lane.") else MODES).get(fields["mode"], fields["mode"])
    if "service" in fields:
        facts["service"] = part_name(str(fields["service"]))
    for name in ("person", "vehicle", "receiver"):
        facts[name] = str(fields.get(name) or "-")[:8]
    return facts


def _short(value: Any) -> Any:
    if isinstance(value, float):
        return f"{value:.1f}".removesuffix(".0")
    return ", ".join(map(str, value)) if isinstance(value, list | tuple) else value
