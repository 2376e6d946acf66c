"""Answers the commands of `commands.py` from the register of claimed lines."""

from __future__ import annotations

from drivers.interfaces import OutputSpec
from gateway.command import Actor, Command, Handler
from gateway.errors import DriverError, N_, NotFound, Refused
from gateway.io.commands import LineView, PulseLine, SetLine, ShowLines
from gateway.lines import HeldInput, HeldOutput, Lines, Missing, use_of, why


class IoService:
    """All lines of the box."""

    def __init__(self, lines: Lines) -> None:
        self._lines = lines

    def handlers(self) -> dict[type[Command], Handler]:
        """Command -> who answers it."""
        return {ShowLines: self.show, SetLine: self.set, PulseLine: self.pulse}

    def views(self) -> list[LineView]:
        """Every line of the configuration, by name: those that are claimed and those that cannot be had."""
        lines = self._lines
        views = [_missing(missing) for missing in lines.missing.values()]
        views += [_output(held) for held in lines.outputs.values() if held.name not in lines.missing]
        views += [_input(held) for held in lines.inputs.values() if held.name not in lines.missing]
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
        if (trouble := self._lines.trouble(name)) is not None:
            raise trouble
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


def _output(held: HeldOutput) -> LineView:
    spec = held.line.spec
    return LineView(
        name=held.name,
        direction="output",
        use=held.use,
        driver=held.driver,
        chip=spec.chip,
        line=spec.line,
        active=held.line.energised,
        active_low=spec.active_low,
    )


def _input(held: HeldInput) -> LineView:
    spec, problem = held.line.spec, None
    try:
        active: bool | None = held.line.read()
    except DriverError as error:
        active, problem = None, why(error)
    return LineView(
        name=held.name,
        direction="input",
        use=use_of(held.name),
        driver=held.driver,
        chip=spec.chip,
        line=spec.line,
        active=active,
        active_low=spec.active_low,
        lost_edges=held.line.lost,
        problem=problem,
    )


def _missing(missing: Missing) -> LineView:
    spec = missing.spec
    return LineView(
        name=missing.name,
        direction="output" if isinstance(spec, OutputSpec) else "input",
        use=missing.use,
        driver=missing.driver,
        chip=spec.chip,
        line=spec.line,
        active=None,
        active_low=spec.active_low,
        problem=why(missing.error),
    )
