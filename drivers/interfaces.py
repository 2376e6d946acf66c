"""What every driver satisfies: units, threads, errors, safe states.

Times are seconds; `at` is CLOCK_MONOTONIC, the same clock as `asyncio`'s `loop.time()`.
Logical levels only: `True` is *active* for an input and *energised* for an output. Which
electrical level that is (`active_low`) is the driver's business.

A GPIO driver (each MUST and MAY is a test of the same name in tests/drivers/contract.py)
    MUST claim an output at its resting level in one request: no edge, not even a short one.
    MUST leave an output resting when it closes, and never move a line that rests already.
    MUST end a momentary output by itself: a pulse after its seconds, and `max_on` after the wire was
         energised at the latest, whatever its caller does in between (drivers/momentary.py).
    MUST debounce: a level counts once it has lasted `debounce`; the edge's time is the end of that wait.
    MUST stamp edges with the kernel's time where the kernel gives it, else with the time of reading.
    MUST hand over every edge since the claim, also those from before the reader came; a cancelled
         reader may be followed by another one, two at once are an error of the caller.
    MUST raise only errors of `drivers.errors` (LineMissing, LineBusy, LineGone), from `claim_*` and
         from the calls of a line; LineBusy names the holder. A line that is gone stays gone until it
         is claimed anew; a wire that merely failed is brought to rest as soon as it answers.
    MUST be called from the event loop's thread only and MUST NOT block it longer than a register
         access; edges come by file descriptor, never by a callback from a thread.
    MUST free its lines at close, so that the next owner gets them without an edge.
    MAY  hand edges over late when its reader is slow, but then with their own times, and it
         MUST say how many were lost (`InputLine.lost`).
    MAY  lack inputs (`supports_inputs`), and then says so: RPi.GPIO on kernels from 6.6 on has no edges.
    MAY  keep a closed output driven at rest, or without bias, where its library can do no better
         (gpio_rpi says what and why).
A camera driver runs in the vision process and MUST NOT block its caller longer than its time-out.
A register bus (RegisterBus) reads and cannot write: there is no function code to write with. It
    MUST give the registers that were asked for, of the unit that was asked, or raise a DriverError in time.
    MUST keep the wire's silence between frames, and begin each request on an empty line.
    MUST be asked one thing at a time; its owner sees to that.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from enum import IntEnum, StrEnum
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    import numpy.typing as npt

    Frame = npt.NDArray[np.uint8]  # height x width x 3, BGR 0..255


Level = bool  # active or energised where a driver is called; inside a driver it may be electrical, True is high


class Bias(StrEnum):
    """The electrical pull of a line."""

    AS_IS = "as-is"
    NONE = "none"
    UP = "up"
    DOWN = "down"


@dataclass(frozen=True, slots=True)
class OutputSpec:
    """One output. It rests de-energised: electrically high if `active_low`, else low."""

    name: str
    chip: str  # a label ("pinctrl-bcm2711") or a device path
    line: int
    active_low: bool = False
    bias: Bias = Bias.AS_IS
    max_on: float = 10.0  # seconds a momentary output may stay energised


@dataclass(frozen=True, slots=True)
class InputSpec:
    """One input."""

    name: str
    chip: str
    line: int
    active_low: bool = False
    bias: Bias = Bias.AS_IS
    debounce: float = 0.02


@dataclass(frozen=True, slots=True)
class Edge:
    """A change of an input, after debouncing."""

    active: bool
    at: float


class OutputLine(Protocol):
    """A claimed output."""

    @property
    def spec(self) -> OutputSpec: ...

    @property
    def energised(self) -> bool:
        """What was commanded last; the wire may differ."""

    def pulse(self, seconds: float) -> None:
        """Energise for `seconds`; a pulse under way is prolonged, never shortened, never beyond `spec.max_on`.

        `max_on` counts from the moment the wire was energised. The driver ends it. No seconds (0, negative,
        not a number) are no pulse; a hold is not ended by a pulse. Raises LineGone.
        """

    def hold(self) -> None:
        """Energise until `rest`: for fire and a recorded door hold only. Raises LineGone."""

    def rest(self) -> None:
        """De-energise now; a line at rest is not written again. Raises LineGone."""


class InputLine(Protocol):
    """A claimed input."""

    @property
    def spec(self) -> InputSpec: ...

    @property
    def lost(self) -> int:
        """How many edges were dropped since the claim because the reader was too slow."""

    def read(self) -> bool:
        """The level now: the wire's, or where the kernel debounces, the debounced one. Raises LineGone."""

    def edges(self) -> AsyncIterator[Edge]:
        """Every change since the claim, in order; one reader a line. Raises LineGone when the line is gone."""

    async def hand_over(self, hear: Callable[[Edge], None]) -> None:
        """The same for a reader that loses no turn of the loop: `hear` is called from the loop, until cancelled.

        Raises LineGone.
        """


@dataclass(frozen=True, slots=True)
class LineInfo:
    """What the machine says of one line (`loumen io show`, `config check`)."""

    chip: str
    line: int
    name: str
    consumer: str  # empty when free


class GpioDriver(Protocol):
    """Claims lines. One instance a daemon and driver name."""

    supports_inputs: bool

    def claim_output(self, spec: OutputSpec) -> OutputLine:
        """Claim `spec` at its resting level. Raises LineMissing, LineBusy."""

    def claim_input(self, spec: InputSpec) -> InputLine:
        """Claim `spec`. Raises LineMissing, LineBusy."""

    def inspect(self, chip: str, line: int) -> LineInfo:
        """Look at a line without claiming it. Raises LineMissing."""

    def close(self) -> None:
        """Rest every output, release every line; again is harmless."""


class CameraDriver(Protocol):
    """A source of frames, used by the vision process only."""

    def read(self) -> Frame | None:
        """The newest frame, or None when a recorded source has ended.

        Blocks at most the time-out it was opened with. Raises CameraGone.
        """

    def close(self) -> None: ...


class Function(IntEnum):
    """The Modbus functions that read registers; there are no others here."""

    HOLDING = 3
    INPUT = 4


@dataclass(frozen=True, slots=True)
class Span:
    """Contiguous registers of one kind: what one request reads."""

    function: Function
    address: int
    count: int


class RegisterBus(Protocol):
    """A Modbus line or connection."""

    async def open(self) -> None:
        """Find and open it. Raises BusGone."""

    async def ask(self, unit: int, span: Span, within: float) -> tuple[int, ...]:
        """The registers of `span`; `within` seconds is the unit's own time, the wire's comes on top.

        Raises NoAnswer, BadAnswer, UnitRefused, BusGone.
        """

    def close(self) -> None:
        """Let it go; again is harmless."""
