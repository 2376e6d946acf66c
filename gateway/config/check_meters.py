"""Whether buses and meters fit together."""

from __future__ import annotations

from collections.abc import Iterator
from difflib import get_close_matches

from gateway.config import schema
from gateway.config.mistakes import Finding
from gateway.errors import N_

LOOK = 40  # characters on the wire for one look at a meter, silences in it


def check_meters(config: schema.Gateway, buses: set[str]) -> Iterator[Finding]:
    """`buses`: every name of the file, also of those whose table is broken."""
    yield from _buses(config)
    seen: dict[tuple[str, int], str] = {}
    for name, meter in config.meter.items():
        if meter.bus not in buses:
            near = get_close_matches(meter.bus, buses, n=1)
            yield Finding(
                ("meter", name, "bus"),
                N_("there is no bus {bus}"),
                N_('did you mean "{near}"?') if near else N_("add a table [bus.{bus}]"),
                {"bus": meter.bus, "near": "".join(near)},
            )
        first = seen.setdefault((meter.bus, meter.unit), name)
        if first != name:
            yield Finding(
                ("meter", name, "unit"),
                N_("meter {other} has number {unit} on this bus already"),
                N_("give each meter of a bus its own number"),
                {"other": first, "unit": meter.unit},
            )
    yield from _intervals(config)
    if config.metering.profiles and not config.metering.profiles.startswith("/"):
        yield Finding(("metering", "profiles"), N_("this is not an absolute path"), N_("begin it with /"))
    if config.metering.still >= config.metering.still_within:
        yield Finding(
            ("metering", "still"),
            N_("a pause of {still} s is never found within {within} s"),
            N_("make still shorter than still_within"),
            {"still": f"{config.metering.still:g}", "within": f"{config.metering.still_within:g}"},
        )

    if config.metering.burst_window > config.metering.burst_lasts:
        yield Finding(
            ("metering", "burst_window"),
            N_("flow is judged over {window} s, longer than a burst must last ({lasts} s)"),
            N_("make burst_window shorter than burst_lasts"),
            {"window": f"{config.metering.burst_window:g}", "lasts": f"{config.metering.burst_lasts:g}"},
        )
    for name, bus in config.bus.items():
        if isinstance(bus, schema.SerialBus):
            yield from _wire(name, bus, [meter for meter in config.meter.values() if meter.bus == name])


def _intervals(config: schema.Gateway) -> Iterator[Finding]:
    """Readings that come too rarely show a detector nothing but gaps."""
    rules = config.metering
    for name, meter in config.meter.items():
        blind = N_("high flow") if meter.interval <= rules.still / 4 else N_("high flow and the still hour")
        if meter.interval > rules.burst_window:
            yield Finding(
                ("meter", name, "interval"),
                N_("read every {interval} s, this meter never shows {blind}: flow is judged over {window} s"),
                N_("a shorter interval, or a longer burst_window"),
                {"interval": f"{meter.interval:g}", "blind": blind, "window": f"{rules.burst_window:g}"},
                "warning",
            )


def _wire(name: str, bus: schema.SerialBus, meters: list[schema.Meter]) -> Iterator[Finding]:
    if bus.port.startswith(("/dev/ttyUSB", "/dev/ttyACM")):
        yield Finding(
            ("bus", name, "port"),
            N_("{port} may be another adapter after the next start"),
            N_("name the adapter by its serial number: adapter"),
            {"port": bus.port},
            "warning",
        )
    busy = sum(LOOK * 11 / bus.baud / meter.interval for meter in meters)
    if busy > 1:
        yield Finding(
            ("bus", name, "baud"),
            N_("the wire is too slow: {count} meters would keep it busy for {percent} % of the time"),
            N_("longer intervals, a higher baud rate, or a second bus"),
            {"count": len(meters), "percent": round(100 * busy)},
            "warning",
        )


def _buses(config: schema.Gateway) -> Iterator[Finding]:
    seen: dict[str, str] = {}
    for name, bus in config.bus.items():
        source = ""
        if isinstance(bus, schema.SerialBus):
            source = bus.adapter or bus.port
            if bool(bus.adapter) == bool(bus.port):
                yield Finding(
                    ("bus", name),
                    N_("a serial bus needs `adapter` or `port`, one of them"),
                    N_("'loumen meter scan' lists the adapters with their serial numbers"),
                )
        elif isinstance(bus, schema.TcpBus):
            source = f"{bus.host}:{bus.port}"
        if source and seen.setdefault(source, name) != name:
            yield Finding(
                ("bus", name),
                N_("this is the wire of bus {other} already"),
                N_("one bus a wire: hang the meters on {other}"),
                {"other": seen[source]},
            )
