"""What types cannot say: whether the parts of a configuration fit together. Pure; no machine needed.

Errors keep a file from being used. Warnings are told loudly and it is used. Hints are told by
`config check` alone: they name what the wiring must provide, because software cannot see copper.
"""

from __future__ import annotations

import zoneinfo
from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from itertools import chain
from typing import Any

from gateway.config import schema
from gateway.config.check_lanes import check_lanes
from gateway.config.check_meters import check_meters
from gateway.config.lines import SOC_CHIPS, Use, uses
from gateway.config.mistakes import Finding, KeyPath
from gateway.errors import N_

LOCAL_HOSTS = frozenset({"localhost", "127.0.0.1", "::1"})
LONGEST_SOCKET = 100


def check(config: schema.Gateway, document: Mapping[str, Any] | None = None) -> list[Finding]:
    """Everything found. `document` is the raw file: a camera whose table is broken exists all the same."""
    cameras = _names(document, "camera") | set(config.camera)
    doors = chain.from_iterable(_door(name, door, config, cameras) for name, door in config.door.items())
    buses = _names(document, "bus") | set(config.bus)
    return [
        *_site(config),
        *doors,
        *check_lanes(config, cameras),
        *_cameras(config),
        *_lines(config),
        *check_meters(config, buses),
        *_uplink(config),
        *_control(config),
    ]


def _names(document: Mapping[str, Any] | None, table: str) -> set[str]:
    part = document.get(table) if document is not None else None
    return set(part) if isinstance(part, dict) else set()


def _warning(path: KeyPath, what: str, mend: str = "", **facts: object) -> Finding:
    return Finding(path, what, mend, facts, "warning")


def _hint(path: KeyPath, what: str, mend: str = "", **facts: object) -> Finding:
    return Finding(path, what, mend, facts, "hint")


def _wrong(path: KeyPath, what: str, mend: str = "", **facts: object) -> Finding:
    return Finding(path, what, mend, facts)


# --- site and box


def _site(config: schema.Gateway) -> Iterator[Finding]:
    zone = config.site.timezone
    if not _is_zone(zone):
        near = get_close_matches(zone, zoneinfo.available_timezones(), n=1)
        yield _wrong(
            ("site", "timezone"),
            N_("there is no time zone {zone}"),
            N_('did you mean "{near}"?') if near else N_('in China: "Asia/Shanghai"'),
            zone=f'"{zone}"',
            near="".join(near),
        )
    if not config.site.name.strip():
        yield _wrong(("site", "name"), N_("the site has no name"), N_("write what people call it"))
    for key, value in (("state", config.box.state), ("run", config.box.run)):
        if not value.startswith("/") or "\0" in value:
            yield _wrong(("box", key), N_("this is not an absolute path"), N_("begin it with /"))
    if config.box.state == config.box.run:
        yield _wrong(
            ("box", "run"),
            N_("state and run are one folder"),
            N_("run is emptied at each start of the machine, state is kept: two folders"),
        )
    if config.vision.models and not config.vision.models.startswith("/"):
        yield _wrong(("vision", "models"), N_("this is not an absolute path"), N_("begin it with /"))


def _is_zone(name: str) -> bool:
    """Asks for this one alone: the list of all costs a start of the daemon 50 ms."""
    try:
        zoneinfo.ZoneInfo(name)
    except (zoneinfo.ZoneInfoNotFoundError, ValueError, OSError):
        return False
    return True


# --- doors


def _door(name: str, door: schema.Door, config: schema.Gateway, cameras: set[str]) -> Iterator[Finding]:
    root: KeyPath = ("door", name)
    if not door.name.strip():
        yield _wrong((*root, "name"), N_("the door has no name"), N_("write what people call it"))
    yield from _lock(root, door)
    if door.pre_alarm >= door.held_open_after:
        yield _wrong(
            (*root, "pre_alarm"),
            N_("the pre-alarm of {pre} s begins before the door may be open at all ({held} s)"),
            N_("make pre_alarm shorter than held_open_after"),
            pre=f"{door.pre_alarm:g}",
            held=f"{door.held_open_after:g}",
        )
    if door.camera is not None and door.camera not in cameras:
        near = get_close_matches(door.camera, cameras, n=1)
        yield _wrong(
            (*root, "camera"),
            N_("there is no camera {camera}"),
            N_('did you mean "{near}"?') if near else N_("add a table [camera.{camera}]"),
            camera=door.camera,
            near="".join(near),
        )
    if door.light is not None and door.camera is None:
        yield _wrong(
            (*root, "light"),
            N_("a light follows what the door's camera sees, and this door has none"),
            N_("add `camera`, or take the light out"),
        )
    if door.camera is not None and door.face == "alone" and config.vision.run == "off":
        yield _warning(
            (*root, "face"),
            N_("faces open this door, but vision is off"),
            N_('set vision.run, or face = "off"'),
        )
    yield from _fire_and_exit(root, door)


def _lock(root: KeyPath, door: schema.Door) -> Iterator[Finding]:
    lock = door.lock
    if lock.mode == "momentary" and lock.open_for > lock.max_on:
        yield _wrong(
            (*root, "lock", "open_for"),
            N_("a pulse of {open_for} s is longer than max_on ({max_on} s) allows"),
            N_("make open_for shorter, or max_on longer if the lock's coil stands it"),
            open_for=f"{lock.open_for:g}",
            max_on=f"{lock.max_on:g}",
        )
    if lock.mode == "maintained" and door.contact is None:
        yield _wrong(
            (*root, "lock", "mode"),
            N_("a maintained lock is energised until the door was opened and closed, and no contact sees that"),
            N_('add `contact`, or use mode = "momentary"'),
        )
    if lock.open_for > door.held_open_after:
        yield _warning(
            (*root, "held_open_after"),
            N_("the door counts as held open ({held} s) while its lock is still released ({open_for} s)"),
            N_("make held_open_after longer than lock.open_for"),
            held=f"{door.held_open_after:g}",
            open_for=f"{lock.open_for:g}",
        )


def _fire_and_exit(root: KeyPath, door: schema.Door) -> Iterator[Finding]:
    if door.fire is None and door.lock.kind == "fail-safe":
        yield _hint(
            (*root, "lock", "kind"),
            N_("a fail-safe lock without a fire input: the fire relay cuts its supply in copper, and nobody sees it"),
            N_("wire the fire relay's second contact to an input and add `fire`"),
        )
    if door.fire is None and door.lock.kind == "fail-secure":
        yield _hint(
            (*root, "lock", "kind"),
            N_("a fail-secure lock stays locked without supply: the way out must open by a mechanical handle"),
            N_("check the handle; add `fire` where a fire relay exists"),
        )
    contact = door.contact
    if contact is not None and contact.bias == ("down" if contact.active_low else "up"):
        yield _warning(
            (*root, "contact"),
            N_("a cut wire of this contact would look like a closed door"),
            N_('wire it to ground with active_low = true and bias = "up"'),
        )


# --- cameras


def _cameras(config: schema.Gateway) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    watched = {door.camera for door in config.door.values()} | {lane.camera for lane in config.lane.values()}
    for name, camera in config.camera.items():
        root: KeyPath = ("camera", name)
        key, source = _source(camera)
        if source in seen:
            yield _wrong(
                (*root, key),
                N_("this is the source of camera {other} already"),
                N_("one process owns a camera: name {other} at both doors"),
                other=seen[source],
            )
        seen.setdefault(source, name)
        yield from _source_form(root, camera)
        if name not in watched:
            yield _warning(
                root, N_("no door and no lane names this camera"), N_('add camera = "{name}" to one'), name=name
            )


def _source(camera: schema.Camera) -> tuple[str, str]:
    match camera:
        case schema.V4l2Camera():
            return "device", camera.device
        case schema.RtspCamera():
            return "url", camera.url
        case _:
            return "path", camera.path


def _source_form(root: KeyPath, camera: schema.Camera) -> Iterator[Finding]:
    key, source = _source(camera)
    if isinstance(camera, schema.RtspCamera):
        if not source.startswith(("rtsp://", "rtsps://")):
            yield _wrong((*root, key), N_("this is not an RTSP address"), N_("begin it with rtsp:// or rtsps://"))
        return
    if not source.startswith("/") or "\0" in source:
        yield _wrong((*root, key), N_("this is not an absolute path"), N_("begin it with /"))
    if camera.time_out < 1 / camera.fps:
        yield _wrong(
            (*root, "time_out"),
            N_("a time-out of {time_out} s is shorter than one frame ({frame:.2g} s)"),
            N_("make time_out longer, or fps higher"),
            time_out=f"{camera.time_out:g}",
            frame=1 / camera.fps,
        )
    if isinstance(camera, schema.V4l2Camera):
        for name, size, least, most in (("width", camera.width, 160, 4096), ("height", camera.height, 120, 4096)):
            if not least <= size <= most:
                yield _wrong(
                    (*root, name),
                    N_("{size} pixels are out of range"),
                    N_("allowed: {allowed}"),
                    size=size,
                    allowed=f"≥ {least}, ≤ {most}",
                )


# --- lines


def _lines(config: schema.Gateway) -> Iterator[Finding]:
    seen: dict[tuple[str, int], Use] = {}
    for use in uses(config):
        first = seen.setdefault(use.place, use)
        if first is not use:
            yield _wrong(
                use.path,
                N_("line {line} of {chip} is used by {other} already"),
                N_("give one of them another line"),
                line=use.conf.line,
                chip=use.chip,
                other=first.name,
            )
        yield from _driver(use, config.box.board)
        if not use.is_input:
            yield from _rest(use)


def _driver(use: Use, board: str) -> Iterator[Finding]:
    if use.driver == "gpio_rpi" and board == "pi5":
        yield _wrong(
            (*use.path, "driver"),
            N_("RPi.GPIO does not run on a Pi 5"),
            N_('use driver = "gpio_chardev" with chip = "pinctrl-rp1"'),
        )
    if board in {"pi4", "pi5"} and SOC_CHIPS.get(use.chip, board) != board:
        right = next(chip for chip, of in SOC_CHIPS.items() if of == board)
        yield _wrong(
            (*use.path, "chip"),
            N_("{chip} is not the chip of a {board}"),
            N_('use chip = "{right}"'),
            chip=use.chip,
            board=board,
            right=right,
        )
    if board in {"pi4", "pi5"} and use.driver == "simulated":
        yield _warning(
            (*use.path, "driver"), N_("a simulated line moves nothing on a real box"), N_('use driver = "gpio_chardev"')
        )
    if use.place[0] == "bcm" and use.conf.line > 27:
        yield _wrong(
            (*use.path, "line"), N_("the header has the lines 0 to 27"), N_("use the BCM number, not the pin's")
        )
    elif use.place[0] == "bcm" and use.conf.line in {0, 1}:
        yield _warning((*use.path, "line"), N_("lines 0 and 1 belong to the HAT's memory"), N_("use a line from 4 on"))


def _rest(use: Use) -> Iterator[Finding]:
    """An output rests de-energised; that must be where its pull leaves it."""
    conf = use.conf
    if conf.bias == ("down" if conf.active_low else "up"):
        yield _wrong(
            (*use.path, "bias"),
            N_('the output rests electrically {level}, but bias = "{bias}" pulls it {pull}: the relay would be on'),
            N_('use bias = "{right}", or a relay board with the other polarity'),
            level=N_("high") if conf.active_low else N_("low"),
            pull=N_("low") if conf.active_low else N_("high"),
            bias=conf.bias,
            right="up" if conf.active_low else "down",
        )
        return
    at_power_up = "up" if conf.line <= 8 else "down"  # what the chip itself does on lines 0-8 and 9-27
    if use.place[0] == "bcm" and at_power_up == ("down" if conf.active_low else "up"):
        yield _warning(
            (*use.path, "line"),
            N_("line {line} is pulled {pull} from power-up until the daemon starts: the relay would be energised"),
            N_("use a line from 4 to 8 for an active-low relay board, from 9 to 27 for an active-high one"),
            line=conf.line,
            pull=N_("low") if conf.active_low else N_("high"),
        )


# --- uplink and control


def _uplink(config: schema.Gateway) -> Iterator[Finding]:
    uplink = config.uplink
    if uplink is None:
        return
    if not uplink.brokers:
        yield _wrong(("uplink", "brokers"), N_("no broker is named"), N_('[[uplink.brokers]] with host = "..."'))
    for at, broker in enumerate(uplink.brokers):
        if not broker.host.strip() or "/" in broker.host:
            yield _wrong(
                ("uplink", "brokers", at, "host"),
                N_("this is not the name or address of a host"),
                N_("without mqtt:// and without a port"),
            )
        elif not uplink.tls and broker.host not in LOCAL_HOSTS:
            yield _wrong(
                ("uplink", "tls"),
                N_("without TLS everybody on the way to {host} can read and open doors"),
                N_("tls = true; without TLS only a broker on this machine"),
                host=broker.host,
            )
    if not uplink.receiver:
        yield _warning(
            ("uplink", "receiver"),
            N_("events count as received when the broker has them: a broker that loses them loses them for ever"),
            N_("run `loumen desk` behind the broker and set receiver = true"),
        )


def _control(config: schema.Gateway) -> Iterator[Finding]:
    control = config.control
    socket = control.socket or f"{config.box.run}/loumen.sock"
    where: KeyPath = ("control", "socket") if control.socket else ("box", "run")
    if control.socket and not control.socket.startswith("/"):
        yield _wrong(where, N_("this is not an absolute path"), N_("begin it with /"))
    if len(socket.encode()) > LONGEST_SOCKET:
        yield _wrong(
            where,
            N_("the path of the control socket is longer than {longest} bytes"),
            N_("set a shorter `control.socket` or `box.run`"),
            longest=LONGEST_SOCKET,
        )
    roles = (
        ("administrators", control.administrators),
        ("technicians", control.technicians),
        ("clerks", control.clerks),
    )
    seen: dict[str, str] = {}
    for role, names in roles:
        for name in names:
            if seen.setdefault(name, role) != role:
                yield _warning(
                    ("control", role),
                    N_("{name} is among the {other} already; the higher role counts"),
                    N_("name everybody once"),
                    name=name,
                    other=seen[name],
                )
