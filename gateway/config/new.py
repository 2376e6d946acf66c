"""`config new`: a commented file for a board, which loads and checks clean as it stands.

The lines for a Pi are chosen so that nothing moves at power-up: an active-low relay board on lines
that the chip pulls high (4 to 8), inputs that switch to ground with the chip's own pull-up.

The comments are English sentences of the catalogue and are written in the reader's language.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from typing import Final, Literal

Board = Literal["pi4", "pi5", "simulated"]
BOARDS: Final[tuple[Board, ...]] = ("pi4", "pi5", "simulated")

_HEAD: Final = """\
# Loumen · gateway.toml · {title}
# All keys with what they may be: docs/reference/config.md
# Check it:  loumen config check        Try it:  loumen doctor
# People, faces and plates are not in here: loumen person, loumen face, loumen plate.

[site]
name = "{site}"            # what people call the place
community = "community-1"          # part of every topic: small letters, digits, '-' and '_'
timezone = "Asia/Shanghai"
language = "zh"                    # zh or en

[box]
name = "unit-1"
board = "{board}"
{places}
"""

_PI_DOOR: Final = """\
# --- one door. A second one is a second table: [door.gate]
#
# Relay board: opto-coupled, active low, with its own 5 V supply, common ground with the Pi.
#   fail-safe lock (maglock):    through the relay's NORMALLY CLOSED contact; the pulse cuts its supply
#   fail-secure lock (strike):   through the NORMALLY OPEN contact; the pulse supplies it
# In copper, always: the fire relay and the second pole of the exit button cut the supply of a maglock.
# Lines are BCM numbers, not pins. 4 to 8 are pulled high from power-up: an active-low relay rests there
# (7 and 8 belong to SPI where that is switched on in raspi-config: leave it off).

[door.main]
name = "Main door"
held_open_after = 30               # seconds until 'held open' is an event
pre_alarm = 10                     # the buzzer starts so long before
contact = {{ driver = "gpio_chardev", chip = "{chip}", line = 17, active_low = true, bias = "up" }}
exit_button = {{ driver = "gpio_chardev", chip = "{chip}", line = 27, active_low = true, bias = "up" }}
fire = {{ driver = "gpio_chardev", chip = "{chip}", line = 22, active_low = true, bias = "up" }}
# camera = "main"                  # with the table [camera.main] below
# face = "off"                     # "alone": a face opens; "off": it never does

[door.main.lock]
kind = "fail-safe"                 # or "fail-secure"
mode = "momentary"
open_for = 5                       # seconds
max_on = 10                        # the driver's own bound on one pulse
output = {{ driver = "gpio_chardev", chip = "{chip}", line = 5, active_low = true, bias = "up" }}

[door.main.indicators]
granted = {{ driver = "gpio_chardev", chip = "{chip}", line = 6, active_low = true, bias = "up" }}
denied = {{ driver = "gpio_chardev", chip = "{chip}", line = 7, active_low = true, bias = "up" }}
buzzer = {{ driver = "gpio_chardev", chip = "{chip}", line = 8, active_low = true, bias = "up" }}

# [door.main.light]                # follows what the camera sees
# output = {{ driver = "gpio_chardev", chip = "{chip}", line = 4, active_low = true, bias = "up" }}
# linger = 20
# below_brightness = 0.25

# [camera.main]
# driver = "v4l2"
# device = "/dev/v4l/by-id/..."    # ls /dev/v4l/by-id: this name stays when another camera is plugged in
# width = 640
# height = 480
# --- or a network camera (chmod 640 this file: it holds a password)
# driver = "rtsp"
# url = "rtsp://user:password@192.168.1.64/stream1"
"""

_SIMULATED_DOOR: Final = """\
# --- one door on a simulated building: nothing real moves
[door.main]
name = "Main door"
held_open_after = 30
pre_alarm = 10
contact = { driver = "simulated", line = 17, active_low = true, bias = "up" }
exit_button = { driver = "simulated", line = 27, active_low = true, bias = "up" }
fire = { driver = "simulated", line = 22, active_low = true, bias = "up" }
# camera = "main"                  # with the table [camera.main] below

[door.main.lock]
kind = "fail-safe"                 # or "fail-secure"
open_for = 5                       # seconds
max_on = 10                        # the driver's own bound on one pulse
output = { driver = "simulated", line = 5 }

[door.main.indicators]
granted = { driver = "simulated", line = 6 }
denied = { driver = "simulated", line = 7 }
buzzer = { driver = "simulated", line = 8 }

# [camera.main]
# driver = "folder"                # pictures in a folder, the newest first
# path = "/tmp/loumen/pictures"
"""

_LANE: Final = """\
# --- a lane with a barrier: take the '# ' away from [lane.gate] to the next empty line
# Wiring: docs/wiring/barrier-*.svg
# The arm's own drive moves it and limits its force; these relays press its buttons: open, close, stop.
# Three lines that are pulled low from power-up (9 to 27), for relays that are active HIGH.
#   loop:       the detector's contact that is OPEN while a vehicle is there: a cut wire reads 'occupied'
#   photocell:  the contact that is CLOSED while it sees its light: a cut wire reads 'somebody is there'
# What this lane would do, without moving anything:  loumen lane simulate gate
#
# [lane.gate]
# name = "Gate"
# loop = {{ {line} = 20, active_low = false, bias = "up" }}
# photocell = {{ {line} = 21, active_low = true, bias = "up" }}
# button = {{ {line} = 25, active_low = true, bias = "up" }}
# fire = {{ {line} = 19, active_low = true, bias = "up" }}
# light = {{ {line} = 26, active_low = false, bias = "down" }}
# camera = "drive"
# plate = "alone"                    # "alone": a plate of the register opens; "off": none does
# close_after = 2                    # seconds after the vehicle has left
# stay_open = 20                     # seconds, when none came
#
# [lane.gate.arm]
# open = {{ {line} = 12, active_low = false, bias = "down" }}
# close = {{ {line} = 13, active_low = false, bias = "down" }}
# stop = {{ {line} = 16, active_low = false, bias = "down" }}   # not every drive has one: then leave it out
# pulse = 0.5                        # seconds; the drive's manual says how long a button is pressed
# travel = 8                         # seconds; an arm that has not arrived by then is stopped and told
# limit_up = {{ {line} = 23, active_low = true, bias = "up" }}
# limit_down = {{ {line} = 24, active_low = true, bias = "up" }}
#
# [camera.drive]
# {camera}
"""

_METER: Final = """\
# --- water meters on RS-485: take the '# ' away. Step by step: docs/meters.md
# The adapters and their serial numbers:  loumen meter scan       Who answers:  loumen meter scan riser
#
# [bus.riser]
# driver = "serial"                # or "tcp" with host and port: a converter on the network
# adapter = "FT4711"               # its serial number: the port may have another name after the next start
# baud = 9600                      # as set in the meters
#
# [meter.flat-502]
# name = "1-1-502"
# bus = "riser"
# unit = 1                         # its number on the bus
# profile = "tuf-2000m"            # as 'loumen meter profile list' names it
# q3 = 2.5                         # m3/h, printed on the meter
# interval = 60                    # seconds between two readings
"""

_TAIL: Final = """\
[vision]
run = "{vision}"                    # "service": loumen-vision@ of systemd; "child": started by the daemon; "off"
engine = "onnx"                    # the fast one; "face-recognition": the named package
false_positive_rate = 0.001        # how often a stranger before a door may be taken for a resident
# models = "/opt/loumen/models"    # a folder with models that no package carries (YuNet)

# --- the platform or the community's desk. Without it everything works, and nothing is told to anybody.
# [uplink]
# [[uplink.brokers]]
# host = "broker.example.cn"
# port = 8883

[journal]
keep_days = 180                    # who opened which door is kept so long, and no longer
max_mb = 512

[control]
administrators = ["root"]          # user names of this machine; take effect at the daemon's start
technicians = []
clerks = []
"""

_PICTURES: Final = 'driver = "folder"\n# path = "/tmp/loumen/cars"'
_STREAM: Final = 'driver = "rtsp"\n# url = "rtsp://user:password@192.168.1.65/stream1"'
_CHIPS: Final = {"pi4": "pinctrl-bcm2711", "pi5": "pinctrl-rp1"}
_TITLES: Final = {
    "pi4": "Raspberry Pi 4 with a relay board",
    "pi5": "Raspberry Pi 5 with a relay board",
    "simulated": "a simulated building",
}
_PLACES: Final = (
    '# state = "/var/lib/loumen"         # databases and keys\n# run = "/run/loumen"              # the socket'
)
_OWN_PLACES: Final = 'state = "{folder}/state"\nrun = "{folder}/run"'


#: A comment of its own line, or one behind a key (that may itself be commented out): before it, and its words.
_ALONE: Final = re.compile(r"(#(?: ---)? +)(?!\[|[a-z_0-9]+ = )(\S.*)")
_BEHIND: Final = re.compile(r"(.*[\]}\w\"] +# )(\S.*)")


def text(board: Board, folder: str = "", translate: Callable[[str], str] = lambda message: message) -> str:
    """The file for `board`. `folder`: state and run in there (a bench without root)."""
    return "\n".join(_translated(line, translate) for line in _text(board, folder).split("\n"))


def comments() -> Iterator[str]:
    """The words of every comment, for the catalogue."""
    for board in BOARDS:
        for line in _text(board, "").split("\n"):
            if found := _comment(line):
                yield found[2]


def _comment(line: str) -> re.Match[str] | None:
    return _ALONE.fullmatch(line) or _BEHIND.fullmatch(line)


def _translated(line: str, translate: Callable[[str], str]) -> str:
    found = _comment(line)
    return found[1] + translate(found[2]) if found else line


def _text(board: Board, folder: str) -> str:
    head = _HEAD.format(
        title=_TITLES[board],
        site="Community 1",
        board=board,
        places=_OWN_PLACES.format(folder=folder) if folder else _PLACES,
    )
    door = _SIMULATED_DOOR if board == "simulated" else _PI_DOOR.format(chip=_CHIPS[board])
    simulated = board == "simulated"
    lane = _LANE.format(
        line='driver = "simulated", line' if simulated else f'driver = "gpio_chardev", chip = "{_CHIPS[board]}", line',
        camera=_PICTURES if simulated else _STREAM,
    )
    return "\n".join((head, door, lane, _METER, _TAIL.format(vision="child" if board == "simulated" else "service")))
