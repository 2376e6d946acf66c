"""What can go wrong at the desk."""

from __future__ import annotations

from gateway.errors import LoumenError, UplinkError
from gateway.uplink.messages import ReplyError


class StoreDown(LoumenError):
    """The desk's store cannot be read or written."""

    code = "desk.store"


class NoAnswer(UplinkError):
    """The box did not answer in time."""

    code = "desk.no_answer"


class Told(LoumenError):
    """An error of the desk or of a box, as it was told."""

    def __init__(self, error: ReplyError) -> None:
        super().__init__(error.what, where=error.where, mend=error.mend, **error.facts)
        self.told = error.code

    @property
    def code(self) -> str:  # type: ignore[override]
        return self.told
