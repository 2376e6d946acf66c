"""What can be ordered of the journal: `event.verify`, for whoever may ask the daemon but not read its files."""

from __future__ import annotations

from typing import ClassVar

from gateway.command import Actor, Command, Handler, Kind, Role
from gateway.journal.store import Journal
from gateway.journal.verify import Verification


class VerifyJournal(Command, frozen=True, kw_only=True, tag="event.verify"):
    """Check every row, hash and link of the journal. Takes up to a minute."""

    role: ClassVar[Role] = Role.TECHNICIAN
    kind: ClassVar[Kind] = Kind.QUERY


COMMANDS: tuple[type[Command], ...] = (VerifyJournal,)


class JournalService:
    """Answers the journal's commands."""

    def __init__(self, journal: Journal) -> None:
        self._journal = journal

    def handlers(self) -> dict[type[Command], Handler]:
        return {VerifyJournal: self._verify}

    async def _verify(self, _command: VerifyJournal, _actor: Actor) -> Verification:
        return await self._journal.verify()
