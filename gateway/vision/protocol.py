"""What the daemon and a vision process say to each other over a unix socket.

A frame is 4 bytes of length, big-endian, then that many bytes of JSON, at most MAX_FRAME. The worker
connects and says Hello first; the daemon answers Welcome or closes. Either side closes on a frame it
cannot read: the worker then exits and is started again; the daemon records it and goes on.
Frames (pictures) never cross this socket.

Pure: bytes in, messages out; no socket here.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from typing import Annotated, Literal

import msgspec

PROTOCOL = 2
MAX_FRAME = 256 * 1024  # a candidates message is under 2 kB; an enrolment answer under 64 kB
HEARTBEAT = 1.0  # seconds between heartbeats
#: Whose numbers may be compared: both engines make the same ones (measured), so nobody enrols twice.
SPACES = {"onnx": "dlib-resnet-v1", "face-recognition": "dlib-resnet-v1"}
SILENT = 5.0  # seconds without one before the worker counts as hung

Name = Annotated[str, msgspec.Meta(max_length=200)]
Whole = Annotated[int, msgspec.Meta(ge=0, le=2**53)]
Share = Annotated[float, msgspec.Meta(ge=0, le=1)]
Distance = Annotated[float, msgspec.Meta(ge=0, le=10)]


class Exit(IntEnum):
    """Why the worker ended by itself: its exit code."""

    DONE = 0
    GARBAGE = 10  # the daemon sent what is no message
    CEILING = 11  # more memory than its settings allow
    MODELS = 12  # the engine or a model cannot be loaded
    SETTINGS = 13  # its settings cannot be read, or are not the daemon's any more


class Message(msgspec.Struct, frozen=True, kw_only=True, tag_field="kind", forbid_unknown_fields=False):
    """The root of what is said."""


# --- from the worker


class Hello(Message, frozen=True, kw_only=True, tag="hello"):
    protocol: int
    group: str
    version: str
    engine: str  # "onnx" or "face-recognition"
    detector: str  # "yunet", "blazeface", "hog"
    models: dict[str, str]  # name -> sha256
    pid: int


class CameraHealth(msgspec.Struct, frozen=True, kw_only=True):
    camera: Name
    frame_age: float | None  # seconds; None before the first frame
    frames: Whole
    problem: str = ""  # English, for logs; empty when well
    what: str = ""  # the same as a message id, with its mend and facts: a peer of an older release says none
    mend: str = ""
    facts: dict[str, str | int | float] = {}


class Heartbeat(Message, frozen=True, kw_only=True, tag="heartbeat"):
    cameras: tuple[CameraHealth, ...]
    resident_kb: Whole
    generations: dict[str, int]  # door -> gallery generation in use
    thresholds: dict[str, float] = {}  # door -> the distance below which a face counts as that person's
    people: dict[str, int] = {}  # door -> how many people its gallery holds
    problems: tuple[str, ...] = ()  # English, for logs: a gallery that was refused, ...


class Candidate(msgspec.Struct, frozen=True, kw_only=True):
    person: Name
    distance: Distance


class Candidates(Message, frozen=True, kw_only=True, tag="candidates"):
    """One track whose pooled embedding was compared with the door's gallery."""

    camera: Name
    door: Name
    track: Whole
    generation: Whole
    frames: Whole  # how many were pooled
    best: Annotated[tuple[Candidate, ...], msgspec.Meta(max_length=2)]  # nearest first; none: an empty gallery
    threshold: Annotated[float, msgspec.Meta(ge=0, le=1)]
    at: float  # monotonic seconds of the newest pooled frame
    quality: Share  # the lowest of the pooled frames


class PlateCandidate(msgspec.Struct, frozen=True, kw_only=True):
    plate: Annotated[str, msgspec.Meta(min_length=1, max_length=16)]  # in normal form
    log_p: Annotated[float, msgspec.Meta(ge=-1000, le=0.001)]  # natural logarithm of its probability


class PlateRead(Message, frozen=True, kw_only=True, tag="plate_read"):
    """One plate before a lane's camera, read in its newest frames (`gateway/lanes/plates.py` says what it means)."""

    camera: Name
    lane: Name
    track: Whole
    readings: Annotated[tuple[PlateCandidate, ...], msgspec.Meta(min_length=1, max_length=8)]  # likeliest first
    margin: Annotated[float, msgspec.Meta(ge=0)] | None  # logarithms between the first and the second; None: no second
    frames: Whole  # how many were read
    votes: Whole  # how many of them have this best
    at: float  # monotonic seconds of the newest frame


class Presence(Message, frozen=True, kw_only=True, tag="presence"):
    """Somebody is (or is no longer) before the camera; how bright the picture is (0..1).

    `looking`: a face is near enough and was not answered yet. It ends with the first candidates.
    """

    camera: Name
    present: bool
    looking: bool = False
    brightness: Share
    at: float


class Refusal(msgspec.Struct, frozen=True, kw_only=True):
    """Why a picture is no reference: message ids with their facts (see vision/quality.py)."""

    name: str  # the picture's
    why: str
    mend: str = ""
    facts: dict[str, str | int | float] = {}


class Enrolled(Message, frozen=True, kw_only=True, tag="enrolled"):
    """The answer to Enrol. `embeddings` are 128 little-endian float32 each, base64 by msgspec."""

    request: int
    embeddings: tuple[bytes, ...]
    quality: tuple[float, ...]
    engine: str  # whose numbers they are: a value of SPACES
    names: tuple[str, ...] = ()  # of the pictures that the embeddings come from, same order
    refused: tuple[Refusal, ...] = ()  # the other pictures


# --- from the daemon


class Welcome(Message, frozen=True, kw_only=True, tag="welcome"):
    protocol: int
    settings: str = ""  # SHA-256 of the settings the daemon wrote; a worker started with others exits


class Gallery(Message, frozen=True, kw_only=True, tag="gallery"):
    """A door's gallery is ready as a sealed file: see vision/gallery.py for its layout."""

    door: str
    generation: int
    path: str
    sha256: str


class Enrol(Message, frozen=True, kw_only=True, tag="enrol"):
    """Take a reference picture: from files (on tmpfs, deleted by the daemon) or from a camera."""

    request: int
    files: tuple[str, ...] = ()
    camera: str = ""
    seconds: float = 10.0


class Stop(Message, frozen=True, kw_only=True, tag="stop"):
    """Finish and exit 0."""


FromWorker = Hello | Heartbeat | Candidates | PlateRead | Presence | Enrolled
FromDaemon = Welcome | Gallery | Enrol | Stop

_encoder = msgspec.json.Encoder()
_from_worker = msgspec.json.Decoder(FromWorker)
_from_daemon = msgspec.json.Decoder(FromDaemon)


class Garbage(Exception):  # noqa: N818  (named for what it says)
    """Bytes that are no message; the connection that brought them is closed."""


def encode(message: Message) -> bytes:
    """One frame."""
    body = _encoder.encode(message)
    return struct.pack(">I", len(body)) + body


class Reader:
    """Collects bytes, gives whole messages. `side` is who sent them. Raises Garbage, and nothing else."""

    def __init__(self, side: Literal["worker", "daemon"]) -> None:
        self._decode = _from_worker.decode if side == "worker" else _from_daemon.decode
        self._waiting = bytearray()

    def feed(self, data: bytes) -> list[FromWorker | FromDaemon]:
        self._waiting += data
        messages: list[FromWorker | FromDaemon] = []
        while len(self._waiting) >= 4:
            (length,) = struct.unpack_from(">I", self._waiting)
            if length > MAX_FRAME:
                raise Garbage(f"a frame of {length} bytes; at most {MAX_FRAME} are allowed")
            if len(self._waiting) < 4 + length:
                break
            body = bytes(self._waiting[4 : 4 + length])
            del self._waiting[: 4 + length]
            try:
                messages.append(self._decode(body))
            except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
                raise Garbage(f"not a message: {error}") from error
        return messages
