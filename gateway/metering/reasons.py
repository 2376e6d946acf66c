"""Why a meter's answer is not believed, or why there was none: stable codes and their words. Pure."""

from __future__ import annotations

from gateway.errors import N_

REASONS: dict[str, str] = {
    # what the registers say (profile.py)
    "ffff": N_("every register reads FFFF"),
    "no_number": N_("the register holds no number"),
    "parts": N_("the register's parts contradict each other"),
    "wrong_model": N_("it is another model, or the order of words is another one"),
    # what cannot follow on what was before (reading.py)
    "backwards": N_("the register runs backwards"),
    "impossible": N_("more than the pipe gives"),
    "stale": N_("the meter repeats an old answer"),
    "first": N_("a first reading waits for a second one"),
    # what the wire brought (drivers/errors.py)
    "meter.silent": N_("no answer"),
    "meter.late": N_("it answers too late"),
    "meter.bad_answer": N_("damaged answers"),
    "meter.other": N_("another unit answers in its place"),
    "meter.refused": N_("it refuses to answer"),
    "bus.gone": N_("the bus is gone"),
}
