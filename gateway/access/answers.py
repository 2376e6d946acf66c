"""Answers the commands of `commands.py` for all doors of the box."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from drivers.interfaces import OutputLine
from gateway.access import commands as c
from gateway.access.decision import REASONS, may_pass
from gateway.access.rules.door import (
    Grant,
    Order,
)
from gateway.access.rules.lock import Mode
from gateway.access.service import DoorService
from gateway.asked import answered
from gateway.clock import Clock
from gateway.command import Actor, Command, Handler, one_line
from gateway.errors import LineGone, N_, NotFound, Refused
from gateway.machine import Answer
from gateway.standing import Keeper

CLICKS, CLICK = 3, 0.1  # a relay's armature needs about 10 ms; 100 ms is heard, and too short for most leaves


class Doors:
    """All doors of the box, by id."""

    def __init__(
        self, doors: Mapping[str, DoorService], modes_path: Path, clock: Clock, people: Mapping[str, int]
    ) -> None:
        self._doors, self._clock, self._people = doors, clock, people
        self._orders = Keeper(modes_path)

    def handlers(self) -> dict[type[Command], Handler]:
        """Command -> who answers it."""
        return {
            c.ListDoors: self.list_all,
            c.ShowDoor: self.show,
            c.OpenDoor: self.open,
            c.HoldDoor: self.hold,
            c.LockDoor: self.lock,
            c.ReleaseDoor: self.release,
            c.IdentifyDoor: self.identify,
            c.ExplainDoor: self.explain,
        }

    def views(self) -> list[c.DoorView]:
        return [door.view(self._people.get(door.id, 0)) for door in self._doors.values()]

    async def list_all(self, _command: c.ListDoors, _actor: Actor) -> dict[str, list[c.DoorView]]:
        return {"doors": self.views()}

    async def show(self, command: c.ShowDoor, _actor: Actor) -> c.DoorView:
        return self._door(command.door).view(self._people.get(command.door, 0))

    async def open(self, command: c.OpenDoor, actor: Actor) -> c.OpenResult:
        door = self._door(command.door)
        self._check_lock(door)
        token, waiting = door.outputs.asked.ask()
        grant = Grant(
            "command", actor=actor.id, command_id=actor.command_id, reason=one_line(command.reason), token=token
        )
        door.put("command", grant)
        answer = await self._answer(command.door, waiting)
        if not answer.done:
            raise Refused(
                N_("the door {door} did not open: {reason}"),
                door=command.door,
                reason=REASONS.get(answer.code, answer.code),
                mend=N_("'loumen door release {door}' ends a lock-down"),
            )
        self._check_lock(door)  # the very pulse may have been the one that failed
        now = self._clock.now().mono
        deadline = door.door.lock.deadline
        lasts = 0.0 if deadline is None else max(0.0, deadline - now)
        return c.OpenResult(door=command.door, opened_for=round(lasts, 1), commanded=door.view(0).commanded)

    async def hold(self, command: c.HoldDoor, actor: Actor) -> c.ModeResult:
        return await self._order(command, Mode.HELD, actor)

    async def lock(self, command: c.LockDoor, actor: Actor) -> c.ModeResult:
        return await self._order(command, Mode.BLOCKED, actor)

    async def release(self, command: c.ReleaseDoor, actor: Actor) -> c.ModeResult:
        return await self._order(command, Mode.NORMAL, actor)

    async def identify(self, command: c.IdentifyDoor, _actor: Actor) -> c.ModeResult:
        door = self._door(command.door)
        line = self._check_lock(door)
        if door.released():
            raise Refused(
                N_("the door {door} is not at rest; its relay stays as it is"),
                door=command.door,
                mend=N_("try again when it is locked"),
            )
        for _ in range(CLICKS):
            if door.released() or door.outputs.lock is not line:
                break  # somebody passes: the relay is busy with that
            line.pulse(CLICK)
            await asyncio.sleep(4 * CLICK)
        return c.ModeResult(door=command.door, mode=door.door.lock.mode.value)

    async def explain(self, command: c.ExplainDoor, _actor: Actor) -> c.Explanation:
        door = self._door(command.door)
        decision = may_pass(door.snapshot(), command.person, command.door, self._clock.now())
        code = "blocked" if decision.granted and door.door.lock.mode is Mode.BLOCKED else decision.code
        return c.Explanation(
            door=command.door, person=command.person, granted=code.startswith("ok"), code=code, reason=REASONS[code]
        )

    async def _order(self, command: c.HoldDoor | c.LockDoor | c.ReleaseDoor, mode: Mode, actor: Actor) -> c.ModeResult:
        """Make the order durable, then give it: what makes access stricter is on disk before it is acknowledged."""
        door = self._door(command.door)

        def orders() -> dict[str, Mode]:
            return {name: service.door.lock.mode for name, service in self._doors.items()} | {command.door: mode}

        async def give() -> None:
            token, waiting = door.outputs.asked.ask()
            door.put("command", Order(mode, actor.id, actor.command_id, one_line(command.reason), token))
            await self._answer(command.door, waiting)

        await self._orders.order(orders, give)
        return c.ModeResult(door=command.door, mode=mode.value)

    async def _answer(self, door: str, waiting: asyncio.Future[Answer]) -> Answer:
        silent = Refused(
            N_("the door {door} does not answer"), door=door, mend=N_("'loumen status' says what it is doing")
        )
        return await answered(waiting, silent)

    @staticmethod
    def _check_lock(door: DoorService) -> OutputLine:
        """The lock's line. Raises DriverError, with the holder of a busy one, where there is none."""
        if door.outputs.lock is None:
            gone = LineGone(
                N_("the lock's line of door {door} is not there"),
                mend=N_("'loumen door show {door}' says why"),
                door=door.id,
            )
            raise door.lock_trouble() or gone
        return door.outputs.lock

    def _door(self, door: str) -> DoorService:
        service = self._doors.get(door)
        if service is None:
            raise NotFound(
                N_("there is no door {door}; this box has: {known}"), door=door, known=", ".join(self._doors) or "-"
            )
        if service.refusing:
            raise Refused(N_("the daemon is stopping"))
        return service
