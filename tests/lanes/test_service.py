"""One lane on simulated lines in virtual time: what the drive is told, whatever arrives."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path

import pytest

from gateway import standing
from gateway.clock import LoopClock
from gateway.command import Actor, Role
from gateway.config import schema
from gateway.errors import NotFound
from gateway.lanes import commands as c
from gateway.lanes import events
from gateway.lanes.answers import Lanes
from gateway.lanes.rules.arm import Motion
from gateway.lanes.rules.inputs import Mode
from gateway.lanes.service import LaneService
from tests.lanes.site import BEAM, BUTTON, CLOSE, DOWN, EXPIRED, FIRE, LIGHT, LOOP, OPEN, OURS, STOP, UP, arm, site
from tests.virtual_time import run

CLERK = Actor("uid:1000", Role.CLERK, "cli", command_id="c1")


def test_a_car_comes_home() -> None:
    async def scenario() -> None:
        async with site() as s:
            s.read(OURS)
            await asyncio.sleep(3)
            assert s.level(UP)
            assert s.level(LIGHT)
            await s.drive_through()
            await asyncio.sleep(1.5)
            assert s.pulses(CLOSE) == 0
            await asyncio.sleep(4)
            assert s.level(DOWN)
            assert not s.level(LIGHT)
            assert s.types() == ["lane.raised.v1", "lane.passed.v1", "lane.lowered.v1"]
            raised = s.last(events.LaneRaised)
            assert isinstance(raised, events.LaneRaised)
            assert (raised.vehicle, raised.how, raised.by) == ("v1", "exact", "plate")
            assert OURS not in repr(s.notes), "the plate is not in the journal"

    run(scenario())


@pytest.mark.parametrize(
    ("plate", "votes", "codes"),
    [("粤B99999", 2, ["unknown"]), (EXPIRED, 2, ["expired"]), (OURS, 1, []), ("粤B12346", 3, ["unknown"])],
)
def test_who_may_not_pass_moves_nothing(plate: str, votes: int, codes: list[str]) -> None:
    async def scenario() -> None:
        async with site() as s:
            for _ in range(30):
                s.read(plate, votes=votes)
                await asyncio.sleep(0.2)
            assert s.pulses(OPEN) == 0
            refused = [event.code for event in s.notes if isinstance(event, events.LaneRefused)]
            assert refused == codes, "one refusal a track"

    run(scenario())


def test_a_registered_car_that_is_parked_in_view_does_not_keep_the_arm_up() -> None:
    async def scenario() -> None:
        async with site() as s:
            for turn in range(200):
                s.read(OURS, track=turn // 20)
                await asyncio.sleep(0.2)
            assert s.types().count("lane.raised.v1") == 1
            assert s.level(DOWN)

    run(scenario())


def test_who_comes_home_and_goes_out_again_at_once_is_let_pass_again() -> None:
    async def scenario() -> None:
        async with site() as s:
            s.read(OURS, track=1)
            await asyncio.sleep(3)
            await s.drive_through()
            await asyncio.sleep(1)
            s.read(OURS, track=1)  # still in view
            await asyncio.sleep(8)
            assert s.level(DOWN)
            s.read(OURS, track=2)
            await asyncio.sleep(3)
            assert s.level(UP)
            assert s.types().count("lane.raised.v1") == 2
            s.read(OURS, track=3)
            await asyncio.sleep(20)
            assert s.types().count("lane.raised.v1") == 2, "nobody has passed since"

    run(scenario())


def test_the_arm_does_not_come_down_on_who_stays_under_it() -> None:
    async def scenario() -> None:
        async with site() as s:
            s.set(BUTTON, True)
            await asyncio.sleep(3)
            s.set(BEAM, False)  # somebody stands there
            await asyncio.sleep(600)
            assert s.pulses(CLOSE) == 0
            assert "lane.sensor_stuck.v1" in s.types()
            assert set(s.lane.view().troubles) == {"photocell_stuck", "button_stuck"}
            s.set(BEAM, True)
            await asyncio.sleep(6)
            assert s.level(DOWN)

    run(scenario())


def test_whoever_steps_under_the_falling_arm_stops_and_raises_it() -> None:
    async def scenario() -> None:
        async with site() as s:
            s.set(BUTTON, True)
            await asyncio.sleep(12.9)
            assert s.lane.lane.arm.motion is Motion.LOWERING
            s.set(BEAM, False)
            await asyncio.sleep(0.1)
            assert s.level(STOP)
            assert not s.level(CLOSE)
            assert s.going == 0
            await asyncio.sleep(0.5)
            assert not s.level(STOP), "the stop ends before the opening begins"
            assert s.going == 1
            await asyncio.sleep(2)
            assert s.level(UP)
            assert "lane.reversed.v1" in s.types()
            assert not s.together

    run(scenario())


def test_an_edge_that_waits_behind_the_deadline_is_seen_all_the_same() -> None:
    """The pulse is due in the same turn of the loop in which a foot breaks the beam."""

    async def scenario() -> None:
        async with site() as s:
            s.set(BUTTON, True)
            await asyncio.sleep(3)
            deadline = s.lane.lane.deadline
            assert deadline is not None
            loop = asyncio.get_running_loop()
            loop.call_at(deadline, lambda: s.set(BEAM, False))
            await asyncio.sleep(deadline - loop.time() + 5)
            assert s.pulses(CLOSE) == 0
            assert s.lane.lane.arm.motion is Motion.UP
            assert "lane.reversed.v1" not in s.types(), "nothing moved, so nothing was reversed"
            s.set(BEAM, True)
            await asyncio.sleep(5)
            assert s.level(DOWN)

    run(scenario())


def test_a_photocell_whose_wire_is_cut_keeps_the_arm_up() -> None:
    async def scenario() -> None:
        async with site() as s:
            s.set(BUTTON, True)
            await asyncio.sleep(3)
            s.building.line(BEAM).vanish()
            await asyncio.sleep(60)
            assert s.pulses(CLOSE) == 0
            assert s.lane.view().under == "unknown"
            assert s.lane.view().faults == ("photocell",)
            s.building.line(BEAM).return_()
            s.set(BEAM, True)
            await asyncio.sleep(20)
            assert s.level(DOWN)
            assert s.lane.view().faults == ()

    run(scenario())


def test_a_loop_that_rattles_is_not_believed_until_it_is_quiet() -> None:
    async def scenario() -> None:
        async with site() as s:
            s.set(BUTTON, True)
            await asyncio.sleep(3)
            for turn in range(400):
                s.set(LOOP, turn % 2 == 0)
                await asyncio.sleep(0.05)
            assert s.pulses(CLOSE) == 0
            assert s.types().count("lane.contradiction.v1") == 1
            s.set(LOOP, False)
            await asyncio.sleep(4)
            assert s.pulses(CLOSE) == 0, "the pause for a vehicle that has left is over, the doubt is not"
            await asyncio.sleep(8)
            assert s.level(DOWN)
            assert s.types().count("lane.contradiction.v1") == 2, "and told when it is over"

    run(scenario())


def test_a_photocell_that_sees_no_car_is_blind() -> None:
    async def scenario() -> None:
        async with site() as s:
            for track in range(3):
                s.set(BUTTON, True)
                await asyncio.sleep(3)
                s.set(BUTTON, False)
                s.set(LOOP, True)
                await asyncio.sleep(2)
                s.set(LOOP, False)
                await asyncio.sleep(10 + track)
            assert s.pulses(CLOSE) == 2, "the third car was the third that it did not see"
            assert s.lane.view().troubles == ("photocell_blind",)
            s.set(BEAM, False)
            await asyncio.sleep(1)
            s.set(BEAM, True)
            await asyncio.sleep(6)
            assert s.level(DOWN)
            assert s.lane.view().troubles == ()

    run(scenario())


def test_fire_raises_and_holds_also_against_a_jam() -> None:
    async def scenario() -> None:
        async with site() as s:
            s.jammed = True
            s.set(FIRE, True)
            await asyncio.sleep(40)
            assert s.pulses(OPEN) >= 3, "it is tried again"
            assert s.types().count("lane.fire.v1") == 1
            assert "lane.late.v1" in s.types()
            s.jammed = False
            await asyncio.sleep(20)
            assert s.level(UP)
            await asyncio.sleep(600)
            assert s.pulses(CLOSE) == 0
            s.set(FIRE, False)
            await asyncio.sleep(13)
            assert s.level(DOWN)

    run(scenario())


def test_an_arm_that_does_not_come_down_is_stopped_and_told() -> None:
    async def scenario() -> None:
        async with site() as s:
            s.set(BUTTON, True)
            await asyncio.sleep(3)
            s.jammed = True
            await asyncio.sleep(20)
            late = s.last(events.LaneLate)
            assert isinstance(late, events.LaneLate)
            assert late.going == "down"
            assert s.lane.lane.arm.motion is Motion.FAULT
            assert "late" in s.lane.view().troubles
            before = s.pulses(CLOSE)
            await asyncio.sleep(600)
            assert s.pulses(CLOSE) == before == 1, "what failed is not closed by the clock"

    run(scenario())


def test_both_limits_at_once_are_a_fault_and_nothing_closes() -> None:
    async def scenario() -> None:
        async with site() as s:
            s.set(BUTTON, True)
            await asyncio.sleep(3)
            s.building.line(DOWN).stick(True)
            await asyncio.sleep(60)
            assert s.pulses(CLOSE) == 0
            assert s.lane.view().sensed == "contradiction"
            assert "limits" in s.lane.view().troubles

    run(scenario())


@pytest.mark.parametrize("place", [0.0, 0.5, 1.0])
def test_a_start_and_a_stop_move_nothing(place: float) -> None:
    async def scenario() -> None:
        async with site(place=place, stay_open=60) as s:
            await asyncio.sleep(5)
            s.lane.stop()
            s.read(OURS)
            s.set(BUTTON, True)
            await asyncio.sleep(1)
            for line in (OPEN, CLOSE, STOP):
                assert s.building.line(line).changes == []

    run(scenario())


def test_a_stop_while_the_arm_falls_raises_it() -> None:
    async def scenario() -> None:
        async with site() as s:
            s.set(BUTTON, True)
            await asyncio.sleep(12.9)
            assert s.lane.lane.arm.motion is Motion.LOWERING
            s.lane.stop()
            s.lane.stop()
            await s.lane.quiet()
            assert s.going == 1
            assert not s.level(OPEN)

    run(scenario())


@pytest.mark.parametrize("wires", [arm(), arm(stop=None)], ids=["three", "two"])
@pytest.mark.parametrize("leaves", [LaneService.stop, LaneService.make_safe])
def test_an_arm_that_is_being_turned_round_is_not_let_go_of(
    wires: schema.Arm, leaves: Callable[[LaneService], None]
) -> None:
    """Somebody is under the falling arm; before the drive has seen its opening pulse the daemon stops, or fails."""

    async def scenario() -> None:
        async with site(arm=wires) as s:
            s.set(BUTTON, True)
            await asyncio.sleep(12.9)
            s.set(BEAM, False)
            await asyncio.sleep(0.01)
            assert s.lane.lane.arm.motion is Motion.RISING
            leaves(s.lane)
            await s.lane.quiet()
            began, ended = [at for at, _ in s.building.line(OPEN).changes][-2:]
            assert ended - began == pytest.approx(0.5, abs=0.01), "a whole pulse"
            await asyncio.sleep(3)
            assert s.level(UP)
            assert not s.together

    run(scenario())


def test_after_a_restart_it_goes_on_from_what_is_sensed() -> None:
    async def scenario() -> None:
        async with site(place=1.0) as s:
            s.set(LOOP, True)
            await asyncio.sleep(60)
            assert s.pulses(CLOSE) == 0
            s.set(LOOP, False)
            await asyncio.sleep(6)
            assert s.level(DOWN)
        async with site(mode=Mode.HELD) as s:
            await asyncio.sleep(5)
            assert s.level(UP), "the order stands"

    run(scenario())


def test_a_car_under_an_arm_that_falls_while_the_daemon_starts() -> None:
    """It was killed after its closing pulse; the drive goes on, and a car comes."""

    async def scenario() -> None:
        async with site(place=0.9) as s:
            s.going = -1
            await asyncio.sleep(0.3)
            assert s.pulses(OPEN) == 0
            s.set(LOOP, True)
            await asyncio.sleep(1)
            assert s.going == 1
            assert s.place > 0.4
            assert "lane.reversed.v1" in s.types()
            await asyncio.sleep(2)
            assert s.level(UP)

    run(scenario())


def test_two_wires() -> None:
    async def scenario() -> None:
        async with site(arm=arm(stop=None)) as s:
            s.set(BUTTON, True)
            await asyncio.sleep(12.9)
            assert s.lane.lane.arm.motion is Motion.LOWERING
            s.set(LOOP, True)
            await asyncio.sleep(0.1)
            assert s.going == 1, "the opening pulse ends the closing"
            assert not s.level(CLOSE)
            assert not s.together

    run(scenario())


def test_without_sensors_it_is_never_closed() -> None:
    async def scenario() -> None:
        async with site(loop=None, photocell=None) as s:
            s.set(BUTTON, True)
            await asyncio.sleep(600)
            assert s.pulses(CLOSE) == 0

    run(scenario())


def test_without_limits_time_tells() -> None:
    async def scenario() -> None:
        async with site(arm=arm(limit_up=None, limit_down=None)) as s:
            assert s.lane.view().sensed == "unknown"
            s.read(OURS)
            await asyncio.sleep(6)
            await s.drive_through()
            await asyncio.sleep(10)
            assert s.types()[-1] == "lane.lowered.v1"
            assert s.place == 0

    run(scenario())


def test_an_opening_line_that_is_gone_comes_back() -> None:
    async def scenario() -> None:
        async with site() as s:
            s.building.line(OPEN).vanish()
            s.set(BUTTON, True)
            await asyncio.sleep(8)
            assert "open" in s.lane.lane.faults
            s.building.line(OPEN).return_()
            await asyncio.sleep(7)
            assert s.lane.lane.faults == frozenset()
            s.set(BUTTON, False)
            await asyncio.sleep(0.1)
            s.set(BUTTON, True)
            await asyncio.sleep(3)
            assert s.level(UP)

    run(scenario())


def test_a_machine_fault_goes_on_from_what_is_sensed() -> None:
    async def scenario() -> None:
        async with site() as s:
            s.lane.put("command", "noise")  # type: ignore[arg-type]
            await asyncio.sleep(0.1)
            assert s.types() == ["lane.machine_fault.v1"]
            s.read(OURS)
            await asyncio.sleep(3)
            assert s.level(UP)

    run(scenario())


def test_moved_by_hand_is_told() -> None:
    async def scenario() -> None:
        async with site() as s:
            s.place = 0.5
            await asyncio.sleep(1)
            assert s.types() == ["lane.moved.v1"]
            assert s.lane.view().commanded == "unknown"

    run(scenario())


def test_whoever_steps_under_it_before_it_has_moved() -> None:
    """The arm is still at its upper limit when it is raised again: no edge will say that it has arrived."""

    async def scenario() -> None:
        async with site() as s:
            s.set(BUTTON, True)
            await asyncio.sleep(3)
            s.jammed = True
            await asyncio.sleep(9.5)
            assert s.lane.lane.arm.motion is Motion.LOWERING
            s.set(BEAM, False)
            await asyncio.sleep(20)
            assert s.lane.view().motion == "up"
            assert "lane.late.v1" not in s.types()

    run(scenario())


@pytest.mark.parametrize(
    ("what", "per_second"),
    [
        *[(what, rate) for what in ("button", "refused", "noise", "limits", "fire") for rate in (50, 2000)],
        ("loop", 50),
        ("loop", 180),  # a faster one is smoothed away by the debounce, as it is in the kernel
    ],
)
def test_a_flood_on_one_wire_hides_nobody_on_another(what: str, per_second: int) -> None:
    """While something floods, a person walks under the arm again and again: it is never closed on her."""

    async def scenario() -> None:
        async with site(stay_open=1.0, close_after=0.5) as s:

            async def flood() -> None:
                level = False
                while True:
                    level = not level
                    if what in {"loop", "button", "fire"}:
                        s.set({"loop": LOOP, "button": BUTTON, "fire": FIRE}[what], level)
                    elif what == "limits":
                        s.set(UP, level)
                    elif what == "refused":
                        s.read("粤B99999", track=int(asyncio.get_running_loop().time() * 1000))
                    else:
                        s.lane.put("vision", "noise")  # type: ignore[arg-type]
                    await asyncio.sleep(1 / per_second)

            task = asyncio.create_task(flood())
            for turn in range(40):
                s.set(BUTTON, turn % 2 == 0)
                await asyncio.sleep(0.37)
                s.set(BEAM, False)
                await asyncio.sleep(0.21)
                assert not s.level(CLOSE)
                assert s.going >= 0, "it falls while the beam is broken"
                s.set(BEAM, True)
                await asyncio.sleep(1.1)
            task.cancel()
            assert s.closed_on() == []
            assert not s.together

    run(scenario(), 0.001)


def test_commands(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site() as s:
            clock = LoopClock(s.lane._clock.now().wall)
            lanes = Lanes({"gate": s.lane}, tmp_path / "lanes.json", clock)
            assert (await lanes.raise_(c.RaiseLane(lane="gate", reason="parcel"), CLERK)).motion == "rising"
            await asyncio.sleep(3)
            await lanes.hold(c.HoldLane(lane="gate"), CLERK)
            assert standing.load(tmp_path / "lanes.json", Mode) == {"gate": Mode.HELD}
            await asyncio.sleep(600)
            assert s.level(UP)
            await lanes.release(c.ReleaseLane(lane="gate"), CLERK)
            await asyncio.sleep(13)
            assert s.level(DOWN)
            with pytest.raises(NotFound, match="gate"):
                await lanes.show(c.ShowLane(lane="side"), CLERK)
            with pytest.raises(NotFound):
                await lanes.read(c.ReadPlate(lane="gate"), CLERK)
            s.read(EXPIRED)
            read = await lanes.read(c.ReadPlate(lane="gate"), CLERK)
            assert (read.plate, read.code, read.granted) == (EXPIRED, "expired", False)

    run(scenario())


def test_a_reason_is_a_line_and_no_book(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site() as s:
            lanes = Lanes({"gate": s.lane}, tmp_path / "lanes.json", s.lane._clock)
            reason = "搬家\x1b[31m\n" + "x" * 10_000
            await lanes.raise_(c.RaiseLane(lane="gate", reason=reason), CLERK)
            await lanes.hold(c.HoldLane(lane="gate", reason=reason), CLERK)
            said = [event.reason for event in s.notes if hasattr(event, "reason")]  # the arm may be late by then
            assert said == ["搬家 [31m " + "x" * 192] * 2

    run(scenario())


def test_a_lane_without_a_camera_says_so(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site(camera=None) as s:
            lanes = Lanes({"gate": s.lane}, tmp_path / "lanes.json", s.lane._clock)
            with pytest.raises(NotFound, match="has no camera"):
                await lanes.read(c.ReadPlate(lane="gate"), CLERK)

    run(scenario())


def test_two_orders_at_once_both_outlive_a_restart(tmp_path: Path) -> None:
    async def scenario() -> None:
        async with site() as front, site() as back:
            lanes = Lanes({"front": front.lane, "back": back.lane}, tmp_path / "lanes.json", front.lane._clock)
            await asyncio.gather(*(lanes.hold(c.HoldLane(lane=lane), CLERK) for lane in ("front", "back")))
            assert standing.load(tmp_path / "lanes.json", Mode) == {"front": Mode.HELD, "back": Mode.HELD}

    run(scenario())


def test_the_light_is_lit_over_an_arm_that_is_up_at_the_start() -> None:
    async def scenario() -> None:
        async with site(mode=Mode.HELD, place=1.0) as s:
            assert s.level(LIGHT)
            s.lane.put("command", "noise")  # type: ignore[arg-type]
            await asyncio.sleep(0.1)
            assert s.level(LIGHT), "after a fault of the machine too"
        async with site() as s:
            assert s.building.line(LIGHT).changes == [], "a resting line sees no edge"

    run(scenario())


def test_a_light_that_is_gone_comes_back() -> None:
    async def scenario() -> None:
        async with site(stay_open=60) as s:
            s.building.line(LIGHT).vanish()
            s.set(BUTTON, True)
            await asyncio.sleep(3)
            assert "light" in s.lane.lane.faults
            s.building.line(LIGHT).return_()
            await asyncio.sleep(7)
            assert s.lane.lane.faults == frozenset()
            assert s.level(LIGHT)

    run(scenario())


def test_plates_off() -> None:
    async def scenario() -> None:
        async with site(plate="off") as s:
            s.read(OURS)
            await asyncio.sleep(3)
            assert s.pulses(OPEN) == 0

    run(scenario())


def test_a_line_that_is_missing_at_the_start_takes_no_other_with_it() -> None:
    async def scenario() -> None:
        missing = schema.SimulatedInput(line=1023)
        async with site(fire=missing) as s:
            s.read(OURS)
            await asyncio.sleep(3)
            assert s.level(UP)

    run(scenario())
