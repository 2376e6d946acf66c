"""Every error above the drivers. The root and the wires' errors are re-exported from `drivers.errors`."""

from __future__ import annotations

from drivers.errors import (
    BadAnswer,
    BusGone,
    CameraGone,
    DriverError,
    LineBusy,
    LineGone,
    LineMissing,
    LoumenError,
    N_,
    NoAnswer,
    OtherAnswered,
    UnitRefused,
    UnknownDriver,
)

__all__ = [
    "AlreadyUsed",
    "BadAnswer",
    "BadCommand",
    "BadImage",
    "BadRequest",
    "BusGone",
    "CameraGone",
    "ConfigError",
    "DaemonUnreachable",
    "DirectoryDown",
    "DriverError",
    "IdentityError",
    "JournalDown",
    "LineBusy",
    "LineGone",
    "LineMissing",
    "LoumenError",
    "ModelError",
    "N_",
    "NoAnswer",
    "NotFound",
    "OtherAnswered",
    "Refused",
    "RegisterDown",
    "StateBusy",
    "StateUnusable",
    "UnitRefused",
    "UnknownDriver",
    "UplinkError",
    "VisionDown",
]


class ConfigError(LoumenError):
    """`gateway.toml` (or another file of settings) is wrong; may stand for several mistakes."""

    code = "config"


class JournalDown(LoumenError):
    """The journal cannot make an event durable (in time)."""

    code = "journal.down"


class DirectoryDown(LoumenError):
    """The directory of people cannot be read or written."""

    code = "directory.down"


class RegisterDown(LoumenError):
    """The register of plates cannot be written."""

    code = "register.down"


class VisionDown(LoumenError):
    """No vision process is there to answer."""

    code = "vision.down"


class ModelError(LoumenError):
    """A model file is missing, damaged or not the one of the manifest."""

    code = "model"


class BadImage(LoumenError):
    """A picture cannot be used; `what` says why (size, blur, pose, no face, ...)."""

    code = "image"


class BadRequest(LoumenError):
    """A request of a CLI, desk or HTTP client is malformed."""

    code = "request"


class BadCommand(LoumenError):
    """A command from the network is forged, late, replayed, retained, oversized or for another box."""

    code = "command"


class AlreadyUsed(BadCommand):
    """A single-use command id was used before."""

    code = "command.used"


class Refused(LoumenError):
    """The command was understood and is not allowed (role, state, policy)."""

    code = "refused"


class NotFound(LoumenError):
    """There is no such door, person, camera, ..."""

    code = "not_found"


class IdentityError(LoumenError):
    """The box's keys, certificate or enrolment bundle are missing, damaged or not for this box."""

    code = "identity"


class StateBusy(LoumenError):
    """Another process owns the state folder; `facts['pid']` names it."""

    code = "state.busy"


class StateUnusable(LoumenError):
    """The state folder or the run folder may not be used by this user."""

    code = "state"


class UplinkError(LoumenError):
    """The broker refuses, hangs or speaks nonsense."""

    code = "uplink"


class DaemonUnreachable(LoumenError):
    """The CLI found no running daemon on the socket."""

    code = "unreachable"
