"""Whether the parts of a lane fit together."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from gateway.config import schema
from gateway.config.mistakes import Finding, KeyPath
from gateway.errors import N_


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
        yield from _camera(root, lane, config, cameras)
        yield from _protection(root, lane)


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
