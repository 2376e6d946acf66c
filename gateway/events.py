"""Every event that this program writes: what the capabilities declare, assembled and checked for clashes."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import msgspec

from gateway import commands, supervisor
from gateway.access import events as access
from gateway.daemon_events import EVENTS as DAEMON
from gateway.directory import events as directory
from gateway.journal import events as journal
from gateway.journal.event import Event
from gateway.lanes import events as lanes
from gateway.metering import events as metering
from gateway.uplink import events as uplink
from gateway.vision import events as vision


def assemble(declared: Iterable[type[Event]]) -> dict[str, type[Event]]:
    """Type name -> type. Raises ValueError when two events share a name: a clash is a bug."""
    kinds: dict[str, type[Event]] = {}
    for kind in declared:
        if kind.type_name() in kinds:
            raise ValueError(f"two events are called {kind.type_name()}")
        kinds[kind.type_name()] = kind
    return kinds


ALL = assemble(
    (
        *journal.EVENTS,
        *DAEMON,
        *supervisor.EVENTS,
        *commands.EVENTS,
        *access.EVENTS,
        *directory.EVENTS,
        *vision.EVENTS,
        *uplink.EVENTS,
        *metering.EVENTS,
        *lanes.EVENTS,
    )
)


def schemas() -> dict[str, Any]:
    """JSON Schema of every event, by type name (`loumen event schema`)."""
    return {name: msgspec.json.schema(kind) for name, kind in sorted(ALL.items())}
