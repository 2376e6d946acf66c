"""Whether the parts of a lane fit together."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from gateway.config import schema
from gateway.config.mistakes import Finding, KeyPath
from gateway.errors import N_

FASTEST = 1.0  # seconds; the quickest barriers for motorways take 0.9
LONG_STOP = 60.0  # seconds that a car may well stand on a loop


def check_lanes(config: schema.Gateway, cameras: set[str]) -> Iterator[Finding]:
    """`cameras`: every name of the file, also of those whose table is broken."""
    for name, lane in config.lane.items():
        root: KeyPath = ("lane", name)
        if name in config.door:
            yield Finding(
                root,
                N_("a door has the name {name} already: their lines would have the same names"),
                N_("give the lane another name"),
                {"name": name},
            )
        if not lane.name.strip():
            yield Finding((*root, "name"), N_("the lane has no name"), N_("write what people call it"))
        if (lane.arm.limit_up is None) is not (lane.arm.limit_down is None):
            yield Finding(
                (*root, "arm"),
                N_("one limit switch alone says nothing about the other end"),
                N_("add the other one, or take this one out: then time tells where the arm is"),
            )
        yield from _arm(root, lane)
        yield from _camera(root, lane, config, cameras)
        yield from _protection(root, lane)
    yield from _shared_cameras(config)


def _arm(root: KeyPath, lane: schema.Lane) -> Iterator[Finding]:
    """Whether an arm can be moved so, and whether it is noticed when it is not."""
    arm = lane.arm
    if arm.pulse >= arm.travel:
        yield Finding(
            (*root, "arm", "pulse"),
            N_("a pulse of {pulse} s is longer than the whole travel of {travel} s"),
            N_("make pulse shorter: it presses a button of the drive; travel is how long the arm takes"),
            {"pulse": f"{arm.pulse:g}", "travel": f"{arm.travel:g}"},
        )
    elif arm.travel < FASTEST:
        yield Finding(
            (*root, "arm", "travel"),
            N_("no arm arrives within {travel} s: each opening would be told as late"),
            N_("measure how long it takes from end to end, and add a third"),
            {"travel": f"{arm.travel:g}"},
        )
    if arm.limit_up is None and arm.limit_down is None:
        yield Finding(
            (*root, "arm"),
            N_("without limit switches nobody notices an arm that jams: after {travel} s it is taken to have arrived"),
            N_("add `limit_up` and `limit_down`, or measure `travel` well"),
            {"travel": f"{arm.travel:g}"},
            "warning",
        )
    if lane.stuck_after <= max(lane.stay_open, LONG_STOP):
        yield Finding(
            (*root, "stuck_after"),
            N_("a car that waits for {stuck} s would be told as a loop that is stuck"),
            N_("make stuck_after longer than stay_open and than a minute"),
            {"stuck": f"{lane.stuck_after:g}"},
            "warning",
        )


def _shared_cameras(config: schema.Gateway) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for name, lane in config.lane.items():
        if lane.camera is None or lane.plate == "off":
            continue
        if (first := seen.setdefault(lane.camera, name)) != name:
            yield Finding(
                ("lane", name, "camera"),
                N_("lane {other} looks through this camera too: each plate that it sees raises both arms"),
                N_('give each lane a camera of its own, or one of them plate = "off"'),
                {"other": first},
                "warning",
            )


def _camera(root: KeyPath, lane: schema.Lane, config: schema.Gateway, cameras: set[str]) -> Iterator[Finding]:
    if lane.camera is not None and lane.camera not in cameras:
        near = get_close_matches(lane.camera, cameras, n=1)
        yield Finding(
            (*root, "camera"),
            N_("there is no camera {camera}"),
            N_('did you mean "{near}"?') if near else N_("add a table [camera.{camera}]"),
            {"camera": lane.camera, "near": "".join(near)},
        )
    if lane.camera is not None and any(door.camera == lane.camera for door in config.door.values()):
        yield Finding(
            (*root, "camera"),
            N_("this camera belongs to a door: the processes for faces and plates cannot share one"),
            N_("give the lane a camera of its own"),
        )
    if lane.camera is not None and lane.plate == "alone" and config.vision.run == "off":
        yield Finding(
            (*root, "plate"),
            N_("plates open this lane, but vision is off"),
            N_('set vision.run, or plate = "off"'),
            {},
            "warning",
        )


def _protection(root: KeyPath, lane: schema.Lane) -> Iterator[Finding]:
    """What keeps the arm off people and cars."""
    if lane.loop is None and lane.photocell is None:
        yield Finding(
            root,
            N_("with neither loop nor photocell nobody sees what is under the arm: it is never closed"),
            N_("add `photocell` or `loop`"),
            {},
            "warning",
        )
    elif lane.photocell is None:
        yield Finding(
            root,
            N_("a loop sees cars, not people: the arm could come down on somebody who walks"),
            N_("add `photocell`"),
            {},
            "warning",
        )
    else:
        yield Finding(
            (*root, "photocell"),
            N_("when the daemon dies while the arm falls, only the drive itself can see who is under it"),
            N_("wire the photocell's second contact to the drive's own safety input"),
            {},
            "hint",
        )
    loop, cell = lane.loop, lane.photocell
    if loop is not None and loop.bias == ("up" if loop.active_low else "down"):
        yield Finding(
            (*root, "loop"),
            N_("a cut wire of this loop would look like a free lane"),
            N_("use the detector's contact that is open while a vehicle is there, and the bias that says so"),
            {},
            "warning",
        )
    if cell is not None and cell.bias == ("down" if cell.active_low else "up"):
        yield Finding(
            (*root, "photocell"),
            N_("a cut wire of this photocell would look like a free lane"),
            N_('wire it to ground with active_low = true and bias = "up"'),
            {},
            "warning",
        )
    if lane.fire is None:
        yield Finding(
            root,
            N_("without a fire input nobody raises the arm for the fire engine"),
            N_("wire the fire relay's contact to an input and add `fire`"),
            {},
            "hint",
        )
