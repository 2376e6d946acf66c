"""A module that behaves as `RPi.GPIO` does, in both of its incarnations, on the wires of a simulated building.

What is copied from their sources: an output's initial level is set before its direction; a pull on an output
is a ValueError and its pull is switched off; `cleanup` makes a line an input without pull; RPi.GPIO's edges
fail on today's kernels; rpi-lgpio's come from a thread, with nothing but the channel's number.
"""

from __future__ import annotations

import threading
from collections.abc import Callable

from drivers.interfaces import Bias
from drivers.simulated import Building
from drivers.simulated.wire import Claim

PULLS = {20: Bias.NONE, 21: Bias.DOWN, 22: Bias.UP}


class LgpioError(Exception):
    """lgpio.error"""


class Lgpio:
    """As much of the module lgpio as rpi-lgpio shows."""

    error = LgpioError


class FakeRpi:
    """RPi.GPIO: registers, no owners, no edges."""

    BCM, BOARD = 11, 10
    OUT, IN, LOW, HIGH = 0, 1, 0, 1
    PUD_OFF, PUD_DOWN, PUD_UP = 20, 21, 22
    RISING, FALLING, BOTH = 31, 32, 33

    def __init__(self, building: Building) -> None:
        self.building = building
        self._mode = -1
        self._set_up: dict[int, int] = {}

    def setwarnings(self, value: bool) -> None: ...

    def setmode(self, mode: int) -> None:
        if self._mode not in {-1, mode}:
            raise ValueError("A different mode has already been set!")
        self._mode = mode

    def setup(self, channel: int, direction: int, pull_up_down: int = PUD_OFF, initial: int | None = None) -> None:
        if self._mode == -1:
            raise RuntimeError("Please set pin numbering mode using GPIO.setmode(GPIO.BOARD) or GPIO.setmode(GPIO.BCM)")
        if not 0 <= channel <= 27:
            raise ValueError("The channel sent is invalid on a Raspberry Pi")
        wire = self.building.line(channel)
        if direction == self.OUT:
            if pull_up_down != self.PUD_OFF:
                raise ValueError("pull_up_down parameter is not valid for outputs")
            wire.drive(wire.level if initial is None else bool(initial))
            wire.pull(Bias.NONE)
        else:
            if initial is not None:
                raise ValueError("initial parameter is not valid for inputs")
            wire.drive(None)
            wire.pull(PULLS[pull_up_down])
        self._set_up[channel] = direction

    def output(self, channel: int, value: int) -> None:
        if self._set_up.get(channel) != self.OUT:
            raise RuntimeError("The GPIO channel has not been set up as an OUTPUT")
        self._answering(channel)
        self.building.line(channel).drive(bool(value))

    def input(self, channel: int) -> int:
        if channel not in self._set_up:
            raise RuntimeError("You must setup() the GPIO channel first")
        self._answering(channel)
        return int(self.building.line(channel).level)

    def add_event_detect(self, channel: int, edge: int, callback: Callable[[int], None] | None = None) -> None:
        raise RuntimeError("Failed to add edge detection")

    def remove_event_detect(self, channel: int) -> None: ...

    def cleanup(self, channel: int) -> None:
        wire = self.building.line(channel)
        wire.drive(None)
        wire.pull(Bias.NONE)
        self._set_up.pop(channel, None)

    def _answering(self, channel: int) -> None:
        if self.building.line(channel).gone:
            raise RuntimeError("unknown handle")


class FakeRpiLgpio(FakeRpi):
    """rpi-lgpio: the kernel knows the owner, edges come from a thread."""

    lgpio = Lgpio

    def setup(
        self, channel: int, direction: int, pull_up_down: int = FakeRpi.PUD_OFF, initial: int | None = None
    ) -> None:
        if self.building.line(channel).busy:
            raise LgpioError("GPIO busy")
        super().setup(channel, direction, pull_up_down, initial)

    def add_event_detect(self, channel: int, edge: int, callback: Callable[[int], None] | None = None) -> None:
        if callback is None:
            raise ValueError("this fake knows callbacks only")

        def changed(_at: float, _level: bool) -> None:
            thread = threading.Thread(target=callback, args=(channel,))
            thread.start()
            thread.join()

        self.building.line(channel).claim = Claim("lg", False, False, changed, lambda: None)

    def remove_event_detect(self, channel: int) -> None:
        self.building.line(channel).claim = None
