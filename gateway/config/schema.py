"""The types of `gateway.toml`. Each field's text for the generated reference stands in `reference.py`.

People, faces and plates are not configuration: they are in the directory and change at once.
Durations are seconds. Unknown keys are refused. What a type cannot say (a resting level that fights
its bias, two users of one line, a door's camera that does not exist) is checked in `check.py`.
"""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec

Seconds = Annotated[float, msgspec.Meta(gt=0, le=86400)]
Port = Annotated[int, msgspec.Meta(ge=1, le=65535)]
Identifier = Annotated[str, msgspec.Meta(pattern=r"^[a-z0-9][a-z0-9_-]{0,31}\Z")]
BiasName = Literal["as-is", "none", "up", "down"]


class Part(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """The root of every table of the file."""


# --- lines, told apart by `driver`


class ChardevOutput(Part, frozen=True, kw_only=True, tag="gpio_chardev", tag_field="driver"):
    chip: str  # a label ("pinctrl-bcm2711", "pinctrl-rp1") or a device path
    line: Annotated[int, msgspec.Meta(ge=0, le=1023)]
    active_low: bool = False
    bias: BiasName = "as-is"


class RpiOutput(Part, frozen=True, kw_only=True, tag="gpio_rpi", tag_field="driver"):
    line: Annotated[int, msgspec.Meta(ge=0, le=27)]  # BCM number
    active_low: bool = False
    bias: BiasName = "as-is"


class SimulatedOutput(Part, frozen=True, kw_only=True, tag="simulated", tag_field="driver"):
    line: Annotated[int, msgspec.Meta(ge=0, le=1023)]
    active_low: bool = False
    bias: BiasName = "as-is"


class ChardevInput(ChardevOutput, frozen=True, kw_only=True, tag="gpio_chardev", tag_field="driver"):
    debounce: Annotated[float, msgspec.Meta(ge=0, le=5)] = 0.02


class RpiInput(RpiOutput, frozen=True, kw_only=True, tag="gpio_rpi", tag_field="driver"):
    debounce: Annotated[float, msgspec.Meta(ge=0, le=5)] = 0.02


class SimulatedInput(SimulatedOutput, frozen=True, kw_only=True, tag="simulated", tag_field="driver"):
    debounce: Annotated[float, msgspec.Meta(ge=0, le=5)] = 0.02


Output = ChardevOutput | RpiOutput | SimulatedOutput
Input = ChardevInput | RpiInput | SimulatedInput


# --- doors


class Lock(Part, frozen=True, kw_only=True):
    output: Output
    kind: Literal["fail-safe", "fail-secure"] = "fail-secure"
    mode: Literal["momentary", "maintained"] = "momentary"  # maintained: energised until the door opened and closed
    open_for: Seconds = 5.0  # how long a grant unlocks
    max_on: Seconds = 10.0  # the driver's own bound on one pulse
    relock_on_open: bool = True  # a momentary lock is locked again as soon as the contact says 'open'


class Indicators(Part, frozen=True, kw_only=True):
    granted: Output | None = None
    denied: Output | None = None
    wait: Output | None = None
    fault: Output | None = None
    buzzer: Output | None = None


class Light(Part, frozen=True, kw_only=True):
    output: Output
    linger: Seconds = 20.0
    below_brightness: Annotated[float, msgspec.Meta(ge=0, le=1)] = 0.25  # only when darker; 1 = always by presence


class Door(Part, frozen=True, kw_only=True):
    name: str
    lock: Lock
    contact: Input | None = None  # active = closed
    exit_button: Input | None = None  # request-to-exit; active = pressed
    fire: Input | None = None  # active = fire
    held_open_after: Seconds = 30.0
    pre_alarm: Seconds = 10.0  # the buzzer starts so long before 'held open' is an event
    indicators: Indicators = msgspec.field(default_factory=Indicators)
    light: Light | None = None
    camera: str | None = None
    face: Literal["alone", "off"] = "alone"


# --- lanes


class Arm(Part, frozen=True, kw_only=True):
    """The drive of a barrier, moved by pulses; without `stop` an opening pulse is what ends a closing."""

    open: Output
    close: Output
    stop: Output | None = None
    pulse: Annotated[float, msgspec.Meta(ge=0.05, le=3)] = 0.5
    travel: Annotated[float, msgspec.Meta(gt=0, le=120)] = 8.0  # until the arm has arrived, or is late
    limit_up: Input | None = None  # active = the arm is up
    limit_down: Input | None = None  # active = the arm is down


class Lane(Part, frozen=True, kw_only=True):
    name: str
    arm: Arm
    loop: Input | None = None  # active = a vehicle is on it
    photocell: Input | None = None  # active = it sees its light: nothing is in the way
    button: Input | None = None  # active = pressed
    fire: Input | None = None  # active = fire
    light: Output | None = None  # lit while the arm is up
    camera: str | None = None
    plate: Literal["alone", "off"] = "alone"
    close_after: Annotated[float, msgspec.Meta(ge=0.5, le=600)] = 2.0  # after the vehicle has left
    stay_open: Seconds = 20.0  # when none came
    stuck_after: Seconds = 600.0  # a loop, photocell or button that stays active so long is told


# --- cameras and vision


class V4l2Camera(Part, frozen=True, kw_only=True, tag="v4l2", tag_field="driver"):
    device: str  # a path; /dev/v4l/by-id/... keeps its name
    width: int = 640
    height: int = 480
    fps: Annotated[float, msgspec.Meta(gt=0, le=60)] = 15.0
    time_out: Seconds = 2.0


class RtspCamera(Part, frozen=True, kw_only=True, tag="rtsp", tag_field="driver"):
    url: str  # masked wherever it is shown
    time_out: Seconds = 5.0


class FileCamera(Part, frozen=True, kw_only=True, tag="file", tag_field="driver"):
    path: str
    fps: Annotated[float, msgspec.Meta(gt=0, le=60)] = 15.0
    loop: bool = False
    time_out: Seconds = 2.0


class FolderCamera(Part, frozen=True, kw_only=True, tag="folder", tag_field="driver"):
    """Pictures in a folder, newest name first as they appear: the demo's and a bench's camera."""

    path: str
    fps: Annotated[float, msgspec.Meta(gt=0, le=60)] = 5.0
    time_out: Seconds = 2.0


Camera = V4l2Camera | RtspCamera | FileCamera | FolderCamera


class Vision(Part, frozen=True, kw_only=True):
    run: Literal["service", "child", "off"] = "child"
    engine: Literal["onnx", "face-recognition"] = "onnx"
    models: str = ""  # a folder with models that no package carries (YuNet)
    false_positive_rate: Annotated[float, msgspec.Meta(gt=0, lt=0.1)] = 0.001  # FPIR for one presentation at a door
    pooled_frames: Annotated[int, msgspec.Meta(ge=1, le=10)] = 3
    ceiling_mb: Annotated[int, msgspec.Meta(ge=100, le=4096)] = 400


# --- buses and meters


class SerialBus(Part, frozen=True, kw_only=True, tag="serial", tag_field="driver"):
    """Modbus RTU. The adapter by its serial number (it may come back under another name), or a port."""

    adapter: str = ""  # the serial number of a USB adapter, as `loumen meter scan` lists them
    port: str = ""  # else a path: "/dev/ttyAMA0", "/dev/serial/by-id/..."
    baud: Annotated[int, msgspec.Meta(ge=300, le=115200)] = 9600
    parity: Literal["none", "even", "odd"] = "none"
    stop_bits: Annotated[int, msgspec.Meta(ge=1, le=2)] = 1


class TcpBus(Part, frozen=True, kw_only=True, tag="tcp", tag_field="driver"):
    """Modbus TCP: a gateway or a meter with a network plug."""

    host: str
    port: Port = 502


class SimulatedBus(Part, frozen=True, kw_only=True, tag="simulated", tag_field="driver"):
    """Meters in a JSON file: see drivers/simulated/meters.py."""

    meters: str


Bus = SerialBus | TcpBus | SimulatedBus


class Meter(Part, frozen=True, kw_only=True):
    name: str
    bus: str
    unit: Annotated[int, msgspec.Meta(ge=1, le=247)]
    profile: str  # `loumen meter profile list`
    q3: Annotated[float, msgspec.Meta(gt=0, le=1000)] = 2.5  # the meter's permanent flow, m3/h, as printed on it
    interval: Seconds = 60.0  # between polls


class Metering(Part, frozen=True, kw_only=True):
    profiles: str = ""  # a folder with profiles of one's own, beside the shipped ones
    silent_after: Annotated[int, msgspec.Meta(ge=1, le=100)] = 3  # unanswered polls until a meter counts as silent
    longest_pause: Seconds = 600.0  # between polls of a silent meter
    still: Seconds = 3600.0  # leak: no pause of this length ...
    still_within: Seconds = 86400.0  # ... for so long
    burst_share: Annotated[float, msgspec.Meta(gt=0, le=1)] = 0.2  # burst: this part of q3 ...
    burst_lasts: Seconds = 1800.0  # ... for so long
    burst_window: Seconds = 300.0  # over which flow is judged


# --- the rest


class Site(Part, frozen=True, kw_only=True):
    name: str
    community: Identifier  # part of every topic
    timezone: str = "Asia/Shanghai"
    language: Literal["zh", "en"] = "zh"


class Box(Part, frozen=True, kw_only=True):
    name: Identifier
    board: Literal["pi4", "pi5", "simulated", "other"] = "other"
    clock_chip: bool = False  # a clock chip with a battery is fitted and may be believed
    state: str = "/var/lib/loumen"
    run: str = "/run/loumen"


class Broker(Part, frozen=True, kw_only=True):
    host: str
    port: Port = 8883


class Uplink(Part, frozen=True, kw_only=True):
    brokers: tuple[Broker, ...]
    protocol: Literal["5", "3.1.1", "auto"] = "auto"
    tls: bool = True  # false only for a broker on this machine (bench, demo without enrolment)
    receiver: bool = True  # false: the lesser mode, 'acknowledged by the broker only'
    keepalive: Annotated[int, msgspec.Meta(ge=5, le=1200)] = 30
    backoff_max: Seconds = 60.0


class Journal(Part, frozen=True, kw_only=True):
    keep_days: Annotated[int, msgspec.Meta(ge=1, le=3650)] = 180
    max_mb: Annotated[int, msgspec.Meta(ge=1, le=100_000)] = 512


class Control(Part, frozen=True, kw_only=True):
    socket: str = ""  # default: {box.run}/loumen.sock
    administrators: tuple[str, ...] = ("root",)  # user names
    technicians: tuple[str, ...] = ()
    clerks: tuple[str, ...] = ()
    max_body_mb: Annotated[int, msgspec.Meta(ge=1, le=256)] = 64  # of all waiting requests together; face pictures


class Gateway(Part, frozen=True, kw_only=True):
    """The whole file."""

    site: Site
    box: Box
    door: dict[Identifier, Door] = msgspec.field(default_factory=dict)
    lane: dict[Identifier, Lane] = msgspec.field(default_factory=dict)
    camera: dict[Identifier, Camera] = msgspec.field(default_factory=dict)
    vision: Vision = msgspec.field(default_factory=Vision)
    bus: dict[Identifier, Bus] = msgspec.field(default_factory=dict)
    meter: dict[Identifier, Meter] = msgspec.field(default_factory=dict)
    metering: Metering = msgspec.field(default_factory=Metering)
    uplink: Uplink | None = None
    journal: Journal = msgspec.field(default_factory=Journal)
    control: Control = msgspec.field(default_factory=Control)
    healthy_seconds: Seconds = 60.0  # after so long a new configuration counts as good
