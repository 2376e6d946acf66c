"""GPIO through the module `RPi.GPIO`, for boxes on older images. Two packages install a module of this name:

    RPi.GPIO     writes the chip's registers; outputs only, because its edges fail on kernels from 6.6 on
                 (raspberrypi/linux 6037), and it does not run on a Pi 5
    rpi-lgpio    the same calls over the kernel's character device; outputs and edges

Which one is installed is looked at, never guessed. What both cannot do, and gpio_chardev can: an output has
no bias (both switch the pull off: let config.txt or a resistor hold it), and an input's 'as-is' means none.
RPi.GPIO knows no owners, so another program that uses it on the same line is not seen. Neither is released
by `cleanup()`, which would turn a resting output into a floating input: a closed output stays driven at rest
until the process ends, and with RPi.GPIO beyond.

rpi-lgpio reports edges from a thread of its own. That thread only stamps them and writes to an eventfd; they
reach the reader by file descriptor like any other driver's, debounced by their stamps.
"""

from __future__ import annotations

import os
import time
from collections import deque
from collections.abc import AsyncIterator, Callable
from importlib import import_module
from typing import Any

from drivers import refusals
from drivers.edges import CAPACITY, EdgeQueue, LoopReader, hand_over
from drivers.errors import DriverError, LineGone, LineMissing, N_
from drivers.gpio_header import HEADER_CHIPS
from drivers.interfaces import Bias, Edge, InputSpec, Level, LineInfo, OutputSpec
from drivers.momentary import Momentary

CHIP = "gpio_rpi"
LINES = 28  # BCM numbers on the header

_claims: dict[tuple[int, int], str] = {}  # (module, line) -> consumer: the pins belong to the process, not to an object


class RpiOutput(Momentary):
    """A claimed output."""

    def __init__(self, spec: OutputSpec, gpio: Any, failures: tuple[type[Exception], ...]) -> None:
        super().__init__(spec, self._set)
        self._gpio, self._failures = gpio, failures

    def _set(self, energised: Level) -> None:
        try:
            self._gpio.output(self.spec.line, int(energised != self.spec.active_low))
        except self._failures as error:
            raise refusals.line_gone(CHIP, self.spec.line, str(error)) from error


class RpiInput:
    """A claimed input of rpi-lgpio."""

    def __init__(self, spec: InputSpec, gpio: Any, failures: tuple[type[Exception], ...]) -> None:
        self.spec = spec
        self._gpio, self._failures = gpio, failures
        self._raw = deque[tuple[float, bool]](maxlen=CAPACITY)
        self._dropped = 0
        self._wake = os.eventfd(0, os.EFD_NONBLOCK | os.EFD_CLOEXEC)
        self._reader = LoopReader(self._wake, self._fetch)
        self._queue = EdgeQueue(spec.debounce, self.read(), fetch=self._look)
        gpio.add_event_detect(spec.line, gpio.BOTH, callback=self._called)

    @property
    def lost(self) -> int:
        return self._queue.lost + self._dropped

    def read(self) -> bool:
        try:
            return bool(self._gpio.input(self.spec.line)) != self.spec.active_low
        except self._failures as error:
            raise refusals.line_gone(CHIP, self.spec.line, str(error)) from error

    def edges(self) -> AsyncIterator[Edge]:
        return self._queue

    async def hand_over(self, hear: Callable[[Edge], None]) -> None:
        await hand_over(self._queue, hear)

    def release(self) -> None:
        """Give the line back."""
        try:
            self._gpio.remove_event_detect(self.spec.line)
            self._gpio.cleanup(self.spec.line)
        except self._failures:
            pass  # it is gone already
        self._reader.stop()
        os.close(self._wake)

    def _called(self, _channel: int) -> None:  # in rpi-lgpio's thread
        at = time.monotonic()
        try:
            active = self.read()
        except LineGone:
            return  # the reader finds out by its own call
        self._dropped += len(self._raw) == CAPACITY  # the oldest gives way
        self._raw.append((at, active))
        os.eventfd_write(self._wake, 1)

    def _look(self) -> None:
        self._reader.follow()
        self._fetch()
        self.read()

    def _fetch(self) -> None:
        try:
            os.eventfd_read(self._wake)
        except BlockingIOError:
            return
        while self._raw:
            self._queue.change(*self._raw.popleft())


class GpioRpi:
    """Claims lines of the 40-pin header by BCM number. `gpio` is the module, found if not given."""

    def __init__(self, gpio: Any = None) -> None:
        self._gpio: Any = import_module("RPi.GPIO") if gpio is None else gpio
        lgpio = getattr(self._gpio, "lgpio", None)
        self.supports_inputs = lgpio is not None
        self._failures: tuple[type[Exception], ...] = (RuntimeError, ValueError, OSError)
        if lgpio is not None:
            self._failures += (lgpio.error,)
        self._outputs: list[RpiOutput] = []
        self._inputs: list[RpiInput] = []
        self._gpio.setwarnings(False)
        try:
            self._gpio.setmode(self._gpio.BCM)
        except self._failures as error:
            raise DriverError(
                N_("The module RPi.GPIO does not run on this machine: {reason}."),
                where=CHIP,
                mend=N_("Use the driver gpio_chardev."),
                reason=str(error),
            ) from error

    def claim_output(self, spec: OutputSpec) -> RpiOutput:
        """Claim `spec` at its resting level, in one call. Raises LineMissing, LineBusy."""
        resting = self._gpio.HIGH if spec.active_low else self._gpio.LOW
        self._claim(spec, self._gpio.OUT, initial=resting)
        output = RpiOutput(spec, self._gpio, self._failures)
        self._outputs.append(output)
        return output

    def claim_input(self, spec: InputSpec) -> RpiInput:
        """Claim `spec`. Raises LineMissing, LineBusy."""
        if not self.supports_inputs:
            raise refusals.no_inputs(CHIP, spec.line)
        pulls = {Bias.UP: self._gpio.PUD_UP, Bias.DOWN: self._gpio.PUD_DOWN}
        self._claim(spec, self._gpio.IN, pull_up_down=pulls.get(spec.bias, self._gpio.PUD_OFF))
        line = RpiInput(spec, self._gpio, self._failures)
        self._inputs.append(line)
        return line

    def inspect(self, chip: str, line: int) -> LineInfo:
        """Who has the line, as far as anybody can know it. Raises LineMissing."""
        self._check(chip, line)
        return LineInfo(CHIP, line, f"GPIO{line}", _claims.get(self._key(line), "") or kernel_holder(line))

    def close(self) -> None:
        """Rest every output, release every input; again is harmless."""
        for output in self._outputs:
            try:
                output.rest()
            except LineGone:
                pass
            output.abandon()
            _claims.pop(self._key(output.spec.line), None)
        for line in self._inputs:
            line.release()
            _claims.pop(self._key(line.spec.line), None)
        self._outputs.clear()
        self._inputs.clear()

    def _claim(self, spec: OutputSpec | InputSpec, direction: int, **settings: int) -> None:
        self._check(spec.chip, spec.line)
        holder = _claims.get(self._key(spec.line), "")
        if not self.supports_inputs:  # registers: nothing would keep us from moving a line that the kernel has lent
            holder = holder or kernel_holder(spec.line)
        if holder:
            raise refusals.line_busy(CHIP, spec.line, holder)
        try:
            self._gpio.setup(spec.line, direction, **settings)
        except self._failures as error:
            if "busy" in str(error).lower():
                raise refusals.line_busy(CHIP, spec.line, kernel_holder(spec.line)) from error
            raise refusals.line_refused(CHIP, spec.line, str(error)) from error
        _claims[self._key(spec.line)] = f"loumen:{spec.name}"

    def _check(self, chip: str, line: int) -> None:
        if chip not in {"", CHIP}:
            raise refusals.chip_missing(chip, CHIP)
        if not 0 <= line < LINES:
            raise refusals.line_missing(CHIP, line, LINES)

    def _key(self, line: int) -> tuple[int, int]:
        return id(self._gpio), line


def kernel_holder(line: int) -> str:
    """Who holds the header's line in the kernel's eyes; empty when nobody does, or nobody can tell."""
    try:
        from drivers.gpio_chardev import GpioChardev
    except ImportError:
        return ""
    kernel = GpioChardev()
    try:
        for label in HEADER_CHIPS:
            try:
                return kernel.inspect(label, line).consumer
            except LineMissing:
                continue
    finally:
        kernel.close()
    return ""
