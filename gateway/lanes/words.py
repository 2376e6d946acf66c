"""What a person is told of a lane's troubles. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from gateway.errors import LoumenError, N_
from gateway.lanes.commands import LaneView

#: Trouble -> what it is, and its mend.
TROUBLES = {
    "late": (
        N_("the arm of lane {lane} did not arrive: it is stopped and does not close by itself"),
        N_("look at the arm and its drive; 'loumen lane raise {lane}' tries again"),
    ),
    "limits": (
        N_("the limit switches of lane {lane} contradict each other: the arm does not close"),
        N_("look at both switches and their wires"),
    ),
    "loop_stuck": (
        N_("the loop of lane {lane} has been occupied for long: the arm stays up"),
        N_("look whether something stands there; else tune the loop's detector"),
    ),
    "photocell_stuck": (
        N_("the photocell of lane {lane} has been dark for long: the arm stays up"),
        N_("clean and align it; look at its wire"),
    ),
    "button_stuck": (
        N_("the button of lane {lane} has been pressed for long"),
        N_("look whether it is jammed"),
    ),
    "loop_restless": (
        N_("the loop of lane {lane} changes faster than traffic can: it is not believed, the arm stays up"),
        N_("look at its wire; tune its detector"),
    ),
    "photocell_restless": (
        N_("the photocell of lane {lane} changes faster than traffic can: it is not believed, the arm stays up"),
        N_("align it; look at its wire"),
    ),
    "button_restless": (
        N_("the button of lane {lane} changes faster than a hand can"),
        N_("look at its wire"),
    ),
    "photocell_blind": (
        N_("the photocell of lane {lane} saw none of the last vehicles: it is not believed, the arm stays up"),
        N_("break its beam by hand: if it says so, it is believed again; else change it"),
    ),
}


def problems(view: LaneView) -> Iterator[LoumenError]:
    """What a person should do something about; lines at fault are told with their reasons (`view.whys`)."""
    for trouble in view.troubles:
        what, mend = TROUBLES[trouble]
        yield LoumenError(what, mend=mend, lane=view.id)
