"""Answers the commands of lanes for all lanes of the box."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from pathlib import Path

from gateway.asked import answered
from gateway.clock import Clock
from gateway.command import Actor, Command, Handler, one_line
from gateway.errors import LineGone, N_, NotFound, Refused
from gateway.lanes import commands as c
from gateway.lanes.decision import REASONS, may_pass_by_plate
from gateway.lanes.rules.inputs import (
    Grant,
    Mode,
    Order,
)
from gateway.lanes.service import LaneService
from gateway.machine import Answer
from gateway.standing import Keeper


class Lanes:
    """All lanes of the box, by id."""

    def __init__(self, lanes: Mapping[str, LaneService], modes_path: Path, clock: Clock) -> None:
        self._lanes, self._clock = lanes, clock
        self._orders = Keeper(modes_path)

    def handlers(self) -> dict[type[Command], Handler]:
        """Command -> who answers it."""
        return {
            c.ListLanes: self.list_all,
            c.ShowLane: self.show,
            c.RaiseLane: self.raise_,
            c.HoldLane: self.hold,
            c.ReleaseLane: self.release,
            c.ReadPlate: self.read,
        }

    def views(self) -> list[c.LaneView]:
        return [lane.view() for lane in self._lanes.values()]

    async def list_all(self, _command: c.ListLanes, _actor: Actor) -> dict[str, list[c.LaneView]]:
        return {"lanes": self.views()}

    async def show(self, command: c.ShowLane, _actor: Actor) -> c.LaneView:
        return self._lane(command.lane).view()

    async def raise_(self, command: c.RaiseLane, actor: Actor) -> c.RaiseResult:
        lane = self._lane(command.lane)
        if "open" in lane.outputs.missing:
            raise LineGone(N_("the opening line of lane {lane} is not there"), lane=command.lane)
        token, waiting = lane.outputs.asked.ask()
        reason = one_line(command.reason)
        grant = Grant("command", actor=actor.id, command_id=actor.command_id, reason=reason, token=token)
        lane.put("command", grant)
        await self._answer(command.lane, waiting)
        return c.RaiseResult(lane=command.lane, motion=lane.lane.arm.motion.name.lower())

    async def hold(self, command: c.HoldLane, actor: Actor) -> c.ModeResult:
        return await self._order(command, Mode.HELD, actor)

    async def release(self, command: c.ReleaseLane, actor: Actor) -> c.ModeResult:
        return await self._order(command, Mode.NORMAL, actor)

    async def read(self, command: c.ReadPlate, _actor: Actor) -> c.ReadResult:
        lane = self._lane(command.lane)
        if lane.config.camera is None:
            raise NotFound(
                N_("lane {lane} has no camera"),
                lane=command.lane,
                mend=N_("name one in the configuration: `camera` in [lane.{lane}]"),
            )
        if lane.last_read is None:
            raise NotFound(
                N_("no plate was read at lane {lane} yet"),
                lane=command.lane,
                mend=N_("'loumen status' says whether its camera gives pictures"),
            )
        at, reading = lane.last_read
        now = self._clock.now()
        decision = may_pass_by_plate(lane.register(), reading, command.lane, now, lane.owners)
        return c.ReadResult(
            lane=command.lane,
            plate=reading.best,
            log_p=round(reading.log_p, 3),
            confident=reading.confident,
            frames=reading.frames,
            votes=reading.votes,
            age=round(max(0.0, now.mono - at), 1),
            granted=decision.granted,
            code=decision.code,
            reason=REASONS[decision.code],
        )

    async def _order(self, command: c.HoldLane | c.ReleaseLane, mode: Mode, actor: Actor) -> c.ModeResult:
        """Make the order durable, then give it."""
        lane = self._lane(command.lane)

        def orders() -> dict[str, Mode]:
            return {name: service.lane.mode for name, service in self._lanes.items()} | {command.lane: mode}

        async def give() -> None:
            token, waiting = lane.outputs.asked.ask()
            lane.put("command", Order(mode, actor.id, actor.command_id, one_line(command.reason), token))
            await self._answer(command.lane, waiting)

        await self._orders.order(orders, give)
        return c.ModeResult(lane=command.lane, mode=mode.value)

    async def _answer(self, lane: str, waiting: asyncio.Future[Answer]) -> Answer:
        silent = Refused(
            N_("the lane {lane} does not answer"), lane=lane, mend=N_("'loumen status' says what it is doing")
        )
        return await answered(waiting, silent)

    def _lane(self, lane: str) -> LaneService:
        service = self._lanes.get(lane)
        if service is None:
            raise NotFound(
                N_("there is no lane {lane}; this box has: {known}"), lane=lane, known=", ".join(self._lanes) or "-"
            )
        if service.refusing:
            raise Refused(N_("the daemon is stopping"))
        return service
