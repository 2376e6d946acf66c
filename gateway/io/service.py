"""Answers the commands of `commands.py` from the register of claimed lines."""

from __future__ import annotations

from gateway.command import Actor, Command, Handler
from gateway.errors import DriverError, N_, NotFound, Refused
from gateway.io.commands import LineView, PulseLine, SetLine, ShowLines
from gateway.lines import HeldOutput, Lines


class IoService:
    """All lines of the box."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def handlers(self) -> dict[type[Command], Handler]:
        """Command -> who answers it."""
        return {ShowLines: self.show, SetLine: self.set, PulseLine: self.pulse}

    def views(self) -> list[LineView]:
        """Every claimed line, by name."""
        views = [
            LineView(
                name=held.name,
                direction="output",
                use=held.use,
                driver=held.driver,
                chip=held.line.spec.chip,
                line=held.line.spec.line,
                active=held.line.energised,
                active_low=held.line.spec.active_low,
            )
            for held in self._lines.outputs.values()
        ]
        for entry in self._lines.inputs.values():
            try:
                active: bool | None = entry.line.read()
            except DriverError:
                active = None
            views.append(
                LineView(
                    name=entry.name,
                    direction="input",
                    use=entry.name.rpartition(".")[2],
                    driver=entry.driver,
                    chip=entry.line.spec.chip,
                    line=entry.line.spec.line,
                    active=active,
                    active_low=entry.line.spec.active_low,
                    lost_edges=entry.line.lost,
                )
            )
        return sorted(views, key=lambda view: view.name)

    def document(self) -> dict[str, list[LineView]]:
        return {"lines": self.views()}

    async def show(self, _command: ShowLines, _actor: Actor) -> dict[str, list[LineView]]:
        return self.document()

    async def set(self, command: SetLine, _actor: Actor) -> dict[str, list[LineView]]:
        held = self._by_hand(command.line)
        if command.on:
            held.line.hold()
        else:
            held.line.rest()
        return {"lines": [view for view in self.views() if view.name == command.line]}

    async def pulse(self, command: PulseLine, _actor: Actor) -> dict[str, list[LineView]]:
        held = self._by_hand(command.line)
        held.line.pulse(command.seconds)
        return {"lines": [view for view in self.views() if view.name == command.line]}

    def _by_hand(self, name: str) -> HeldOutput:
        """An output that a technician may move. A lock is a door's: its machine must know of every opening."""
        held = self._lines.outputs.get(name)
        if held is None:
            known = ", ".join(sorted(self._lines.outputs)) or "-"
            raise NotFound(N_("there is no output {line}; this box has: {known}"), line=name, known=known)
        if held.use == "arm":
            raise Refused(
                N_("{line} moves a barrier's arm: it is not moved by hand"),
                line=name,
                mend=N_("'loumen lane raise' and 'lane hold' raise it and record why; it comes down by its rules"),
            )
        if held.use == "lock":
            raise Refused(
                N_("{line} is a lock: it is not moved by hand"),
                line=name,
                mend=N_("'loumen door identify' clicks it, 'door open' and 'door hold' release it and record why"),
            )
        return held
