"""GPIO through the kernel's character device (libgpiod v2): the default driver on a box.

A chip is found by its label, because its number moves: a Pi 5's header was gpiochip4 and became gpiochip0
with a kernel update. A line is claimed in one request that carries direction, resting level, bias and
polarity, so it never shows anything else. Edges are debounced and stamped by the kernel and wait in its
buffer, 1,024 a line, until the reader comes; a gap in their numbers is what was lost.

What becomes of a line when this process lets go of it or dies is the kernel's choice (mainline frees it to
its pull, Raspberry Pi kernels leave it driven); that is why an output rests before it is released.
"""

from __future__ import annotations

import asyncio
import errno
import os
from collections import deque
from collections.abc import AsyncIterator, Callable
from datetime import timedelta
from pathlib import Path

import gpiod
from gpiod.line import Bias as KernelBias
from gpiod.line import Clock, Direction, Value
from gpiod.line import Edge as KernelEdge

from drivers import edges, refusals
from drivers.errors import LineGone
from drivers.interfaces import Bias, Edge, InputSpec, Level, LineInfo, OutputSpec
from drivers.momentary import Momentary

BUFFER = 1024  # edges the kernel keeps for one line: its upper limit
CONSUMER = 31  # characters that the kernel keeps of a consumer's name

BIAS = {
    Bias.AS_IS: KernelBias.AS_IS,
    Bias.NONE: KernelBias.DISABLED,
    Bias.UP: KernelBias.PULL_UP,
    Bias.DOWN: KernelBias.PULL_DOWN,
}


def gone(spec: OutputSpec | InputSpec, error: OSError) -> LineGone:
    """What a failed register access means."""
    return refusals.line_gone(spec.chip, spec.line, os.strerror(error.errno or 0))


class ChardevOutput(Momentary):
    """A claimed output."""

    def __init__(self, spec: OutputSpec, request: gpiod.LineRequest) -> None:
        super().__init__(spec, self._set)
        self.failed = False
        self._request = request

    def release(self) -> None:
        """Rest, and give the line back."""
        try:
            self.rest()
        except LineGone:
            pass
        self.abandon()
        self._request.release()

    def _set(self, energised: Level) -> None:
        try:
            self._request.set_value(self.spec.line, Value.ACTIVE if energised else Value.INACTIVE)
        except OSError as error:
            self.failed, failure = True, gone(self.spec, error)
            if error.errno == errno.ENODEV:
                self.end(failure)
            raise failure from error


class ChardevInput:
    """A claimed input, and the iterator over its edges.

    Its descriptor stays with the loop and is read as soon as it is readable: between an edge and its reader is one
    turn of the loop. Edges that nobody fetches stay in the kernel's buffer once as many wait here.
    """

    def __init__(self, spec: InputSpec, request: gpiod.LineRequest) -> None:
        self.spec = spec
        self.lost = 0
        self.failed = False
        self._request = request
        self._last = 0  # the kernel numbers a line's edges from 1
        self._edges = deque[Edge]()
        self._gone: LineGone | None = None
        self._descriptor = edges.LoopReader(request.fd, self._take)
        self._look: asyncio.TimerHandle | None = None
        self._waiter: asyncio.Future[None] | None = None
        self._hear: Callable[[Edge], None] = self._edges.append

    def read(self) -> bool:
        try:
            return self._request.get_value(self.spec.line) is Value.ACTIVE
        except OSError as error:
            self.failed = True
            raise gone(self.spec, error) from error

    def edges(self) -> AsyncIterator[Edge]:
        return self

    def release(self) -> None:
        """Give the line back."""
        self._unfollow()
        self._request.release()

    def __aiter__(self) -> ChardevInput:
        return self

    async def __anext__(self) -> Edge:
        while not self._edges:
            await self._something()
        return self._edges.popleft()

    async def hand_over(self, hear: Callable[[Edge], None]) -> None:
        self._only_reader()
        while self._edges:
            hear(self._edges.popleft())
        self._hear = hear
        try:
            while True:
                await self._something()
        finally:
            self._hear = self._edges.append

    async def _something(self) -> None:
        """Return when edges were read. Raises LineGone."""
        self._only_reader()
        if self._gone is not None:
            raise self._gone
        self._waiter = self._follow().create_future()
        try:
            await self._waiter
        finally:
            self._waiter = None

    def _only_reader(self) -> None:
        if self._waiter is not None:
            raise RuntimeError("a line has one reader")

    def _follow(self) -> asyncio.AbstractEventLoop:
        loop = asyncio.get_running_loop()
        if self._descriptor.follow():
            self._look = loop.call_later(edges.LOOK, self._still_there, loop)
        return loop

    def _unfollow(self) -> None:
        self._descriptor.stop()
        if self._look is not None:
            self._look.cancel()
            self._look = None

    def _still_there(self, loop: asyncio.AbstractEventLoop) -> None:
        """Some kernels do not wake the reader of a line whose chip was pulled out."""
        try:
            self.read()
        except LineGone as error:
            self._end(error)
        else:
            self._look = loop.call_later(edges.LOOK, self._still_there, loop)

    def _take(self) -> None:
        try:
            events = self._request.read_edge_events(BUFFER)
        except OSError as error:
            self._end(gone(self.spec, error))
            return
        for event in events:
            self.lost += event.line_seqno - self._last - 1
            self._last = event.line_seqno
            active = event.event_type is gpiod.EdgeEvent.Type.RISING_EDGE
            self._hear(Edge(active, event.timestamp_ns / 1e9))
        if len(self._edges) >= BUFFER:
            self._unfollow()
        self._wake()

    def _end(self, error: LineGone) -> None:
        self.failed, self._gone = True, error
        self._unfollow()
        self._wake()

    def _wake(self) -> None:
        if self._waiter is not None and not self._waiter.done():
            self._waiter.set_result(None)


class GpioChardev:
    """Claims lines of the kernel's GPIO chips."""

    supports_inputs = True

    def __init__(self, devices: Path = Path("/dev")) -> None:
        self._devices = devices
        self._chips: dict[str, gpiod.Chip] = {}
        self._held: list[ChardevOutput | ChardevInput] = []

    def claim_output(self, spec: OutputSpec) -> ChardevOutput:
        """Claim `spec` at its resting level, in one request. Raises LineMissing, LineBusy."""
        settings = gpiod.LineSettings(
            direction=Direction.OUTPUT,
            active_low=spec.active_low,
            bias=BIAS[spec.bias],
            output_value=Value.INACTIVE,
        )
        output = ChardevOutput(spec, self._request(spec, settings))
        self._held.append(output)
        return output

    def claim_input(self, spec: InputSpec) -> ChardevInput:
        """Claim `spec` with both edges. Raises LineMissing, LineBusy."""
        settings = gpiod.LineSettings(
            direction=Direction.INPUT,
            active_low=spec.active_low,
            bias=BIAS[spec.bias],
            edge_detection=KernelEdge.BOTH,
            debounce_period=timedelta(seconds=spec.debounce),
            event_clock=Clock.MONOTONIC,
        )
        line = ChardevInput(spec, self._request(spec, settings))
        self._held.append(line)
        return line

    def inspect(self, chip: str, line: int) -> LineInfo:
        """What the kernel says of a line. Raises LineMissing."""
        info = self._chip(chip, line).get_line_info(line)
        return LineInfo(chip, line, info.name or "", (info.consumer or "?") if info.used else "")

    def close(self) -> None:
        """Rest every output, release every line; again is harmless."""
        for line in self._held:
            line.release()
        self._held.clear()
        for chip in self._chips.values():
            chip.close()
        self._chips.clear()

    def _request(self, spec: OutputSpec | InputSpec, settings: gpiod.LineSettings) -> gpiod.LineRequest:
        self._give_back(spec)
        chip = self._chip(spec.chip, spec.line)
        consumer = f"loumen:{spec.name}"[:CONSUMER]
        buffer = BUFFER if isinstance(spec, InputSpec) else None
        try:
            return chip.request_lines({spec.line: settings}, consumer=consumer, event_buffer_size=buffer)
        except OSError as error:
            if error.errno == errno.EBUSY:
                raise refusals.line_busy(spec.chip, spec.line, self.inspect(spec.chip, spec.line).consumer) from error
            if error.errno == errno.ENODEV:  # pulled out; put back it will be another device: look for it anew
                self._chips.pop(spec.chip).close()
                raise gone(spec, error) from error
            raise refusals.line_refused(spec.chip, spec.line, os.strerror(error.errno or 0)) from error

    def _give_back(self, spec: OutputSpec | InputSpec) -> None:
        """Release an earlier claim of the line that failed: it would be what holds the line."""
        for line in [held for held in self._held if held.failed and _same(held.spec, spec)]:
            line.release()
            self._held.remove(line)

    def _chip(self, name: str, line: int) -> gpiod.Chip:
        if name not in self._chips:
            self._chips[name] = self._open(name) if name.startswith("/") else self._search(name)
        chip = self._chips[name]
        lines = chip.get_info().num_lines
        if not 0 <= line < lines:
            raise refusals.line_missing(name, line, lines)
        return chip

    def _open(self, path: str) -> gpiod.Chip:
        if not gpiod.is_gpiochip_device(path):
            raise refusals.chip_missing(path, self._known())
        try:
            return gpiod.Chip(path)
        except PermissionError as error:
            raise refusals.chip_forbidden(path) from error
        except OSError as error:
            raise refusals.chip_missing(path, self._known()) from error

    def _search(self, label: str) -> gpiod.Chip:
        forbidden = ""
        for path in sorted(self._devices.glob("gpiochip*")):
            try:
                chip = gpiod.Chip(str(path))
            except PermissionError:
                forbidden = str(path)
                continue
            except OSError:
                continue  # it vanished while we looked
            if chip.get_info().label == label:
                return chip
            chip.close()
        if forbidden:
            raise refusals.chip_forbidden(forbidden)
        raise refusals.chip_missing(label, self._known())

    def _known(self) -> str:
        labels = []
        for path in sorted(self._devices.glob("gpiochip*")):
            try:
                with gpiod.Chip(str(path)) as chip:
                    labels.append(chip.get_info().label)
            except OSError:
                continue
        return ", ".join(labels)


def _same(one: OutputSpec | InputSpec, other: OutputSpec | InputSpec) -> bool:
    return (one.chip, one.line) == (other.chip, other.line)
