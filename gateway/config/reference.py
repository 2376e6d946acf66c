"""Writes `docs/reference/config.md` from the types and the texts below. `python -m gateway.config.reference`.

A test asserts that the committed page is fresh and that every key has its text.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Mapping
from itertools import starmap
from pathlib import Path
from typing import Final, NamedTuple

import msgspec
from msgspec import inspect

from gateway.config import schema
from gateway.config.show import toml_value
from gateway.config.typed import described

PAGE: Final = Path(__file__).parents[2] / "docs" / "reference" / "config.md"

ON_APPLY: Final = "yes"  # the daemon starts again with a new file: 0.7 s, in which a lock stays as it rests

#: What each key is for. `Struct.field`; a text says why one would change it.
TEXTS: Final[dict[str, str]] = {
    "Site.name": "What people call the place; in `status` and at the desk.",
    "Site.community": "The community's name on the wire, part of every topic.",
    "Site.timezone": "Where schedules are at home; an IANA name.",
    "Site.language": "What the box speaks where nobody's locale says otherwise.",
    "Box.name": "The box's name: in `status`, at the desk, in its certificate.",
    "Box.board": "Lets `config check` know which chip and which drivers fit.",
    "Box.clock_chip": "A clock chip with a battery is fitted and may be believed before the network says the time.",
    "Box.state": "Databases, keys, the last good configuration. Kept; on the SD card.",
    "Box.run": "Socket, gallery files, pins. Emptied at each start of the machine; on tmpfs.",
    "Output.driver": "`gpio_chardev` on a box; `gpio_rpi` for older images; `simulated` moves nothing.",
    "Output.chip": "`pinctrl-bcm2711` (Pi 4), `pinctrl-rp1` (Pi 5), or a device's path. `gpio_chardev` only.",
    "Output.line": "The line: on a Pi the BCM number, not the pin's.",
    "Output.active_low": "The relay board energises at a low level (most with opto-couplers do).",
    "Output.bias": "The chip's own pull. An output's must agree with its resting level.",
    "Input.debounce": "Seconds that a level must last to count.",
    "Lock.output": "The relay's line. It rests de-energised, and that is locked.",
    "Lock.kind": "Without supply: `fail-safe` opens (maglock), `fail-secure` stays locked (strike).",
    "Lock.mode": "`momentary`: a pulse. `maintained`: until the door was opened and closed (needs `contact`).",
    "Lock.open_for": "Seconds that a grant unlocks.",
    "Lock.max_on": "Seconds that the driver allows one pulse at most, whatever its caller does.",
    "Lock.relock_on_open": "Lock again as soon as the contact says open, so that nobody follows.",
    "Door.name": "What people call the door.",
    "Door.lock": "The lock.",
    "Door.contact": "The door contact; active = closed. Without it nobody knows whether the leaf is open.",
    "Door.exit_button": "The exit button; active = pressed. Its second pole cuts the supply in copper.",
    "Door.fire": "The fire relay; active = fire. The daemon follows it; the copper releases.",
    "Door.held_open_after": "Seconds until an open leaf is the event 'held open'.",
    "Door.pre_alarm": "Seconds before that in which the buzzer warns.",
    "Door.indicators": "Lamps and the buzzer.",
    "Door.light": "A light that follows the camera.",
    "Door.camera": "The name of the camera at this door.",
    "Door.face": "`alone`: a face that may pass opens. `off`: faces never open this door.",
    "Indicators.granted": "Lit for a grant.",
    "Indicators.denied": "Lit for a refusal.",
    "Indicators.wait": "Lit while somebody is being recognised.",
    "Indicators.fault": "Lit while something of the door does not work.",
    "Indicators.buzzer": "Sounds for refusal, pre-alarm and alarm.",
    "Light.output": "The light's line.",
    "Light.linger": "Seconds that it stays on after the last person.",
    "Light.below_brightness": "Only when the picture is darker (0 black, 1 white); 1: whenever somebody is there.",
    "Arm.open": "The drive's input for opening.",
    "Arm.close": "The drive's input for closing. Wire the photocell's second contact to the drive itself as well.",
    "Arm.stop": "Its input for stopping (three-wire). Without it an opening pulse ends a closing (two-wire).",
    "Arm.pulse": "Seconds of one pulse.",
    "Arm.travel": "Seconds until the arm has arrived; later is an alarm, and the arm is left where it is.",
    "Arm.limit_up": "The limit switch; active = the arm is up. Both limits or none.",
    "Arm.limit_down": "The limit switch; active = the arm is down.",
    "Lane.name": "What people call the lane.",
    "Lane.arm": "The barrier's drive.",
    "Lane.loop": "The loop under the arm; active = a vehicle is on it. Wire it so that a cut wire says so, too.",
    "Lane.photocell": "The photocell under the arm; active = it sees its light. A cut wire is a broken beam. "
    "With neither loop nor photocell the arm is never closed.",
    "Lane.button": "The guard's button; active = pressed.",
    "Lane.fire": "The fire relay; active = fire. The arm opens and stays up.",
    "Lane.light": "A lamp that is lit while the arm is up.",
    "Lane.camera": "The name of the camera that sees the plates here.",
    "Lane.plate": "`alone`: a registered plate opens. `off`: plates never open this lane.",
    "Lane.close_after": "Seconds from the moment when the vehicle has left to closing.",
    "Lane.stay_open": "Seconds until it closes when no vehicle came.",
    "Lane.stuck_after": "Seconds after which a loop, photocell or button that does not change is reported.",
    "V4l2Camera.device": "The camera's path; `/dev/v4l/by-id/...` keeps its name.",
    "V4l2Camera.width": "Pixels asked for.",
    "V4l2Camera.height": "Pixels asked for.",
    "V4l2Camera.fps": "Frames a second asked for.",
    "V4l2Camera.time_out": "Seconds without a frame until the camera counts as gone.",
    "RtspCamera.url": "`rtsp://user:password@host/path`; masked wherever it is shown.",
    "RtspCamera.time_out": "Seconds without a frame until the camera counts as gone.",
    "FileCamera.path": "A video file.",
    "FileCamera.fps": "Frames a second.",
    "FileCamera.loop": "Begin again at the end.",
    "FileCamera.time_out": "Seconds without a frame until the camera counts as gone.",
    "FolderCamera.path": "A folder with pictures, the newest shown first.",
    "FolderCamera.fps": "Pictures a second.",
    "FolderCamera.time_out": "Seconds without a picture until the camera counts as gone.",
    "Vision.run": "`service`: loumen-vision@ of systemd; `child`: started by the daemon (bench, demo); `off`.",
    "Vision.engine": "`onnx` is the fast one; `face-recognition` is the named package. Their numbers are the same.",
    "Vision.models": "A folder with models that no package carries (YuNet); empty: the shipped detector.",
    "Vision.false_positive_rate": "How often a stranger before a door may be taken for one of its residents; "
    "the threshold follows from it and from how many people may pass.",
    "Vision.pooled_frames": "Frames of one person that are averaged before the comparison.",
    "Vision.ceiling_mb": "Memory at which a vision process ends itself and is started again.",
    "SerialBus.adapter": "The serial number of a USB adapter; it keeps its bus when it comes back under another name.",
    "SerialBus.port": "Else the port's path.",
    "SerialBus.baud": "As set in the meters.",
    "SerialBus.parity": "As set in the meters.",
    "SerialBus.stop_bits": "As set in the meters.",
    "TcpBus.host": "The converter's (or the meter's) name or address.",
    "TcpBus.port": "Its port.",
    "SimulatedBus.meters": "A JSON file with meters.",
    "Meter.name": "What people call the meter: building, unit, flat.",
    "Meter.bus": "The bus it hangs on.",
    "Meter.unit": "Its number on the bus; one meter a number.",
    "Meter.profile": "Its register map; `loumen meter profile` lists them.",
    "Meter.q3": "Its permanent flow in m³/h, as printed on it; leak and burst are judged by it.",
    "Meter.interval": "Seconds between two readings.",
    "Metering.profiles": "A folder with register maps of one's own, beside the shipped ones.",
    "Metering.silent_after": "Unanswered readings until a meter counts as silent.",
    "Metering.longest_pause": "Seconds at most between attempts to read a silent meter.",
    "Metering.still": "A leak: no pause of so many seconds ...",
    "Metering.still_within": "... within so many.",
    "Metering.burst_share": "A burst: this part of q3 ...",
    "Metering.burst_lasts": "... for so many seconds.",
    "Metering.burst_window": "Seconds over which the flow is averaged for it.",
    "Uplink.brokers": "Brokers, tried in turn.",
    "Uplink.protocol": "MQTT's version; `auto` tries 5 first.",
    "Uplink.tls": "Mutual TLS. `false` only for a broker on this machine.",
    "Uplink.receiver": "A receiver (`loumen desk`) confirms what it has stored. `false`: the broker's word must do.",
    "Uplink.keepalive": "Seconds between signs of life.",
    "Uplink.backoff_max": "Seconds at most between two attempts to connect.",
    "Broker.host": "Name or address.",
    "Broker.port": "Port.",
    "Journal.keep_days": "Days that events are kept after the receiver confirmed them: who opened which door.",
    "Journal.max_mb": "Size at which the journal drops the least important kinds first.",
    "Control.socket": "The control socket; empty: `loumen.sock` in `box.run`.",
    "Control.administrators": "User names of this machine that may everything.",
    "Control.technicians": "User names that may everything but export people and faces.",
    "Control.clerks": "User names that may open doors and read.",
    "Control.max_body_mb": "Memory for all waiting requests together; enrolment pictures go this way.",
    "Gateway.healthy_seconds": "Seconds after which a new file counts as good and is kept as the last good one.",
}


class Row(NamedTuple):
    """One key of the page."""

    key: str
    allowed: str
    default: str
    text: str
    restart: str


HEAD: Final = """\
# gateway.toml

Made by `python -m gateway.config.reference`; do not edit.

One file for a box, `/etc/loumen/gateway.toml`. `loumen config new --board pi4` writes a commented one,
`loumen config check` tells every mistake with its line and its mend, `loumen config apply FILE` puts a new one
in place and takes it back by itself unless it is confirmed within ten minutes. An invalid file never keeps the
daemon from starting: the last good one runs, and `loumen status` says so.

Durations are seconds. Unknown keys are refused. `NAME` stands for a name of yours: 1 to 32 small letters, digits,
`-` and `_`. People, faces and plates are not in this file: they are in the directory and change at once.

*Needs a restart*: `loumen config apply` starts the daemon again by itself where that is needed (locks rest meanwhile).
"""


def page() -> str:
    """The whole page."""
    doors: tuple[tuple[str, type[msgspec.Struct]], ...] = (
        ("[site]", schema.Site),
        ("[box]", schema.Box),
        ("[door.NAME]", schema.Door),
        ("[door.NAME.lock]", schema.Lock),
        ("[door.NAME.indicators]", schema.Indicators),
        ("[door.NAME.light]", schema.Light),
        ("[lane.NAME]", schema.Lane),
        ("[lane.NAME.arm]", schema.Arm),
    )
    rest: tuple[tuple[str, type[msgspec.Struct]], ...] = (
        ("[vision]", schema.Vision),
        ('[bus.NAME], driver = "serial"', schema.SerialBus),
        ('[bus.NAME], driver = "tcp"', schema.TcpBus),
        ('[bus.NAME], driver = "simulated"', schema.SimulatedBus),
        ("[meter.NAME]", schema.Meter),
        ("[metering]", schema.Metering),
        ("[uplink]", schema.Uplink),
        ("[[uplink.brokers]]", schema.Broker),
        ("[journal]", schema.Journal),
        ("[control]", schema.Control),
    )
    parts = [HEAD, *starmap(_table, doors), _lines(), *_cameras(), *starmap(_table, rest)]
    healthy = next(row for row in rows(schema.Gateway) if row.key == "healthy_seconds")
    parts.append(_rendered("at the top of the file", [healthy]))
    return "\n".join(parts)


def _table(title: str, kind: type[msgspec.Struct]) -> str:
    return _rendered(title, list(rows(kind)))


def _cameras() -> Iterator[str]:
    for kind in (schema.V4l2Camera, schema.RtspCamera, schema.FileCamera, schema.FolderCamera):
        yield _rendered(f'[camera.NAME], driver = "{kind.__struct_config__.tag}"', list(rows(kind)))


def _lines() -> str:
    drivers = ", ".join(f'"{kind.__struct_config__.tag}"' for kind in schema.Output.__args__)
    known = {row.key: row for row in rows(schema.ChardevInput)}
    texts = [
        Row("driver", drivers, "needed", TEXTS["Output.driver"], ON_APPLY),
        *(known[key]._replace(text=TEXTS[f"Output.{key}"]) for key in ("chip", "line", "active_low", "bias")),
        known["debounce"]._replace(text=TEXTS["Input.debounce"] + " Inputs only."),
    ]
    return _rendered("a line: output, contact, exit_button, fire, an indicator", texts)


def rows(kind: type[msgspec.Struct], texts: Mapping[str, str] = TEXTS) -> Iterator[Row]:
    """A row for each field of `kind`."""
    info = inspect.type_info(kind)
    assert isinstance(info, inspect.StructType)
    for field in info.fields:
        yield Row(
            key=field.encode_name,
            allowed=_allowed(field.type),
            default=_default(field),
            text=texts.get(f"{kind.__name__}.{field.name}", ""),
            restart=ON_APPLY,
        )


def _allowed(kind: inspect.Type) -> str:
    if isinstance(kind, inspect.UnionType):
        real = [choice for choice in kind.types if not isinstance(choice, inspect.NoneType)]
        if len(real) == 1:
            return _allowed(real[0])
        return "a line" if isinstance(real[0], inspect.StructType) and real[0].tag_field else "a table"
    return described(kind)


def _default(field: inspect.Field) -> str:
    if field.required:
        return "needed"
    if field.default_factory is not msgspec.NODEFAULT or field.default is None:
        return "-"
    return f"`{toml_value(field.default)}`"


def _rendered(title: str, made: list[Row]) -> str:
    lines = [f"## {title}", "", "| key | may be | default | what for | needs a restart |", "|---|---|---|---|---|"]
    lines += [f"| `{r.key}` | {r.allowed} | {r.default} | {r.text} | {r.restart} |" for r in made]
    return "\n".join(lines) + "\n"


def main() -> int:
    PAGE.parent.mkdir(parents=True, exist_ok=True)
    PAGE.write_text(page(), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main())
