"""Driver names and their classes. A driver is imported on first use, and never replaced by another one
in silence: a box whose configured back-end does not work says so instead of moving the wrong pins.

Third parties add a driver as an entry point of the group `loumen.drivers`.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import import_module
from typing import TYPE_CHECKING, Any, cast

from drivers.errors import DriverError, N_, UnknownDriver
from drivers.interfaces import GpioDriver

if TYPE_CHECKING:
    from importlib.metadata import EntryPoint

GROUP = "loumen.drivers"

GPIO = {
    "gpio_chardev": "drivers.gpio_chardev:GpioChardev",
    "gpio_rpi": "drivers.gpio_rpi:GpioRpi",
    "simulated": "drivers.simulated.driver:SimulatedGpio",
}
CAMERAS = {
    "v4l2": "drivers.camera:V4l2Camera",
    "rtsp": "drivers.camera:RtspCamera",
    "file": "drivers.camera:FileCamera",
    "folder": "drivers.camera:FolderCamera",
}

BUSES = {
    "serial": "drivers.modbus:SerialBus",
    "tcp": "drivers.modbus:TcpBus",
    "simulated": "drivers.simulated.meters:SimulatedBus",
}


class Drivers:
    """The GPIO drivers of one daemon, each made once. `ready` brings instances that exist already."""

    def __init__(self, ready: Mapping[str, GpioDriver] | None = None) -> None:
        self._made: dict[str, GpioDriver] = dict(ready or {})

    def gpio(self, name: str) -> GpioDriver:
        """The driver of this name. Raises UnknownDriver, DriverError."""
        if name not in self._made:
            self._made[name] = cast(GpioDriver, _find(name, GPIO)())
        return self._made[name]

    def close(self) -> None:
        """Rest every output and release every line of every driver; again is harmless."""
        for driver in self._made.values():
            driver.close()


def camera(name: str) -> Any:
    """The class of a camera driver. Raises UnknownDriver, DriverError."""
    return _find(name, CAMERAS)


def bus(name: str) -> Any:
    """The class of a register bus. Raises UnknownDriver, DriverError."""
    return _find(name, BUSES)


def known() -> tuple[str, ...]:
    """The names of all drivers, ours first."""
    return (*GPIO, *CAMERAS, *BUSES, *sorted(_third_parties()))


def _find(name: str, ours: Mapping[str, str]) -> Any:
    place = ours.get(name)
    if place is None:
        entry = _third_parties().get(name)
        if entry is None:
            raise UnknownDriver(
                N_("There is no driver '{driver}'."),
                mend=N_("Use one of: {known}."),
                driver=name,
                known=", ".join([*ours, *sorted(_third_parties())]),
            )
        place = entry.value
    module, _, attribute = place.partition(":")
    try:
        return getattr(import_module(module), attribute)
    except ImportError as error:
        raise DriverError(
            N_("The driver {driver} cannot be loaded: {reason}."),
            where=place,
            mend=N_("Install what it needs, or choose another driver."),
            driver=name,
            reason=str(error),
        ) from error


def _third_parties() -> dict[str, EntryPoint]:
    from importlib.metadata import entry_points  # a tenth of what a door's start imports, and few boxes need it

    return {entry.name: entry for entry in entry_points(group=GROUP)}
