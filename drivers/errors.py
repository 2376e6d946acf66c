"""What a wire can do wrong; the root of every error that Loumen raises on purpose.

The root stands here and not in `gateway.errors` because arrows point one way: drivers may not
import the gateway. `gateway.errors` re-exports it, and is the module to import above this layer.

Every error is written for the technician: what happened, where (file and line, key, device),
what to do. `what` and `mend` are message ids of the catalogue with `{named}` places, so the
control API sends them with their facts and the reader's own locale decides the words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import ClassVar


def N_(message: str) -> str:  # noqa: N802  (gettext's own name for 'translate later')
    """Mark a message for the catalogue; it is translated where it is shown."""
    return message


class LoumenError(Exception):
    """The one root. `code` is stable and documented; it stands in JSON answers and in logs."""

    code: ClassVar[str] = "error"

    def __init__(self, what: str, *, where: str = "", mend: str = "", **facts: object) -> None:
        super().__init__(what)
        self.what, self.where, self.mend, self.facts = what, where, mend, facts

    def render(self, translate: Callable[[str], str] = lambda message: message) -> str:
        """One to three lines: what, where, what to do, in the language of `translate`."""
        lines = [translate(self.what).format_map(self.facts)]
        if self.where:
            lines.append(f"  {translate(N_('where:'))} {self.where}")
        if self.mend:
            lines.append(f"  {translate(N_('mend:'))} {translate(self.mend).format_map(self.facts)}")
        return "\n".join(lines)

    def __str__(self) -> str:
        return self.render()


class DriverError(LoumenError):
    """A device or line could not be used."""

    code = "driver"


class UnknownDriver(DriverError):
    """No driver has this name."""

    code = "driver.unknown"


class LineMissing(DriverError):
    """The chip or the line does not exist on this machine."""

    code = "line.missing"


class LineBusy(DriverError):
    """Somebody else holds the line; `facts['holder']` names the consumer."""

    code = "line.busy"


class LineGone(DriverError):
    """The line could be used before and cannot any more."""

    code = "line.gone"


class CameraGone(DriverError):
    """The camera could not be opened, or stopped giving frames."""

    code = "camera.gone"


class BusGone(DriverError):
    """The bus cannot be used: the adapter is unplugged, the port belongs to somebody else, the network is away."""

    code = "bus.gone"


class NoAnswer(DriverError):
    """The unit did not answer in time."""

    code = "meter.silent"


class AnswersLate(NoAnswer):
    """The unit did not answer in time, and was heard afterwards."""

    code = "meter.late"


class BadAnswer(DriverError):
    """Something came, and it is not the answer: a wrong checksum, another length, noise."""

    code = "meter.bad_answer"


class OtherAnswered(BadAnswer):
    """A sound answer, but from another unit than the one that was asked."""

    code = "meter.other"


class UnitRefused(DriverError):
    """The unit answered that it will not (a Modbus exception)."""

    code = "meter.refused"
