"""The sentences in which every GPIO driver says that a line cannot be used: one place, one wording."""

from __future__ import annotations

from drivers.errors import LineBusy, LineGone, LineMissing, N_


def chip_missing(chip: str, known: str) -> LineMissing:
    """No chip has this label or path; `known` lists those that are there."""
    return LineMissing(
        N_("There is no GPIO chip {chip} on this machine."),
        where=chip,
        mend=N_("Use one of these chips: {known}.")
        if known
        else N_("This machine has no GPIO chip that this user can see: is it the board of the configuration?"),
        chip=chip,
        known=known,
    )


def chip_forbidden(chip: str) -> LineMissing:
    """The chip is there and this user may not open it."""
    return LineMissing(
        N_("The GPIO chip {chip} may not be opened by this user."),
        where=chip,
        mend=N_("Run as the service's user, or add the user to the group that owns {chip}."),
        chip=chip,
    )


def line_missing(chip: str, line: int, lines: int) -> LineMissing:
    """The chip has fewer lines."""
    return LineMissing(
        N_("GPIO chip {chip} has no line {line}; its lines are 0 to {last}."),
        where=f"{chip}:{line}",
        mend=N_("Correct the line's number."),
        chip=chip,
        line=line,
        last=lines - 1,
    )


def line_refused(chip: str, line: int, reason: str) -> LineMissing:
    """The line exists, and the machine does not give it in this way."""
    return LineMissing(
        N_("Line {line} of {chip} cannot be used so: {reason}."),
        where=f"{chip}:{line}",
        mend=N_("Take another line; this one may be reserved, or its chip cannot do what the configuration asks."),
        chip=chip,
        line=line,
        reason=reason,
    )


def no_inputs(driver: str, line: int) -> LineMissing:
    """The driver has no edges, so no inputs."""
    return LineMissing(
        N_("The driver {driver} has no inputs on this machine: its library detects no edges."),
        where=f"{driver}:{line}",
        mend=N_("Use the driver gpio_chardev for inputs, or install rpi-lgpio in place of RPi.GPIO."),
        driver=driver,
        line=line,
    )


def line_busy(chip: str, line: int, holder: str) -> LineBusy:
    """Somebody else holds the line."""
    return LineBusy(
        N_("Line {line} of {chip} is held by '{holder}'."),
        where=f"{chip}:{line}",
        mend=N_("Stop that program, or give this line's wire another line."),
        chip=chip,
        line=line,
        holder=holder or "?",
    )


def line_gone(chip: str, line: int, reason: str) -> LineGone:
    """The line worked before."""
    return LineGone(
        N_("Line {line} of {chip} does not answer any more ({reason})."),
        where=f"{chip}:{line}",
        mend=N_("Look at the board or the expander and its cable; it is tried again by itself."),
        chip=chip,
        line=line,
        reason=reason,
    )
