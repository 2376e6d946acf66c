"""What `loumen status` is told of a vision process."""

from __future__ import annotations

import msgspec

from gateway.errors import N_
from gateway.vision.protocol import CameraHealth, Exit

#: What a technician is told of the worker's last end.
ENDS = {
    "hung": N_("it gave no sign of life and was killed"),
    "garbage": N_("it said what is no message and was killed"),
    "slow": N_("it did not read what it was sent and was killed"),
    "closed": N_("it closed its connection"),
    "missing": N_("it has not come up since the start: systemctl status 'loumen-vision@*'"),
    "signal 9": N_("it was killed from outside, or the machine ran out of memory"),
    "signal 11": N_("it crashed"),
    f"exit {Exit.GARBAGE}": N_("it could not read what the daemon sent: both must be of one release"),
    f"exit {Exit.CEILING}": N_("it needed more memory than vision.ceiling_mb allows"),
    f"exit {Exit.MODELS}": N_("its engine or a model could not be loaded: `loumen model verify` says which"),
    f"exit {Exit.SETTINGS}": N_("its settings were not the daemon's: it begins anew with these"),
}

#: So many people may pass a door by face alone. The limit follows from the number: with 3,000 it is so strict that
#: 5 of 100 looks of residents are refused (passport-like pictures), with 200 one or two.
FACE_ALONE = 200


class VisionStatus(msgspec.Struct, frozen=True, kw_only=True):
    """What `loumen status` says of vision."""

    run: str  # "service", "child", "off"
    state: str  # "off", "starting", "up", "down"
    engine: str = ""
    detector: str = ""
    version: str = ""
    models: dict[str, str] = {}
    cameras: tuple[CameraHealth, ...] = ()
    restarts: int = 0
    last_end: str = ""  # why the worker ended last: "hung", "signal 9", "exit 11", "missing", "garbage: ..."
    last_end_words: str = ""  # the same as a message id, for those it is known of
    heartbeat_age: float | None = None
    resident_kb: int = 0
    published: dict[str, int] = {}  # door -> generation the daemon wants in use
    generations: dict[str, int] = {}  # door -> generation in use
    thresholds: dict[str, float] = {}
    people: dict[str, int] = {}
    problems: tuple[str, ...] = ()
    dropped_late: int = 0
